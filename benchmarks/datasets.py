"""Real images at hand, read for the benchmarks, and blurred copies with camera noise."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from tifffile import imread

DATA = Path(
    os.environ.get("OMERO_HCS_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)
"""Folder of the real images; see its MANIFEST.md."""


@dataclass(frozen=True, slots=True, eq=False)
class Annotated:
    """One nuclear plane (Y, X) and its label image (Y, X)."""

    name: str
    plane: NDArray[Any]
    masks: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class FocusField:
    """One BBBC006 field (Y, X), uint16, and whether it is in focus."""

    name: str
    well: str
    in_focus: bool
    plane: NDArray[np.uint16]


def nuclei_masks() -> list[Annotated]:
    """15 nuclear planes (RPE1, U2OS) with instance masks, in the order of their names."""
    folder = DATA / "nuclei_masks"
    return [
        Annotated(
            path.stem,
            imread(path),
            imread(folder / "masks" / path.name).astype(np.int32),
        )
        for path in sorted((folder / "images").glob("*.tif"))
    ]


def halves(images: Sequence[Annotated]) -> tuple[list[Annotated], list[Annotated]]:
    """Split into images that parameters were tuned on (places 0, 2, ...) and the others."""
    return list(images[::2]), list(images[1::2])


def nf1_nuclei() -> list[Annotated]:
    """5 DAPI fields of NF1 with the connected pieces of their binary nuclei masks."""
    folder = DATA / "nf1_cellpainting"
    found = []
    for path in sorted((folder / "masks").glob("*_MaskNuclei.tiff")):
        stem = path.name.removesuffix("_MaskNuclei.tiff")
        pieces, _ = ndimage.label(imread(path) > 0)
        plane = imread(next((folder / "images").glob(f"{stem}.tif*")))
        found.append(Annotated(stem, plane, pieces.astype(np.int32)))
    return found


def bbbc013_dna() -> list[tuple[str, NDArray[np.uint8]]]:
    """Well name and DNA plane of the 96 wells of BBBC013."""
    paths = sorted((DATA / "bbbc013").rglob("*_w2.tif"))
    return [(path.name.split("_")[1], imread(path)) for path in paths]


def bbbc006_focus() -> list[FocusField]:
    """9 fields in focus and 15 that are 32 um out of it."""
    folder = DATA / "bbbc006_focus"
    with (folder / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        FocusField(
            row["file"], row["well"], row["label"] == "in_focus",
            imread(folder / "images" / row["file"]),
        )
        for row in rows
    ]  # fmt: skip


def degraded_crops() -> dict[str, NDArray[Any]]:
    """One cell, 100 x 100 px, as it is and degraded on purpose, by file stem."""
    folder = DATA / "bbbc006_focus" / "degraded_crops"
    return {path.stem: np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))}

"""Real images at hand, read for the benchmarks, and blurred copies with camera noise."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from skimage.restoration import denoise_nl_means
from tifffile import imread

DATA = Path(
    os.environ.get("OMERO_HCS_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)
"""Folder of the real images; see its MANIFEST.md."""

_REFERENCE = 0.7


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


@dataclass(frozen=True, slots=True)
class CameraNoise:
    """Variance of a camera's noise: `gain` times the grey value above `offset`."""

    gain: float
    offset: float

    def variance(self, plane: NDArray[Any]) -> NDArray[np.float32]:
        """Noise variance of each pixel of a noiseless plane, in grey values squared."""
        return np.maximum(self.gain * (plane.astype(np.float32) - self.offset), 1.0)


def camera_noise(planes: Sequence[NDArray[Any]]) -> CameraNoise:
    """Fit the noise of a camera from the flat parts of some planes.

    Pixel noise (the residual to Immerkaer's mask) against local brightness, over the darker
    60 % of the pixels, where there is no texture that could pass for noise.
    """
    levels, variances = [], []
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]]) / 6.0
    for plane in planes:
        values = plane.astype(np.float32)
        local = ndimage.uniform_filter(values, 9)
        residual = np.abs(ndimage.convolve(values, kernel))
        edges = np.percentile(local, np.linspace(1, 60, 7))
        for low, high in pairwise(edges):
            inside = (local >= low) & (local < high)
            levels.append(float(local[inside].mean()))
            variances.append(float(np.median(residual[inside]) * 1.4826) ** 2)
    gain, constant = np.polyfit(levels, variances, 1)
    return CameraNoise(float(gain), float(-constant / gain))


def blur_series(
    fields: Sequence[NDArray[Any]], sigmas: Sequence[float], rng: np.random.Generator
) -> dict[float, list[NDArray[np.float32]]]:
    """Blur fields by Gaussians, the same camera noise on top of every copy.

    The noise that a field came with would be blurred with it and give the blur away. It is taken
    off first, from the unblurred copy too (non-local means, then a Gaussian of 0.7 px: the grain
    that is left would be found before the blur is), and every copy then gets fresh noise of one
    law: variance proportional to the grey value above the camera's offset.

    Parameters
    ----------
    fields : sequence of array, shape (Y, X)
        Sharp fields of one camera, in grey values.
    sigmas : sequence of float
        Standard deviations of the blur, in pixels; 0 is the unblurred copy.
    rng : numpy.random.Generator

    Returns
    -------
    dict of float to list of array, shape (Y, X), float32
        By sigma, in the order of the fields.
    """
    noise = camera_noise(fields)
    scenes = [ndimage.gaussian_filter(without_noise(field, noise), _REFERENCE) for field in fields]
    series: dict[float, list[NDArray[np.float32]]] = {}
    for sigma in sigmas:
        copies = []
        for scene in scenes:
            blurred = ndimage.gaussian_filter(scene, sigma)
            grain = rng.standard_normal(scene.shape, dtype=np.float32)
            copies.append(blurred + np.sqrt(noise.variance(blurred)) * grain)
        series[float(sigma)] = copies
    return series


def without_noise(plane: NDArray[Any], noise: CameraNoise) -> NDArray[np.float32]:
    """Take a camera's noise off a plane by non-local means, edges kept, shape (Y, X)."""
    above = np.maximum(plane.astype(np.float32) - noise.offset, 1.0)
    steady = 2.0 * np.sqrt(above / noise.gain)
    smooth = denoise_nl_means(
        steady, patch_size=5, patch_distance=6, h=0.8, sigma=1.0, fast_mode=True
    )
    return (np.square(smooth / 2.0) * noise.gain + noise.offset).astype(np.float32)

"""Nuclei of real images: found as people drew them, and none where there are none."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from tifffile import imread

from omero_hcs.imaging.segment import median_diameter, segment_nuclei

DATA = Path(os.environ.get("OMERO_HCS_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real images at {DATA}")


def matched(found: NDArray[np.int32], truth: NDArray[np.int32]) -> tuple[int, int, int]:
    """Objects matched at an IoU above 0.5, objects found, true objects."""
    pairs, counts = np.unique(np.stack([found.ravel(), truth.ravel()]), axis=1, return_counts=True)
    areas, true_areas = np.bincount(found.ravel()), np.bincount(truth.ravel())
    union = areas[pairs[0]] + true_areas[pairs[1]] - counts
    hits = (counts / union > 0.5) & (pairs > 0).all(axis=0)
    return int(hits.sum()), int((areas[1:] > 0).sum()), int((true_areas[1:] > 0).sum())


def test_nuclei_agree_with_the_masks() -> None:
    """On 5 of the images that nothing was tuned on; all 15 are in benchmarks/bench_nuclei.py."""
    folder = DATA / "nuclei_masks"
    counts = []
    for path in sorted((folder / "images").glob("*.tif"))[1::3]:
        truth = imread(folder / "masks" / path.name).astype(np.int32)
        counts.append(matched(segment_nuclei(imread(path)).labels, truth))
    hit, found, true = np.sum(counts, axis=0)
    assert 2 * hit / (found + true) > 0.92


def test_nf1_nuclei_are_those_of_the_masks() -> None:
    """The masks leave out what touches the border, and so does this count."""
    folder = DATA / "nf1_cellpainting"
    for path in sorted((folder / "masks").glob("*_MaskNuclei.tiff"))[:3]:
        truth, count = ndimage.label(imread(path) > 0)
        stem = path.name.removesuffix("_MaskNuclei.tiff")
        nuclei = segment_nuclei(imread(next((folder / "images").glob(f"{stem}.tif*"))))
        hit, _, _ = matched(nuclei.labels, truth.astype(np.int32))
        assert hit >= count - 1
        assert abs(int((~nuclei.touches_border).sum()) - count) <= 3


def test_bbbc013_has_its_hundreds_of_small_nuclei() -> None:
    paths = sorted((DATA / "bbbc013").rglob("*_w2.tif"))[::16]
    fields = [segment_nuclei(imread(path)) for path in paths]
    assert all(120 <= len(nuclei) <= 340 for nuclei in fields)
    assert median_diameter(fields) == pytest.approx(15.5, abs=1.0)


def test_bbbc006_in_focus_and_not() -> None:
    folder = DATA / "bbbc006_focus" / "images"
    sharp = segment_nuclei(imread(folder / "BBBC006_A04_s1_w1_infocus.tif"))
    assert 90 <= len(sharp) <= 115
    assert median_diameter([sharp]) == pytest.approx(28, abs=2)
    blurred = segment_nuclei(imread(folder / "BBBC006_A01_s1_w1_z00.tif"))
    assert 6 <= len(blurred) <= 9
    assert median_diameter([blurred]) == pytest.approx(65, abs=8)
    fog = segment_nuclei(imread(folder / "BBBC006_I16_s2_w1_z00.tif"))
    assert len(fog) <= 5

"""Real defocus is told by the focus score; plain Laplacian variance is not to be trusted."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from tifffile import imread

from omero_hcs.imaging.focus import field_metrics, focus_score

DATA = Path(os.environ.get("OMERO_HCS_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
FOLDER = DATA / "bbbc006_focus"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no real images at {FOLDER}")


@pytest.fixture(scope="module")
def fields() -> tuple[list[NDArray[np.uint16]], NDArray[np.bool_]]:
    with (FOLDER / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    planes = [imread(FOLDER / "images" / row["file"]) for row in rows]
    return planes, np.array([row["label"] == "in_focus" for row in rows])


def test_every_sharp_field_scores_far_above_every_blurred_one(
    fields: tuple[list[NDArray[np.uint16]], NDArray[np.bool_]],
) -> None:
    planes, sharp = fields
    scores = np.array([focus_score(plane) for plane in planes])
    assert (len(planes), sharp.sum()) == (24, 9)
    assert scores[sharp].min() > 4 * scores[~sharp].max()


def test_plain_laplacian_variance_is_the_trap_it_is_said_to_be(
    fields: tuple[list[NDArray[np.uint16]], NDArray[np.bool_]],
) -> None:
    planes, sharp = fields
    plain = np.array([ndimage.laplace(plane.astype(float)).var() / plane.var() for plane in planes])
    assert plain[~sharp].max() > plain[sharp].min()


def test_12_bit_data_are_not_saturated(
    fields: tuple[list[NDArray[np.uint16]], NDArray[np.bool_]],
) -> None:
    planes, _ = fields
    metrics = field_metrics(planes[0][None], ceiling=4095, names=["DNA"])
    assert metrics["saturation_DNA"] == 0
    assert 100 < metrics["background_DNA"] < 130

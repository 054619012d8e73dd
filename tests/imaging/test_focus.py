from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from omero_hcs.errors import InputError
from omero_hcs.imaging.focus import field_metrics, focus_score, power_slope, project


def scene(blur: float, *, noise: float = 10.0, seed: int = 0) -> NDArray[np.float64]:
    """Discs blurred by `blur` pixels, then camera noise."""
    rows, columns = np.indices((200, 200))
    plane = np.zeros((200, 200))
    for y, x in [(50, 50), (60, 140), (150, 90), (140, 160)]:
        plane[np.hypot(rows - y, columns - x) < 12] = 500.0
    grain = np.random.default_rng(seed).normal(0, noise, plane.shape)
    return 100 + ndimage.gaussian_filter(plane, blur) + grain


@pytest.mark.parametrize("noise", [0.0, 5.0, 25.0])
def test_focus_score_falls_with_blur_whatever_the_noise(noise: float) -> None:
    scores = [focus_score(scene(blur, noise=noise)) for blur in (0.5, 1, 2, 4, 8)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 3 * scores[-1]


def test_noise_is_not_taken_for_focus() -> None:
    """Plain variance of the Laplacian fails here: it is higher for the noisier, blurred plane."""
    sharp, blurred = scene(0.8, noise=5.0), scene(4.0, noise=20.0)
    assert ndimage.laplace(blurred).var() > ndimage.laplace(sharp).var()
    assert focus_score(sharp) > 2 * focus_score(blurred)


def test_focus_score_does_not_change_with_gain_and_offset() -> None:
    plane = scene(1.0)
    assert focus_score(plane * 7 + 900) == pytest.approx(focus_score(plane), rel=1e-3)


@pytest.mark.parametrize(
    "plane",
    [
        np.zeros((30, 30)),
        np.full((30, 30), 4095, np.uint16),
        np.full((9, 9), np.nan),
        np.ones((1, 1)),
    ],
)
def test_planes_without_structure_have_no_focus(plane: NDArray[np.generic]) -> None:
    assert focus_score(plane) == 0.0
    assert power_slope(plane) == 0.0


def test_pure_noise_has_no_focus() -> None:
    assert focus_score(np.random.default_rng(0).normal(100, 5, (200, 200))) < 0.01


def test_power_slope_is_steeper_for_blurred_planes() -> None:
    assert power_slope(scene(4.0, noise=0.1)) < power_slope(scene(0.5, noise=0.1))
    assert abs(power_slope(np.random.default_rng(0).normal(0, 1, (200, 200)))) < 0.2


def test_projections() -> None:
    stack = np.random.default_rng(0).integers(0, 99, (2, 5, 8, 9)).astype(np.uint16)
    np.testing.assert_array_equal(project(stack, 1), stack[:, 1])
    np.testing.assert_array_equal(project(stack, "middle"), stack[:, 2])
    np.testing.assert_array_equal(project(stack, "max"), stack.max(axis=1))
    assert project(stack, "max").dtype == np.uint16


def test_sharpest_plane_is_judged_on_the_reference_channel_and_taken_for_all() -> None:
    dna = np.stack([scene(blur, seed=blur) for blur in (6, 3, 1, 4)])
    gfp = np.stack([scene(blur, seed=9 + blur) for blur in (1, 3, 6, 4)])
    stack = np.stack([gfp, dna])
    np.testing.assert_array_equal(project(stack, "focus", reference=1), stack[:, 2])
    np.testing.assert_array_equal(project(stack, "focus"), stack[:, 0])


def test_planes_that_are_not_there_are_named() -> None:
    stack = np.zeros((1, 3, 4, 4))
    with pytest.raises(InputError, match="no z plane 3: the stack has 3"):
        project(stack, 3)
    with pytest.raises(InputError, match="no z plane -1"):
        project(stack, -1)
    with pytest.raises(InputError, match="channel 1"):
        project(stack, "focus", reference=1)
    with pytest.raises(InputError, match=r"\(C, Z, Y, X\)"):
        project(stack[0], 0)


def test_field_metrics_count_saturation_on_raw_pixels() -> None:
    plane = scene(1.0).round().clip(0, 4095).astype(np.uint16)
    plane[:20, :20] = 4095
    metrics = field_metrics(plane[None], ceiling=4095, names=["DNA"])
    assert metrics["saturation_DNA"] == pytest.approx(400 / 40000)
    assert metrics["background_DNA"] == pytest.approx(100, abs=3)
    assert metrics["noise_DNA"] == pytest.approx(10, rel=0.1)
    assert 0.7 < metrics["empty_DNA"] < 1


def test_field_metrics_of_an_empty_field() -> None:
    noise = np.random.default_rng(0).normal(100, 5, (1, 200, 200))
    metrics = field_metrics(noise, ceiling=None, names=["DNA"])
    assert metrics["empty_DNA"] > 0.99
    assert np.isnan(metrics["saturation_DNA"])


def test_field_metrics_name_every_channel() -> None:
    metrics = field_metrics(np.zeros((2, 32, 32), np.uint8), ceiling=255, names=["DNA", "GFP"])
    assert {"focus_DNA", "slope_GFP", "p99_GFP"} <= set(metrics)
    assert np.isfinite(list(metrics.values())).all()
    with pytest.raises(InputError, match="1 channel names"):
        field_metrics(np.zeros((2, 32, 32)), ceiling=255, names=["DNA"])

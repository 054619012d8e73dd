from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from omero_hcs.errors import InputError
from omero_hcs.imaging.segment import (
    Nuclei,
    estimate_diameter,
    measure_nuclei,
    median_diameter,
    segment_nuclei,
)

GRID = [(y, x) for y in range(40, 240, 50) for x in range(40, 240, 50)]


def discs(
    places: list[tuple[int, int]],
    *,
    radius: float = 9.0,
    brightness: float | NDArray[np.float64] = 400.0,
    side: int = 240,
    seed: int = 0,
) -> NDArray[np.uint16]:
    """Blurred discs on a background of 100 with noise of 5."""
    rows, columns = np.indices((side, side))
    plane = np.zeros((side, side))
    for (y, x), bright in zip(places, np.broadcast_to(brightness, len(places)), strict=True):
        plane[np.hypot(rows - y, columns - x) <= radius] = bright
    noisy = 100 + ndimage.gaussian_filter(plane, 1.2)
    noisy = noisy + np.random.default_rng(seed).normal(0, 5, plane.shape)
    return np.clip(noisy, 0, 65535).round().astype(np.uint16)


def test_every_nucleus_is_found_where_it_is_and_as_large_as_it_is() -> None:
    nuclei = segment_nuclei(discs(GRID))
    assert len(nuclei) == len(GRID)
    found = nuclei.centers[np.lexsort(nuclei.centers.round().T[::-1])]
    np.testing.assert_allclose(found, GRID, atol=0.5)
    np.testing.assert_allclose(nuclei.diameter, 18, atol=1.5)
    assert nuclei.labels.dtype == np.int32
    assert nuclei.labels.max() == len(nuclei)
    assert not nuclei.touches_border.any()


@pytest.mark.parametrize("radius", [4.0, 9.0, 20.0, 40.0])
def test_diameter_is_estimated_at_any_magnification(radius: float) -> None:
    step = int(3.5 * radius)
    places = [(y, x) for y in range(step, 400 - step, step) for x in range(step, 400 - step, step)]
    plane = discs(places, radius=radius, side=400)
    assert estimate_diameter(plane) == pytest.approx(2 * radius, rel=0.25)
    assert len(segment_nuclei(plane)) == len(places)


def test_touching_nuclei_are_told_apart() -> None:
    pairs = [(y, x + dx) for y, x in [(60, 60), (60, 150), (150, 60), (150, 150)] for dx in (0, 17)]
    assert len(segment_nuclei(discs(pairs))) == len(pairs)


def test_elongated_nucleus_stays_whole() -> None:
    rows, columns = np.indices((120, 160))
    ellipse = ((rows - 60) / 9.0) ** 2 + ((columns - 80) / 22.0) ** 2 <= 1
    plane = ndimage.gaussian_filter(np.where(ellipse, 500.0, 100.0), 1)
    noisy = plane + np.random.default_rng(0).normal(0, 5, plane.shape)
    assert len(segment_nuclei(noisy)) == 1


def test_dim_nuclei_beside_bright_ones_are_found() -> None:
    brightness = np.where(np.arange(len(GRID)) % 2, 1500.0, 250.0)
    assert len(segment_nuclei(discs(GRID, brightness=brightness))) == len(GRID)


def test_uneven_background_makes_no_difference() -> None:
    slope = np.linspace(0, 600, 240)[None, :]
    assert len(segment_nuclei(discs(GRID) + slope)) == len(GRID)


def test_glow_larger_than_any_nucleus_hides_none() -> None:
    rows, columns = np.indices((240, 240))
    glow = 600 * np.exp(-(np.square(rows - 120) + np.square(columns - 120)) / (2 * 45.0**2))
    plane = discs(GRID) + glow
    assert estimate_diameter(plane) == pytest.approx(18, rel=0.25)
    assert len(segment_nuclei(plane)) >= len(GRID) - 1


def test_colony_without_gaps_is_told_apart() -> None:
    """Background is taken off by an opening, which must not take the colony for background."""
    packed = [(40 + 16 * i, 40 + 18 * j + 9 * (i % 2)) for i in range(10) for j in range(9)]
    assert len(segment_nuclei(discs(packed))) == pytest.approx(len(packed), abs=3)


def test_ring_of_chromatin_is_one_nucleus_without_a_hole() -> None:
    plane = discs(GRID).astype(np.float64)
    rows, columns = np.indices(plane.shape)
    plane[np.hypot(rows - 90, columns - 90) < 3.2] = 100
    nuclei = segment_nuclei(plane)
    assert len(nuclei) == len(GRID)
    assert nuclei.labels[90, 90] > 0


def test_gain_offset_and_dtype_make_no_difference() -> None:
    plane = discs(GRID)
    reference = segment_nuclei(plane).labels
    scaled = segment_nuclei(plane.astype(np.float64) / 65535 - 3).labels
    assert (scaled > 0).mean() == pytest.approx((reference > 0).mean(), rel=0.01)
    assert scaled.max() == reference.max()


def test_specks_and_hot_pixels_are_no_nuclei() -> None:
    plane = discs(GRID)
    rng = np.random.default_rng(3)
    plane[rng.integers(0, 240, 60), rng.integers(0, 240, 60)] = 4000
    assert len(segment_nuclei(plane)) == len(GRID)


@pytest.mark.parametrize(
    "plane",
    [
        np.zeros((200, 200), np.uint16),
        np.full((200, 200), 4095, np.uint16),
        np.random.default_rng(0).normal(100, 5, (300, 300)),
        np.random.default_rng(1).poisson(2, (300, 300)).astype(np.uint8),
        np.random.default_rng(2).normal(100, 3, (300, 300)) + np.linspace(0, 90, 300),
        np.full((50, 50), np.nan),
        np.zeros((3, 400), np.uint8),
        np.zeros((0, 0), np.uint8),
    ],
    ids=["black", "white", "noise", "poisson", "shaded", "nan", "strip", "nothing"],
)
def test_field_without_nuclei_gives_none(plane: NDArray[np.generic]) -> None:
    nuclei = segment_nuclei(plane)
    assert len(nuclei) == 0
    assert nuclei.labels.shape == plane.shape
    assert nuclei.centers.shape == (0, 2)
    assert estimate_diameter(plane) is None
    assert len(segment_nuclei(plane, diameter=15.0)) == 0


def test_smooth_noise_is_no_nucleus() -> None:
    rng = np.random.default_rng(5)
    for sigma in (2.0, 4.0, 8.0):
        assert (
            len(segment_nuclei(ndimage.gaussian_filter(rng.normal(0, 50, (300, 300)), sigma))) == 0
        )


def test_one_nucleus_in_a_large_field_is_found() -> None:
    plane = discs([(300, 200)], side=600)
    assert len(segment_nuclei(plane)) == 1


def test_nan_pixels_do_no_harm() -> None:
    plane = discs(GRID).astype(np.float32)
    plane[100:103, 100:103] = np.nan
    assert len(segment_nuclei(plane)) == len(GRID)


def test_nuclei_at_the_border_are_marked() -> None:
    nuclei = segment_nuclei(discs([(2, 60), (100, 100), (150, 60)]))
    np.testing.assert_array_equal(np.sort(nuclei.touches_border), [False, False, True])


def test_mean_intensity_is_in_the_planes_grey_values() -> None:
    nuclei = segment_nuclei(discs(GRID, brightness=400.0))
    np.testing.assert_allclose(nuclei.mean_intensity, 480, atol=30)


def test_median_diameter_is_over_whole_nuclei_of_all_fields() -> None:
    fields = [segment_nuclei(discs(GRID)), segment_nuclei(discs([(0, 60)]))]
    assert median_diameter(fields) == pytest.approx(18, abs=1.5)
    assert median_diameter([]) is None
    assert median_diameter([segment_nuclei(np.zeros((90, 90)))]) is None


def test_measured_objects_follow_their_labels() -> None:
    labels = np.zeros((8, 9), np.int32)
    labels[0:2, 0:3] = 1
    labels[4:6, 4:6] = 2
    nuclei = measure_nuclei(labels, np.arange(72.0).reshape(8, 9))
    assert isinstance(nuclei, Nuclei)
    np.testing.assert_allclose(nuclei.centers, [[0.5, 1], [4.5, 4.5]])
    np.testing.assert_allclose(nuclei.area, [6, 4])
    np.testing.assert_allclose(nuclei.mean_intensity, [5.5, 45])
    np.testing.assert_array_equal(nuclei.touches_border, [True, False])


def test_stacks_and_tiny_diameters_are_refused() -> None:
    with pytest.raises(InputError, match="one plane"):
        segment_nuclei(np.zeros((2, 50, 50)))
    with pytest.raises(InputError, match="3 px"):
        segment_nuclei(np.zeros((50, 50)), diameter=2.0)

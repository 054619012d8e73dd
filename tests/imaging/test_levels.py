from __future__ import annotations

import numpy as np
import pytest

from omero_hcs.imaging.levels import as_float, background_level, camera_ceiling, noise_sigma


def test_background_is_found_under_cells() -> None:
    rng = np.random.default_rng(0)
    plane = rng.normal(100, 4, (200, 200))
    plane[:, :90] += 300
    level, spread = background_level(plane)
    assert level == pytest.approx(100, abs=1)
    assert spread == pytest.approx(4, rel=0.25)


def test_background_of_a_constant_plane() -> None:
    assert background_level(np.full((50, 50), 7, dtype=np.uint8)) == (7.0, 0.0)


@pytest.mark.parametrize("sigma", [1.0, 10.0])
def test_noise_is_measured_beside_structure(sigma: float) -> None:
    rng = np.random.default_rng(1)
    plane = rng.normal(200, sigma, (200, 200))
    plane[40:80, 40:120] += 1000
    assert noise_sigma(plane) == pytest.approx(sigma, rel=0.05)


def test_noise_of_planes_too_small_or_constant_is_zero() -> None:
    assert noise_sigma(np.ones((2, 9))) == 0
    assert noise_sigma(np.ones((9, 9))) == 0


@pytest.mark.parametrize(
    ("dtype", "seen", "ceiling"),
    [
        ("uint8", 40, 255), ("uint16", 255, 255), ("uint16", 256, 1023), ("uint16", 4095, 4095),
        ("uint16", 4096, 16383), ("uint16", 65535, 65535), ("uint32", 70000, 2**32 - 1),
        ("int16", 30000, 32767), ("float32", 0.7, 1.0), ("float32", 900.0, 1023.0),
    ],
)  # fmt: skip
def test_ceiling_is_the_smallest_camera_that_holds_what_is_seen(
    dtype: str, seen: float, ceiling: float
) -> None:
    assert camera_ceiling(dtype, seen) == ceiling


def test_stretched_8_bit_data_have_the_16_bit_ceiling() -> None:
    assert camera_ceiling("uint16", 257 * 20, step=257) == 65535


def test_nan_becomes_the_smallest_finite_value() -> None:
    plane = np.array([[np.nan, 2.0], [np.inf, 5.0]], dtype=np.float32)
    np.testing.assert_array_equal(as_float(plane), [[2, 2], [2, 5]])
    np.testing.assert_array_equal(as_float(np.full((2, 2), np.nan)), np.zeros((2, 2)))

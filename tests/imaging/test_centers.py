from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omero_hcs.errors import InputError
from omero_hcs.imaging.centers import grid_centers, label_centers
from omero_hcs.imaging.crop import at_border

sides = st.integers(1, 40)


@given(st.tuples(st.integers(1, 200), st.integers(1, 200)), sides, sides)
def test_grid_tiles_lie_within_any_image_that_holds_one(
    shape: tuple[int, int], size: int, stride: int
) -> None:
    centers = grid_centers(shape, size=size, stride=stride)
    assert len(centers) >= 1
    assert (centers >= 0).all()
    assert (centers < shape).all()
    if size <= min(shape):
        assert not at_border(shape, centers, size=size).any()


def test_grid_covers_the_image_evenly() -> None:
    centers = grid_centers((100, 90), size=30)
    np.testing.assert_array_equal(np.unique(centers[:, 0]), [20, 50, 80])
    np.testing.assert_array_equal(np.unique(centers[:, 1]), [15, 45, 75])


def test_grid_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="at least 1"):
        grid_centers((10, 10), size=0)


def test_label_centers_are_centres_of_mass_in_label_order() -> None:
    labels = np.zeros((20, 30), dtype=np.int32)
    labels[2:5, 10:15] = 7
    labels[10:12, 0:2] = 3
    np.testing.assert_allclose(label_centers(labels), [[10.5, 0.5], [3, 12]])


def test_pieces_of_a_mask_are_objects() -> None:
    mask = np.zeros((10, 10), dtype=np.bool_)
    mask[1:3, 1:3] = mask[6:9, 6:9] = True
    np.testing.assert_allclose(label_centers(mask), [[1.5, 1.5], [7, 7]])


def test_label_image_without_background_or_objects() -> None:
    np.testing.assert_allclose(label_centers(np.ones((3, 5), dtype=np.uint8)), [[1, 2]])
    assert label_centers(np.zeros((3, 5), dtype=np.uint8)).shape == (0, 2)


def test_numbers_that_are_no_labels_are_refused() -> None:
    with pytest.raises(InputError, match="whole numbers"):
        label_centers(np.zeros((4, 4)))

from __future__ import annotations

import numpy as np
from skimage.draw import polygon2mask

from omero_hcs.imaging.shapes import bounding_boxes, outlines


def test_boxes_go_by_label_and_end_past_the_last_pixel() -> None:
    labels = np.zeros((10, 12), np.int32)
    labels[2:5, 3:9] = 4
    labels[9, 11] = 2
    assert bounding_boxes(labels) == {2: (9, 11, 10, 12), 4: (2, 3, 5, 9)}


def test_outline_drawn_again_is_the_object() -> None:
    rows, columns = np.indices((60, 60))
    labels = np.where(np.hypot(rows - 30, (columns - 20) / 1.5) < 12, 7, 0)
    outline = outlines(labels, tolerance=0.3)[7]
    drawn = polygon2mask(labels.shape, outline)
    overlap = (drawn & (labels == 7)).sum() / (drawn | (labels == 7)).sum()
    assert overlap > 0.93
    np.testing.assert_array_equal(outline[0], outline[-1])


def test_tolerance_saves_points() -> None:
    rows, columns = np.indices((60, 60))
    labels = (np.hypot(rows - 30, columns - 30) < 20).astype(np.int32)
    assert len(outlines(labels, tolerance=1.0)[1]) < len(outlines(labels, tolerance=0.1)[1]) / 2


def test_objects_at_the_border_and_of_one_pixel_have_outlines() -> None:
    labels = np.zeros((6, 6), np.int32)
    labels[0, 0] = 1
    labels[3:6, 3:6] = 2
    found = outlines(labels)
    assert sorted(found) == [1, 2]
    np.testing.assert_allclose(found[1].mean(axis=0), [0, 0], atol=0.3)
    assert (found[2].min(axis=0) >= 2.4).all()


def test_touching_objects_each_have_their_own() -> None:
    labels = np.zeros((6, 8), np.int32)
    labels[2:4, 1:4], labels[2:4, 4:7] = 1, 2
    found = outlines(labels, tolerance=0)
    assert found[1][:, 1].max() == found[2][:, 1].min() == 3.5


def test_nothing_has_no_shapes() -> None:
    assert outlines(np.zeros((5, 5), np.int32)) == {}
    assert bounding_boxes(np.zeros((5, 5), np.int32)) == {}

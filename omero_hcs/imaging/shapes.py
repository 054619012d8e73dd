"""Label images as rectangles and polygons, for ROIs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import approximate_polygon, find_contours

from omero_hcs.imaging.arrays import PlaneArray


def bounding_boxes(labels: PlaneArray) -> dict[int, tuple[int, int, int, int]]:
    """Bounding box of every object.

    Parameters
    ----------
    labels : array, shape (Y, X), integer
        0 is background.

    Returns
    -------
    dict of int to (y0, x0, y1, x1)
        By label, in pixels; y1 and x1 are one past the object's last pixel.
    """
    return {
        label: (box[0].start, box[1].start, box[0].stop, box[1].stop)
        for label, box in enumerate(ndimage.find_objects(labels), 1)
        if box is not None
    }


def outlines(labels: PlaneArray, *, tolerance: float = 0.5) -> dict[int, NDArray[np.float64]]:
    """Outline of every object as a closed polygon.

    Parameters
    ----------
    labels : array, shape (Y, X), integer
        0 is background. Of an object in several pieces the longest outline is given; holes
        are left out.
    tolerance : float
        How far the polygon may stray from the outline, in pixels (Douglas-Peucker).

    Returns
    -------
    dict of int to array, shape (K, 2), float64
        (y, x) by label, between pixel centres; the last point repeats the first.
    """
    polygons: dict[int, NDArray[np.float64]] = {}
    for label, (y0, x0, y1, x1) in bounding_boxes(labels).items():
        piece = np.pad(labels[y0:y1, x0:x1] == label, 1).astype(np.float64)
        longest = max(find_contours(piece, 0.5), key=len)
        polygons[label] = approximate_polygon(longest, tolerance) + np.array([y0 - 1.0, x0 - 1.0])
    return polygons

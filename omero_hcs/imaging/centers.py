"""Cell centres where no nucleus is segmented: on a grid, or of a given label image."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from omero_hcs.errors import InputError
from omero_hcs.imaging.arrays import CenterArray, PlaneArray


def grid_centers(shape: tuple[int, int], *, size: int, stride: int | None = None) -> CenterArray:
    """Centres of tiles that cover an image, the grid itself centred.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the image, in pixels.
    size : int
        Side of a tile, in pixels.
    stride : int, optional
        Distance between centres, in pixels; `size` where it is not given.

    Returns
    -------
    array, shape (N, 2), float64
        (y, x), row by row. Tiles lie within the image; an image smaller than a tile gets one
        centre in its middle.
    """
    step = size if stride is None else stride
    if size < 1 or step < 1:
        msg = f"A grid of {size} px tiles every {step} px cannot be laid: both must be at least 1."
        raise InputError(msg)
    ys, xs = (_along(length, size, step) for length in shape)
    grid = np.meshgrid(ys, xs, indexing="ij")
    return np.stack([axis.ravel() for axis in grid], axis=1).astype(np.float64)


def _along(length: int, size: int, step: int) -> CenterArray:
    count = 1 + max(0, (length - size) // step)
    first = (length - (count - 1) * step - size) // 2 + size // 2
    return first + step * np.arange(count, dtype=np.float64)


def label_centers(labels: PlaneArray) -> CenterArray:
    """Centre of mass of every object of a label image.

    Parameters
    ----------
    labels : array, shape (Y, X), integer or bool
        0 is background; a mask of bool is one object a connected piece.

    Returns
    -------
    array, shape (N, 2), float64
        (y, x), in the order of the labels.
    """
    if labels.ndim != 2 or labels.dtype.kind not in "iub":
        msg = f"Label images are (Y, X), of whole numbers, not {labels.shape} {labels.dtype}."
        raise InputError(msg)
    objects = ndimage.label(labels)[0] if labels.dtype.kind == "b" else labels
    _, dense = np.unique(objects, return_inverse=True)
    dense = dense.reshape(objects.shape) + (0 if (objects == 0).any() else 1)
    counts = np.bincount(dense.ravel())
    rows, columns = np.indices(objects.shape)
    sums = [np.bincount(dense.ravel(), weights=axis.ravel()) for axis in (rows, columns)]
    return np.stack(sums, axis=1)[1:] / counts[1:, None]

"""Weak labels: what is said of a whole field is taken for all its cells, unless one says more."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree


def uncovered(
    centers: NDArray[np.float64], labelled: Sequence[NDArray[np.float64]], *, radius: float
) -> NDArray[np.intp]:
    """Find the cells that have no label of their own.

    Parameters
    ----------
    centers : array, shape (N, 2)
        Cells of a field, (y, x) in pixels.
    labelled : sequence of arrays, shape (M, 2)
        Cells of the same image that users labelled one by one.
    radius : float
        How far, in pixels, the centre of one nucleus may be off in another plane.

    Returns
    -------
    array, shape (K,), int
        Rows of `centers`.
    """
    known = [points for points in labelled if len(points)]
    if not len(centers) or not known:
        return np.arange(len(centers))
    distance, _ = cKDTree(np.concatenate(known)).query(centers)
    return np.flatnonzero(distance > radius)


def choose_cells(rows: NDArray[np.intp], limit: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Take at most so many cells of a field, spread by chance over it, in their order."""
    if len(rows) <= limit:
        return rows
    return np.sort(rng.choice(rows, limit, replace=False))

"""Stacks projected onto a plane, as OMERO's IProjection does."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt


class Projection(IntEnum):
    """Numbers of OMERO's `ProjectionType`."""

    MAXIMUM = 0
    MEAN = 1
    SUM = 2


# Into Pixels.methodology.
METHODOLOGY = {
    Projection.MAXIMUM: "MAXIMUM_INTENSITY_PROJECTION",
    Projection.MEAN: "MEAN_INTENSITY_PROJECTION",
    Projection.SUM: "SUM_INTENSITY_PROJECTION",
}


def project(
    stack: npt.NDArray[Any],
    how: Projection,
    first: int,
    last: int,
    step: int,
    dtype: np.dtype[Any] | None = None,
) -> npt.NDArray[Any]:
    """Project a stack along its first axis.

    The last plane counts for the maximum, and does not for mean and sum: so it is in OMERO, as is
    a maximum that is never below zero.

    Parameters
    ----------
    stack : array, shape (Z, Y, X)
    first, last, step : int
        Which of its planes.
    dtype : numpy.dtype, optional
        Of the result; the stack's by default. Sums that don't fit become its largest value.

    Returns
    -------
    array, shape (Y, X)
    """
    wanted = stack.dtype if dtype is None else dtype
    if how is Projection.MAXIMUM:
        highest = stack[first : last + 1 : step].max(axis=0)
        projected: npt.NDArray[Any] = np.maximum(highest, 0).astype(wanted)
        return projected
    part = stack[first:last:step]
    values: npt.NDArray[np.float64] = part.sum(axis=0, dtype=np.float64)
    if how is Projection.MEAN:
        values = values / max(len(part), 1)
    if wanted.kind in "iu":
        values = np.minimum(values, np.iinfo(wanted).max)
    return values.astype(wanted)

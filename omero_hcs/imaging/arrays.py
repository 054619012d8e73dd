"""Names of the arrays that imaging takes and gives; axis order is always (N, C, Y, X)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

PlaneArray = NDArray[Any]
"""One channel of one field, shape (Y, X), real numbers."""

ImageArray = NDArray[Any]
"""One field, shape (C, Y, X), real numbers, usually in the camera's own dtype."""

CropArray = NDArray[Any]
"""Crops, shape (N, C, size, size)."""

CenterArray = NDArray[np.float64]
"""Cell centres, shape (N, 2), as (y, x) in pixels."""

LabelArray = NDArray[np.int32]
"""A label image, shape (Y, X); 0 is background."""

MaskArray = NDArray[np.bool_]
"""A mask, shape (Y, X)."""

FloatArray = NDArray[np.floating[Any]]
"""Any array of floating-point numbers."""

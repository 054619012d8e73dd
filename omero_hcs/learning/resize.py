"""Crops brought to another size, as encoders do it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

_AT_ONCE = 256


def resized(crops: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Resize crops as an encoder would: linear, without aliasing.

    Parameters
    ----------
    crops : array, shape (N, C, S, S), float32
        Normalised crops.
    side : int
        New side, in pixels.

    Returns
    -------
    array, shape (N, C, side, side), float32
    """
    if crops.shape[-1] == side:
        return crops
    found = np.empty((*crops.shape[:2], side, side), dtype=np.float32)
    for start in range(0, len(crops), _AT_ONCE):
        part = torch.from_numpy(np.ascontiguousarray(crops[start : start + _AT_ONCE]))
        found[start : start + _AT_ONCE] = functional.interpolate(
            part, (side, side), mode="bilinear", antialias=True
        ).numpy()
    return found

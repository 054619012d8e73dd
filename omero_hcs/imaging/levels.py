"""Intensity levels of one plane: background, camera noise, the camera's ceiling."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from omero_hcs.imaging.arrays import FloatArray, PlaneArray

CEILINGS = (255.0, 1023.0, 4095.0, 16383.0, 65535.0)
"""Largest values of 8, 10, 12, 14 and 16 bit cameras."""

_SAMPLE = 1 << 16
_CLIP_SIGMAS, _ROUNDS = 2.5, 20


def as_float(image: NDArray[Any]) -> FloatArray:
    """Convert to floats, NaN and infinities to the smallest finite value.

    Float64 stays so, all else becomes float32. An image without a finite pixel becomes zeros.
    """
    values = image if image.dtype == np.float64 else image.astype(np.float32)
    if image.dtype.kind != "f":
        return values
    finite = np.isfinite(values)
    if finite.all():
        return values
    floor = values[finite].min() if finite.any() else 0.0
    return np.where(finite, values, values.dtype.type(floor))


def background_level(plane: PlaneArray) -> tuple[float, float]:
    """Level and spread of what lies behind the cells.

    The lower half of the intensities is trusted first; brighter pixels join as long as they
    lie within 2.5 spreads of the level, so that cells stay out (sigma clipping from below).

    Parameters
    ----------
    plane : array, shape (Y, X)
        Finite numbers. At most 65536 pixels, evenly spaced, are looked at.

    Returns
    -------
    (float, float)
        Median and standard deviation of the background, in grey values.
    """
    flat = plane.ravel()
    sample = np.sort(flat[:: max(1, flat.size // _SAMPLE)].astype(np.float64))
    if sample.size == 0:
        return 0.0, 0.0
    count = max(1, sample.size // 2)
    level = spread = 0.0
    for _ in range(_ROUNDS):
        level, low = sample[count // 2], sample[int(count * 0.1587)]
        spread = level - low
        wider = int(np.searchsorted(sample, level + _CLIP_SIGMAS * spread, side="right"))
        if wider <= count:
            break
        count = wider
    return float(level), float(spread)


def noise_sigma(plane: PlaneArray) -> float:
    """Estimate the standard deviation of the pixel noise.

    Half of the pixels are flat enough that neighbours differ by noise alone; the median of
    the absolute response to Immerkaer's mask measures it, whatever lies in the other half.

    Parameters
    ----------
    plane : array, shape (Y, X)
        Finite numbers.

    Returns
    -------
    float
        In grey values; 0 for an image below 3 x 3 px or a constant one.

    References
    ----------
    Immerkaer, "Fast noise variance estimation", CVIU 64 (1996); with the median in place of
    the mean, so that edges do not count.
    """
    if min(plane.shape) < 3:
        return 0.0
    values = plane.astype(np.float32)
    rows = values[:-2] - 2 * values[1:-1] + values[2:]
    mask = rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]
    return float(np.median(np.abs(mask)) * 1.4826 / 6.0)


def camera_ceiling(dtype: DTypeLike, maximum_seen: float, *, step: int = 1) -> float:
    """Largest value that the camera could have given.

    Parameters
    ----------
    dtype : numpy dtype
        Of the stored pixels.
    maximum_seen : float
        Largest value on the plate (not of one image: a dark image says little).
    step : int
        Greatest common divisor of the values, where known: 8-bit data stretched to 16 bit
        are multiples of 257, and their ceiling is 65535 however dark they are.

    Returns
    -------
    float
        255, 1023, 4095, 16383 or 65535, the smallest that holds what is seen; for
        wider types the type's own maximum, and for floats up to 1, 1.
    """
    kind = np.dtype(dtype)
    if kind.kind == "f" and maximum_seen <= 1.0:
        return 1.0
    if kind.kind in "iu" and step == 257:
        return 65535.0
    fitting = [ceiling for ceiling in CEILINGS if ceiling >= maximum_seen]
    widest = float(np.iinfo(kind).max) if kind.kind in "iu" else float(maximum_seen)
    return min(fitting[0], widest) if fitting and kind.kind in "iu" else (fitting or [widest])[0]

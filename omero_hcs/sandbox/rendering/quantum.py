"""From intensities to levels, exactly as OMERO's rendering engine does it.

A value x of a window [start, end] becomes v = 255 (x - start) / (end - start); the curve f of the
family bends that to a (f(v) - f(0)), with a so that 255 becomes the depth; both that and its place
between the first and the last level are rounded half up.

References
----------
OMERO's `omeis.providers.re.quantum`: `Quantization_8_16_bit`, `Quantization_float`. Its noise
reduction, which no client turns on, is left out; 32-bit integers are computed one by one, where
OMERO puts them into 256 bins first; and what a logarithm puts below the first level becomes the
first, where OMERO's bytes wrap around.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from omero_hcs.sandbox.rendering.settings import DEPTH, ChannelSettings, Settings

Levels = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float64]
SMALL = 2  # bytes of a value whose type is worth a table


def polynomial(values: Values, exponent: float) -> Values:
    """Curve of the linear and the polynomial family."""
    bent: Values = np.power(values, exponent)
    return bent


def logarithmic(values: Values, exponent: float) -> Values:  # noqa: ARG001  (it has none)
    """Curve of the logarithmic family."""
    bent: Values = np.log(np.where(values <= 0, 1.0, values))
    return bent


def exponential(values: Values, exponent: float) -> Values:
    """Curve of the exponential family."""
    bent: Values = np.exp(np.power(values, exponent))
    return bent


CURVES: Mapping[str, Callable[[Values, float], Values]] = {
    "linear": polynomial,
    "polynomial": polynomial,
    "logarithmic": logarithmic,
    "exponential": exponential,
}


def levels_of(plane: npt.NDArray[Any], channel: ChannelSettings, settings: Settings) -> Levels:
    """Quantise a plane.

    Parameters
    ----------
    plane : array, shape (Y, X), any type of pixels, in any byte order

    Returns
    -------
    array, shape (Y, X), uint8
    """
    if plane.dtype.kind == "c":
        plane = plane.real
    if plane.dtype.kind in "iu" and plane.dtype.itemsize <= SMALL:
        limits = np.iinfo(plane.dtype)
        table = quantise(np.arange(limits.min, limits.max + 1.0), channel, settings)
        places = plane.astype(plane.dtype.newbyteorder("="))
        if limits.min < 0:
            # A negative value is also a place counted from the end.
            table = np.roll(table, limits.min)
        found: Levels = table[places]
        return found
    return quantise(plane.astype(np.float64), channel, settings)


def quantise(values: Values, channel: ChannelSettings, settings: Settings) -> Levels:
    """Turn values into levels, from the first to the last of the settings."""
    start, end = channel.start, channel.end
    first, last = settings.first_level, settings.last_level
    with np.errstate(all="ignore"):
        slope = np.float64(DEPTH) / np.float64(end - start)
        bent = _bend(slope * values - slope * start, channel, settings.depth)
        spread = (last - first) / settings.depth
        levels = np.floor(spread * np.floor(bent + 0.5) + first + 0.5)
    levels = np.where(values < start, first, np.where(values >= end, last, levels))
    levels = np.nan_to_num(levels, nan=first, posinf=last, neginf=first).clip(first, last)
    if channel.is_reversed:
        levels = (last - levels).clip(0, DEPTH)
    return levels.astype(np.uint8)


def _bend(values: Values, channel: ChannelSettings, depth: int) -> Values:
    curve, exponent = CURVES[channel.family], channel.coefficient
    low, high = curve(np.array([0.0, float(DEPTH)]), exponent)
    if curve is polynomial and exponent == 1.0:
        straight: Values = depth / (high - low) * (values - low)
        return straight
    bent: Values = np.nan_to_num(depth / (high - low) * (curve(values, exponent) - low))
    return bent

"""Hand-made quality measures of fields and crops, and the choice of a z plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from omero_hcs.errors import InputError
from omero_hcs.imaging.arrays import ImageArray, PlaneArray
from omero_hcs.imaging.levels import as_float, background_level, noise_sigma
from omero_hcs.model import ZChoice

_EMPTY_SHARE = 0.02
_PERCENTILES = (1, 50, 99)

# What is left of white noise's variance in the smoothed plane and in the band (sums of the squared
# kernels of the two double boxes).
_SMOOTH_GAIN, _BAND_GAIN = 0.0550, 0.0250


def project(stack: NDArray[Any], z: ZChoice, *, reference: int = 0) -> ImageArray:
    """Make one plane of a z-stack.

    Parameters
    ----------
    stack : array, shape (C, Z, Y, X)
        All z planes of one field.
    z : int, "middle", "focus" or "max"
        A plane's index from 0, the middle plane, the sharpest plane by `focus_score` (the same
        plane for all channels), or the maximum over all planes.
    reference : int
        The channel on which "focus" is judged.

    Returns
    -------
    array, shape (C, Y, X), dtype of `stack`

    Raises
    ------
    InputError
        If there is no such plane or channel.
    """
    if stack.ndim != 4:
        msg = f"A z-stack has shape (C, Z, Y, X), not {stack.shape}."
        raise InputError(msg)
    channels, planes = stack.shape[:2]
    if not 0 <= reference < channels:
        msg = f"Focus cannot be judged on channel {reference}: the stack has {channels} channels."
        raise InputError(msg)
    if z == "max":
        highest: ImageArray = stack.max(axis=1)
        return highest
    if z == "focus":
        scores = [focus_score(plane) for plane in stack[reference]]
        return stack[:, int(np.argmax(scores))]
    index = planes // 2 if z == "middle" else int(z)
    if not 0 <= index < planes:
        msg = f"There is no z plane {index}: the stack has {planes}, counted from 0."
        raise InputError(msg)
    return stack[:, index]


def focus_score(plane: PlaneArray) -> float:
    """How much fine detail an image has, with camera noise taken out.

    Parameters
    ----------
    plane : array, shape (Y, X)
        Raw or normalised pixels: the score does not change with gain or offset.

    Returns
    -------
    float
        Standard deviation of a band of fine detail over that of the whole, after smoothing;
        0 for a constant image. BBBC006 (Hoechst, 20x): 0.09-0.15 in focus, below 0.015 at 32 um.

    Notes
    -----
    The variance of the plain Laplacian, as most packages have it, is mostly camera noise: on
    BBBC006 it ranks blurred fields as the sharper ones.
    """
    values = as_float(plane)
    smooth = _box_twice(values, 3)
    band = smooth - _box_twice(smooth, 5)
    noise = noise_sigma(values) ** 2
    whole = float(smooth.var()) - _SMOOTH_GAIN * noise
    if whole <= _SMOOTH_GAIN * noise + 1e-12 * float(np.square(smooth).max(initial=0.0)):
        return 0.0
    return float(np.sqrt(max(0.0, float(band.var()) - _BAND_GAIN * noise) / whole))


def _box_twice(values: PlaneArray, side: int) -> PlaneArray:
    once = ndimage.uniform_filter(values, side)
    twice: PlaneArray = ndimage.uniform_filter(once, side)
    return twice


def power_slope(plane: PlaneArray) -> float:
    """Slope of log power against log spatial frequency; steeper (lower) means blurred.

    Parameters
    ----------
    plane : array, shape (Y, X)

    Returns
    -------
    float
        0 for a constant image.

    References
    ----------
    Bray et al., "Workflow and metrics for image quality control in large-scale high-content
    screens", J Biomol Screen 17 (2012): the power log-log slope.
    """
    values = as_float(plane) - float(as_float(plane).mean())
    if min(values.shape) < 16 or not values.any():
        return 0.0
    power = np.abs(np.fft.rfft2(values)) ** 2
    rows, columns = np.fft.fftfreq(values.shape[0]), np.fft.rfftfreq(values.shape[1])
    radius = np.hypot(rows[:, None], columns[None, :])
    edges = np.geomspace(4.0 / min(values.shape), 0.5, 16)
    ring = np.digitize(radius.ravel(), edges)
    count = np.bincount(ring, minlength=17)[1:16]
    mean = np.bincount(ring, weights=power.ravel(), minlength=17)[1:16] / np.maximum(count, 1)
    use = (count > 0) & (mean > 0)
    if use.sum() < 3:
        return 0.0
    middle = np.sqrt(edges[:-1] * edges[1:])
    return float(np.polyfit(np.log(middle[use]), np.log(mean[use]), 1)[0])


def field_metrics(
    image: ImageArray, *, ceiling: float | None, names: Sequence[str]
) -> dict[str, float]:
    """Quality measures of one field, from its raw pixels.

    Parameters
    ----------
    image : array, shape (C, Y, X)
        Raw pixels.
    ceiling : float, optional
        The camera's largest value; without it `saturation` is NaN.
    names : sequence of str
        Of the channels.

    Returns
    -------
    dict of str to float
        ``"<measure>_<channel>"`` with the measures

        - ``focus``: `focus_score`; ``slope``: `power_slope`
        - ``saturation``: share of pixels at the ceiling, 0 to 1
        - ``noise``: `noise_sigma`, ``background``: level, ``p01``, ``p50``, ``p99``: in grey values
        - ``empty``: share of pixels that are background, 1 for a field without cells
    """
    if image.ndim != 3 or len(image) != len(names):
        msg = f"{len(names)} channel names were given for an image of shape {image.shape}."
        raise InputError(msg)
    metrics: dict[str, float] = {}
    for plane, name in zip(image, names, strict=True):
        metrics |= {f"{key}_{name}": value for key, value in _plane_metrics(plane, ceiling).items()}
    return metrics


def _plane_metrics(plane: PlaneArray, ceiling: float | None) -> dict[str, float]:
    values = as_float(plane)
    (level, _), noise = background_level(values), noise_sigma(values)
    percentiles = np.percentile(values, _PERCENTILES)
    return {
        "focus": focus_score(values),
        "slope": power_slope(values),
        "saturation": float("nan") if ceiling is None else float((plane >= ceiling).mean()),
        "noise": noise,
        "background": level,
        "p01": float(percentiles[0]),
        "p50": float(percentiles[1]),
        "p99": float(percentiles[2]),
        "empty": _empty_share(values, level, noise),
    }


def _empty_share(values: PlaneArray, level: float, noise: float) -> float:
    smooth = ndimage.uniform_filter(values, 5)
    return float((smooth <= level + max(noise, _EMPTY_SHARE * abs(level))).mean())

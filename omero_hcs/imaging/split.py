"""Touching nuclei told apart: watershed of every bump, then merging what has no neck."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from omero_hcs.imaging.arrays import LabelArray, MaskArray

_Float = NDArray[np.float32]

_NECK = 0.80  # depth at a border over that of the shallower side: above, there is no neck
_VALLEY = 0.80  # brightness at a border over that of the dimmer side: above, no valley
_OPENING, _SMOOTH, _PEAK = 0.10, 0.05, 0.15  # diameters: spikes, ripples, distance of peaks


def split_touching(mask: MaskArray, contrast: _Float, scale: float) -> LabelArray:
    """Label the nuclei of a mask.

    Parameters
    ----------
    mask : array, shape (Y, X), bool
        Where nuclei are.
    contrast : array, shape (Y, X), float32
        Smoothed stain above its background.
    scale : float
        Typical diameter, in pixels.

    Returns
    -------
    array, shape (Y, X), int32
        Labels with gaps between the numbers; 0 is background.
    """
    opened, depth = _opened(mask, _OPENING * scale)
    if not opened.any():
        return np.zeros(mask.shape, dtype=np.int32)
    smooth = ndimage.gaussian_filter(depth, _SMOOTH * scale)
    basins = _basins(opened, smooth, scale)
    labels: LabelArray = _merged(basins, smooth, contrast)[basins]
    return labels


def _opened(mask: MaskArray, radius: float) -> tuple[MaskArray, _Float]:
    """Mask without what is thinner than a disc, and the distance to its edge."""
    core = ndimage.distance_transform_edt(mask) > radius
    if not core.any():
        return core, np.zeros(mask.shape, dtype=np.float32)
    opened = mask & (ndimage.distance_transform_edt(~core) <= radius)
    return opened, ndimage.distance_transform_edt(opened).astype(np.float32)


def largest(values: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.float32]:
    """Largest value within each label, from 0 on (which stays 0): shape (largest label + 1,)."""
    inside = np.flatnonzero(labels)
    found = np.zeros(int(labels.max(initial=0)) + 1, dtype=np.float32)
    np.maximum.at(found, labels.ravel()[inside], values.ravel()[inside].astype(np.float32))
    return found


def means(values: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.float64]:
    """Mean value within each label, from 0 on: shape (largest label + 1,)."""
    flat = labels.ravel()
    total = np.bincount(flat, weights=values.ravel(), minlength=1)
    return total / np.maximum(np.bincount(flat, minlength=1), 1)


def _basins(mask: MaskArray, depth: _Float, scale: float) -> LabelArray:
    width = max(3, 2 * int(_PEAK * scale) + 1)
    peaks = (depth == ndimage.maximum_filter(depth, width)) & mask
    markers, _ = ndimage.label(peaks, structure=np.ones((3, 3)))
    basins: LabelArray = watershed(-depth, markers, mask=mask).astype(np.int32)
    return basins


@dataclass(frozen=True, slots=True, eq=False)
class _Borders:
    """Borders between neighbouring basins: one entry a pair, basin numbers first < second."""

    first: NDArray[np.int32]
    second: NDArray[np.int32]
    depth: _Float
    contrast: _Float


def _merged(basins: LabelArray, depth: _Float, contrast: _Float) -> NDArray[np.int32]:
    """Give every basin its label; basins without a neck or a valley between them share one."""
    count = int(basins.max()) + 1
    peak = largest(depth, basins)
    bright = means(contrast, basins)
    owner = np.arange(count, dtype=np.int32)
    borders = _borders(basins, depth, contrast)
    for place in np.argsort(-borders.depth, kind="stable"):
        one, two = (_root(owner, int(side[place])) for side in (borders.first, borders.second))
        if one == two:
            continue
        neck = borders.depth[place] / min(peak[one], peak[two])
        valley = borders.contrast[place] / min(bright[one], bright[two])
        if neck >= _NECK and valley >= _VALLEY:
            owner[two] = one
            peak[one] = max(peak[one], peak[two])
    return np.array([_root(owner, label) for label in range(count)], dtype=np.int32)


def _root(owner: NDArray[np.int32], label: int) -> int:
    while owner[label] != label:
        label = int(owner[label])
    return label


def _borders(basins: LabelArray, depth: _Float, contrast: _Float) -> _Borders:
    """Deepest point and mean contrast of each border, over pairs of neighbouring pixels."""
    keys, depths, contrasts = [], [], []
    count = int(basins.max()) + 1
    for a, b in (((slice(1, None),), (slice(-1),)), ((..., slice(1, None)), (..., slice(-1)))):
        one, two = basins[a], basins[b]
        touch = (one != two) & (one > 0) & (two > 0)
        low, high = np.minimum(one, two)[touch], np.maximum(one, two)[touch]
        keys.append(low.astype(np.int64) * count + high)
        depths.append(np.minimum(depth[a], depth[b])[touch])
        contrasts.append(np.minimum(contrast[a], contrast[b])[touch])
    unique, place = np.unique(np.concatenate(keys), return_inverse=True)
    deepest = np.full(unique.size, -np.inf, dtype=np.float32)
    np.maximum.at(deepest, place, np.concatenate(depths))
    sums = np.bincount(place, weights=np.concatenate(contrasts), minlength=unique.size)
    mean = sums / np.maximum(np.bincount(place, minlength=unique.size), 1)
    first, second = np.divmod(unique, count)
    return _Borders(
        first.astype(np.int32), second.astype(np.int32), deepest, mean.astype(np.float32)
    )

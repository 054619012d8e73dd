"""Touching nuclei told apart: watershed of every bump, then merging what has no neck."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from omero_hcs.imaging.arrays import LabelArray, MaskArray

_Float = NDArray[np.float32]

_NECK = 0.80
_VALLEY = 0.70


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
        Labels with gaps; 0 is background.
    """
    if not mask.any():
        return np.zeros(mask.shape, dtype=np.int32)
    depth = ndimage.distance_transform_edt(mask).astype(np.float32)
    depth = ndimage.gaussian_filter(depth, 0.05 * scale)
    basins = _basins(mask, depth, scale)
    merged = _merged(basins, depth, contrast)
    labels: LabelArray = merged[basins]
    return labels


def _basins(mask: MaskArray, depth: _Float, scale: float) -> LabelArray:
    width = max(3, 2 * int(0.15 * scale) + 1)
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
    index = np.arange(count)
    peak = ndimage.maximum(depth, basins, index)
    bright = ndimage.mean(contrast, basins, index)
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

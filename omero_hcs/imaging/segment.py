"""Nuclei segmentation without learned weights: local half maximum, watershed, merging."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from omero_hcs.errors import InputError
from omero_hcs.imaging.arrays import CenterArray, LabelArray, MaskArray, PlaneArray
from omero_hcs.imaging.levels import as_float, background_level, noise_sigma
from omero_hcs.imaging.split import largest, means, split_touching

_Float = NDArray[np.float32]

# Tuned on images 0, 2, ... of ../shared/data/nuclei_masks; F1 changes by less than 0.01 when any
# of them is changed by a tenth (benchmarks/bench_nuclei.py).
_SIGNIFICANT = 5.0  # spreads of the background that a nucleus stands out
_HALF = 0.55  # of the brightness nearby: the edge of a blurred disc is at half
_MAX_HOLE = 0.07  # of the area of a nucleus: gaps between packed nuclei are larger
_OPENING = 3.0  # diameters: few clumps are as wide, so what is left is background
_LEVEL, _MIN_DIAMETER = (7.0, 14.0), 5.0  # pixels
_ELONGATION = 1.15  # diameter over inscribed circle

# What a nucleus is not, as shares of the typical diameter, of that disc's area, of the field's
# side, and of the median nucleus of the field (brightness; brightness times area; contrast to the
# surroundings).
_MIN_WIDTH, _MIN_AREA, _MIN_AREA_RIM, _MAX_OF_FIELD = 0.36, 0.2, 0.06, 0.5
_MIN_BRIGHTNESS, _MIN_CONTENT, _MIN_SET_OFF = 0.12, 0.1, 0.2
_DARK, _MAX_AROUND = 0.25, 0.6  # surroundings over nucleus: surely dark, and too bright


@dataclass(frozen=True, slots=True, eq=False)
class Nuclei:
    """The nuclei of one field.

    Attributes
    ----------
    labels : array, shape (Y, X), int32
        0 is background; nucleus `i` of the other arrays has label ``i + 1``.
    centers : array, shape (N, 2), float64
        Centres of mass as (y, x), in pixels.
    area : array, shape (N,), float64
        In pixels.
    diameter : array, shape (N,), float64
        Of the circle of the same area, in pixels.
    touches_border : array, shape (N,), bool
    mean_intensity : array, shape (N,), float64
        Of the plane that was given, in its grey values.
    """

    labels: LabelArray
    centers: CenterArray
    area: NDArray[np.float64]
    diameter: NDArray[np.float64]
    touches_border: NDArray[np.bool_]
    mean_intensity: NDArray[np.float64]

    def __len__(self) -> int:
        """How many nuclei there are."""
        return len(self.area)


def median_diameter(fields: Sequence[Nuclei]) -> float | None:
    """Median diameter, in pixels, of the whole nuclei of some fields; None if there are none."""
    whole = [nuclei.diameter[~nuclei.touches_border] for nuclei in fields]
    diameters = np.concatenate(whole) if whole else np.zeros(0)
    return float(np.median(diameters)) if diameters.size else None


def segment_nuclei(plane: PlaneArray, *, diameter: float | None = None) -> Nuclei:
    """Find the nuclei of one field.

    Parameters
    ----------
    plane : array, shape (Y, X)
        The nuclear stain, bright on dark, raw or normalised. NaN counts as dark.
    diameter : float, optional
        Typical diameter, in pixels; estimated from the image where it is not given.

    Returns
    -------
    Nuclei
        None at all for a field of noise or of one grey value.

    Raises
    ------
    InputError
        If the plane is no plane, or the diameter is below 3 px.
    """
    values = _checked(plane, diameter)
    large_enough = min(values.shape) >= _MIN_DIAMETER
    scale = (diameter or _first_diameter(values)) if large_enough else None
    if scale is None:
        return measure_nuclei(np.zeros(plane.shape, dtype=np.int32), plane)
    return measure_nuclei(_labels(values, scale), plane)


def estimate_diameter(plane: PlaneArray) -> float | None:
    """Typical diameter of the nuclei of a field, in pixels; None where there are none."""
    return _first_diameter(_checked(plane, None))


def measure_nuclei(labels: LabelArray, plane: PlaneArray) -> Nuclei:
    """Measure the objects of a label image whose labels run from 1 to N without a gap.

    Parameters
    ----------
    labels : array, shape (Y, X), int32
    plane : array, shape (Y, X)
        What `mean_intensity` is taken from.
    """
    flat = labels.ravel()
    inside = np.flatnonzero(flat)
    ids, count = flat[inside], int(flat.max(initial=0)) + 1
    area = np.bincount(ids, minlength=count)[1:].astype(np.float64)
    rows, columns = np.divmod(inside, max(1, labels.shape[1]))
    sums = [
        np.bincount(ids, weights=weights, minlength=count)[1:]
        for weights in (rows, columns, as_float(plane).ravel()[inside])
    ]
    touches = np.zeros(count, dtype=np.bool_)
    if flat.size:
        touches[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])] = True
    return Nuclei(
        labels=labels,
        centers=np.stack(sums[:2], axis=1) / area[:, None],
        area=area,
        diameter=2.0 * np.sqrt(area / np.pi),
        touches_border=touches[1:],
        mean_intensity=sums[2] / area,
    )


def _checked(plane: PlaneArray, diameter: float | None) -> _Float:
    if plane.ndim != 2 or plane.dtype.kind not in "iufb":
        msg = f"Nuclei are found on one plane (Y, X) of numbers, not {plane.shape} {plane.dtype}."
        raise InputError(msg)
    if diameter is not None and diameter < 3:
        msg = f"Nuclei of {diameter:g} px are too small to be told apart; 3 px is the least."
        raise InputError(msg)
    return as_float(plane).astype(np.float32)


def _first_diameter(values: _Float) -> float | None:
    """Typical diameter, each object measured where it is about ten pixels across.

    The image is halved again and again. An object counts at the one size at which it has 7 to 14
    pixels, by its inscribed circle (that of a clump is that of one nucleus), so that a large
    glow or a speck is one object among many. Weighted median, the weight being the diameter:
    many small specks weigh less than some nuclei.
    """
    found = [np.zeros(0)]
    step = 1
    while min(values.shape) >= 2 * _LEVEL[1] * step:
        found.append(step * _diameters(_shrunk(values, step), smallest_too=step == 1))
        step *= 2
    diameters = np.sort(np.concatenate(found))
    if not diameters.size:
        return None
    weight = np.cumsum(diameters)
    return float(diameters[np.searchsorted(weight, weight[-1] / 2)])


def _diameters(values: _Float, *, smallest_too: bool) -> NDArray[np.float64]:
    """Diameters of the objects of 7 to 14 pixels, in pixels; from 5 at full size."""
    least = _MIN_DIAMETER if smallest_too else _LEVEL[0]
    scale = float(np.sqrt(_LEVEL[0] * _LEVEL[1]))
    contrast, noise = _contrast(values, scale)
    pieces, count = ndimage.label(_mask(contrast, noise, scale))
    if count == 0:
        return np.zeros(0)
    inscribed = 2.0 * largest(ndimage.distance_transform_edt(pieces), pieces)[1:]
    diameters = _ELONGATION * inscribed.astype(np.float64)
    return diameters[(diameters >= least) & (diameters < _LEVEL[1])]


def _contrast(values: _Float, scale: float) -> tuple[_Float, float]:
    """Smoothed plane with its background taken off, and the spread of that background."""
    smooth = ndimage.gaussian_filter(values, float(np.clip(scale / 20, 0.7, 2.0)))
    flat = smooth - _uneven(smooth, scale)
    level, spread = background_level(flat)
    least = 1e-6 * float(np.abs(values).max(initial=0.0))
    return flat - np.float32(level), max(spread, noise_sigma(values) / 4, least)


def _uneven(smooth: _Float, scale: float) -> _Float:
    """Slow changes of the background: opening by a window of several nuclei, on a coarse grid."""
    step = max(1, int(scale / 4))
    window = 2 * int(_OPENING * scale / step / 2) + 1
    coarse = _shrunk(smooth, step)
    if min(coarse.shape) <= window:
        return np.full_like(smooth, coarse.min())
    opened = ndimage.gaussian_filter(ndimage.grey_opening(coarse, window), window / 8)
    return _grown(opened, step, smooth.shape)


def _mask(contrast: _Float, noise: float, scale: float) -> MaskArray:
    """Pixels above the background and above half of what is bright around them."""
    bright = np.where(contrast > _SIGNIFICANT * noise, contrast, np.float32(0.0))
    if not bright.any():
        return np.zeros(contrast.shape, dtype=np.bool_)
    mask = (bright > 0) & (contrast > _HALF * _brightness_nearby(bright, scale / 2))
    return _small_holes_filled(ndimage.binary_opening(mask), _MAX_HOLE * np.pi / 4 * scale**2)


def _small_holes_filled(mask: MaskArray, largest_hole: float) -> MaskArray:
    """Fill dark grains; the gaps between packed nuclei are larger and stay."""
    pieces, _ = ndimage.label(~mask)
    small = np.bincount(pieces.ravel()) <= largest_hole
    small[0] = True
    filled: MaskArray = small[pieces]
    return filled


def _brightness_nearby(bright: _Float, around: float) -> _Float:
    """Mean of what is bright, weighted by its brightness and a Gaussian of `around` pixels."""
    step = max(1, int(around / 4))
    weight = ndimage.gaussian_filter(_shrunk(bright, step), around / step)
    square = ndimage.gaussian_filter(_shrunk(bright * bright, step), around / step)
    return _grown(square / np.maximum(weight, 1e-12), step, bright.shape)


def _shrunk(values: _Float, step: int) -> _Float:
    """Mean of blocks of `step` by `step` pixels; the last ones are filled up with the border."""
    if step == 1:
        return values
    padded = np.pad(values, [(0, -length % step) for length in values.shape], mode="edge")
    rows, columns = (length // step for length in padded.shape)
    coarse: _Float = padded.reshape(rows, step, columns, step).mean(axis=(1, 3))
    return coarse


def _grown(coarse: _Float, step: int, shape: tuple[int, ...]) -> _Float:
    """Back to full size, linear between the blocks' centres."""
    if step == 1:
        return coarse
    full: _Float = ndimage.zoom(coarse, step, order=1, mode="nearest", grid_mode=True)
    return full[: shape[0], : shape[1]]


def _labels(values: _Float, scale: float) -> LabelArray:
    contrast, noise = _contrast(values, scale)
    split = split_touching(_mask(contrast, noise, scale), contrast, scale)
    labels = _holes_within_filled(split)
    keep = _nuclear(labels, contrast, scale)
    numbers = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
    kept: LabelArray = numbers[labels]
    return kept


def _holes_within_filled(labels: LabelArray) -> LabelArray:
    """Give a hole that one object alone surrounds to that object."""
    holes, count = ndimage.label(labels == 0)
    if count < 2:
        return labels
    around = ndimage.maximum_filter(labels, 3)
    none = np.iinfo(np.int32).max
    lowest = ndimage.minimum_filter(np.where(labels == 0, none, labels), 3)
    rim = np.flatnonzero((labels == 0) & (around > 0))
    owner, other = np.zeros((2, count + 1), dtype=np.int32)
    other[:] = none
    np.maximum.at(owner, holes.ravel()[rim], around.ravel()[rim])
    np.minimum.at(other, holes.ravel()[rim], lowest.ravel()[rim])
    edge = np.concatenate([holes[0], holes[-1], holes[:, 0], holes[:, -1]])
    owner[edge] = 0
    filled: LabelArray = np.where(labels == 0, np.where(owner == other, owner, 0)[holes], labels)
    return filled


def _nuclear(labels: LabelArray, contrast: _Float, scale: float) -> MaskArray:
    """Which labels are nuclei: large, wide, bright and well set off enough; label 0 is not.

    At the border a sliver of a nucleus is enough.
    """
    area = np.bincount(labels.ravel(), minlength=1)
    count = len(area)
    rim = np.zeros(count, dtype=np.bool_)
    rim[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])] = True
    least = np.where(rim, _MIN_AREA_RIM, _MIN_AREA) * np.pi / 4 * scale**2
    most = np.pi / 4 * (_MAX_OF_FIELD * min(labels.shape)) ** 2
    keep: MaskArray = (area >= least) & (area <= most)
    depth = ndimage.distance_transform_edt(labels > 0)
    keep &= rim | (2 * largest(depth, labels) >= _MIN_WIDTH * scale)
    keep[0] = False
    if not keep.any():
        return keep
    mean = means(contrast, labels)
    around = means(contrast, _ring(labels, scale))
    around = np.pad(around, (0, count - len(around)))
    set_off = mean - around
    clear = (set_off >= _MIN_SET_OFF * np.median(set_off[keep])) | (around <= _DARK * mean)
    bright = mean >= _MIN_BRIGHTNESS * np.median(mean[keep])
    content = mean * area
    bright &= rim | (content >= _MIN_CONTENT * np.median(content[keep]))
    keep &= bright & clear & (around <= _MAX_AROUND * mean)
    return keep


def _ring(labels: LabelArray, scale: float) -> LabelArray:
    """Background around each object, from 5 to 35 % of a diameter away, with its label."""
    away, nearest = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    ring = (away > 0.05 * scale) & (away <= 0.35 * scale)
    found: LabelArray = np.where(ring, labels[tuple(nearest)], 0)
    return found

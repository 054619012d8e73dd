"""Hand-made measures of single-cell crops: the baseline that a learned model has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from omero_hcs.errors import InputError
from omero_hcs.imaging.arrays import CropArray

_CHUNK = 256
_TINY = 1e-6


def cell_metrics(
    crops: CropArray, *, ceiling: float | None = None, names: Sequence[str] | None = None
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Measure every crop with simple statistics: brightness, sharpness, noise, shape.

    Parameters
    ----------
    crops : array, shape (N, C, S, S)
        Raw or normalised pixels, finite; S at least 8.
    ceiling : float, optional
        The value at which pixels are saturated (raw: the camera's; normalised: 1). Without it
        the measure is the share of pixels at the crop's own maximum: its plateau.
    names : sequence of str, optional
        Of the channels; "1", "2", ... without them.

    Returns
    -------
    features : array, shape (N, F), float32, finite
    names : tuple of str, length F
        ``"<measure>_<channel>"``, and ``"correlation_<channel>_<channel>"`` for each pair.

    Raises
    ------
    InputError
        If the crops have another shape.
    """
    if crops.ndim != 4 or min(crops.shape[2:]) < 8:
        msg = f"Crops have shape (N, C, S, S) with S at least 8, not {crops.shape}."
        raise InputError(msg)
    channels = [str(index + 1) for index in range(crops.shape[1])] if names is None else list(names)
    if len(channels) != crops.shape[1]:
        msg = f"{len(channels)} channel names were given for crops of {crops.shape[1]} channels."
        raise InputError(msg)
    some = crops if len(crops) else np.zeros((1, *crops.shape[1:]), crops.dtype)
    blocks = [
        _measure(some[start : start + _CHUNK].astype(np.float32), ceiling)
        for start in range(0, len(some), _CHUNK)
    ]
    labels = [f"{measure}_{channel}" for channel in channels for measure in blocks[0][0]]
    pairs = [f"correlation_{a}_{b}" for a, b in combinations(channels, 2)]
    features = np.concatenate([_flat(*block) for block in blocks])[: len(crops)]
    return features, (*labels, *pairs)


def _flat(
    measures: dict[str, NDArray[np.float32]], correlations: NDArray[np.float32]
) -> NDArray[np.float32]:
    stacked = np.stack(list(measures.values()), axis=2)
    flat = np.concatenate([stacked.reshape(len(stacked), -1), correlations], axis=1)
    return np.nan_to_num(flat.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)


def _measure(
    crops: NDArray[np.float32], ceiling: float | None
) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.float32]]:
    """Measures, each (N, C), and the channels' correlations, (N, C * (C - 1) / 2)."""
    flat = crops.reshape(*crops.shape[:2], crops.shape[2] * crops.shape[3])
    low, middle, high, top = np.percentile(flat, (5, 50, 95, 99), axis=2).astype(np.float32)
    mean, std = flat.mean(axis=2), flat.std(axis=2)
    full = flat.max(axis=2) if ceiling is None else np.full_like(mean, ceiling)
    scaled = (flat - mean[..., None]) / np.maximum(std, _TINY)[..., None]
    measures = {
        "mean": mean,
        "std": std,
        "p05": low,
        "p50": middle,
        "p95": high,
        "p99": top,
        "range": (top - low) / np.maximum(np.abs(middle), _TINY),
        "skew": (scaled**3).mean(axis=2),
        "kurtosis": (scaled**4).mean(axis=2),
        "saturation": (flat >= full[..., None]).mean(axis=2, dtype=np.float32),
        **_detail(crops, std),
        **_arrangement(crops, (low + top) / 2),
    }
    together = np.einsum("ncp,ndp->ncd", scaled, scaled) / flat.shape[2]
    first, second = np.triu_indices(crops.shape[1], k=1)
    return measures, together[:, first, second]


def _detail(crops: NDArray[np.float32], std: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Sharpness and noise, as `focus_score` and `noise_sigma` but for all crops at once."""
    box3, box5 = (1, 1, 3, 3), (1, 1, 5, 5)
    smooth = ndimage.uniform_filter(ndimage.uniform_filter(crops, box3), box3)
    band = smooth - ndimage.uniform_filter(ndimage.uniform_filter(smooth, box5), box5)
    rows = crops[:, :, :-2] - 2 * crops[:, :, 1:-1] + crops[:, :, 2:]
    mask = rows[..., :-2] - 2 * rows[..., 1:-1] + rows[..., 2:]
    noise = np.median(np.abs(mask), axis=(2, 3)) * (1.4826 / 6)
    steps = np.hypot(smooth[:, :, 1:, :-1] - smooth[:, :, :-1, :-1], np.diff(smooth[:, :, :-1]))
    whole = np.maximum(smooth.std(axis=(2, 3)), _TINY)
    return {
        "focus": band.std(axis=(2, 3)) / whole,
        "noise": noise,
        "noise_share": noise / np.maximum(std, _TINY),
        "gradient": np.percentile(steps, 95, axis=(2, 3)) / whole,
    }


def _arrangement(
    crops: NDArray[np.float32], half: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    """Where the bright pixels lie: their share, their distance from the centre, centre and rim."""
    size = crops.shape[2]
    radius = np.hypot(*(np.indices((size, size)) - (size - 1) / 2)).astype(np.float32)
    inner, outer = radius <= size / 6, radius >= size / 2.5
    bright = crops > half[..., None, None]
    count = np.maximum(bright.sum(axis=(2, 3)), 1)
    return {
        "bright_share": bright.mean(axis=(2, 3), dtype=np.float32),
        "bright_radius": (bright * radius).sum(axis=(2, 3)) / count / size,
        "centre": crops[:, :, inner].mean(axis=2),
        "rim": crops[:, :, outer].mean(axis=2),
    }

"""A histogram of bounded size for pixels of any type."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_FLOAT_BITS = 20


class Histogram:
    """Counts of pixel values: exact up to 16 bits, to 1 part in 2000 for wider and float types.

    The bin of a float is its sign, exponent and first 11 bits of mantissa, so that bins are
    the same for every image and no range has to be known beforehand.
    """

    def __init__(self) -> None:
        self.counts = np.zeros(0, dtype=np.int64)
        self.lowest = 0
        self.exact = True
        self.total = 0
        self.maximum = -np.inf

    @classmethod
    def of(cls, pixels: NDArray[Any]) -> Histogram:
        """Count the finite pixels of one array."""
        histogram = cls()
        values = pixels.ravel()
        if values.dtype.kind == "f":
            values = values[np.isfinite(values)]
        histogram.exact = values.dtype.kind in "iub" and values.dtype.itemsize <= 2
        histogram.total = values.size
        if values.size:
            histogram.maximum = float(values.max())
            bins = values.astype(np.int64) if histogram.exact else _float_bin(values)
            histogram.lowest = int(bins.min())
            histogram.counts = np.bincount(bins - histogram.lowest)
        return histogram

    def merge(self, other: Histogram) -> None:
        """Add another histogram of the same kind of pixels."""
        if other.total == 0:
            return
        if self.total == 0:
            self.lowest, self.exact = other.lowest, other.exact
        lowest = min(self.lowest, other.lowest)
        end = max(h.lowest + h.counts.size for h in (self, other))
        counts = np.zeros(end - lowest, dtype=np.int64)
        for histogram in (self, other):
            start = histogram.lowest - lowest
            counts[start : start + histogram.counts.size] += histogram.counts
        self.counts, self.lowest = counts, lowest
        self.total += other.total
        self.maximum = max(self.maximum, other.maximum)

    def percentile(self, percent: float) -> float:
        """Smallest value that `percent` of the pixels do not exceed; 0 if there are no pixels."""
        if self.total == 0:
            return 0.0
        below = np.cumsum(self.counts)
        rank = max(1.0, np.ceil(self.total * percent / 100.0 - 1e-9))
        index = int(np.searchsorted(below, rank)) + self.lowest
        return float(index) if self.exact else min(_float_value(index), self.maximum)

    @property
    def stretched(self) -> bool:
        """Whether all values are multiples of 257: 8-bit data stretched to 16 bit."""
        if not self.exact or self.maximum < 257:
            return False
        values = np.flatnonzero(self.counts) + self.lowest
        return bool((values % 257 == 0).all())


def _float_bin(values: NDArray[Any]) -> NDArray[np.int64]:
    """Order-preserving: floats as integers compare like floats once negatives are mirrored."""
    raw = values.astype(np.float32).view(np.int32).astype(np.int64)
    ordered = np.where(raw >= 0, raw, -(raw & 0x7FFFFFFF))
    shifted: NDArray[np.int64] = ordered >> (32 - _FLOAT_BITS)
    return shifted


def _float_value(index: int) -> float:
    """Middle of a bin."""
    half = 1 << (31 - _FLOAT_BITS)
    ordered = (index << (32 - _FLOAT_BITS)) + (half if index else 0)
    raw = ordered if ordered >= 0 else (-ordered) | 0x80000000
    return float(np.array([raw], dtype=np.uint32).view(np.float32)[0])

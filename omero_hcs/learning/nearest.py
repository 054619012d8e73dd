"""The labelled cells that a cell is most like: why a model says what it says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

NEAREST = 3
"""Labelled cells that are named for each cell."""

_CODES, _MEAN = "codes", "mean"
_AT_ONCE = 4096

Features = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Nearest:
    """Labelled cells, and which of them are nearest, as for the kNN head.

    That is in direction (cosine), seen from the mean of the labelled cells.

    Parameters
    ----------
    mean : array, shape (D,), float32
        Of the labelled cells' features.
    codes : array, shape (N, D), int8
        Their features, less the mean, in a byte each: of each cell, the largest is 127. Measured
        on 2,000 simulated cells and 350 labels: the nearest is the same for 99 %, similarities
        are off by less than 0.001. On 128 axes of their own, 90 % and 0.07.
    """

    mean: NDArray[np.float32]
    codes: NDArray[np.int8]

    @classmethod
    def of(cls, features: Features) -> Self:
        """Keep labelled cells, shape (N, D)."""
        mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
        apart = features - mean
        largest = np.maximum(np.abs(apart).max(axis=1, keepdims=True), 1e-12)
        return cls(mean, np.rint(apart / largest * 127).astype(np.int8))

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> Self:
        """Read what `tensors` gave."""
        return cls(tensors[_MEAN], tensors[_CODES])

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Give what is kept, by name."""
        return {_MEAN: self.mean, _CODES: self.codes}

    def find(self, features: Features) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Find the labelled cells that are most like others.

        Parameters
        ----------
        features : array, shape (M, D), float32
            Of the others.

        Returns
        -------
        rows : array, shape (M, 3), int32
            The nearest first; -1 where there are no more.
        similarity : array, shape (M,), float32
            Cosine of the angle to the nearest; NaN where there is none.
        """
        rows = np.full((len(features), NEAREST), -1, dtype=np.int32)
        best = np.full(len(features), np.nan, dtype=np.float32)
        count = min(NEAREST, len(self.codes))
        known = _unit(self.codes.astype(np.float32))
        for start in range(0, len(features) if count else 0, _AT_ONCE):
            here = slice(start, start + _AT_ONCE)
            alike = _unit(features[here] - self.mean) @ known.T
            order = np.argsort(-alike, axis=1, kind="stable")[:, :count]
            rows[here, :count] = order
            best[here] = np.take_along_axis(alike, order[:, :1], axis=1)[:, 0]
        return rows, best


def _unit(features: Features) -> Features:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(lengths, 1e-12), dtype=np.float32)

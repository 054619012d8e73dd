"""Which labelled cells are held out together, so that neighbours do not give each other away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from omero_hcs.errors import LabelError
from omero_hcs.learning.lessons import Labels


@dataclass(frozen=True, slots=True, eq=False)
class Folds:
    """Rows that each fold holds out, and why wells could not be kept together, if so."""

    held_out: tuple[NDArray[np.intp], ...]
    reason: str | None = None


def choose_folds(
    labels: Labels, groups: NDArray[Any] | None, *, folds: int = 5, rng: Generator
) -> Folds:
    """Split rows so that cells of one well are never on both sides, where that is possible.

    Parameters
    ----------
    labels : array, shape (N,), int
        Class numbers.
    groups : array, shape (N,), optional
        Wells.
    folds : int
        How many folds at most; no more than the rarest class has labels (or wells).
    rng : Generator
        Shuffles.

    Raises
    ------
    LabelError
        If a class has one label only.
    """
    present, counts = np.unique(labels, return_counts=True)
    if len(present) < 2 or counts.min() < 2:
        msg = (
            f"Cross-validation needs two classes with two labels each; there are "
            f"{len(present)} classes, the rarest with {counts.min()}. Label more cells."
        )
        raise LabelError(msg)
    seed = int(rng.integers(2**31))
    rows = np.zeros((len(labels), 1))
    wells = [] if groups is None else [len(np.unique(groups[labels == one])) for one in present]
    if wells and min(wells) >= 2:
        grouped = StratifiedGroupKFold(min(folds, *wells), shuffle=True, random_state=seed)
        found = [test for _, test in grouped.split(rows, labels, groups) if len(test)]
        if all(_trains(labels, test) for test in found):
            return Folds(tuple(found))
    plain = StratifiedKFold(min(folds, int(counts.min())), shuffle=True, random_state=seed)
    held_out = tuple(test for _, test in plain.split(rows, labels))
    return Folds(held_out, None if groups is None else _reason(wells))


def _trains(labels: Labels, test: NDArray[np.intp]) -> bool:
    """Whether every class is left to learn from when `test` is held out."""
    return len(np.unique(np.delete(labels, test))) == len(np.unique(labels))


def _reason(wells: Sequence[int]) -> str:
    alone = sum(count < 2 for count in wells)
    what = f"{alone} of {len(wells)} classes sit in one well only" if alone else "wells are too few"
    return (
        f"Cross-validation could not keep wells apart: {what}. The scores are too good by what "
        "cells of one well have in common. Label each class in two wells or more."
    )

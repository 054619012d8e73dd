"""Which labelled cells are held out together, so that neighbours do not give each other away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from omero_hcs.errors import LabelError
from omero_hcs.learning.lessons import Labels

Apart = Literal["well", "field", "crop"]
"""What is never on both sides of a test."""

_TRIES = 20


@dataclass(frozen=True, slots=True, eq=False)
class Folds:
    """Rows that each fold holds out, and why wells could not be kept together, if so."""

    held_out: tuple[NDArray[np.intp], ...]
    reason: str | None = None
    apart: Apart = "well"


def choose_folds(
    labels: Labels,
    groups: NDArray[Any] | None,
    *,
    fields: NDArray[Any] | None = None,
    folds: int = 5,
    rng: Generator,
) -> Folds:
    """Split rows so that cells of one well are never on both sides, where that is possible.

    Where a class sits in one well only, whole fields are kept together; where it sits in one field
    only, every cell is alone.

    Parameters
    ----------
    labels : array, shape (N,), int
        Class numbers.
    groups, fields : array, shape (N,), optional
        Wells, and fields within them.
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
    if groups is not None and (held_out := _grouped(labels, groups, folds, seed)):
        return Folds(held_out)
    if fields is not None and (held_out := _grouped(labels, fields, folds, seed)):
        return Folds(held_out, _reason(labels, groups, "field"), "field")
    plain = StratifiedKFold(min(folds, int(counts.min())), shuffle=True, random_state=seed)
    held_out = tuple(test for _, test in plain.split(np.zeros((len(labels), 1)), labels))
    return Folds(held_out, _reason(labels, groups, "crop"), "crop")


def _grouped(
    labels: Labels, groups: NDArray[Any], folds: int, seed: int
) -> tuple[NDArray[np.intp], ...]:
    """Hold whole groups out, and leave some of every class; nothing where that is impossible."""
    fewest = min(_groups_of_classes(labels, groups))
    if fewest < 2:
        return ()
    for attempt in range(_TRIES):
        grouped = StratifiedGroupKFold(
            min(folds, fewest), shuffle=True, random_state=(seed + attempt) % 2**31
        )
        split = grouped.split(np.zeros((len(labels), 1)), labels, groups)
        found = [test for _, test in split if len(test)]
        if all(_trains(labels, test) for test in found):
            return tuple(found)
    return ()


def _groups_of_classes(labels: Labels, groups: NDArray[Any]) -> list[int]:
    return [len(np.unique(groups[labels == one])) for one in np.unique(labels)]


def _trains(labels: Labels, test: NDArray[np.intp]) -> bool:
    """Whether every class is left to learn from when `test` is held out."""
    return len(np.unique(np.delete(labels, test))) == len(np.unique(labels))


def _reason(labels: Labels, groups: NDArray[Any] | None, apart: Apart) -> str | None:
    if groups is None:
        return None
    wells = _groups_of_classes(labels, groups)
    alone = sum(count < 2 for count in wells)
    what = f"{alone} of {len(wells)} classes sit in one well only" if alone else "wells are too few"
    left = "; whole fields were kept apart instead" if apart == "field" else ""
    common = "fields" if apart == "field" else "cells"
    return (
        f"Cross-validation could not keep wells apart: {what}{left}. The scores are too good by "
        f"what {common} of one well have in common. Label each class in two wells or more."
    )

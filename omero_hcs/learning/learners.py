"""Learners: what is taught by some labelled cells and judges others, and how to test one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from omero_hcs.learning.heads import Head
from omero_hcs.learning.lessons import Features, Labels

Rows = NDArray[np.intp]


class Learner(Protocol):
    """Labelled cells, and a way to learn from some of them.

    One that is given features is taught in a moment; one that tunes its encoder takes minutes.
    """

    @property
    def classes(self) -> int:
        """How many classes there are."""
        ...

    @property
    def labels(self) -> Labels:
        """Class numbers of the cells, shape (N,)."""
        ...

    def judge(self, train: Rows, test: Rows, *, seed: int) -> NDArray[np.float32]:
        """Learn from the rows `train`, and give probabilities (len(test), K) of the rows `test`.

        Raises
        ------
        LabelError
            If those rows are too few, or of one class only.
        """
        ...


@dataclass(frozen=True, eq=False)
class FrozenLearner:
    """A head on the features of an encoder that stays as it is.

    Parameters
    ----------
    make_head : callable
        Makes an untrained head.
    features : array, shape (N, D)
        Features of the labelled cells, computed once.
    labels : array, shape (N,), int
        Class numbers.
    classes : int
        How many there are.
    groups : array, shape (N,), optional
        What a head that tries out its options keeps together, usually the well.
    """

    make_head: Callable[[], Head]
    features: Features
    labels: Labels
    classes: int
    groups: NDArray[Any] | None = None

    def judge(self, train: Rows, test: Rows, *, seed: int) -> NDArray[np.float32]:
        """Teach a new head; see `Learner.judge`."""
        return self.taught(train, seed=seed).predict_proba(self.features[test])

    def taught(self, train: Rows, *, seed: int) -> Head:
        """Give a head that learnt from the rows `train`."""
        return self.make_head().fit(
            self.features[train],
            self.labels[train],
            seed=seed,
            classes=self.classes,
            groups=None if self.groups is None else self.groups[train],
        )


def cross_validate(
    learner: Learner, held_out: tuple[NDArray[Any], ...], *, rng: Generator
) -> NDArray[np.float32]:
    """Probabilities of each cell from a learner that was not taught by its fold.

    Parameters
    ----------
    learner : Learner
        Has the labelled cells.
    held_out : tuple of array of int
        Rows that each fold holds out, every row in one of them; see `folds.choose_folds`.
    rng : Generator
        Seeds what is taught.

    Returns
    -------
    array, shape (N, K), float32

    Raises
    ------
    LabelError
        If a fold leaves too few labels to learn from.
    """
    count = len(learner.labels)
    proba = np.zeros((count, learner.classes), dtype=np.float32)
    for test in held_out:
        train = np.setdiff1d(np.arange(count), test)
        proba[test] = learner.judge(train, test, seed=int(rng.integers(2**31)))
    return proba

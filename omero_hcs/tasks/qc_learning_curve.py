"""How good a model gets with how many labels: the paper's Table 2, and labels saved by picking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from omero_hcs.errors import InputError, LabelError
from omero_hcs.learning.evaluate import score_values
from omero_hcs.learning.folds import Apart
from omero_hcs.learning.learners import FrozenLearner, Learner
from omero_hcs.learning.picking import pick
from omero_hcs.tasks.base import Progress, no_progress
from omero_hcs.tasks.labelled import Labelled
from omero_hcs.tasks.qc_choices import Pick
from omero_hcs.tasks.qc_evaluate import folds_of, own_rows

Rows = NDArray[np.intp]

TEST_PARTS = 4
"""One part of so many is the test, as the paper's 130 of 480 labels."""

_GROWTH = 1.5
"""Between two looks at the model, labels grow by half: who labels does not start again for one."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Scores by how many labels were learnt from.

    Parameters
    ----------
    points : tuple of dict
        One a draw: `pick`, `count` (labels asked for), `seed`, and the scores of the test.
    tested : int
        Crops of the test, the same in every draw.
    apart : {"well", "field", "crop"}
        What was not on both sides.
    warnings : tuple of str
        Counts that could not be drawn, and what else a reader has to know.
    """

    points: tuple[dict[str, Any], ...]
    tested: int
    apart: Apart
    warnings: tuple[str, ...]

    def rows(self) -> list[dict[str, Any]]:
        """Mean, standard deviation and ends over the draws, a row a way of picking and count."""
        keys = dict.fromkeys((point["pick"], point["count"]) for point in self.points)
        return [self._row(strategy, count) for strategy, count in keys]

    def _row(self, strategy: str, count: int) -> dict[str, Any]:
        own = [one for one in self.points if (one["pick"], one["count"]) == (strategy, count)]
        row: dict[str, Any] = {"pick": strategy, "count": count, "draws": len(own)}
        for name in ("accuracy", "f1", "auc"):
            values = np.array([point[name] for point in own])
            row |= {
                name: float(values.mean()),
                f"{name}_sd": float(values.std(ddof=1)) if len(values) > 1 else float("nan"),
                f"{name}_low": float(values.min()),
                f"{name}_high": float(values.max()),
            }
        return row


def learning_curve(  # noqa: PLR0913  (each one is a choice of the user's)
    labelled: Labelled,
    learner: Learner,
    *,
    counts: Sequence[int] = (350, 100, 50, 25, 10),
    seeds: int = 5,
    picks: Sequence[Pick] = ("balanced",),
    seed: int = 0,
    crops_alone: bool = False,
    progress: Progress = no_progress,
) -> Curve:
    """Teach by ever fewer labels, and test on the same wells each time.

    Parameters
    ----------
    labelled : Labelled
        The crops.
    learner : Learner
        What learns from them.
    counts : sequence of int
        Labels in all.
    seeds : int
        How often each count is drawn anew.
    picks : sequence of str
        "balanced": as many of each class. Others begin with the smallest count, drawn so, and
        label one step after the other: "random", "uncertain" or "diverse", see `learning.picking`.
    seed : int
        Of split and draws.
    crops_alone : bool
        See `qc_evaluate.folds_of`.
    progress : callable
        See `tasks.base.Progress`.

    Raises
    ------
    LabelError
        If the labels cannot be tested, or not one of the counts can be drawn.
    """
    split = folds_of(labelled, folds=TEST_PARTS, seed=seed, crops_alone=crops_alone)
    test = max(split.held_out, key=len)
    pool = np.setdiff1d(np.arange(len(labelled.numbers)), test)
    test = test[own_rows(labelled)[test]] if own_rows(labelled)[test].any() else test
    usable, warnings = _usable(counts, len(pool), len(labelled.classes))
    points = []
    for number in range(seeds):
        for strategy in picks:
            rng = np.random.default_rng([seed, number])
            for count, rows in _drawn(learner, pool, usable, strategy, rng):
                proba = learner.judge(rows, test, seed=int(rng.integers(2**31)))
                scores = score_values(labelled.numbers[test], proba)
                points.append({"pick": strategy, "count": count, "seed": number, **scores})
                total = seeds * len(picks) * len(usable)
                progress("labels learnt from", len(points), total)
    told = (*labelled.warnings, *([split.reason] if split.reason else []), *warnings)
    return Curve(tuple(points), len(test), split.apart, told)


def _usable(counts: Sequence[int], pool: int, classes: int) -> tuple[list[int], list[str]]:
    """Give the counts that can be drawn, the fewest first, and say which cannot."""
    least = 2 * classes
    asked = sorted(set(counts))
    usable = [count for count in asked if least <= count <= pool]
    told = []
    if left := [count for count in asked if count > pool]:
        told.append(
            f"{', '.join(map(str, left))} labels were not drawn: {pool} are left beside the test."
        )
    if left := [count for count in asked if count < least]:
        told.append(f"{', '.join(map(str, left))} labels are too few for {classes} classes.")
    if not usable:
        raise LabelError("\n".join([*told, "Pass other --counts, or label more cells."]))
    return usable, told


def _drawn(
    learner: Learner, pool: Rows, counts: Sequence[int], strategy: Pick, rng: Generator
) -> Iterator[tuple[int, Rows]]:
    """Draw rows of the pool for each count, each containing those before."""
    if strategy == "balanced":
        order = _balanced(learner.labels[pool], rng)
        for count in counts:
            yield count, pool[order[:count]]
        return
    have = _balanced(learner.labels[pool], rng)[: counts[0]]
    features = learner.features[pool] if isinstance(learner, FrozenLearner) else None
    if strategy == "diverse" and features is None:
        msg = "--pick diverse needs features, which a tuned encoder has none of. Pick uncertain."
        raise InputError(msg)
    yield counts[0], pool[have]
    for count in counts[1:]:
        while len(have) < count:
            more = min(count - len(have), max(1, int(len(have) * (_GROWTH - 1))))
            proba = learner.judge(pool[have], pool, seed=int(rng.integers(2**31)))
            have = np.concatenate([have, pick(strategy, proba, features, have, more, rng)])
        yield count, pool[have]


def _balanced(labels: NDArray[Any], rng: Generator) -> Rows:
    """Order rows so that any beginning has as many of each class as there are, by chance."""
    shuffled = rng.permutation(len(labels))
    turn = np.zeros(len(labels))
    for one in rng.permutation(np.unique(labels)):
        own = shuffled[labels[shuffled] == one]
        turn[own] = np.arange(len(own)) + rng.random() / 2
    return np.argsort(turn, kind="stable")


def worth_of_picking(curve: Curve, name: str = "f1") -> list[dict[str, Any]]:
    """How many labels by chance are as good as those picked, a row a way of picking and count.

    Returns
    -------
    list of dict
        `pick`, `count`, its score, and `random`: the labels by chance that reach it, interpolated
        over the logarithm of counts; NaN where none of the counts does.
    """
    rows = curve.rows()
    chance = [(row["count"], row[name]) for row in rows if row["pick"] == "random"]
    if not chance:
        return []
    counts = np.log([count for count, _ in chance])
    reached = np.maximum.accumulate([value for _, value in chance])
    found = []
    for row in rows:
        if row["pick"] not in ("random", "balanced"):
            need = np.interp(row[name], reached, counts, right=np.nan)
            found.append(
                {"pick": row["pick"], "count": row["count"], name: row[name]}
                | {"random": float(np.exp(need))}
            )
    return found

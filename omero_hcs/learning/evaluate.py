"""How good judgements are: scores with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
    roc_auc_score,
)

from omero_hcs.errors import InputError
from omero_hcs.learning.lessons import Labels

Proba = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]

LEVELS = (2.5, 97.5)
DRAWS = 1000

_VALUES_AT_ONCE = 1 << 20


def scores(
    y_true: Labels,
    proba: Proba,
    classes: Sequence[str],
    groups: NDArray[Any] | None = None,
    *,
    rng: Generator,
    draws: int = DRAWS,
) -> dict[str, float | int]:
    """Accuracy, F1 and AUC, averaged over classes by their counts, with 95 % intervals.

    Parameters
    ----------
    y_true : array, shape (N,), int
        True class numbers.
    proba : array, shape (N, K)
        Probabilities.
    classes : sequence of str
        Names of the K classes.
    groups : array, shape (N,), optional
        What is drawn again together, usually the well; each row by itself where not given.
    rng : Generator
        Draws the groups.
    draws : int
        Bootstrap draws.

    Returns
    -------
    dict
        "accuracy", "f1", "auc", each with "_low" and "_high" (percentile bootstrap), "labels" and
        "groups". The AUC is one class against the others, and NaN where only one class occurs.

    Raises
    ------
    InputError
        If shapes do not fit.
    """
    _check(y_true, proba, classes)
    drawn = _draws(len(y_true), groups, rng, draws)
    found: dict[str, float | int] = {"labels": len(y_true), "groups": drawn[1].shape[1]}
    each = _scores_of_draws(y_true, proba, *drawn)
    for name, value in score_values(y_true, proba).items():
        low, high = _interval(each[name])
        found |= {name: value, f"{name}_low": low, f"{name}_high": high}
    return found


def score_values(y_true: Labels, proba: Proba) -> dict[str, float]:
    """Accuracy, F1 and AUC as in `scores`, without intervals."""
    said = proba.argmax(axis=1)
    return {
        "accuracy": float(accuracy_score(y_true, said)),
        "f1": float(f1_score(y_true, said, average="weighted", zero_division=0)),
        "auc": _auc(y_true, proba),
    }


def score_gains(
    y_true: Labels,
    proba: Proba,
    reference: Proba,
    groups: NDArray[Any] | None = None,
    *,
    rng: Generator,
) -> dict[str, float]:
    """How much better judgements are than others of the same cells, with 95 % intervals.

    Parameters
    ----------
    y_true : array, shape (N,), int
        True class numbers.
    proba, reference : array, shape (N, K)
        Probabilities of the two that are compared.
    groups : array, shape (N,), optional
        What is drawn again together, usually the well; both are scored on the same draws.
    rng : Generator
        Draws the groups.

    Returns
    -------
    dict
        "accuracy", "f1", "auc", each with "_low" and "_high": above 0 where `proba` is better.
    """
    drawn = _draws(len(y_true), groups, rng, DRAWS)
    own, other = (_scores_of_draws(y_true, one, *drawn) for one in (proba, reference))
    mine, theirs = score_values(y_true, proba), score_values(y_true, reference)
    found: dict[str, float] = {}
    for name in mine:
        low, high = _interval(own[name] - other[name])
        found |= {name: mine[name] - theirs[name], f"{name}_low": low, f"{name}_high": high}
    return found


def class_scores(y_true: Labels, proba: Proba, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Precision and recall of each class, and as what its cells were judged.

    Parameters
    ----------
    y_true : array, shape (N,), int
        True class numbers.
    proba : array, shape (N, K)
        Probabilities.
    classes : sequence of str
        Names of the K classes.

    Returns
    -------
    list of dict
        A dict a class: "class", "labels", "precision", "recall", "f1", and "judged", the number
        of its cells by the class that they were judged as. What has no cells to it is NaN.
    """
    numbers, said = list(range(len(classes))), proba.argmax(axis=1)
    precision, recall, f1, count = precision_recall_fscore_support(
        y_true, said, labels=numbers, zero_division=np.nan
    )
    table = confusion_matrix(y_true, said, labels=numbers)
    return [
        {
            "class": name,
            "labels": int(count[one]),
            "precision": float(precision[one]),
            "recall": float(recall[one]),
            "f1": float(f1[one]),
            "judged": dict(zip(classes, table[one].tolist(), strict=True)),
        }
        for one, name in enumerate(classes)
    ]


def field_scores(
    y_true: Labels, proba: Proba, fields: NDArray[Any], groups: NDArray[Any], *, rng: Generator
) -> dict[str, float | int]:
    """Share of labelled fields whose cells are mostly judged as the field was labelled.

    Parameters
    ----------
    y_true : array, shape (N,), int
        Class numbers of the cells, those of their fields.
    proba : array, shape (N, K)
        Probabilities.
    fields : array, shape (N,)
        The field that each cell is of.
    groups : array, shape (N,)
        What is drawn again together, usually the well.
    rng : Generator
        Draws the groups.

    Returns
    -------
    dict
        "field_accuracy" with "_low" and "_high" (95 %, percentile bootstrap over groups), and
        "fields". Of classes that are equally frequent in a field, the one with the higher mean
        probability is its verdict.
    """
    _, first, field = np.unique(fields, return_index=True, return_inverse=True)
    votes = np.zeros((len(first), proba.shape[1]))
    np.add.at(votes, (field, proba.argmax(axis=1)), 1.0)
    mean = np.zeros_like(votes)
    np.add.at(mean, field, proba / np.bincount(field)[field][:, None])
    right = ((votes + mean / 2).argmax(axis=1) == y_true[first]).astype(np.float64)
    _, group = np.unique(groups[first], return_inverse=True)
    sums, sizes = np.bincount(group, weights=right), np.bincount(group)
    drawn = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=DRAWS)
    low, high = np.percentile(drawn @ sums / (drawn @ sizes), LEVELS)
    found = {"field_accuracy": right.mean(), "field_accuracy_low": low, "field_accuracy_high": high}
    return {**{name: float(value) for name, value in found.items()}, "fields": len(first)}


def _check(y_true: Labels, proba: Proba, classes: Sequence[str]) -> None:
    if len(y_true) == 0 or proba.shape != (len(y_true), len(classes)):
        msg = (
            f"{len(y_true)} true classes and probabilities of shape {proba.shape} do not fit "
            f"together for {len(classes)} classes."
        )
        raise InputError(msg)


def _draws(
    count: int, groups: NDArray[Any] | None, rng: Generator, draws: int
) -> tuple[NDArray[np.intp], Floats]:
    """Group number of each row, and how often each group is in each draw, (draws, groups)."""
    names = np.arange(count) if groups is None else np.asarray(groups)
    _, group = np.unique(names, return_inverse=True)
    number = int(group.max()) + 1
    weights = rng.multinomial(number, np.full(number, 1 / number), size=draws)
    return group, weights.astype(np.float64)


def _scores_of_draws(
    y_true: Labels, proba: Proba, group: NDArray[np.intp], weights: Floats
) -> dict[str, Floats]:
    return {
        **_confusion_draws(y_true, proba.argmax(axis=1), group, weights, proba.shape[1]),
        "auc": _auc_draws(y_true, proba, group, weights),
    }


def _interval(drawn: Floats) -> tuple[float, float]:
    usable = drawn[np.isfinite(drawn)]
    if not len(usable):
        return float("nan"), float("nan")
    low, high = np.percentile(usable, LEVELS)
    return float(low), float(high)


def _auc(y_true: Labels, proba: Proba) -> float:
    present, counts = np.unique(y_true, return_counts=True)
    if len(present) < 2:
        return float("nan")
    each = [roc_auc_score(y_true == one, proba[:, one]) for one in present]
    return float(np.average(each, weights=counts))


def _confusion_draws(
    y_true: Labels, predicted: Labels, group: NDArray[np.intp], weights: Floats, classes: int
) -> dict[str, Floats]:
    """Accuracy and weighted F1 of each draw, from the confusion matrix of each group."""
    table = np.zeros((weights.shape[1], classes, classes))
    np.add.at(table, (group, y_true, predicted), 1)
    drawn = np.einsum("dg,gtp->dtp", weights, table)
    right = np.einsum("dkk->dk", drawn)
    true, said = drawn.sum(axis=2), drawn.sum(axis=1)
    total = true.sum(axis=1)
    f1 = 2 * right / np.maximum(true + said, 1)
    return {"accuracy": right.sum(axis=1) / total, "f1": (f1 * true).sum(axis=1) / total}


def _auc_draws(y_true: Labels, proba: Proba, group: NDArray[np.intp], weights: Floats) -> Floats:
    """Weighted one-against-others AUC of each draw; NaN where one class alone was drawn."""
    total, sums = np.zeros(len(weights)), np.zeros(len(weights))
    for one in np.unique(y_true):
        order = np.argsort(proba[:, one], kind="stable")
        ties = np.flatnonzero(np.diff(proba[order, one], prepend=-np.inf))
        positive = y_true[order] == one
        at_once = max(1, _VALUES_AT_ONCE // len(order))
        for start in range(0, len(weights), at_once):
            rows = slice(start, start + at_once)
            drawn = weights[rows][:, group[order]]
            wins, pairs, count = _wins(drawn * positive, drawn * ~positive, ties)
            usable = pairs > 0
            sums[rows] += np.where(usable, count * wins / np.maximum(pairs, 1), 0.0)
            total[rows] += np.where(usable, count, 0.0)
    found = np.full(len(weights), np.nan)
    found[total > 0] = sums[total > 0] / total[total > 0]
    return found


def _wins(
    positive: Floats, negative: Floats, ties: NDArray[np.intp]
) -> tuple[Floats, Floats, Floats]:
    """Mann-Whitney wins and pairs of each draw, and its positives; rows are sorted by score.

    `ties` is where each new score begins: pairs of one score are half won.
    """
    mine = np.add.reduceat(positive, ties, axis=1)
    theirs = np.add.reduceat(negative, ties, axis=1)
    below = np.cumsum(theirs, axis=1) - theirs / 2
    count = mine.sum(axis=1)
    return np.einsum("ds,ds->d", mine, below), count * theirs.sum(axis=1), count

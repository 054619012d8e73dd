"""Logistic regression with its strength of regularisation chosen by cross-validation, as a head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from omero_hcs.errors import LabelError
from omero_hcs.learning.folds import choose_folds
from omero_hcs.learning.layer import LayerHead, standard
from omero_hcs.learning.lessons import Features, Labels, check_lesson, weights_of_classes

STRENGTHS = (1e-3, 1e-2, 0.1, 1.0)
"""Inverse strengths of regularisation that are tried, the strongest first."""

DEFAULT_STRENGTH = 0.01
"""Where there are too few labels to try: features of one common scale number a thousand or more."""

FOLDS = 5

_NEVER = -1e4
"""Logit of a class without labels: a probability of 0, and yet a number."""

Rows = NDArray[np.intp]


class LogisticHead(LayerHead):
    """Logistic regression over all classes together, regularised as much as suits the labels.

    The strength is the one under which labels of wells held out are the most likely; where wells
    cannot be kept apart, of cells held out. Only labels that the head is taught by are used.
    Measured on a simulated plate, artefacts of middle severity in other wells, against the paper's
    schedule: F1 0.793 and 0.780 (350 labels), 0.760 and 0.755 (50), 0.645 and 0.641 (10); log loss
    0.45 and 0.58, 0.56 and 0.72, 0.75 and 1.37.

    Parameters
    ----------
    strength : float, optional
        Inverse strength of regularisation (scikit-learn's C); chosen by the labels by default.
    class_weights : {"balanced", "none"}
        With "balanced", labels are weighted as `weights_of_classes` says.
    """

    kind = "logistic"

    def __init__(self, strength: float | None = None, class_weights: str = "balanced") -> None:
        super().__init__(class_weights)
        self.strength = strength
        self._chosen = strength

    def fit(
        self,
        features: Features,
        labels: Labels,
        *,
        seed: int = 0,
        classes: int | None = None,
        groups: NDArray[Any] | None = None,
    ) -> Self:
        """Choose a strength, and fit the layer; see `Head.fit`."""
        count = check_lesson(features, labels, classes)
        mean, scale = standard(features)
        turned, back = _turned(np.asarray((features - mean) / scale, dtype=np.float64))
        weights = weights_of_classes(labels, count, self.class_weights)[labels]
        strength = self.strength
        if strength is None:
            strength = _best_strength(turned, labels, weights, _folds(labels, groups, seed))
        fitted = _fitted(turned, labels, weights, strength)
        weight, bias = _of_all_classes(fitted, count)
        self._keep(weight @ back, bias, (mean, scale))
        self._chosen = strength
        return self

    def config(self) -> dict[str, Any]:
        """Options, as JSON values, with the strength that was chosen."""
        return {"strength": self._chosen, **super().config()}


def _turned(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Turn features (N, D) so that min(N, D) are left, and give the way back (min, D).

    What is learnt lies in the span of the labelled cells, and a penalty of squares does not mind a
    rotation: the solution is the same, for a part of the work.
    """
    if len(x) >= x.shape[1]:
        return x, np.eye(x.shape[1])
    q, r = np.linalg.qr(x.T)
    return np.ascontiguousarray(r.T), q.T


def _folds(labels: Labels, groups: NDArray[Any] | None, seed: int) -> Sequence[Rows]:
    try:
        return choose_folds(labels, groups, folds=FOLDS, rng=np.random.default_rng(seed)).held_out
    except LabelError:  # a class with one label
        return ()


def _best_strength(
    x: NDArray[np.float64], labels: Labels, weights: NDArray[np.float64], folds: Sequence[Rows]
) -> float:
    losses = np.zeros(len(STRENGTHS))
    for test in folds:
        train = np.setdiff1d(np.arange(len(labels)), test)
        for place, strength in enumerate(STRENGTHS):
            fitted = _fitted(x[train], labels[train], weights[train], strength)
            proba, known = fitted.predict_proba(x[test]), fitted.classes_
            losses[place] += log_loss(
                labels[test], proba, labels=known, sample_weight=weights[test], normalize=False
            )
    return STRENGTHS[int(losses.argmin())] if len(folds) else DEFAULT_STRENGTH


def _fitted(
    x: NDArray[np.float64], labels: Labels, weights: NDArray[np.float64], strength: float
) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=1000).fit(x, labels, sample_weight=weights)


def _of_all_classes(
    fitted: LogisticRegression, classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give a row of weights to each class: two share one, and those without labels have none."""
    weight = np.zeros((classes, fitted.coef_.shape[1]))
    bias = np.full(classes, _NEVER)
    known = fitted.classes_
    if len(known) == 2:  # one row, for the second: halves of it give the same probabilities
        weight[known] = np.concatenate([-fitted.coef_, fitted.coef_]) / 2
        bias[known] = np.concatenate([-fitted.intercept_, fitted.intercept_]) / 2
    else:
        weight[known], bias[known] = fitted.coef_, fitted.intercept_
    return weight, bias

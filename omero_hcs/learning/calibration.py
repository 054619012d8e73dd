"""Probabilities that mean what they say: of cells called blurred at 0.8, 80 % are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from omero_hcs.learning.lessons import Labels
from omero_hcs.learning.modelcard import CalibrationCard

Proba = NDArray[np.floating[Any]]

MIN_LABELS = 50
"""Labels below which nothing can be said of probabilities: a tenth of them would hold five."""

_FLOOR = 1e-3  # kNN gives 0 and 1; nothing that five neighbours say is surer than this
_RANGE = (np.log(0.05), np.log(20.0))


def calibrated(proba: Proba, temperature: float) -> NDArray[np.float32]:
    """Scale probabilities by a temperature; the most probable class stays the same.

    Parameters
    ----------
    proba : array, shape (N, K)
        Rows sum to 1.
    temperature : float
        Above 1 they get less sure, below 1 surer.

    Returns
    -------
    array, shape (N, K), float32

    References
    ----------
    Guo et al., "On calibration of modern neural networks", ICML 2017, section 4.2.
    """
    logits = np.log(np.maximum(proba, _FLOOR)) / temperature
    raised = np.exp(logits - logits.max(axis=1, keepdims=True)) if len(proba) else logits
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), dtype=np.float32)


def fit_temperature(proba: Proba, labels: Labels) -> float:
    """Find the temperature under which held-out labels are most likely."""

    def loss(log_temperature: float) -> float:
        scaled = calibrated(proba, float(np.exp(log_temperature)))
        return float(-np.log(np.maximum(scaled[np.arange(len(labels)), labels], 1e-9)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=_RANGE, method="bounded").x))


def calibrate(
    proba: Proba, labels: Labels, held_out: Sequence[NDArray[Any]]
) -> CalibrationCard | None:
    """Calibrate a head by cross-validated probabilities, and tell how well that works.

    Parameters
    ----------
    proba : array, shape (N, K)
        Of each cell, from a head that was not taught by its fold.
    labels : array, shape (N,), int
        True class numbers.
    held_out : sequence of array of int
        Rows of each fold.

    Returns
    -------
    CalibrationCard or None
        None below `MIN_LABELS` labels.
    """
    if len(labels) < MIN_LABELS:
        return None
    after = np.zeros_like(proba, dtype=np.float32)
    for test in held_out:
        others = np.setdiff1d(np.arange(len(labels)), test)
        after[test] = calibrated(proba[test], fit_temperature(proba[others], labels[others]))
    return CalibrationCard(
        temperature=fit_temperature(proba, labels),
        labels=len(labels),
        error_before=calibration_error(proba, labels),
        error_after=calibration_error(after, labels),
        bins=reliability(after, labels),
    )


def reliability(proba: Proba, labels: Labels) -> tuple[tuple[int, float, float], ...]:
    """Cells, mean probability and share that was right, a tenth of the top probability at a time.

    Tenths without cells are left out.
    """
    top, right = proba.max(axis=1), proba.argmax(axis=1) == labels
    tenth = np.minimum((top * 10).astype(int), 9)
    return tuple(
        (int(own.sum()), float(top[own].mean()), float(right[own].mean()))
        for own in (tenth == number for number in np.unique(tenth))
    )


def calibration_error(proba: Proba, labels: Labels) -> float:
    """Find the expected calibration error: how far, on average, tenths are from what they say."""
    bins = reliability(proba, labels)
    return sum(count * abs(said - was) for count, said, was in bins) / max(1, len(labels))

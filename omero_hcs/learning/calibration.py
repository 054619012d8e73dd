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

FLOOR = 1e-3
"""What is added to each probability, so that none is 0, where nothing else was found better."""

_FLOORS = (FLOOR, 1e-2, 0.1)
_RANGE = (np.log(0.05), np.log(20.0))


def calibrated(proba: Proba, temperature: float, floor: float = FLOOR) -> NDArray[np.float32]:
    """Scale probabilities by a temperature; the order of the classes stays the same.

    Parameters
    ----------
    proba : array, shape (N, K)
        Rows sum to 1.
    temperature : float
        Above 1 they get less sure, below 1 surer.
    floor : float
        Added to each of them first. Neighbours that all agree say 0 and 1, and five of them cannot
        know that: the temperature alone would have to make every cell unsure for these.

    Returns
    -------
    array, shape (N, K), float32

    References
    ----------
    Guo et al., "On calibration of modern neural networks", ICML 2017, section 4.2.
    """
    logits = np.log(proba + floor) / temperature
    raised = np.exp(logits - logits.max(axis=1, keepdims=True)) if len(proba) else logits
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), dtype=np.float32)


def calibrated_by(card: CalibrationCard | None, proba: Proba) -> Proba:
    """Scale probabilities (N, K) as a model's card says; without one they stay as they are."""
    return proba if card is None else calibrated(proba, card.temperature, card.floor)


def fit_calibration(proba: Proba, labels: Labels) -> tuple[float, float]:
    """Find the temperature and the floor under which held-out labels are most likely."""
    found = []
    for floor in _FLOORS:

        def loss(log_temperature: float, floor: float = floor) -> float:
            return _log_loss(calibrated(proba, float(np.exp(log_temperature)), floor), labels)

        best = minimize_scalar(loss, bounds=_RANGE, method="bounded")
        found.append((float(best.fun), float(np.exp(best.x)), floor))
    _, temperature, floor = min(found)
    return temperature, floor


def _log_loss(proba: Proba, labels: Labels) -> float:
    return float(-np.log(np.maximum(proba[np.arange(len(labels)), labels], 1e-9)).mean())


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
        None below `MIN_LABELS` labels. Its temperature is 1 where what is found on some folds makes
        the labels of the others less likely.
    """
    if len(labels) < MIN_LABELS:
        return None
    after = np.zeros_like(proba, dtype=np.float32)
    for test in held_out:
        others = np.setdiff1d(np.arange(len(labels)), test)
        after[test] = calibrated(proba[test], *fit_calibration(proba[others], labels[others]))
    temperature, floor = fit_calibration(proba, labels)
    as_is = calibrated(proba, 1.0)
    if _log_loss(after, labels) >= _log_loss(as_is, labels):
        # What is right for some wells is wrong for others: better no correction than a false one.
        temperature, floor, after = 1.0, FLOOR, as_is
    return CalibrationCard(
        temperature=temperature,
        floor=floor,
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

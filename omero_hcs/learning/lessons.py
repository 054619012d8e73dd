"""What every head is taught with: features and class numbers, checked, and weights of classes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from omero_hcs.errors import InputError, LabelError

Features = NDArray[np.float32]
Labels = NDArray[np.integer[Any]]
Tensors = dict[str, NDArray[Any]]
ClassWeights = Literal["balanced", "none"]

ALIKE = 1e-6
"""Features that differ by less, against their own size, say nothing of the cells."""


def check_lesson(features: Features, labels: Labels, classes: int | None) -> int:
    """Count the classes, if features and labels can be learnt from.

    Parameters
    ----------
    features : array, shape (N, D)
        Of the labelled cells.
    labels : array, shape (N,), int
        Class numbers.
    classes : int or None
        How many there are; as many as there are labels of by default.

    Raises
    ------
    LabelError
        If labels are of one class only, or of more classes than there are.
    InputError
        If features are not finite, all alike, or do not fit the labels.
    """
    if features.ndim != 2 or len(features) != len(labels):
        msg = f"Features {features.shape} and labels {labels.shape} do not fit together."
        raise InputError(msg)
    present = np.unique(labels)
    if len(present) < 2:
        msg = f"All {len(labels)} labels are of one class. Label cells of another class, too."
        raise LabelError(msg)
    count = int(present[-1]) + 1 if classes is None else classes
    if present[0] < 0 or present[-1] >= count:
        msg = f"Class numbers go from {present[0]} to {present[-1]}; there are {count} classes."
        raise LabelError(msg)
    if spread(finite(features)) <= ALIKE * float(np.abs(features).max()):
        msg = (
            f"All {len(labels)} labelled cells look the same to the encoder, so nothing can be "
            "learnt from them. Check that the images are not of one grey level (empty, or the "
            "wrong channel)."
        )
        raise InputError(msg)
    return count


def finite(features: Features) -> Features:
    """Give features back if all are numbers.

    Raises
    ------
    InputError
        If some are not.
    """
    bad = int((~np.isfinite(features).all(axis=1)).sum())
    if bad:
        msg = (
            f"{bad} of {len(features)} cells have features that are no numbers (NaN or infinite). "
            "Check the images for NaN pixels, or pass --precision fp32."
        )
        raise InputError(msg)
    return features


def spread(features: Features) -> float:
    """Root mean square distance of single features from their mean."""
    return float(np.sqrt(features.var(axis=0, dtype=np.float64).mean()))


def weights_of_classes(
    labels: Labels, classes: int, how: ClassWeights = "balanced"
) -> NDArray[np.float64]:
    """Find how much one label of each class counts, shape (classes,).

    Parameters
    ----------
    labels : array, shape (N,), int
        Class numbers; 0 is that of good cells.
    classes : int
        How many there are; those without labels count nothing.
    how : {"balanced", "none"}
        With "balanced", good cells count as much as all others together, and the other classes
        alike, however many labels each has; labels count 1 on average. Were good cells one class
        among many kinds of artefacts, nearly every cell would be called one: on a simulated plate
        with 175 good cells and 8 kinds of about 22 labels, logistic regression gave 55 % false
        alarms like that.
    """
    counts = np.bincount(labels, minlength=classes)
    there = (counts > 0).astype(np.float64)
    if how == "none":
        return there
    shares = there / max(1.0, there[1:].sum())
    shares[0] = there[0]
    weights: NDArray[np.float64] = len(labels) * shares / (np.maximum(counts, 1) * shares.sum())
    return weights


def check_class_weights(how: str) -> ClassWeights:
    """Give the way in which classes are weighted, if there is such a one.

    Raises
    ------
    InputError
        If there is not.
    """
    if how == "balanced" or how == "none":
        return how  # type: ignore[return-value]  # mypy does not narrow str to a Literal
    msg = f"There are no class weights {how!r}. Pass one of: balanced, none."
    raise InputError(msg)


def missing(tensors: Tensors, names: Iterable[str]) -> list[str]:
    """Tell which tensors a head lacks."""
    return [f"it has no tensor {name!r}" for name in names if name not in tensors]


def untrained(kind: str) -> str:
    """Tell that a head was asked before it was taught."""
    return f"This {kind} head has not learnt anything yet. Train it with fit() first."

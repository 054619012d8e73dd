"""How well labelled cells are judged by what other wells taught, or by a model that is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omero_hcs.errors import LabelError
from omero_hcs.learning.calibration import (
    calibrate,
    calibrated_by,
    calibration_error,
    reliability,
)
from omero_hcs.learning.evaluate import class_scores, field_scores, scores
from omero_hcs.learning.folds import Apart, Folds, choose_folds
from omero_hcs.learning.learners import Learner, cross_validate
from omero_hcs.learning.modelcard import CalibrationCard
from omero_hcs.results import Table
from omero_hcs.tasks.labelled import Labelled

Proba = NDArray[np.float32]

FEW_GROUPS = 8
"""Wells below which an interval says little: it is drawn from a handful of values."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How well labelled crops were judged.

    Parameters
    ----------
    labelled : Labelled
        The crops.
    proba : array, shape (N, K)
        What was said of each; calibrated where labels are enough for that.
    apart : {"well", "field", "crop"}
        What was never on both sides of the test.
    metrics : mapping
        As `learning.evaluate.scores` gives them, and `field_scores` where whole fields are
        labelled.
    by_class : tuple of dict
        As `learning.evaluate.class_scores` gives them.
    calibration : CalibrationCard, optional
        Of what was taught here; None below 50 labels, and of a model that brought its own.
    warnings : tuple of str
        What a reader has to know.
    """

    labelled: Labelled
    proba: Proba
    apart: Apart
    metrics: Mapping[str, float | int]
    by_class: tuple[dict[str, Any], ...]
    calibration: CalibrationCard | None
    warnings: tuple[str, ...]

    @property
    def bins(self) -> tuple[tuple[int, float, float], ...]:
        """Cells, mean probability and share that was right, a tenth of the probability each."""
        own = self.calibration
        return own.bins if own else reliability(self.proba, self.labelled.numbers)

    @property
    def calibration_error(self) -> float:
        """How far, on average, probabilities are from what they say."""
        own = self.calibration
        return own.error_after if own else calibration_error(self.proba, self.labelled.numbers)


def folds_of(labelled: Labelled, *, folds: int, seed: int, crops_alone: bool = False) -> Folds:
    """Decide which crops are held out together.

    Parameters
    ----------
    labelled : Labelled
        The crops.
    folds : int
        How many parts at most.
    seed : int
        Of the shuffle.
    crops_alone : bool
        Whether crops may be held out one by one where neither wells nor fields can be kept apart.

    Raises
    ------
    LabelError
        If they cannot, and may not.
    """
    found = choose_folds(
        labelled.numbers,
        labelled.table["group"],
        fields=labelled.table["unit"],
        folds=folds,
        rng=np.random.default_rng(seed),
    )
    if found.apart == "crop" and not crops_alone:
        msg = (
            f"Labels of {labelled.name} cannot be tested: {_where_classes_are(labelled)}. Cells of "
            "one field give each other away, so a test on them says nothing. Label each class in "
            "two wells, or at least in two fields. Of a folder of crops, tell where each crop is "
            "from: pass --pattern, such as '{well}_{field}_{cell}', or write it into crops.csv. Or "
            "pass --each-crop-alone: every result is then marked so."
        )
        raise LabelError(msg)
    return found


def _where_classes_are(labelled: Labelled) -> str:
    table = labelled.table
    few = []
    for name in labelled.classes:
        units = np.unique(table["unit"][table["label"] == name])
        if len(units) < 2:
            few.append(f"all {name!r} are from {units[0]}")
    return "; ".join(few) or "no split leaves each class on both sides"


def evaluate(
    labelled: Labelled,
    learner: Learner,
    *,
    folds: int = 5,
    seed: int = 0,
    crops_alone: bool = False,
) -> Evaluation:
    """Teach by some wells and test on the others, in turn.

    Parameters
    ----------
    labelled : Labelled
        The crops.
    learner : Learner
        What learns from them.
    folds : int
        How many parts are held out in turn.
    seed : int
        Of shuffle, training and intervals.
    crops_alone : bool
        See `folds_of`.

    Raises
    ------
    LabelError
        If the labels cannot be tested.
    """
    held_out = folds_of(labelled, folds=folds, seed=seed, crops_alone=crops_alone)
    proba, calibration = held_out_probabilities(labelled, learner, held_out, seed=seed)
    return judged(labelled, proba, held_out, calibration=calibration, seed=seed)


def held_out_probabilities(
    labelled: Labelled, learner: Learner, folds: Folds, *, seed: int
) -> tuple[Proba, CalibrationCard | None]:
    """Probabilities (N, K) of each crop by what other folds taught, calibrated if possible."""
    proba = cross_validate(learner, folds.held_out, rng=np.random.default_rng(seed))
    calibration = calibrate(proba, labelled.numbers, folds.held_out)
    return calibrated_by(calibration, proba), calibration


def judged(
    labelled: Labelled,
    proba: Proba,
    folds: Folds,
    *,
    calibration: CalibrationCard | None = None,
    seed: int = 0,
) -> Evaluation:
    """Score what was said of labelled crops.

    Parameters
    ----------
    labelled : Labelled
        The crops.
    proba : array, shape (N, K)
        What was said of each.
    folds : Folds
        How they were tested.
    calibration : CalibrationCard, optional
        How the probabilities were calibrated.
    seed : int
        Of the intervals.
    """
    table, numbers = labelled.table, labelled.numbers
    rng = np.random.default_rng(seed)
    groups, weak = groups_of(labelled, folds), table["weak"]
    own = own_rows(labelled)
    metrics = scores(numbers[own], proba[own], labelled.classes, groups[own], rng=rng)
    if weak.any():
        metrics |= field_scores(
            numbers[weak], proba[weak], table["unit"][weak], groups[weak], rng=rng
        )
    return Evaluation(
        labelled=labelled,
        proba=proba,
        apart=folds.apart,
        metrics=metrics,
        by_class=tuple(class_scores(numbers[own], proba[own], labelled.classes)),
        calibration=calibration,
        warnings=(*labelled.warnings, *_warnings(labelled, folds, int(metrics["groups"]))),
    )


def own_rows(labelled: Labelled) -> NDArray[np.bool_]:
    """Which crops have a label of their own, shape (N,); all where whole fields are labelled."""
    own: NDArray[np.bool_] = ~labelled.table["weak"]
    return own if own.any() else ~own


def groups_of(labelled: Labelled, folds: Folds) -> NDArray[Any]:
    """Name what is drawn together for an interval: wells, fields, or each crop."""
    if folds.apart == "crop":
        return np.arange(len(labelled.table))
    return labelled.table["group" if folds.apart == "well" else "unit"]


def _warnings(labelled: Labelled, folds: Folds, groups: int) -> list[str]:
    told = [folds.reason] if folds.reason else []
    if groups < FEW_GROUPS:
        told.append(
            f"Intervals rest on {groups} {folds.apart}s only, and are narrower than they should "
            f"be: label cells in {FEW_GROUPS} or more."
        )
    weak = int(labelled.table["weak"].sum())
    if weak == len(labelled.table):
        told.append("All labels are of whole fields: some cells are not what their field is.")
    return told


def doubtful(evaluation: Evaluation) -> Table:
    """Labels that were not confirmed, those that were contradicted most first: worth a second look.

    Returns
    -------
    Table
        `label`, `judged` (the class that was found), `p_judged`, `p_label`, and where the cell is:
        `plate`, `well`, `unit`, `image`, `y`, `x`, `user`, `link`; `row` is that of the crop.
    """
    labelled, proba = evaluation.labelled, evaluation.proba
    numbers, said = labelled.numbers, proba.argmax(axis=1)
    every = np.arange(len(numbers))
    wrong = np.flatnonzero(said != numbers)
    rows = wrong[np.argsort(proba[wrong, numbers[wrong]], kind="stable")]
    names = ("plate", "well", "unit", "image", "y", "x", "user", "link")
    known = {name: labelled.table[name][rows] for name in names if name in labelled.table}
    return Table({
        "row": rows,
        "label": labelled.table["label"][rows],
        "judged": np.array(labelled.classes)[said[rows]],
        "p_judged": proba[every, said][rows],
        "p_label": proba[every, numbers][rows],
        **known,
    })  # fmt: skip

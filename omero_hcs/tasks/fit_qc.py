"""From labelled cells to a model file: seen by the encoder, tested held out, calibrated, fitted."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from omero_hcs.errors import LabelError
from omero_hcs.learning.calibration import calibrate, calibrated_by
from omero_hcs.learning.evaluate import field_scores, scores
from omero_hcs.learning.folds import choose_folds
from omero_hcs.learning.learners import Learner, cross_validate
from omero_hcs.learning.modelcard import CalibrationCard
from omero_hcs.learning.modelfile import save_model
from omero_hcs.model import RunSpec
from omero_hcs.results import Table
from omero_hcs.tasks.base import WITHIN_UNIT
from omero_hcs.tasks.embedding import embedder_of_params
from omero_hcs.tasks.examples import Examples
from omero_hcs.tasks.known_cells import Portraits, known_cells
from omero_hcs.tasks.labels import check_counts, count_by_class
from omero_hcs.tasks.model_card import describe_card, make_card
from omero_hcs.tasks.teaching import gathered, learner_by, taught_by_all
from omero_hcs.tasks.tuning_time import folds_of

if TYPE_CHECKING:
    from omero_hcs.tasks.train_qc import Params


@dataclass(frozen=True, eq=False)
class Fitted:
    """A model file, lines about it for the user, and what he should know."""

    content: bytes
    lines: Mapping[str, float | int | str]
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """How good the model seems on cells that it was not taught by."""

    metrics: Mapping[str, float | int]
    calibration: CalibrationCard | None
    reason: str | None
    """Why wells could not be kept apart."""


def fit_qc(spec: RunSpec, params: Params, examples: Examples) -> Fitted:
    """Teach a head what users labelled, and write the model down.

    Raises
    ------
    LabelError
        If too few labels are left when conflicts are settled and fields were looked into.
    """
    channels = len(spec.context["survey"]["channels"])
    eyes = embedder_of_params(params, channels, measures=params.measures)
    portraits = Portraits(examples.finder, params.keep_examples)
    cells = gathered(params, eyes[1], portraits.watch(examples.crops()))
    names = spec.context["classes"]
    _check_enough(examples, names)
    learner = learner_by(
        params,
        eyes,
        cells,
        examples.table,
        names,
        WITHIN_UNIT.get(),
    )
    held_out = _held_out(params, names, learner, examples.table)
    taught = taught_by_all(learner, eyes, seed=params.seed)
    card = make_card(spec, examples, taught, metrics=held_out.metrics)
    known = known_cells(params, examples, taught.features, taught.embedder, portraits.pictures)
    card = known.on_card(card.model_copy(update={"calibration": held_out.calibration}))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        save_model(path, card, taught.head, {**taught.parts, **known.parts})
        content = path.read_bytes()
    apart = "cells held out" if held_out.reason else "wells held out"
    lines = {**describe_card(card), "tested on": apart, **known.lines}
    lines["file"] = f"{len(content) / 1e6:.1f} MB"
    if eyes[0].told:
        lines["weights"] = eyes[0].told
    told = (held_out.reason,) if held_out.reason else ()
    return Fitted(content, lines, (*told, *known.warnings))


def _check_enough(examples: Examples, classes: tuple[str, ...]) -> None:
    """Check the classes again, now that conflicts are settled and fields have been looked into."""
    table = examples.table
    try:
        check_counts(count_by_class(table) if len(table) else {}, classes)
    except LabelError as error:
        raise LabelError("\n".join([str(error), *examples.warnings()])) from None


def _held_out(params: Params, names: tuple[str, ...], learner: Learner, table: Table) -> HeldOut:
    """Score cells that have a label of their own, and fields that were labelled as a whole."""
    groups, weak, classes = table["group"], table["weak"], learner.labels
    rng, split = np.random.default_rng(params.seed), np.random.default_rng(params.seed)
    folds = choose_folds(classes, groups, folds=folds_of(params), rng=split)
    proba = cross_validate(learner, folds.held_out, rng=rng)
    calibration = calibrate(proba, classes, folds.held_out)
    proba = calibrated_by(calibration, proba)
    metrics: dict[str, float | int] = {}
    own = ~weak
    if own.any():
        metrics |= scores(classes[own], proba[own], names, groups=groups[own], rng=rng)
    if weak.any():
        metrics |= field_scores(
            classes[weak], proba[weak], table["unit"][weak], groups=groups[weak], rng=rng
        )
    return HeldOut(metrics, calibration, folds.reason)

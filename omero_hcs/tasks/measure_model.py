"""How well a model that is there judges labels that it has not learnt from."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from omero_hcs.errors import InputErrors, LabelError
from omero_hcs.learning.calibration import calibrated_by
from omero_hcs.learning.folds import Folds
from omero_hcs.learning.modelcard import ModelCard, fit_problems
from omero_hcs.model import Image, ModelRef
from omero_hcs.settings import load_settings
from omero_hcs.stores.open import open_store
from omero_hcs.tasks.base import Progress
from omero_hcs.tasks.embedding import embedder_of_model
from omero_hcs.tasks.fitting import as_trained, fitted
from omero_hcs.tasks.labelled import Labelled, embedded
from omero_hcs.tasks.labelled_sources import Fit, labelled_of
from omero_hcs.tasks.models import ON_SERVER, find_model, load
from omero_hcs.tasks.qc_choices import EvaluateParams, SourceParams
from omero_hcs.tasks.qc_evaluate import Evaluation, judged
from omero_hcs.tasks.sources import joined

if TYPE_CHECKING:
    from omero_hcs.learning.modelfile import Model


def evaluate_model(
    where: Sequence[str], params: EvaluateParams, name: str, progress: Progress
) -> tuple[Evaluation, dict[str, Any]]:
    """Let a model judge the labels that it has not learnt from.

    Parameters
    ----------
    where : sequence of str
        Plates, images or folders of crops.
    params : EvaluateParams
        What is asked for; channels and crop size are the model's where they are not named.
    name : str
        The model.
    progress : callable
        See `tasks.base.Progress`.

    Returns
    -------
    Evaluation, dict
        What came out, and facts about the model.

    Raises
    ------
    LabelError
        If there are no labels that it has not learnt from, or of classes that it does not know.
    InputErrors, ScaleMismatchError
        If the labelled cells do not fit the model.
    """
    reference = _find(name, where)
    model: Model = load(reference)
    labelled = _fitting(where, params, model.card, reference.name, progress)
    kept, told = _unseen(labelled, model.card)
    embedder = embedder_of_model(model, weights=params.weights, precision=params.precision)
    features = embedded(kept.crops, embedder, progress)
    proba = calibrated_by(model.card.calibration, model.head.predict_proba(features))
    kept = replace(kept, warnings=(*kept.warnings, *told))
    facts = {
        "what": f"model {reference.name}",
        "model": {"name": reference.name, "sha256": reference.sha256},
        "tested": "labels that the model has not learnt from",
        "left_out": len(labelled.table) - len(kept.table),
    }
    return judged(kept, np.asarray(proba), Folds(()), seed=params.seed), facts


def _find(name: str, where: Sequence[str]) -> ModelRef:
    settings = load_settings().values
    if not name.startswith(ON_SERVER):
        return find_model(name, settings)
    with contextlib.closing(open_store(joined(where))) as store:
        return find_model(name, settings, store)


def _fitting(
    where: Sequence[str], params: EvaluateParams, card: ModelCard, model: str, progress: Progress
) -> Labelled:
    """Gather the labelled cells, cropped and scaled as the model's were."""

    def as_model(own: SourceParams, image: Image, plate: str) -> SourceParams:
        return as_trained(own, card, image, model=model, plate=plate)

    fit = Fit(params=as_model, survey=lambda found: fitted(found, card, any_scale=params.any_scale))
    labelled = labelled_of(where, params, fit=fit, progress=progress)
    faults = []
    unknown = [name for name in labelled.classes if name not in card.classes]
    if unknown:
        faults.append(
            f"Model {model} does not know {', '.join(map(repr, unknown))}; its classes are "
            f"{', '.join(card.classes)}. Pass --classes with these, such as "
            f"{unknown[0]}={card.classes[-1]}."
        )
    if len(labelled.channels) != len(card.channels):
        faults += fit_problems(card, channels=labelled.channels)
    if faults:
        raise InputErrors(faults)
    told = labelled.warnings
    if labelled.scale is None:
        told = (*told, f"Whether the crops are of the scale of model {model} is not known.")
    return replace(labelled, classes=card.classes, warnings=told)


def _unseen(labelled: Labelled, card: ModelCard) -> tuple[Labelled, list[str]]:
    """Leave out what the model learnt from, and say so.

    Raises
    ------
    LabelError
        If nothing is left, or one class only.
    """
    learnt = learnt_from(labelled, card)
    rows = np.flatnonzero(~learnt)
    kept = replace(labelled, crops=labelled.crops[rows], table=labelled.table.where(rows))
    if len(set(kept.table["label"].tolist())) < 2:
        msg = (
            f"Model {card.name} learnt from {int(learnt.sum())} of these {len(learnt)} labels or "
            "from their wells, and what is left is of one class at most. Label cells in other "
            "wells or on another plate; or leave --model out, which tests by wells held out."
        )
        raise LabelError(msg)
    if not learnt.any():
        return kept, []
    text = (
        f"{int(learnt.sum())} of {len(learnt)} labels were left out: model {card.name} learnt from "
        "them, or from other cells of their wells."
    )
    return kept, [text]


def learnt_from(labelled: Labelled, card: ModelCard) -> NDArray[np.bool_]:
    """Which labels a model has seen, shape (N,), or cells of whose wells it has seen.

    Those that are the very labels of its card, annotations that its card names, and those in wells
    of its training plates that had labels.
    """
    table = labelled.table
    if card.labels.sha256 is not None and labelled.labels_sha256 == card.labels.sha256:
        return np.ones(len(table), dtype=bool)
    learnt = np.zeros(len(table), dtype=bool)
    if "object_id" in table:
        known = {one for one in card.labels.provenance.object_id if one}
        learnt |= np.isin(table["object_id"], sorted(known)) if known else False
    if labelled.name == card.training.name:
        learnt |= np.isin(table["well"], [well for well in card.labels.wells if well])
    return learnt

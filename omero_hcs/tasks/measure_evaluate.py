"""`omero-hcs qc evaluate`: how good a model is that is taught by some wells, or that is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omero_hcs.report.reliability import reliability_figure
from omero_hcs.report.score_figures import confusion_figure
from omero_hcs.results import Table
from omero_hcs.settings import load_settings
from omero_hcs.tasks.base import Progress, no_progress
from omero_hcs.tasks.embedding import check_encoder
from omero_hcs.tasks.labelled import learner_of, seen_by
from omero_hcs.tasks.labelled_sources import labelled_of
from omero_hcs.tasks.measurement import (
    HELD_OUT,
    Measurement,
    details_of,
    document,
    encoder_facts,
    encoder_name,
    markdown_table,
    told_score,
    told_scores,
)
from omero_hcs.tasks.qc_choices import EvaluateParams
from omero_hcs.tasks.qc_evaluate import Evaluation, doubtful, evaluate, folds_of

_SHOWN = 20


def measure_evaluate(
    where: Sequence[str], params: EvaluateParams, progress: Progress = no_progress
) -> Measurement:
    """Measure how well labels are judged by what other wells taught, or by a model.

    Parameters
    ----------
    where : sequence of str
        Plates, images or folders of crops.
    params : EvaluateParams
        What is asked for.
    progress : callable
        See `tasks.base.Progress`.

    Raises
    ------
    LabelError, InputErrors
        If the labels cannot be tested.
    """
    if params.model is not None:
        from omero_hcs.tasks.measure_model import evaluate_model

        found, facts = evaluate_model(where, params, params.model, progress)
        return _measured(where, params, found, facts)
    check_encoder(params, load_settings().values)
    labelled = labelled_of(where, params, progress=progress)
    # Before minutes of embedding: labels that cannot be tested are refused by their places alone.
    folds_of(labelled, folds=params.folds, seed=params.seed, crops_alone=params.each_crop_alone)
    seen = seen_by(labelled, params, progress)
    found = evaluate(
        labelled,
        learner_of(labelled, params, seen),
        folds=params.folds,
        seed=params.seed,
        crops_alone=params.each_crop_alone,
    )
    facts = {"what": f"{encoder_name(seen)}, {params.head}", "encoder": encoder_facts(seen)}
    return _measured(where, params, found, facts)


def _measured(
    where: Sequence[str], params: EvaluateParams, found: Evaluation, facts: dict[str, Any]
) -> Measurement:
    what, metrics = str(facts["what"]), found.metrics
    held_out = facts.get("tested", HELD_OUT[found.apart])
    lines = {
        "tested": what,
        "how": f"{held_out}; {metrics['labels']} labels, {metrics['groups']} {found.apart}s",
        **told_scores(metrics),
    }
    if "field_accuracy" in metrics:
        lines["fields judged as labelled"] = told_score(metrics, "field_accuracy")
    lines["calibration error"] = _calibration(found)
    again = doubtful(found)
    lines["labels not confirmed"] = f"{len(again)} of {len(found.labelled.table)}"
    details = details_of("evaluate", where, params, [found.labelled])
    details |= {**facts, "apart": found.apart, "metrics": dict(metrics)}
    details |= {"classes": list(found.by_class), "calibration": _calibration_facts(found)}
    details["warnings"] = list(found.warnings)
    title = f"{found.labelled.name}: {what}"
    note = f"{held_out}. F1 {told_score(metrics, 'f1')}, 95 % interval by {found.apart}."
    return Measurement(
        tables={
            "table": Table.from_rows([{"judge": what, "held_out": found.apart, **metrics}]),
            "classes": _classes_table(found),
            "doubtful": again,
        },
        text=_text(title, lines, found, again),
        figures={
            "figure": confusion_figure(found.by_class, title=title, note=note),
            "reliability": reliability_figure(
                found.bins, title=title, note=f"Calibration error: {_calibration(found)}."
            ),
        },
        details=details,
        lines=lines,
        warnings=found.warnings,
    )


def _calibration(found: Evaluation) -> str:
    own = found.calibration
    if own is None:
        return f"{found.calibration_error:.3f}, as judged"
    return f"{own.error_before:.3f} as judged, {own.error_after:.3f} calibrated"


def _calibration_facts(found: Evaluation) -> dict[str, Any]:
    own = found.calibration.model_dump() if found.calibration else {}
    return {**own, "error": found.calibration_error, "bins": [list(one) for one in found.bins]}


def _classes_table(found: Evaluation) -> Table:
    rows = [
        {
            **{key: value for key, value in one.items() if key != "judged"},
            **{f"judged_{name}": count for name, count in one["judged"].items()},
        }
        for one in found.by_class
    ]
    return Table.from_rows(rows)


def _text(title: str, lines: dict[str, str], found: Evaluation, again: Table) -> str:
    classes = found.labelled.classes
    by_class = [
        [one["class"], one["labels"], *(f"{one[key]:.3f}" for key in ("precision", "recall", "f1"))]
        + [one["judged"][name] for name in classes]
        for one in found.by_class
    ]
    header = ["class", "labels", "precision", "recall", "F1", *(f"judged {n}" for n in classes)]
    wanted = ("label", "judged", "p_label", "plate", "well", "unit", "y", "x", "image", "link")
    columns = [name for name in wanted if name in again]
    first = [[_shown(row[name]) for name in columns] for row in _first(again)]
    parts = [f"# {title}\n", markdown_table(["what", "value"], list(lines.items()))]
    parts += ["## Classes\n", markdown_table(header, by_class)]
    if first:
        parts += ["## Labels worth a second look\n", markdown_table(columns, first)]
    return document(parts, found.warnings)


def _first(table: Table) -> list[dict[str, Any]]:
    import numpy as np

    return list(table.where(np.arange(min(_SHOWN, len(table)))).rows())


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)

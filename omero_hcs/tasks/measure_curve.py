"""`omero-hcs qc learning-curve`: how good a model gets with how many labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from omero_hcs.report.score_figures import curve_figure
from omero_hcs.results import Table
from omero_hcs.settings import load_settings
from omero_hcs.tasks.base import Progress, no_progress
from omero_hcs.tasks.embedding import check_encoder
from omero_hcs.tasks.labelled import learner_of, seen_by
from omero_hcs.tasks.labelled_sources import labelled_of
from omero_hcs.tasks.measurement import (
    HELD_OUT,
    SCORES,
    Measurement,
    details_of,
    document,
    encoder_facts,
    encoder_name,
    markdown_table,
)
from omero_hcs.tasks.qc_choices import CurveParams
from omero_hcs.tasks.qc_evaluate import folds_of
from omero_hcs.tasks.qc_learning_curve import (
    TEST_PARTS,
    Curve,
    learning_curve,
    worth_of_picking,
)


def measure_curve(
    where: Sequence[str], params: CurveParams, progress: Progress = no_progress
) -> Measurement:
    """Measure models that learnt from ever fewer labels, on the same wells.

    Parameters
    ----------
    where : sequence of str
        Plates, images or folders of crops.
    params : CurveParams
        What is asked for.
    progress : callable
        See `tasks.base.Progress`.

    Raises
    ------
    LabelError, InputErrors
        If the labels cannot be tested.
    """
    check_encoder(params, load_settings().values)
    labelled = labelled_of(where, params, progress=progress)
    folds_of(labelled, folds=TEST_PARTS, seed=params.seed, crops_alone=params.each_crop_alone)
    seen = seen_by(labelled, params, progress)
    curve = learning_curve(
        labelled,
        learner_of(labelled, params, seen),
        counts=params.counts,
        seeds=params.seeds,
        picks=params.pick,
        seed=params.seed,
        crops_alone=params.each_crop_alone,
        progress=progress,
    )
    what = f"{encoder_name(seen)}, {params.head}"
    rows, worth = curve.rows(), worth_of_picking(curve)
    details = details_of("learning-curve", where, params, [labelled])
    details |= {"what": what, "encoder": encoder_facts(seen), "apart": curve.apart}
    details |= {"tested": curve.tested, "scores": rows, "worth_of_picking": worth}
    details["warnings"] = list(curve.warnings)
    title = f"{labelled.name}: {what}"
    how = f"{curve.tested} labels tested, the same each time; {HELD_OUT[curve.apart]}"
    # Every line says by what it was judged: tables are copied without what is around them.
    tables = {
        name: Table.from_rows([{"judge": what, **row} for row in own])
        for name, own in (("table", rows), ("draws", curve.points))
    }
    if worth:
        tables["picking"] = Table.from_rows([{"judge": what, **row} for row in worth])
    note = f"{how}. Mean of {params.seeds} draws; bands from the lowest to the highest."
    return Measurement(
        tables=tables,
        text=_text(title, how, curve, worth),
        figures={"figure": curve_figure(rows, title=title, note=note)},
        details=details,
        lines={"how": how, **{_named(row, params): _told(row, "f1") for row in reversed(rows)}},
        warnings=curve.warnings,
    )


def _named(row: dict[str, Any], params: CurveParams) -> str:
    picked = f", {row['pick']}" if len(params.pick) > 1 else ""
    return f"F1 of {row['count']} labels{picked}"


def _told(row: dict[str, Any], name: str) -> str:
    spread = row[f"{name}_sd"]
    return f"{row[name]:.3f}" + (f" +- {spread:.3f}" if math.isfinite(spread) else "")


def _text(title: str, how: str, curve: Curve, worth: list[dict[str, Any]]) -> str:
    rows = [
        [row["count"], row["pick"], *(_told(row, name) for name in SCORES)]
        for row in reversed(curve.rows())
    ]
    parts = [
        f"# {title}\n",
        f"{how}. Mean and standard deviation over draws.\n",
        markdown_table(["labels", "drawn", "Acc", "F1", "AUC"], rows),
    ]
    if worth:
        parts += [
            "## Labels saved\n",
            "How many labels drawn by chance are as good as those picked, by F1.\n",
            markdown_table(
                ["drawn", "labels", "F1", "as good as, by chance"],
                [[row["pick"], row["count"], f"{row['f1']:.3f}", _chance(row)] for row in worth],
            ),
        ]
    warnings = curve.warnings
    return document(parts, warnings)


def _chance(row: dict[str, Any]) -> str:
    return f"{row['random']:.0f}" if math.isfinite(row["random"]) else "more than were tried"

"""`omero-hcs qc transfer`: what one plate taught, tested on others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from omero_hcs.errors import ParamsError
from omero_hcs.report.score_figures import Scored, scores_figure
from omero_hcs.results import Table
from omero_hcs.tasks.base import Progress, no_progress
from omero_hcs.tasks.crop_names import is_crop_folder
from omero_hcs.tasks.embedding import embedder_of_params
from omero_hcs.tasks.fitting import normalize_as_where_few
from omero_hcs.tasks.labelled import Labelled, Seen, embedded, learner_of
from omero_hcs.tasks.labelled_sources import Fit, labelled_of
from omero_hcs.tasks.measurement import (
    Measurement,
    details_of,
    encoder_facts,
    encoder_name,
    markdown_table,
    notes,
    told_score,
    with_ends,
)
from omero_hcs.tasks.qc_choices import TransferParams
from omero_hcs.tasks.qc_transfer import Crossing, Transfer, check_targets, transfer
from omero_hcs.tasks.sources import joined
from omero_hcs.tasks.survey import PlateSurvey

SCORES = ("accuracy", "f1", "auc")


def measure_transfer(
    where: Sequence[str], params: TransferParams, progress: Progress = no_progress
) -> Measurement:
    """Teach by one source and test on others.

    Parameters
    ----------
    where : sequence of str
        The source, then the targets: plates, images or folders of crops.
    params : TransferParams
        What is asked for.
    progress : callable
        See `tasks.base.Progress`.

    Raises
    ------
    LabelError, InputErrors
        If targets do not fit the source, or labels cannot be tested.
    """
    _check_sources(where, params)
    parts = _parts(where, params, progress)
    check_targets(parts[0], parts[1:], any_scale=params.any_scale)
    encoder, embedder = embedder_of_params(params, len(parts[0].channels))
    features = np.concatenate([embedded(one.crops, embedder, progress) for one in parts])
    seen = Seen(encoder, embedder, features)
    found = transfer(
        parts[0],
        parts[1:],
        lambda joined: learner_of(joined, params, seen),
        both=params.both,
        any_scale=params.any_scale,
        side=encoder.input_size,
        folds=params.folds,
        seed=params.seed,
        crops_alone=params.each_crop_alone,
    )
    what = f"{encoder_name(seen)}, {params.head}"
    rows = [_row(found, one) for one in found.crossings]
    warnings = tuple(
        dict.fromkeys([*(text for one in parts for text in one.warnings), *found.warnings])
    )
    details = details_of("transfer", where, params, parts)
    details |= {"what": what, "encoder": encoder_facts(seen), "scores": rows}
    details["warnings"] = list(warnings)
    title = f"Taught by one, tested on another: {what}"
    return Measurement(
        tables={"table": Table.from_rows(rows)},
        text=_text(title, found, warnings),
        figures={"figure": _figure(title, found)},
        details=details,
        lines={_named(one): _told(found, one) for one in found.crossings},
        warnings=warnings,
    )


def _check_sources(where: Sequence[str], params: TransferParams) -> None:
    uris = [joined([one]) for one in where]
    twice = [one for one, uri in zip(where, uris, strict=True) if uris.count(uri) > 1]
    if twice:
        msg = f"{twice[0]} is named twice: a test on what was learnt from says nothing."
        raise ParamsError(msg)
    folders = [one for one in where if is_crop_folder(Path(one), params)]
    if folders and params.normalization != "own":
        msg = (
            f"--normalization {params.normalization} is for plates and images; {folders[0]} is a "
            "folder of crops, whose grey values are scaled by themselves. Leave it out."
        )
        raise ParamsError(msg)


def _parts(where: Sequence[str], params: TransferParams, progress: Progress) -> list[Labelled]:
    """Gather the crops of each source; targets are scaled as is asked for."""
    if params.normalization == "simsearch":
        fit = Fit(scaling="simsearch")
        return [labelled_of([one], params, fit=fit, progress=progress) for one in where]
    source = labelled_of(where[:1], params, progress=progress)
    learnt = source.normalization.to_dict() if source.normalization else {}

    def adapt(survey: PlateSurvey) -> PlateSurvey:
        if params.normalization == "own":
            return normalize_as_where_few(survey, learnt)
        scaled = {**learnt, "channels": list(survey.channels)}
        return survey.model_copy(update={"normalization": scaled})

    fit = Fit(survey=adapt)
    others = [labelled_of([one], params, fit=fit, progress=progress) for one in where[1:]]
    return [source, *others]


def _row(found: Transfer, one: Crossing) -> dict[str, Any]:
    metrics = one.evaluation.metrics
    row = {"taught": one.taught, "tested": one.tested, "held_out": one.within, **metrics}
    return {**row, "f1_loss": found.loss(one)}


def _named(one: Crossing) -> str:
    return f"{one.taught}, wells held out" if one.within else f"{one.taught} -> {one.tested}"


def _told(found: Transfer, one: Crossing) -> str:
    loss = "" if one.within else f", {found.loss(one):+.3f} lost"
    return f"F1 {told_score(one.evaluation.metrics, 'f1')}{loss}"


def _text(title: str, found: Transfer, warnings: Sequence[str]) -> str:
    rows = [
        [one.taught, f"{one.tested}{' (wells held out)' if one.within else ''}"]
        + [one.evaluation.metrics["labels"]]
        + [told_score(one.evaluation.metrics, name) for name in SCORES]
        + ["" if one.within else f"{found.loss(one):.3f}"]
        for one in found.crossings
    ]
    header = ["taught by", "tested on", "labels", "Acc", "F1", "AUC", "F1 lost"]
    parts = [f"# {title}\n", markdown_table(header, rows)]
    return "\n".join(parts) + (f"\n## Notes\n{notes(warnings)}" if warnings else "")


def _figure(title: str, found: Transfer) -> bytes:
    lines = [
        Scored(
            group=f"{one.taught}\n{'wells held out' if one.within else f'tested on {one.tested}'}",
            series="",
            scores={name: with_ends(one.evaluation.metrics, name) for name in SCORES},
        )
        for one in found.crossings
    ]
    return scores_figure(lines, title=title, note="Lines: 95 % intervals by well.")

"""`omero-hcs qc transfer`: what one plate taught, tested on others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omero_hcs.errors import ParamsError
from omero_hcs.report.score_figures import Scored, scores_figure
from omero_hcs.results import Table
from omero_hcs.settings import load_settings
from omero_hcs.tasks.base import Progress, no_progress
from omero_hcs.tasks.crop_names import is_crop_folder
from omero_hcs.tasks.embedding import check_encoder, embedder_of_params
from omero_hcs.tasks.fitting import normalize_as_where_few
from omero_hcs.tasks.labelled import Labelled, Seen, embedded, learner_of
from omero_hcs.tasks.labelled_sources import Fit, labelled_of
from omero_hcs.tasks.measurement import (
    SCORES,
    Measurement,
    details_of,
    document,
    encoder_facts,
    encoder_name,
    markdown_table,
    told_score,
    with_ends,
)
from omero_hcs.tasks.novelty_told import PlateNovelty
from omero_hcs.tasks.qc_choices import TransferParams
from omero_hcs.tasks.qc_transfer import Crossing, Transfer, check_targets, transfer
from omero_hcs.tasks.sources import joined
from omero_hcs.tasks.survey import PlateSurvey
from omero_hcs.tasks.transfer_novelty import novelty_between

Unlike = Mapping[tuple[str, str], PlateNovelty | None]
"""Whether a target looks unlike what taught, by the names of both."""


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
    check_encoder(params, load_settings().values)
    parts = _parts(where, params, progress)
    check_targets(parts[0], parts[1:], any_scale=params.any_scale)
    encoder, embedder = embedder_of_params(params, len(parts[0].channels), measures=params.measures)
    features = {one.name: embedded(one.crops, embedder, progress) for one in parts}
    seen = Seen(encoder, embedder, np.concatenate(list(features.values())))
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
    unlike = _unlike(found, parts, features, params.seed)
    rows = [_row(found, one, unlike) for one in found.crossings]
    warnings = _warnings(found, unlike)
    details = details_of("transfer", where, params, parts)
    details |= {"what": what, "encoder": encoder_facts(seen), "scores": rows}
    details["warnings"] = list(warnings)
    title = f"Taught by one, tested on another: {what}"
    return Measurement(
        tables={"table": Table.from_rows([{"judge": what, **row} for row in rows])},
        text=_text(title, found, warnings, unlike),
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


def _warnings(found: Transfer, unlike: Unlike) -> tuple[str, ...]:
    told = [text for one in found.crossings for text in one.evaluation.warnings]
    told += found.warnings
    told += [
        f"{tested} looks unlike what {taught} taught: {novel.text}."
        for (taught, tested), novel in unlike.items()
        if novel and novel.warns
    ]
    return tuple(dict.fromkeys(told))


def _unlike(
    found: Transfer,
    parts: Sequence[Labelled],
    features: Mapping[str, NDArray[np.float32]],
    seed: int,
) -> Unlike:
    """Whether each target looks unlike what taught; None where that cannot be told."""
    by_name = {one.name: (one, features[one.name]) for one in parts}
    return {
        (one.taught, one.tested): novelty_between(
            by_name[one.taught], by_name[one.tested], seed=seed
        )
        for one in found.crossings
        if not one.within
    }


def _row(found: Transfer, one: Crossing, unlike: Unlike) -> dict[str, Any]:
    metrics, novel = one.evaluation.metrics, unlike.get((one.taught, one.tested))
    return {
        "taught": one.taught,
        "tested": one.tested,
        "held_out": one.within,
        **metrics,
        "f1_loss": found.loss(one),
        "wells_unlike": novel.beyond if novel else "",
        "wells_compared": novel.count if novel else "",
        "looks_unlike": novel.warns if novel else "",
    }


def _named(one: Crossing) -> str:
    return f"{one.taught}, wells held out" if one.within else f"{one.taught} -> {one.tested}"


def _told(found: Transfer, one: Crossing) -> str:
    loss = "" if one.within else f", {found.loss(one):+.3f} lost"
    return f"F1 {told_score(one.evaluation.metrics, 'f1')}{loss}"


def _text(title: str, found: Transfer, warnings: Sequence[str], unlike: Unlike) -> str:
    rows = [
        [one.taught, f"{one.tested}{' (wells held out)' if one.within else ''}"]
        + [one.evaluation.metrics["labels"]]
        + [told_score(one.evaluation.metrics, name) for name in SCORES]
        + (["", ""] if one.within else [f"{found.loss(one):.3f}", _told_unlike(unlike, one)])
        for one in found.crossings
    ]
    header = ["taught by", "tested on", "labels", "Acc", "F1", "AUC", "F1 lost", "wells unlike"]
    parts = [f"# {title}\n", markdown_table(header, rows)]
    return document(parts, warnings)


def _told_unlike(unlike: Unlike, one: Crossing) -> str:
    novel = unlike[one.taught, one.tested]
    return novel.text if novel else "not known: too few wells"


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

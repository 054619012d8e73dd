"""`omero-hcs qc compare`: encoders and heads on the same labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from omero_hcs.errors import ParamsError
from omero_hcs.learning.learners import Learner
from omero_hcs.report.score_figures import Scored, scores_figure
from omero_hcs.results import Table
from omero_hcs.settings import load_settings
from omero_hcs.tasks.base import Progress, no_progress
from omero_hcs.tasks.embedding import check_encoder
from omero_hcs.tasks.labelled import Labelled, learner_of, seen_by
from omero_hcs.tasks.labelled_sources import labelled_of
from omero_hcs.tasks.measurement import (
    HELD_OUT,
    RANDOM,
    SCORES,
    Measurement,
    details_of,
    document,
    encoder_facts,
    markdown_table,
    told_score,
    with_ends,
)
from omero_hcs.tasks.model_choice import HeadKind
from omero_hcs.tasks.qc_choices import CompareParams
from omero_hcs.tasks.qc_compare import Comparison, Way, compare


def measure_compare(
    where: Sequence[str], params: CompareParams, progress: Progress = no_progress
) -> Measurement:
    """Measure every encoder with every head, on the same wells held out.

    Parameters
    ----------
    where : sequence of str
        Plates, images or folders of crops.
    params : CompareParams
        What is asked for.
    progress : callable
        See `tasks.base.Progress`.

    Raises
    ------
    ParamsError
        If an encoder or head is named twice.
    LabelError, InputErrors
        If the labels cannot be tested.
    """
    encoders = encoders_of(params)
    for encoder in encoders.values():
        check_encoder(encoder, load_settings().values)
    labelled = labelled_of(where, params, progress=progress)
    facts: list[dict[str, Any]] = []
    found = compare(
        labelled,
        _learners(labelled, params, encoders, facts, progress),
        folds=params.folds,
        seed=params.seed,
        crops_alone=params.each_crop_alone,
        random=[name for name, own in encoders.items() if own.weights == "random"],
    )
    first = next(iter(found.found.values()))
    rows = [_row(found, way) for way in found.found]
    details = details_of("compare", where, params, [labelled])
    details |= {"encoders": facts, "apart": first.apart, "scores": rows}
    details["warnings"] = list(first.warnings)
    title = f"{labelled.name}: encoders and heads on {first.metrics['labels']} labels"
    held_out = HELD_OUT[first.apart]
    return Measurement(
        tables={"table": Table.from_rows(rows)},
        text=_text(title, held_out, found, params),
        figures={"figure": _figure(title, held_out, found)},
        details=details,
        lines={
            "how": f"{held_out}; {first.metrics['labels']} labels",
            **{
                f"{_shown(way[0], found)}, {way[1]}": f"F1 {told_score(one.metrics, 'f1')}"
                for way, one in found.found.items()
            },
            "best by F1": ", ".join(found.best),
        },
        warnings=first.warnings,
    )


def encoders_of(params: CompareParams) -> dict[str, CompareParams]:
    """Give the parameters of each encoder, by what a table calls it.

    Raises
    ------
    ParamsError
        If an encoder or a head is named twice.
    """
    found: dict[str, CompareParams] = {}
    for text in params.encoders:
        name, _, weights = text.partition("=")
        shown = name if weights in ("", "random") else text
        if shown in found or name == "":
            msg = f"--encoders {','.join(params.encoders)!r} has {text!r} twice, or without a name."
            raise ParamsError(msg)
        found[shown] = params.model_copy(update={"encoder": name, "weights": weights or None})
    if len(set(params.heads)) < len(params.heads):
        msg = f"--heads {','.join(params.heads)!r} has a head twice. Name each once."
        raise ParamsError(msg)
    return found


def _learners(
    labelled: Labelled,
    params: CompareParams,
    encoders: dict[str, CompareParams],
    facts: list[dict[str, Any]],
    progress: Progress,
) -> Iterator[tuple[Way, Learner]]:
    """Make a learner after the other; an encoder sees the crops once."""
    done, total = 0, len(encoders) * len(params.heads)
    for name, own in encoders.items():
        seen = seen_by(labelled, own, progress)
        facts.append(encoder_facts(seen))
        for head in params.heads:
            progress("encoders and heads", done, total)
            yield (name, head), learner_of(labelled, _with_head(own, head), seen)
            done += 1
    progress("encoders and heads", total, total)


def _with_head(params: CompareParams, head: HeadKind) -> CompareParams:
    return params.model_copy(update={"head": head})


def _row(found: Comparison, way: Way) -> dict[str, Any]:
    nothing = {f"{name}{end}": 0.0 for name in SCORES for end in ("", "_low", "_high")}
    gains = found.gains.get(way, nothing)
    return {
        "encoder": way[0],
        "weights": "random" if way[0] in found.random else "trained",
        "head": way[1],
        "held_out": found.found[way].apart,
        **found.found[way].metrics,
        **{f"gain_{key}": value for key, value in gains.items()},
    }


def _text(title: str, held_out: str, found: Comparison, params: CompareParams) -> str:
    header = ["encoder"]
    header += [f"{head} {name}" for head in params.heads for name in ("Acc", "F1", "AUC")]
    encoders = list(dict.fromkeys(encoder for encoder, _ in found.found))
    rows = [
        [_shown(encoder, found)]
        + [
            f"{found.found[encoder, head].metrics[name]:.3f}"
            for head in params.heads
            for name in SCORES
        ]
        for encoder in encoders
    ]
    gains = [
        [_shown(way[0], found), way[1], *(told_gain(found, way, name) for name in SCORES)]
        for way in found.found
        if way != found.best
    ]
    best = f"{_shown(found.best[0], found)}, {found.best[1]}"
    parts = [
        f"# {title}\n",
        f"{held_out}; accuracy, F1 and AUC, weighted by class.\n",
        markdown_table(header, rows),
        f"## Against the best by F1: {best}\n",
        "Differences on the same cells; a loss is sure where its 95 % interval is below 0.\n",
        markdown_table(["encoder", "head", "Acc", "F1", "AUC"], gains),
    ]
    warnings = next(iter(found.found.values())).warnings
    return document(parts, warnings)


def told_gain(found: Comparison, way: Way, name: str) -> str:
    """Show how much better or worse than the best a way is: "-0.020 (-0.034 to -0.008)"."""
    own = found.gains[way]
    return f"{own[name]:+.3f} ({own[f'{name}_low']:+.3f} to {own[f'{name}_high']:+.3f})"


def _shown(encoder: str, found: Comparison) -> str:
    return f"{encoder} ({RANDOM})" if encoder in found.random else encoder


def _figure(title: str, held_out: str, found: Comparison) -> bytes:
    lines = [
        Scored(
            group=f"{encoder}\n{RANDOM}" if encoder in found.random else encoder,
            series=head,
            scores={name: with_ends(one.metrics, name) for name in SCORES},
            hollow=encoder in found.random,
        )
        for (encoder, head), one in found.found.items()
    ]
    first = next(iter(found.found.values()))
    note = f"{held_out}. Lines: 95 % intervals over {first.metrics['groups']} {first.apart}s."
    return scores_figure(lines, title=title, note=note)

"""What the command line shows: progress bars, summaries, errors; and what it exits with."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omero_hcs.errors import (
    CancelledError,
    DataError,
    FormatVersionError,
    HcsError,
    InputError,
    NotAllowedError,
    NotFoundError,
)
from omero_hcs.logs import redact

if TYPE_CHECKING:
    from omero_hcs.tasks.base import Progress
    from omero_hcs.tasks.driver import RunOutcome
    from omero_hcs.tasks.dry_run import DryRun

DONE, FAILED, BAD_INPUT, PARTIAL, STOPPED = 0, 1, 2, 3, 130
"""Exit codes: all done; failed; input that does not fit; done but for some fields; Ctrl-C."""

_SENTENCES = ("warnings", "told")
"""What a summary has beside names and values: shown below them, or by scripts alone."""

_OF_THE_INPUT = (InputError, NotFoundError, DataError, FormatVersionError, NotAllowedError)
"""Errors whose mend is another input: asking for the same again can only end the same way."""


@contextlib.contextmanager
def progress_bar(*, quiet: bool = False) -> Iterator[Progress]:
    """Show one bar a stage on the terminal's error channel, with an estimate of what is left."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import (
        Progress as Bar,
    )

    columns = (
        TextColumn("{task.description:22}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    stages: dict[str, TaskID] = {}
    reached: dict[str, int] = {}
    with Bar(*columns, console=console, disable=quiet or not console.is_terminal) as bar:

        def show(stage: str, done: int, total: int) -> None:
            if stage not in stages:
                stages[stage] = bar.add_task(stage, total=total)
            elif done < reached[stage]:
                bar.reset(stages[stage])  # the next run of several: its clock starts again
            reached[stage] = done
            bar.update(stages[stage], completed=done, total=total)

        yield show


def show_outcome(outcome: RunOutcome, *, as_json: bool) -> int:
    """Print what became of a run; the value is the exit code."""
    if as_json:
        echo_json(
            {
                "run_id": outcome.run_id,
                "task": outcome.task,
                "status": outcome.status,
                "how": outcome.how,
                "summary": dict(outcome.summary),
                "places": list(outcome.places),
                "failed": [{"unit": unit, "reason": reason} for unit, reason in outcome.failed],
                "log": outcome.log,
                "seconds": round(outcome.seconds, 3),
            }
        )
    else:
        _show_text(outcome)
    return PARTIAL if outcome.failed else DONE


def _show_text(outcome: RunOutcome) -> None:
    how = {"answered": " (from the record of an earlier run; --again makes a new one)"}
    echo(f"run {outcome.run_id}: {outcome.status}{how.get(outcome.how, '')}")
    if outcome.how == "resumed":
        echo("  an interrupted run was resumed: only what was missing has been done")
    echo_pairs({k: v for k, v in outcome.summary.items() if k not in _SENTENCES})
    if outcome.seconds:
        echo_pairs({"seconds": f"{outcome.seconds:.1f}"})
    for warning in outcome.summary.get("warnings", ()):
        echo(f"  warning: {warning}", error=True)
    for unit, reason in outcome.failed[:10]:
        echo(f"  failed: {unit}: {reason}", error=True)
    if len(outcome.failed) > 10:
        echo(f"  ... and {len(outcome.failed) - 10} more failed; see {outcome.log}", error=True)
    shown = [place for place in outcome.places if not place.endswith(".json")]
    for place in shown[-8:]:
        echo(f"  {place}")
    if len(shown) > 8:
        echo(f"  ... and {len(shown) - 8} more places; --json has them all")


def show_dry_run(told: DryRun, *, as_json: bool) -> int:
    """Print what a run would do; the value is the exit code: 2 where it would not start."""
    if as_json:
        echo_json(dataclasses.asdict(told))
    else:
        _show_dry_run(told)
    if told.faults:
        return BAD_INPUT
    return PARTIAL if told.failed else DONE


def _show_dry_run(told: DryRun) -> None:
    from omero_hcs.model import duration

    echo(f"dry run of {told.task}: nothing was written")
    for item in told.objects:
        counts = [f"{item[name]} {name}" for name in ("wells", "images") if name in item]
        echo_pairs({str(item["kind"]): f"{item['name']} ({item['id']}): {', '.join(counts)}"})
    echo_pairs({"this request": told.state, **told.reads, **told.found})
    if told.seconds is not None:
        how = f"estimated by {told.sampled} of {told.reads.get('units')}, without writing"
        echo_pairs({"time": f"about {duration(told.seconds)} ({how})"})
    echo(f"would be written{f', with {told.where}' if told.where else ''}:")
    echo_pairs(told.writes)
    for warning in told.warnings:
        echo(f"  warning: {warning}", error=True)
    for unit, reason in told.failed:
        echo(f"  failed: {unit}: {reason}", error=True)
    if told.faults:
        echo("The run would not start:", error=True)
    for fault in told.faults:
        echo(f"  - {fault}", error=True)


def echo_pairs(pairs: Mapping[str, Any]) -> None:
    """Print names and values below each other."""
    for name, value in pairs.items():
        if value not in ("", None, (), []):
            echo(f"  {name + ':':23} {_text(value)}")


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(item)}" for name, item in value.items())
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_text, value))
    return str(value)


def echo(text: str, *, error: bool = False) -> None:
    """Print one line; to the error channel if it is not a result."""
    (sys.stderr if error else sys.stdout).write(f"{text}\n")


def echo_json(value: Any) -> None:
    """Print a value as JSON, for machines."""
    echo(json.dumps(value, indent=1, ensure_ascii=False, default=str))


def show_error(error: BaseException, log_folder: Path | None) -> int:
    """Print an error in short, keep its trace in a log, and say with what to exit."""
    if isinstance(error, KeyboardInterrupt):
        echo("Stopped. What is done is kept: the same command goes on from here.", error=True)
        return STOPPED
    if isinstance(error, CancelledError):
        echo(f"{error} The same command goes on from there.", error=True)
        return STOPPED
    known = isinstance(error, HcsError)
    text = str(error) if known else f"{type(error).__name__}: {error}"
    echo(f"Error: {redact(text)}", error=True)
    if not known:
        where = _keep_trace(error, log_folder)
        echo(f"This should not have happened. {where}", error=True)
    return BAD_INPUT if isinstance(error, _OF_THE_INPUT) else FAILED


def _keep_trace(error: BaseException, folder: Path | None) -> str:
    trace = redact("".join(traceback.format_exception(error)))
    try:
        if folder is None:
            return trace
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "errors.log"
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{trace}\n")
    except OSError:
        return trace
    logging.getLogger(__name__).debug("trace kept in %s", path)
    return f"The trace is in {path}."

"""How long a run takes, by a sample of its units; and whether that is too long without a GPU."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from omero_hcs.errors import InputError
from omero_hcs.model import RunSpec, Unit, duration
from omero_hcs.results import UnitResult
from omero_hcs.stores.base import PlateStore
from omero_hcs.tasks.base import Progress, Task, no_progress

SAMPLE = 2
"""Units that are worked off to tell how long all of them take."""

WHOLE = frozenset({"train_qc"})
"""Tasks of one piece, of which no sample can be taken; their plan may know their "seconds"."""

FEW = 4 * SAMPLE
"""Of so few units no sample is taken before a run: it would be much of the work."""

Guard = Callable[[Task, PlateStore, RunSpec, Sequence[Unit]], None]
"""Raises where a run that is planned should not start; nothing is written by then."""


@dataclass(frozen=True)
class Sampled:
    """What a sample came to; `seconds` is for all units, None where not one of it was done."""

    results: tuple[UnitResult, ...]
    seconds: float | None


def sampled(
    task: Task,
    store: PlateStore,
    spec: RunSpec,
    units: Sequence[Unit],
    progress: Progress = no_progress,
) -> Sampled:
    """Work a sample off, without keeping anything, and reckon how long all units take.

    Parameters
    ----------
    task : Task
        The task's module.
    store : PlateStore
        Where it reads.
    spec : RunSpec
        The run as it is planned.
    units : sequence of Unit
        All units.
    progress : callable
        See `tasks.base.Progress`.
    """
    chosen = spread(units)
    if not chosen:
        return Sampled((), None)
    started, results = time.monotonic(), []
    for result in task.work(store, spec, chosen):
        results.append(result)
        progress("trying a sample", len(results), len(chosen))
    spent = time.monotonic() - started
    loading = max(0.0, spent - sum(result.seconds for result in results))
    done = [result.seconds for result in results if result.status == "done"]
    seconds = loading + sum(done) / len(done) * len(units) if done else None
    return Sampled(tuple(results), seconds)


def spread(units: Sequence[Unit]) -> tuple[Unit, ...]:
    """Take a sample from within, not from the corners, which are often empty."""
    places = {len(units) * (2 * number + 1) // (2 * SAMPLE) for number in range(SAMPLE)}
    return tuple(units[place] for place in sorted(places) if place < len(units))


def without_gpu(limit_minutes: float, progress: Progress = no_progress) -> Guard:
    """Refuse runs that would take longer than that.

    Parameters
    ----------
    limit_minutes : float
        How long a run may take, by its estimate.
    progress : callable
        Told of the sample.
    """

    def check(task: Task, store: PlateStore, spec: RunSpec, units: Sequence[Unit]) -> None:
        if spec.task in WHOLE:
            seconds = spec.context.get("seconds")
            what, mend = "to tune the encoder", "Choose a head that tunes none"
        elif len(units) > FEW:
            seconds = sampled(task, store, spec, units, progress).seconds
            what, mend = f"for {len(units)} fields", "Select fewer wells or images"
        else:
            return
        if seconds is not None and seconds > limit_minutes * 60:
            raise InputError(_too_long(seconds, what, limit_minutes, mend))

    return check


def _too_long(seconds: float, what: str, limit_minutes: float, mend: str) -> str:
    return (
        f"This would take about {duration(seconds)} {what} on this processor, which has no GPU; "
        f"{duration(limit_minutes * 60)} are allowed without one. Nothing was written. "
        f"{mend}, ask for a processor with a GPU, or ask whoever runs OMERO to raise "
        "cpu_limit_minutes in /etc/omero-hcs.toml."
    )

"""Which runs there are, how far each is, and how one is cancelled: for scripts and command line.

Objects of a store tell of the runs over them, whichever machine these are on (`stores.base`), and
keep what they made; the ledger knows more about those of this machine, and about runs over disks.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, get_args

from omero_hcs.errors import InputError, RunNotFoundError
from omero_hcs.jobs import stops
from omero_hcs.jobs.hold import holder
from omero_hcs.jobs.ledger import Ledger, RunRecord
from omero_hcs.model import duration
from omero_hcs.settings import Settings
from omero_hcs.stores.base import PlateStore, RunBoard, RunNote
from omero_hcs.tasks.driver import open_ledger
from omero_hcs.tasks.run_board import SILENCE

State = Literal[
    "running", "stopping", "interrupted", "done", "partial", "failed", "cancelled", "undone", "kept"
]
"""Of a run: "interrupted" was killed, of "kept" nothing is known but that there are results."""

GOES_ON = ("running", "stopping")

_WORDS: Mapping[str, str] = {
    "apply_qc": "quality check",
    "train_qc": "training",
    "crop_cells": "cropping",
    "embed_cells": "embedding",
}


@dataclass(frozen=True)
class KnownRun:
    """What is known of one run; times are seconds since the epoch, 0 if unknown."""

    run_id: str
    task: str
    state: State
    started: float = 0.0
    done: int = 0
    total: int = 0
    failed: int = 0
    left: float | None = None
    stage: str = ""
    user: str = ""
    model: str = ""
    result: str = ""
    stop_asked_by: str = ""
    store: str = ""
    reasons: tuple[str, ...] = ()
    """Why fields failed, each once; known on the machine of the run."""

    @property
    def goes_on(self) -> bool:
        """Whether a process works on it."""
        return self.state in GOES_ON


def runs_over(
    store: PlateStore, settings: Settings, *, now: Callable[[], float] = time.time
) -> tuple[KnownRun, ...]:
    """List the runs over a store's objects, newest first, of this machine and of others."""
    found: dict[str, KnownRun] = {}
    for ref in store.refs():
        for manifest in store.runs(ref):
            found.setdefault(str(manifest["run_id"]), _of_manifest(manifest))
        for note in store.run_notes(ref) if isinstance(store, RunBoard) else ():
            found[note.run_id] = _newer(found.get(note.run_id), _of_note(note, now()))
    with contextlib.closing(open_ledger(settings)) as ledger:
        if not store.spec.on_server:
            here = [item for item in ledger.runs() if item.spec.store.uri == store.spec.uri]
            found |= {item.spec.run_id: _of_record(item, ledger, settings) for item in here}
        known = [_with_record(run, ledger, settings) for run in found.values()]
    return tuple(sorted(known, key=lambda run: (run.started, run.run_id), reverse=True))


def runs_here(settings: Settings, *, limit: int = 20) -> tuple[KnownRun, ...]:
    """List the runs of this installation, newest first, wherever their plates are."""
    with contextlib.closing(open_ledger(settings)) as ledger:
        return tuple(_of_record(item, ledger, settings) for item in ledger.runs(limit=limit))


def run_here(run_id: str, settings: Settings) -> KnownRun:
    """Find one run of this installation.

    Raises
    ------
    RunNotFoundError
        If there is none; the message lists the latest.
    """
    with contextlib.closing(open_ledger(settings)) as ledger:
        return _of_record(ledger.run(run_id), ledger, settings)


def pick(runs: Sequence[KnownRun], run_id: str | None, *, where: str) -> KnownRun:
    """Find a run by its id, or the latest.

    Raises
    ------
    RunNotFoundError
        If there is none; the message lists those that there are.
    """
    for run in runs:
        if run_id in (None, "", run.run_id):
            return run
    names = ", ".join(run.run_id for run in runs[:5])
    known = f"Runs there, the latest first: {names}." if names else "There are none yet."
    msg = f"There is no run {run_id!r} over {where}. {known}"
    if not run_id:
        msg = f"There are no runs over {where} yet."
    raise RunNotFoundError(msg)


def cancel(store: PlateStore | None, run: KnownRun, who: str, settings: Settings) -> None:
    """Ask a run to stop; it does so within some seconds, and keeps what is done.

    Parameters
    ----------
    store : PlateStore or None
        Over whose objects it is; None for one of this installation.
    run : KnownRun
        The run.
    who : str
        Who asks, for people.
    settings : Settings
        Those of the installation.

    Raises
    ------
    InputError
        If it does not go on.
    NotAllowedError
        If it is another user's.
    """
    if not run.goes_on:
        hint = (
            "Its process was killed, or its machine is gone. The same request goes on where it was."
            if run.state == "interrupted"
            else "Only a run that goes on can be cancelled."
        )
        msg = f"Run {run.run_id} is {run.state}: there is nothing to cancel. {hint}"
        raise InputError(msg)
    board: object = store
    if isinstance(board, RunBoard):
        board.ask_to_stop(run.run_id, who)
    else:
        stops.ask(settings.state_dir, run.run_id, who)


def end_own(settings: Settings, *, process: int) -> tuple[str, ...]:
    """Note in the ledger that the runs of a process are cancelled; give what is said of each.

    For a process that is about to end while it is still busy.
    """
    ended = []
    with contextlib.closing(open_ledger(settings)) as ledger:
        for record in ledger.runs():
            if record.status != "running":
                continue
            if holder(settings.state_dir, record.spec.key) == process:
                counts = ledger.counts(record.spec.run_id)
                text = (
                    f"Run {record.spec.run_id} was cancelled: {counts.get('done', 0)} of "
                    f"{sum(counts.values())} fields are done and kept."
                )
                ledger.end(record.spec.run_id, "cancelled", message=text)
                ended.append(text)
    return tuple(ended)


def line_of(run: KnownRun) -> str:
    """Tell of a run in one line."""
    state = f"{run.state} ({run.stage})" if run.state == "running" and run.stage else run.state
    parts = [
        f"{run.run_id} {_WORDS.get(run.task, run.task)}",
        "has results" if run.state == "kept" else state,
        f"{run.done} of {run.total} fields" if run.total else "",
        f"{run.failed} failed" if run.failed else "",
        f"about {duration(run.left)} left" if run.goes_on and run.left is not None else "",
        f"by {run.user}" if run.user else "",
    ]
    return ", ".join(part for part in parts if part)


def _of_manifest(manifest: Mapping[str, Any]) -> KnownRun:
    started = datetime.fromisoformat(str(manifest["started"])).timestamp()
    return KnownRun(str(manifest["run_id"]), str(manifest["task"]), "kept", started)


def _of_note(note: RunNote, now: float) -> KnownRun:
    state: State = note.status
    if note.status == "running":
        state = "stopping" if note.stop_asked_by else "running"
        if now - note.alive > SILENCE:
            state = "interrupted"
    return KnownRun(
        note.run_id, note.task, state,
        started=note.started, done=note.done, total=note.total, failed=note.failed,
        left=note.left, stage=note.stage, user=note.user, model=note.model, result=note.result,
        stop_asked_by=note.stop_asked_by,
    )  # fmt: skip


def _newer(known: KnownRun | None, told: KnownRun) -> KnownRun:
    """Choose what is told on one of several objects, or by one of several users who ran it."""
    if known is None or known.state == "kept":
        return told
    return told if (told.goes_on, told.started) > (known.goes_on, known.started) else known


def _of_record(record: RunRecord, ledger: Ledger, settings: Settings) -> KnownRun:
    spec = record.spec
    counts = ledger.counts(spec.run_id)
    return KnownRun(
        spec.run_id, spec.task, _state(record, settings),
        started=record.started or record.created, done=counts.get("done", 0),
        total=sum(counts.values()), failed=counts.get("failed", 0),
        model=spec.model.name if spec.model else "", result=record.message,
        stop_asked_by=stops.asked(settings.state_dir, spec.run_id) or "", store=spec.store.uri,
        reasons=_reasons(ledger, spec.run_id),
    )  # fmt: skip


def _with_record(run: KnownRun, ledger: Ledger, settings: Settings) -> KnownRun:
    """Add what only the run's own machine knows; of one that was killed it knows at once."""
    try:
        record = ledger.run(run.run_id)
    except RunNotFoundError:
        return run
    here = _of_record(record, ledger, settings)
    if here.state == "undone":  # only on some of its objects
        return run
    if here.goes_on:
        return replace(run, reasons=here.reasons)
    return replace(
        run,
        state=here.state,
        done=here.done,
        total=here.total,
        failed=here.failed,
        started=run.started or here.started,
        reasons=here.reasons,
    )


def _state(record: RunRecord, settings: Settings) -> State:
    if record.status in ("running", "planned"):
        if holder(settings.state_dir, record.spec.key) is None:
            return "interrupted"
        return "stopping" if stops.asked(settings.state_dir, record.spec.run_id) else "running"
    known: dict[str, State] = {state: state for state in get_args(State)}
    return known[record.status]


def _reasons(ledger: Ledger, run_id: str) -> tuple[str, ...]:
    found = (unit.reason for unit in ledger.units(run_id) if unit.status == "failed")
    return tuple(dict.fromkeys(reason for reason in found if reason))

"""Remove what a run wrote, and nothing else: `omero-hcs undo`."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from omero_hcs.errors import NotAllowedError, RunBusyError, RunNotFoundError
from omero_hcs.jobs.hold import held
from omero_hcs.jobs.ledger import Ledger, RunRecord
from omero_hcs.results import WriteReport
from omero_hcs.settings import Settings, load_settings
from omero_hcs.stores.base import PlateStore, RunBoard, RunNote
from omero_hcs.stores.open import Opener, open_store
from omero_hcs.tasks.driver import open_ledger
from omero_hcs.tasks.run_board import SILENCE


def undo_run(
    run_id: str,
    *,
    where: str | Path | None = None,
    settings: Settings | None = None,
    opener: Opener = open_store,
) -> WriteReport:
    """Remove exactly what a run wrote to its plate.

    Parameters
    ----------
    run_id : str
        The run.
    where : str or Path, optional
        The plate or image folder; the ledger knows it by default.
    settings : Settings, optional
        Those of the installation by default.
    opener : callable
        Opens the store; see `driver.run_task`.

    Returns
    -------
    WriteReport
        What was removed, and in `kept` what users changed since and keep.

    Raises
    ------
    RunNotFoundError
        If neither the ledger nor the plate knows the run, or the plate has nothing of it.
    RunBusyError
        If another process is working on it, here or elsewhere.
    NotAllowedError
        If it is another user's.
    """
    settings = settings or load_settings().values
    with contextlib.ExitStack() as stack:
        ledger = stack.enter_context(contextlib.closing(open_ledger(settings)))
        record = _record(ledger, run_id, needed=where is None)
        if record is not None:
            key = record.spec.key
            stack.enter_context(held(settings.state_dir, key, what=f"Run {run_id}"))
        place = record.spec.store if where is None and record is not None else where
        store = stack.enter_context(contextlib.closing(opener(place or "")))
        notes = _notes(store, run_id)
        if record is None:  # else the lock would have told
            _refuse_what_goes_on(notes)
        report = _undo(store, run_id, notes)
        if record is not None:
            ledger.end(run_id, "undone", message="undone by the user")
    return report


def _undo(store: PlateStore, run_id: str, notes: list[RunNote]) -> WriteReport:
    """Undo also a run that had written nothing yet, and is only told of."""
    try:
        return store.undo(run_id)
    except RunNotFoundError:
        if not notes or not isinstance(store, RunBoard):
            raise
        store.remove_note(run_id)
    if _notes(store, run_id):
        owner = notes[0].user
        msg = (
            f"Run {run_id} is {owner}'s. Ask {owner}, an owner of the group, or an administrator "
            "to undo it."
        )
        raise NotAllowedError(msg)
    return WriteReport(run_id, {}, notes=("It had written nothing yet.",))


def _notes(store: PlateStore, run_id: str) -> list[RunNote]:
    if not isinstance(store, RunBoard):
        return []
    found = (note for ref in store.refs() for note in store.run_notes(ref))
    return [note for note in found if note.run_id == run_id]


def _refuse_what_goes_on(notes: list[RunNote]) -> None:
    for note in notes:
        if note.status == "running" and time.time() - note.alive <= SILENCE:
            msg = (
                f"Run {note.run_id} of {note.user or 'somebody'} goes on: {note.done} of "
                f"{note.total} fields are done. Cancel it first, or wait for it."
            )
            raise RunBusyError(msg)


def _record(ledger: Ledger, run_id: str, *, needed: bool) -> RunRecord | None:
    try:
        return ledger.run(run_id)
    except RunNotFoundError:
        if needed:
            raise
        return None

"""Remove what a run wrote, and nothing else: `omero-hcs undo`."""

from __future__ import annotations

import contextlib
from pathlib import Path

from omero_hcs.errors import RunNotFoundError
from omero_hcs.jobs.hold import held
from omero_hcs.jobs.ledger import Ledger, RunRecord
from omero_hcs.results import WriteReport
from omero_hcs.settings import Settings, load_settings
from omero_hcs.stores.open import Opener, open_store
from omero_hcs.tasks.driver import open_ledger


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
        If another process is working on it.
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
        report = store.undo(run_id)
        if record is not None:
            ledger.end(run_id, "undone", message="undone by the user")
    return report


def _record(ledger: Ledger, run_id: str, *, needed: bool) -> RunRecord | None:
    try:
        return ledger.run(run_id)
    except RunNotFoundError:
        if needed:
            raise
        return None

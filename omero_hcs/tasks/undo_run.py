"""Remove what a run wrote, and nothing else: `omero-hcs undo`."""

from __future__ import annotations

import contextlib
from pathlib import Path

from omero_hcs.errors import PlateNotFoundError, RunNotFoundError
from omero_hcs.results import WriteReport
from omero_hcs.settings import Settings, load_settings
from omero_hcs.stores.open import open_store
from omero_hcs.tasks.driver import open_ledger


def undo_run(
    run_id: str, *, where: str | Path | None = None, settings: Settings | None = None
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

    Returns
    -------
    WriteReport
        What was removed, and in `kept` what users changed since and keep.

    Raises
    ------
    RunNotFoundError
        If neither the ledger nor the plate knows the run.
    """
    settings = settings or load_settings().values
    with contextlib.closing(open_ledger(settings)) as ledger:
        try:
            record = ledger.run(run_id)
        except RunNotFoundError:
            if where is None:
                raise
            record = None
        place = where if where is not None or record is None else record.spec.store
        if place is None:
            msg = f"Where run {run_id} wrote to is not known. Pass the plate: undo PLATE {run_id}"
            raise PlateNotFoundError(msg)
        with contextlib.closing(open_store(place)) as store:
            report = store.undo(run_id)
        if record is not None:
            ledger.end(run_id, "undone", message="undone by the user")
    return report

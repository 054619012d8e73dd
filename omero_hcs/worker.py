"""The one entry that every engine calls, on this machine or on a node.

A worker gets a spec and units, opens the store itself, and leaves a part a unit in the run's
folder. It never writes to the store and never opens the ledger.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from omero_hcs.jobs.parts import write_part
from omero_hcs.model import RunSpec, Unit
from omero_hcs.results import UnitResult
from omero_hcs.stores.open import Opener, open_store
from omero_hcs.tasks.driver import load_task

logger = logging.getLogger(__name__)


def run_units(
    spec: RunSpec, units: Sequence[Unit], *, opener: Opener = open_store
) -> Iterator[UnitResult]:
    """Work units off and leave their parts in `spec.work_dir`.

    Parameters
    ----------
    spec : RunSpec
        The run.
    units : sequence of Unit
        What this worker is to do.
    opener : callable
        Opens the store; another than `open_store` only in the driver's own process.

    Yields
    ------
    UnitResult
        One a unit, in order; label images and files stay in the part on disk.

    Raises
    ------
    HcsError
        For what stops the whole run (no such model, a full disk), not for one unreadable field:
        that is a result of status "failed".
    """
    with closing(opener(spec.store)) as store:
        for result in load_task(spec.task).work(store, spec, units):
            write_part(Path(spec.work_dir), result)
            logger.info(
                "unit %s in %.2f s",
                result.status,
                result.seconds,
                extra={"run": spec.run_id, "unit": result.unit},
            )
            yield result

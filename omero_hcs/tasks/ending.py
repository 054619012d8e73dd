"""How a run ends: what the ledger keeps of it, and what its objects tell."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from omero_hcs.errors import CancelledError, ServerLostError, WriteError
from omero_hcs.settings import SCRIPT_VARIABLE

if TYPE_CHECKING:
    from omero_hcs.jobs.ledger import Ledger
    from omero_hcs.tasks.base import Outcome
    from omero_hcs.tasks.run_board import RunTeller

logger = logging.getLogger(__name__)

_SIGNAL_SECONDS = 2.0


@contextlib.contextmanager
def ended_in_order(ledger: Ledger, told: RunTeller) -> Iterator[None]:
    """Keep why a run ends before it is through.

    Raises
    ------
    KeyboardInterrupt, CancelledError
        Whichever stopped it, with what is done by then; the latter where somebody asked for it.
    """
    run_id = told.note.run_id
    try:
        with _signals_first():
            yield
    except (KeyboardInterrupt, CancelledError) as error:
        text = told.stopped_text()
        ledger.end(run_id, "cancelled", message=text)
        told.end("cancelled", text)
        raise (CancelledError if told.stopped_by else type(error))(text) from None
    except Exception as error:
        logger.exception("The run failed.", extra={"run": run_id})
        with contextlib.suppress(WriteError):  # the ledger's disk may be the full one
            ledger.end(run_id, "failed", message=str(error))
        told.end("failed", str(error))
        raise


@contextlib.contextmanager
def _signals_first() -> Iterator[None]:
    """Let a signal in before a script tells that its server is gone.

    Whoever logs out ends his scripts: their sessions first, then by a signal. Then the run was
    cancelled, and did not fail.
    """
    try:
        yield
    except ServerLostError:
        if os.environ.get(SCRIPT_VARIABLE):
            time.sleep(_SIGNAL_SECONDS)
        raise


def result_line(outcome: Outcome) -> str:
    """Tell in a few words what a run came to, and the names of its reports."""
    summary = outcome.summary
    words = [f"{summary['cells']} cells"] if "cells" in summary else []
    words += [f"{summary['abnormal']} abnormal"] if "abnormal" in summary else []
    names = (file.name for item in outcome.results for file in item.files)
    words += [name for name in dict.fromkeys(names) if name.endswith(".html")]
    return ", ".join(words)

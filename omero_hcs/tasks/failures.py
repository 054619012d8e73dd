"""What one unit's failure becomes: a result with a reason, unless it would stop every unit."""

from __future__ import annotations

import logging

from omero_hcs.errors import CancelledError, HcsError, LoginError, ServerLostError, WriteError
from omero_hcs.model import Unit
from omero_hcs.results import UnitResult

logger = logging.getLogger(__name__)

_OF_THE_RUN = (WriteError, CancelledError, ServerLostError, LoginError)
"""What every other unit would meet, too: a full disk, a stop, a server that is gone."""


def describe_failure(unit: Unit, error: Exception) -> UnitResult:
    """Turn what went wrong with one unit into a result; the trace goes into the log.

    Raises
    ------
    WriteError, CancelledError, ServerLostError, LoginError
        The error itself where every other unit would meet it too.
    """
    if isinstance(error, _OF_THE_RUN):
        raise error
    reason = str(error) if isinstance(error, HcsError) else f"{type(error).__name__}: {error}"
    logger.warning("unit failed", exc_info=error, extra={"unit": unit.id})
    return UnitResult(unit.id, "failed", reason=reason)

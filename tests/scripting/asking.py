"""A script's button, pressed in this process: what it says, without a processor's start-up.

The client is real, and so is its server; `test_clicks` and others go through the processor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omero_hcs.errors import HcsError
from omero_hcs.scripting import launcher
from omero_hcs.scripting.answers import Answer
from omero_hcs.scripting.catalog import SCRIPTS
from omero_hcs.scripting.wording import told_error


class Dialog:
    """A connected client, as a script has it, with what was filled in."""

    def __init__(self, client: Any, given: Mapping[str, Any]) -> None:
        self._client, self._given = client, given

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def getInputs(self, *, unwrap: bool) -> Mapping[str, Any]:  # noqa: N802  (omero.client's)
        assert unwrap
        return self._given


def ask(conn: Any, task: str, **given: Any) -> Answer:
    """Press a script's button in this process; errors become messages as in a script."""
    dialog = Dialog(conn.c, given)
    try:
        return launcher._run(SCRIPTS[task], dialog)
    except HcsError as error:
        return Answer(told_error(SCRIPTS[task], dialog, error), failed=True)

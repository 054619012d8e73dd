"""Quality models that a dialog offers: those on the server, and those of the installation."""

from __future__ import annotations

from typing import Any


def choices(client: Any) -> list[str]:  # noqa: ARG001  (until it is asked)
    """List what `apply_qc` takes as its model, newest first; see `catalog.Script.choices`."""
    return ["qc"]

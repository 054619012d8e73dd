"""How a dialog names the machine that read it: a server itself does not tell its processors."""

from __future__ import annotations

import platform
from collections.abc import Iterable

NAMESPACE = "omero-hcs/processor/"
"""Before the name of a machine, in the list of namespaces of a dialog."""


def this_machine() -> str:
    """Return the namespace that names this machine and its Python."""
    return f"{NAMESPACE}{platform.node()}/Python {platform.python_version()}"


def machine_of(namespaces: Iterable[str]) -> str:
    """Return which machine read a dialog; "" where that is not told."""
    named = (name for name in namespaces if name.startswith(NAMESPACE))
    return next(named, "").removeprefix(NAMESPACE).replace("/", ", ")

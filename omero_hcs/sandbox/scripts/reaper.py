"""A small process that ends the scripts of a server that was killed.

The server tells it of each script that starts (`+<process group>`) and ends (`-<process group>`).
When the server goes, however it goes, the pipe between them closes, and what still runs is killed.
This needs the standard library alone: it is run as a file.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterable


def watch(told: Iterable[str]) -> set[int]:
    """Listen until the server goes, and return the process groups that still run."""
    groups: set[int] = set()
    for line in told:
        change = groups.add if line.startswith("+") else groups.discard
        change(int(line[1:]))
    return groups


def kill(groups: Iterable[int]) -> None:
    """Kill process groups; those that have ended meanwhile are left out."""
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    kill(watch(sys.stdin))

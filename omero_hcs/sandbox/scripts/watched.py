"""OMERO's own processor and processes, whose scripts end when the server does, however it ends."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

from omero.processor import ProcessI, ProcessorI
from omero_ext import killableprocess

from omero_hcs.sandbox.scripts import reaper

STARTED, ENDED = "+", "-"


class Reaper:
    """The process that kills what a killed server leaves: `omero_hcs.sandbox.scripts.reaper`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(  # noqa: S603  (our own interpreter and file)
            [sys.executable, "-I", "-S", str(Path(reaper.__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # whoever ends the server's group does not end it
        )

    def tell(self, change: str, group: int) -> None:
        """Say that a process group started or ended."""
        pipe = self._process.stdin
        with self._lock, contextlib.suppress(OSError):
            if pipe is not None and not pipe.closed:
                pipe.write(f"{change}{group}\n")
                pipe.flush()

    def close(self) -> None:
        """End it: every script has ended."""
        with self._lock, contextlib.suppress(OSError):
            self._process.communicate()


class WatchedPopen(killableprocess.Popen):  # type: ignore[misc]  # omero-py has no types
    """A script's process, in a process group of its own that the reaper knows."""

    def __init__(self, command: list[str], *, reaper: Reaper, **options: Any) -> None:
        self._reaper, self._is_told = reaper, False
        # killableprocess does it by Python code between fork and exec, which may hang with threads.
        subprocess.Popen.__init__(
            self, command, process_group=0, stdin=subprocess.DEVNULL, **options
        )
        self._reaper.tell(STARTED, self.pid)

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        code: int | None = super().poll()
        self._tell_end()
        return code

    def wait(self, timeout: float = -1, group: bool = True) -> int:
        """Wait until it ends, and return the exit code."""
        code: int = super().wait(timeout, group)
        self._tell_end()
        return code

    def kill(self, group: bool = True) -> None:
        """Kill it with all that it started, and let go of its process id."""
        super().kill(group)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        self._tell_end()

    def _tell_end(self) -> None:
        # While it was not waited for, nobody else can get its process id.
        if self.returncode is not None and not self._is_told:
            self._is_told = True
            self._reaper.tell(ENDED, self.pid)


class WatchedProcess(ProcessI):  # type: ignore[misc]  # omero-py has no types
    """A script's run that may be ended twice: who polls it and its watcher may both see its end."""

    def deactivate(self) -> None:
        """Clean up after the script, unless that was done."""
        with self._lock:
            if self.isActive():
                super().deactivate()


class WatchedProcessor(ProcessorI):  # type: ignore[misc]  # omero-py has no types
    """A processor whose scripts the reaper knows."""

    def __init__(self, context: Any, **options: Any) -> None:
        self._reaper = Reaper()
        super().__init__(context, **options)

    def find_launcher(self, current: Any) -> tuple[str, Any]:
        """Say with which interpreter and by which class a script is run."""
        launcher, kind = super().find_launcher(current)
        kind = WatchedProcess if kind is ProcessI else kind
        return launcher, partial(kind, Popen=partial(WatchedPopen, reaper=self._reaper))

    def cleanup(self) -> None:
        """End all scripts."""
        super().cleanup()
        self._reaper.close()

"""How a script is stopped: by SIGTERM, which the processor sends to cancel it, or at a log-out.

Python runs signal handlers between the steps of the main thread, so a batch of a large network or
a server that hangs holds them up. A thread of ours learns of a signal at once, by a pipe, and ends
the process in good order where its main thread has not by then.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Self

logger = logging.getLogger(__name__)

GRACE_SECONDS = 4.0
"""So long the main thread may take to stop; a user waits for it."""

_LAST_SECONDS = 0.8
"""So long the last words may take after that."""

_FAILED = 1


class Stopping:
    """A script's way to stop: interrupted once, as by Ctrl-C, and ended where that is too slow.

    Signals after the first one do nothing, and so does the first one where no `interruptible`
    work goes on: what is said last is said to its end.

    Parameters
    ----------
    last_words : callable
        Called in a thread before a process is ended that is still busy; it may hang.
    """

    def __init__(self, last_words: Callable[[], object]) -> None:
        self._last_words = last_words
        self._is_asked = self._interrupts = False

    def __enter__(self) -> Self:
        read, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._hear)
        threading.Thread(target=self._watch, args=(read,), name="stopping", daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Stay: until the process has ended, a signal must not kill it half-way."""

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Raise KeyboardInterrupt at a signal, once, while inside."""
        self._interrupts = True
        try:
            if self._is_asked:
                raise KeyboardInterrupt
            yield
        finally:
            self._interrupts = False

    def leave(self, code: int) -> None:
        """End the process; after a signal without waiting for threads that may hang."""
        if self._is_asked:
            _end(code)
        sys.exit(code)

    def _hear(self, *_: object) -> None:
        if self._is_asked:
            return
        self._is_asked = True
        if self._interrupts:
            raise KeyboardInterrupt

    def _watch(self, read: int) -> None:
        while signal.SIGTERM not in os.read(read, 64):
            pass
        time.sleep(GRACE_SECONDS)
        sys.stderr.write("The script did not stop by itself within some seconds: it was ended.\n")
        last = threading.Thread(target=self._speak, name="last-words", daemon=True)
        last.start()
        last.join(_LAST_SECONDS)
        _end(_FAILED)

    def _speak(self) -> None:
        with contextlib.suppress(Exception):  # nobody is left to tell it to
            self._last_words()


def _end(code: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)

"""One process at a time: a lock on a request, let go of by the kernel when its process dies.

Its file says which process holds it, for those who ask whether a run still goes on.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from omero_hcs.errors import RunBusyError, WriteError

_TRIES, _PAUSE = 5, 0.05
"""Whoever only looks holds a lock as well, for an instant."""


@contextlib.contextmanager
def held(state_dir: Path, key: str, *, what: str) -> Iterator[None]:
    """Hold a run's key, so that two processes never work on the same request.

    Parameters
    ----------
    state_dir : Path
        Folder of the ledger; the locks are in its folder "locks", and stay there.
    key : str
        See `identity.run_key`.
    what : str
        What is held, for the message: "Run 20250101T120000Z-0000aaaa".

    Raises
    ------
    RunBusyError
        If another process holds it.
    WriteError
        If the lock's file cannot be made.
    """
    path = _file(state_dir, key)
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context(path.open("a+"))
        except OSError as error:
            msg = f"{path} could not be made: {error.strerror}. Set OMERO_HCS_STATE_DIR elsewhere."
            raise WriteError(msg) from error
        if not _locked(lock.fileno()):
            msg = f"{what} is being worked on by another process. Wait for it, or stop it."
            raise RunBusyError(msg)
        with contextlib.suppress(OSError):  # a full disk: who holds it is only not known then
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
        yield


def holder(state_dir: Path, key: str) -> int | None:
    """Which process of this machine holds a run's key: its id, 0 if unknown; None if none does."""
    try:
        with _file(state_dir, key).open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                text = lock.read(20)
                return int(text) if text.isdigit() else 0
    except OSError:
        pass
    return None


def _file(state_dir: Path, key: str) -> Path:
    return state_dir / "locks" / f"{key[:32]}.lock"


def _locked(number: int) -> bool:
    for left in reversed(range(_TRIES)):
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PAUSE if left else 0)
        else:
            return True
    return False

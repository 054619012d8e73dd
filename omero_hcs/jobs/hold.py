"""One process at a time: a lock on a request, let go of by the kernel when its process dies."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from omero_hcs.errors import RunBusyError, WriteError


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
    path = state_dir / "locks" / f"{key[:32]}.lock"
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context(path.open("w"))
        except OSError as error:
            msg = f"{path} could not be made: {error.strerror}. Set OMERO_HCS_STATE_DIR elsewhere."
            raise WriteError(msg) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            msg = f"{what} is being worked on by another process. Wait for it, or stop it."
            raise RunBusyError(msg) from None
        yield

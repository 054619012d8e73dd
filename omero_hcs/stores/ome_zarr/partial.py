"""A folder that is made under another name and renamed into place when it is whole."""

from __future__ import annotations

import json
import os
import shutil
import socket
from pathlib import Path

from omero_hcs.errors import RunBusyError, WriteError

_OWNER = "owner.json"


class PartialFolder:
    """A new folder beside its final place, hidden until `commit`.

    The folder is ``.<name>.partial/content``. One that a killed process left is replaced; one of a
    process that is still at work is not.

    Parameters
    ----------
    target : Path
        The final place.
    overwrite : bool
        Replace an OME-Zarr that is there already.

    Raises
    ------
    WriteError
        If the target is there and may not be replaced, or its parent folder cannot be written.
    RunBusyError
        If another process is writing the same target.
    """

    def __init__(self, target: Path, *, overwrite: bool) -> None:
        self.target = target.resolve()
        self._overwrite = overwrite
        self._holder = self.target.with_name(f".{self.target.name}.partial")
        self.path = self._holder / "content"
        self._check_target()

    def open(self) -> Path:
        """Make the hidden folder's parent and return the path where the content goes."""
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            self._take()
        except OSError as error:
            if isinstance(error, WriteError):
                raise
            msg = (
                f"Cannot write into {self.target.parent}: {error.strerror or error}. "
                "Pass a place where you may write."
            )
            raise WriteError(msg) from error
        return self.path

    def commit(self) -> None:
        """Rename the content to the target; what was there goes only once the new one is whole."""
        old = self._holder / "old"
        if self.target.exists():
            self._check_target()
            self.target.rename(old)
        self.path.rename(self.target)
        self.discard()

    def discard(self) -> None:
        """Remove what is hidden; safe to call twice."""
        shutil.rmtree(self._holder, ignore_errors=True)

    def _check_target(self) -> None:
        if not self.target.exists():
            return
        if not self._overwrite:
            msg = (
                f"{self.target} is there already. Pass another place, or --overwrite to replace it."
            )
            raise WriteError(msg)
        if not any((self.target / name).is_file() for name in ("zarr.json", ".zattrs")):
            msg = f"{self.target} is no OME-Zarr, so it is not replaced. Pass another place."
            raise WriteError(msg)

    def _take(self) -> None:
        try:
            self._holder.mkdir()
        except FileExistsError:
            self._refuse_if_alive()
            shutil.rmtree(self._holder)
            self._holder.mkdir()
        owner = {"pid": os.getpid(), "host": socket.gethostname()}
        (self._holder / _OWNER).write_text(json.dumps(owner), encoding="utf-8")

    def _refuse_if_alive(self) -> None:
        try:
            owner = json.loads((self._holder / _OWNER).read_text(encoding="utf-8"))
            pid, host = int(owner["pid"]), str(owner["host"])
        except (OSError, ValueError, KeyError, TypeError):
            return
        if host == socket.gethostname() and not _is_alive(pid):
            return
        msg = (
            f"Process {pid} on {host} is writing {self.target}. Wait for it; if it is dead, "
            f"delete {self._holder}."
        )
        raise RunBusyError(msg)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

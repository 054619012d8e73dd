"""RawFileStore: the bytes of an OriginalFile, in and out."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from omero_hcs.sandbox.ice.record import rtypes
from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.conditions import (
    api_usage,
    internal,
    resource,
    security,
    validation,
)
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.services.base import Service

if TYPE_CHECKING:
    from omero_hcs.sandbox.server import Server
    from omero_hcs.sandbox.sessions import OpenSession

CHUNK = 1 << 22
UNSET = (
    "This RawFileStore has not been properly initialized.\n"
    "Please set the file id before executing any other methods.\n"
)


class RawFileStore(Service):
    """Operations of `omero.api.RawFileStore`."""

    def __init__(self, server: Server, session: OpenSession) -> None:
        super().__init__(server, session)
        self._row: Row | None = None
        self._file: BinaryIO | None = None
        self._may_edit = self._is_modified = False
        self._opening = threading.Lock()

    # -- which file

    def setFileId(self, fileId: int, current: Any) -> None:
        if self._row is not None and self._row.id == fileId:
            return
        self._let_go()
        with self.reading(current) as caller:
            row = self.world.get("OriginalFile", fileId)
            if row is None:
                msg = (
                    f"The requested object (ome.model.core.OriginalFile,{fileId}) is not "
                    "available.\nPlease use IQuery.find to determine existence.\n"
                )
                raise validation(msg)
            if not caller.can_read(row):
                msg = f"Cannot read ome.model.core.OriginalFile:Id_{fileId}"
                raise security(msg)
            self._may_edit = caller.rights(row).edit
        self._row = row

    def getFileId(self, current: Any) -> Any:
        return None if self._row is None else rtypes.rlong(self._row.id)

    @property
    def _path(self) -> Path:
        if self._row is None:
            raise api_usage(UNSET)
        return self.server.files.original(self._row)

    def _open(self) -> BinaryIO:
        path = self._path
        with self._opening:
            if self._file is None:
                try:
                    flags = os.O_RDWR | os.O_CREAT if self._may_edit else os.O_RDONLY
                    self._file = os.fdopen(
                        os.open(path, flags | os.O_CLOEXEC, 0o600),
                        "r+b" if self._may_edit else "rb",
                        buffering=0,
                    )
                except OSError as error:
                    msg = f"{path} ({error.strerror})"
                    raise resource(msg) from error
            return self._file

    # -- bytes

    def exists(self, current: Any) -> bool:
        return self._path.exists()

    def size(self, current: Any) -> int:
        return os.fstat(self._open().fileno()).st_size

    def read(self, position: int, length: int, current: Any) -> bytes:
        if length < 0 or position < 0:
            msg = f"Can't read {length} bytes at {position}: neither may be negative."
            raise internal(msg)
        found = os.pread(self._open().fileno(), length, position)
        return found.ljust(length, b"\0")  # OMERO gives as much as was asked for, always

    def write(self, buffer: bytes, position: int, length: int, current: Any) -> None:
        file = self._open()
        self._check_writable()
        if not 0 <= length <= len(buffer):
            msg = f"Can't write {length} bytes of a buffer of {len(buffer)}."
            raise internal(msg)
        rest = memoryview(buffer)[:length]
        while rest:
            written = os.pwrite(file.fileno(), rest, position)
            rest, position = rest[written:], position + written
        self._note_change()

    def truncate(self, length: int, current: Any) -> bool:
        file = self._open()
        if length >= os.fstat(file.fileno()).st_size:
            return False
        self._check_writable()
        os.ftruncate(file.fileno(), length)
        self._note_change()
        return True

    def _check_writable(self) -> None:
        if not self._may_edit:
            msg = "File not writeable!"
            raise security(msg)

    def _note_change(self) -> None:
        if not self._is_modified:
            self._is_modified = True
            self.session.at_end.append(self._save_at_end)

    # -- the end

    def save(self, current: Any) -> Any:
        if self._row is None:
            return None
        with self.reading(current) as caller:
            asking, stored = caller, self._row.values.get("size")
            if self.world.get("OriginalFile", self._row.id) is not self._row:
                return None  # deleted meanwhile
        if not self._is_modified:
            size = self._path.stat().st_size if self._path.exists() else 0
            if not self._may_edit or (size and (stored is None or stored == size)):
                return None
        return self._save(asking)

    def _save(self, caller: Caller) -> Any:
        row = self._row
        if row is None or not self._may_edit:
            return None
        told = os.fstat(self._open().fileno())
        hasher = row.values.get("hasher")
        hashed = None if hasher is None else checksum(self._path, hasher.values["value"])
        self._is_modified = False
        if not self.session.closed:  # whoever ends it goes through that list
            with contextlib.suppress(ValueError):
                self.session.at_end.remove(self._save_at_end)
        with self.world.transaction():
            if self.world.get("OriginalFile", row.id) is not row:
                return None
            caller.event = self.server.new_event(caller)
            self.world.set(row, "size", told.st_size)
            self.world.set(row, "mtime", told.st_mtime_ns // 1_000_000)
            if hashed is not None:
                self.world.set(row, "hash", hashed)
            self.world.touch(row, caller.event)
            return self.one(row, caller)

    def _save_at_end(self) -> None:
        # Whoever ends a session holds the world's lock: not while a file is hashed.
        caller = self.session.caller()
        threading.Thread(target=self._save, args=(caller,), daemon=True).start()

    def _let_go(self) -> None:
        with self._opening:
            if self._file is not None:
                self._file.close()
            self._file = self._row = None

    def close(self, current: Any) -> None:
        try:
            self.save(current)
        finally:
            self._let_go()
            super().close(current)


def checksum(path: Path, algorithm: str) -> str | None:
    """Hash a file with an algorithm of OMERO's; None for the two that Python lacks (Murmur)."""
    if algorithm == "File-Size-64":
        return f"{path.stat().st_size:016x}"
    with path.open("rb") as file:
        if algorithm in DIGESTS:
            return hashlib.file_digest(file, DIGESTS[algorithm]).hexdigest()
        if algorithm in SUMS:
            total = SUMS[algorithm](b"")
            while chunk := file.read(CHUNK):
                total = SUMS[algorithm](chunk, total)
            return f"{total:08x}"
    return None


DIGESTS: Mapping[str, str] = {"SHA1-160": "sha1", "MD5-128": "md5"}
SUMS: Mapping[str, Callable[..., int]] = {"Adler-32": zlib.adler32, "CRC-32": zlib.crc32}

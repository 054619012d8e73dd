"""Bytes of OriginalFiles: described, sent and read over OMERO's raw file stores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

import Ice
import omero.gateway  # first: loads omero.model in a working order
import omero.model
from omero.rtypes import rlong, rstring

from omero_hcs.stores.omero.session import ALL_GROUPS, context_of

CHUNK = 1 << 22
"""Bytes of one call; the gateway's own 10 kB make a large report hundreds of calls."""


def new_file(
    name: str, *, path: str, media_type: str, size: int = 0, sha1: str | None = None
) -> Any:
    """Describe a file that is to be saved; OMERO is to compute its hash by SHA-1."""
    file = omero.model.OriginalFileI()
    file.name, file.path = rstring(name), rstring(path)
    file.mimetype, file.size = rstring(media_type), rlong(size)
    file.hasher = omero.model.ChecksumAlgorithmI()
    file.hasher.value = rstring("SHA1-160")
    if sha1 is not None:
        file.hash = rstring(sha1)
    return file


@contextmanager
def raw_store(conn: Any, file_id: int, *, group: int = ALL_GROUPS) -> Iterator[Any]:
    """Open the store of a file; it is closed afterwards."""
    context = context_of(group)
    store = conn.c.sf.createRawFileStore()
    try:
        store.setFileId(file_id, context)
        yield store
    except BaseException:
        # The first error counts; a lost connection lets nothing be closed either.
        with suppress(Ice.Exception):
            store.close(context)
        raise
    store.close(context)


def send(conn: Any, group: int, file_id: int, content: BinaryIO) -> None:
    """Send the content of a file, and have OMERO note its size and hash."""
    context, at = context_of(group), 0
    with raw_store(conn, file_id, group=group) as store:
        while block := content.read(CHUNK):
            store.write(block, at, len(block), context)
            at += len(block)
        store.save(context)


def read_file(
    conn: Any, file_id: int, *, group: int = ALL_GROUPS, most: int | None = None
) -> bytes:
    """Read a file, or at most so many bytes of its beginning."""
    context = context_of(group)
    with raw_store(conn, file_id, group=group) as store:
        size = int(store.size(context))
        return read_bytes(store, size if most is None else min(most, size), group=group)


def read_bytes(store: Any, size: int, *, group: int = ALL_GROUPS) -> bytes:
    """Read so many bytes of the beginning of an open store."""
    context, starts = context_of(group), range(0, size, CHUNK)
    return b"".join(store.read(at, min(CHUNK, size - at), context) for at in starts)

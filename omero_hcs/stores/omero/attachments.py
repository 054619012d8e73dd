"""Files attached to objects of a server: saved, looked at and read."""

from __future__ import annotations

import hashlib
import io
import mimetypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import omero.gateway  # first: loads omero.model in a working order
import omero.model
from omero.rtypes import rstring

from omero_hcs.stores.omero.changes import delete, link_to, project_all, save, unloaded
from omero_hcs.stores.omero.rawfiles import CHUNK, new_file, raw_store, send
from omero_hcs.stores.omero.record import Made, WriteContext, digest, labelled
from omero_hcs.stores.omero.session import Session

ANNOTATION = "FileAnnotation"


@dataclass(frozen=True)
class Attachment:
    """One file to attach, and what it is attached to.

    Parameters
    ----------
    path : Path
        The content.
    name : str
        What people see it as.
    namespace : str
        Of its annotation.
    holds : tuple of (str, str)
        Kind and name of everything inside, for `Made`; an archive has several.
    places : tuple of (str, int)
        OMERO class and id of each object that it is attached to.
    about : str
        What people read of it.
    """

    path: Path
    name: str
    namespace: str
    holds: tuple[tuple[str, str], ...]
    places: tuple[tuple[str, int], ...]
    about: str = ""


def attach(context: WriteContext, attachments: Sequence[Attachment]) -> list[Made]:
    """Make file annotations, all of them or none.

    Annotation, file and first link are one transaction, and the content comes after it: a crash
    leaves nothing that cannot be found from what it is attached to.
    """
    if not attachments:
        return []
    session = context.session
    annotations = [_annotation(context, item) for item in attachments]
    found = attach_first(context, [item.places[0] for item in attachments], annotations)
    with removed_on_failure(session, context.group, [ids.annotation for ids in found]):
        for item, ids in zip(attachments, found, strict=True):
            _upload(session, context.group, item.path, ids.file)
        places = [item.places for item in attachments]
        links = attach_rest(context, places, found)
        marks = file_marks(session, [ids.annotation for ids in found])
    made: list[Made] = []
    for item, ids, own in zip(attachments, found, links, strict=True):
        mark = marks[ids.annotation]
        made += [Made(kind, ANNOTATION, ids.annotation, mark, name) for kind, name in item.holds]
        made += own
    return made


@dataclass(frozen=True)
class Attached:
    """Ids of a file annotation, its file, and its first link."""

    annotation: int
    file: int
    link: int


def attach_first(
    context: WriteContext, places: Sequence[tuple[str, int]], annotations: Sequence[Any]
) -> list[Attached]:
    """Save new file annotations, each with a link to one place."""
    links = [link_to(*place, note) for place, note in zip(places, annotations, strict=True)]
    ids = save(context.session, context.group, links)
    found: dict[tuple[str, int], Attached] = {}
    for kind in sorted({kind for kind, _ in places}):
        own = [number for (name, _), number in zip(places, ids, strict=True) if name == kind]
        hql = (
            f"select l.id, a.id, f.id from {kind}AnnotationLink l join l.child a join a.file f "
            "where l.id in (:ids)"
        )
        for link, annotation, file in project_all(context.session, hql, own):
            found[kind, link] = Attached(annotation, file, link)
    return [found[kind, number] for (kind, _), number in zip(places, ids, strict=True)]


def attach_rest(
    context: WriteContext,
    places: Sequence[Sequence[tuple[str, int]]],
    attached: Sequence[Attached],
) -> list[list[Made]]:
    """Link file annotations to their further places; links of each, the first one included."""
    links = [
        link_to(*place, unloaded(ANNOTATION, ids.annotation))
        for own, ids in zip(places, attached, strict=True)
        for place in own[1:]
    ]
    numbers = iter(save(context.session, context.group, links))
    return [
        [
            Made("link", f"{kind}AnnotationLink", next(numbers) if rank else ids.link)
            for rank, (kind, _) in enumerate(own)
        ]
        for own, ids in zip(places, attached, strict=True)
    ]


def file_marks(session: Session, ids: Sequence[int]) -> dict[int, str]:
    """Look at FileAnnotations: mark by id; one that is gone is left out.

    The mark is that of name, size and hash. An OMERO.table has no hash: its time of change instead.
    """
    hql = (
        "select a.id, f.name, f.size, f.hash, f.mtime from FileAnnotation a join a.file f "
        "where a.id in (:ids)"
    )
    return {
        number: digest([name, size, sha1, None if sha1 else changed])
        for number, name, size, sha1, changed in project_all(session, hql, ids)
    }


@contextmanager
def open_file(conn: Any, file_id: int) -> Iterator[io.BufferedReader]:
    """Open an OriginalFile of a gateway for reading, wherever in it."""
    with raw_store(conn, file_id) as store:
        yield io.BufferedReader(_RemoteFile(store), CHUNK)


@contextmanager
def removed_on_failure(session: Session, group: int, annotations: Sequence[int]) -> Iterator[None]:
    """Take file annotations away again when what follows fails, as far as the server lets us."""
    try:
        yield
    except BaseException:
        # A server that is gone keeps them; their description tells a later undo whose they are.
        with suppress(Exception):
            delete(session, group, {ANNOTATION: annotations})
        raise


class _RemoteFile(io.RawIOBase):
    """A raw file store as a file that can be read and sought."""

    def __init__(self, store: Any) -> None:
        self._store, self._size, self._at = store, int(store.size()), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        # Past the end OMERO would fill with zeros.
        count = max(0, min(len(buffer), CHUNK, self._size - self._at))
        if count:
            buffer[:count] = self._store.read(self._at, count)
            self._at += count
        return count


def _annotation(context: WriteContext, item: Attachment) -> Any:
    """Make an annotation with the file that it is to hold, to be saved."""
    with item.path.open("rb") as content:
        sha1 = hashlib.file_digest(content, "sha1").hexdigest()
    file = new_file(
        item.name,
        path=f"omero-hcs/{context.run_id}/",
        media_type=_media_type(item.name),
        size=item.path.stat().st_size,
        sha1=sha1,
    )
    return file_annotation(file, item.namespace, labelled(item.about, context.label))


def _media_type(name: str) -> str:
    kind, packing = mimetypes.guess_type(name)
    return f"application/{packing}" if packing else kind or "application/octet-stream"


def file_annotation(file: Any, namespace: str, label: str) -> Any:
    """Make an annotation of a file, to be saved."""
    annotation = omero.model.FileAnnotationI()
    annotation.setNs(rstring(namespace))
    annotation.setDescription(rstring(label))
    annotation.setFile(file)
    return annotation


def _upload(session: Session, group: int, path: Path, file_id: int) -> None:
    with path.open("rb") as content:
        send(session.conn, group, file_id, content)

"""Model files on a server: attachments under our namespace, found and kept by content.

The annotation's description is ``sha256:<hex>`` of the file; the model's card is in the file's own
header (safetensors: eight bytes of length, then JSON), of which no more is read for a list.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import omero.gateway  # first: loads omero.model in a working order
import omero.model

from omero_hcs.errors import (
    ChecksumError,
    DataError,
    ModelNotFoundError,
    NotAllowedError,
    WriteError,
)
from omero_hcs.model import ObjectRef
from omero_hcs.stores.base import KeptModel
from omero_hcs.stores.omero.attachments import ANNOTATION, file_annotation
from omero_hcs.stores.omero.changes import Subject, delete, link_to, save, told, unloaded
from omero_hcs.stores.omero.layout import Layouts
from omero_hcs.stores.omero.rawfiles import new_file, raw_store, read_bytes, send
from omero_hcs.stores.omero.record import MODEL_NAMESPACE
from omero_hcs.stores.omero.session import ALL_GROUPS, Session, context_of

LOG = logging.getLogger(__name__)
SUFFIX = ".safetensors"
MAX_BYTES = 2_000_000_000
"""Larger files are no models of ours: a head and its reference embeddings take some MB."""

_FORMAT = "omero-hcs model"  # learning.modelfile.FORMAT: stores cannot import learning
_DIGEST = "sha256:"
_LENGTH_BYTES = 8
_FIRST_BYTES = 1 << 16
_MAX_HEADER = 1 << 24
_COLUMNS = (
    "select a.id, a.ns, a.description, f.id, f.name, f.size, o.omeName, e.time "
    "from FileAnnotation a join a.file f join a.details.owner o join a.details.creationEvent e "
)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A file annotation as the server tells it."""

    id: int
    namespace: str | None
    description: str | None
    file: int
    file_name: str
    size: int | None
    owner: str
    time_ms: int

    @property
    def name(self) -> str:
        return self.file_name.removesuffix(SUFFIX)

    def with_card(self, card: str) -> KeptModel:
        created = datetime.fromtimestamp(self.time_ms / 1000, UTC).isoformat(timespec="seconds")
        return KeptModel(str(self.id), self.name, self.owner, created, self.size or 0, card)


def list_models(session: Session) -> tuple[KeptModel, ...]:
    """Models that the user can read, newest first; see `ModelHome.models`.

    One whose card cannot be read has an empty one, ``{}``.
    """
    found = _annotations(session, "where a.ns = :ns", ns=MODEL_NAMESPACE)
    cards = session.read(lambda conn: _cards(conn, found))
    return tuple(kept.with_card(card) for kept, card in zip(found, cards, strict=True))


def fetch_model(session: Session, model_id: str) -> tuple[KeptModel, bytes]:
    """One model and its file; see `ModelHome.fetch_model`.

    Raises
    ------
    ModelNotFoundError
        If there is none of that id; the message lists those that there are.
    ChecksumError, DataError
        If its content is not what was kept, or is too much to be a model.
    """
    kept = _find(session, model_id)
    if (kept.size or 0) > MAX_BYTES:
        msg = f"{_title(session, kept)} has {kept.size} bytes, more than any model has."
        raise DataError(msg)
    content = session.read(lambda conn: _content(conn, kept))
    wanted = (kept.description or "").partition(_DIGEST)[2][:64]
    if wanted and wanted != hashlib.sha256(content).hexdigest():
        msg = (
            f"{_title(session, kept)} is not the file that was kept: its content does not fit the "
            "sha256 in its description. Attach the model again, and delete this one."
        )
        raise ChecksumError(msg)
    return kept.with_card(_card_of(content)), content


def keep_model(
    session: Session, layouts: Layouts, target: ObjectRef, named: tuple[str, str], content: bytes
) -> KeptModel:
    """Attach a model file; `named` is its name and its card as JSON; see `ModelHome.keep_model`.

    Raises
    ------
    NotAllowedError
        If the user may not annotate the target.
    WriteError
        If it is too large, or the server takes it not.
    """
    name, card = named
    if len(content) > MAX_BYTES:
        msg = f"Model {name} has {len(content)} bytes; a store keeps up to {MAX_BYTES}."
        raise WriteError(msg)
    group, anchors = layouts.group_of(target), layouts.anchors(target)
    subject = Subject(session, group, f"{target.kind} {target.id}")
    digest = f"{_DIGEST}{hashlib.sha256(content).hexdigest()}"
    for known in _of_content(session, group, digest):
        with contextlib.suppress(NotAllowedError), told(subject):
            _link(session, group, anchors, known.id)
            return known.with_card(card)
    # Not `learning`'s business what a name may hold: a path in it would end up in people's folders.
    file_name = name.replace("/", "_").replace("\\", "_").removesuffix(SUFFIX) + SUFFIX
    with told(subject):
        number = session.write(
            lambda conn: _attach(session, conn, group, anchors, (file_name, digest, content)), group
        )
    return _annotations(session, "where a.id = :id", id=number)[0].with_card(card)


def _annotations(session: Session, where: str, **given: int | str) -> list[_Kept]:
    rows = session.project(f"{_COLUMNS}{where} order by e.time desc, a.id desc", given)
    return [_Kept(*row) for row in rows]


def _find(session: Session, model_id: str) -> _Kept:
    found = []
    if model_id.isascii() and model_id.isdecimal() and len(model_id) <= len(str(2**62)):
        found = _annotations(session, "where a.id = :id", id=int(model_id))
    if found and found[0].namespace == MODEL_NAMESPACE:
        return found[0]
    there = _annotations(session, "where a.ns = :ns", ns=MODEL_NAMESPACE)
    names = ", ".join(f"{kept.id} ({kept.name})" for kept in there) or "none"
    what = (
        f"Annotation {model_id} of {session.server} is no model but the file "
        f"{found[0].file_name!r} ({found[0].namespace or 'without a namespace'})."
        if found
        else f"{session.server} has no model {model_id!r} that {session.user} can read."
    )
    msg = f"{what} Models there: {names}."
    raise ModelNotFoundError(msg)


def _of_content(session: Session, group: int, digest: str) -> list[_Kept]:
    """Models of a group with this very content; the user's own first, whose links are allowed."""
    where = "where a.ns = :ns and a.description = :digest and a.details.group.id = :group"
    found = _annotations(session, where, ns=MODEL_NAMESPACE, digest=digest, group=group)
    return sorted(found, key=lambda kept: kept.owner != session.user)


def _attach(
    session: Session,
    conn: Any,
    group: int,
    anchors: Sequence[tuple[str, int]],
    given: tuple[str, str, bytes],
) -> int:
    """Upload the file, then annotate with it: a model that is listed is whole."""
    name, digest, content = given
    file = _upload(conn, name, content, group)
    try:
        note = file_annotation(unloaded("OriginalFile", file), MODEL_NAMESPACE, digest)
        number = save(session, group, [note])[0]
    except BaseException:
        with contextlib.suppress(Exception):
            delete(session, group, {"OriginalFile": [file]})
        raise
    try:
        _link(session, group, anchors, number)
    except BaseException:
        with contextlib.suppress(Exception):
            delete(session, group, {ANNOTATION: [number]})  # its file goes with it
        raise
    return number


def _upload(conn: Any, name: str, content: bytes, group: int) -> int:
    file = new_file(
        name,
        path="omero-hcs/models/",
        media_type="application/octet-stream",
        size=len(content),
        sha1=hashlib.sha1(content, usedforsecurity=False).hexdigest(),
    )
    update = conn.c.getSession().getUpdateService()
    number = int(update.saveAndReturnIds([file], context_of(group))[0])
    send(conn, group, number, io.BytesIO(content))
    return number


def _link(
    session: Session, group: int, anchors: Sequence[tuple[str, int]], annotation: int
) -> None:
    """Link an annotation to those objects that it is not on yet."""
    links = []
    for kind in sorted({kind for kind, _ in anchors}):
        hql = f"select l.parent.id from {kind}AnnotationLink l where l.child.id = :id"
        linked = {row[0] for row in session.project(hql, {"id": annotation})}
        links += [
            link_to(kind, number, unloaded(ANNOTATION, annotation))
            for name, number in anchors
            if name == kind and number not in linked
        ]
    save(session, group, links)


def _content(conn: Any, kept: _Kept) -> bytes:
    with raw_store(conn, kept.file) as store:
        size = int(store.size())
        if size != kept.size or size > MAX_BYTES:
            msg = (
                f"Model {kept.name} (annotation {kept.id}) has {size} bytes on the server, and "
                f"{kept.size} were kept: its upload was not finished. Attach the model again."
            )
            raise DataError(msg)
        return read_bytes(store, size)


def _cards(conn: Any, found: Sequence[_Kept]) -> list[str]:
    """Cards of models, from the beginnings of their files."""
    if not found:
        return []
    store = conn.c.getSession().createRawFileStore()
    try:
        return [_card_at(store, kept) for kept in found]
    finally:
        store.close()


def _card_at(store: Any, kept: _Kept) -> str:
    try:
        store.setFileId(kept.file, context_of(ALL_GROUPS))
        size = int(store.size())
        head = store.read(0, min(size, _FIRST_BYTES))
        end = min(size, _LENGTH_BYTES + int.from_bytes(head[:_LENGTH_BYTES], "little"), _MAX_HEADER)
        if end > len(head):
            head += store.read(len(head), end - len(head))
    except omero.ServerError as error:  # a file that is gone from the disk spoils no list
        LOG.warning("the file of model %s cannot be read: %s", kept.id, type(error).__name__)
        return "{}"
    return _card_of(head)


def _card_of(head: bytes) -> str:
    """Card in a safetensors header; an empty one where there is none that can be read."""
    length = int.from_bytes(head[:_LENGTH_BYTES], "little")
    if length > min(_MAX_HEADER, len(head)) - _LENGTH_BYTES:
        return "{}"
    with contextlib.suppress(ValueError, TypeError, LookupError, AttributeError, RecursionError):
        metadata = json.loads(head[_LENGTH_BYTES : _LENGTH_BYTES + length]).get("__metadata__", {})
        if metadata.get("format") == _FORMAT and isinstance(json.loads(metadata["card"]), dict):
            return str(metadata["card"])
    return "{}"


def _title(session: Session, kept: _Kept) -> str:
    return f"Model {kept.name} (annotation {kept.id} of {session.server})"

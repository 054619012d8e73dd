"""What changes a server: objects saved in batches, and deleted by their ids."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import omero.gateway  # first: loads omero.model and omero.cmd in a working order

import Ice  # isort: skip
import omero.cmd
import omero.model

from omero_hcs.errors import HcsError, NotAllowedError, WriteError
from omero_hcs.stores.omero.faults import is_forbidden, is_lost, reason
from omero_hcs.stores.omero.session import ALL_GROUPS, Session, batches, context_of, parameters_of

T = TypeVar("T")

SAVED_AT_ONCE = 500
"""Objects in one call: more make it no faster, and a lost connection costs no more than these."""

_DELETED_AT_ONCE = 500
_STAYS = ("Image", "TagAnnotation", "TermAnnotation", "FileAnnotation")
"""What is not deleted with an image or a dataset that it is in or on: a user's, if there is any."""
_WAITS, _WAIT_MS = 3_600, 500


@dataclass(frozen=True)
class Subject:
    """What an error message is about: who wants to change what."""

    session: Session
    group: int
    what: str


@contextmanager
def told(subject: Subject) -> Iterator[None]:
    """Turn what a server says to a change into errors of ours; `Session.write` tells of lost ones.

    Raises
    ------
    NotAllowedError
        If the user may not do it.
    WriteError
        If the server refused it for another reason.
    """
    try:
        yield
    except HcsError:
        raise
    except omero.CmdError as error:
        raise _refused(subject, error.err) from error
    except (Ice.Exception, omero.ClientError) as error:
        if is_lost(error):
            raise
        if is_forbidden(error):
            raise _forbidden(subject, reason(error)) from error
        raise _not_written(subject, reason(error)) from error


def _refused(subject: Subject, error: Any) -> HcsError:
    message = getattr(error, "message", None) or (error.parameters or {}).get("message", error.name)
    text = str(message).strip().splitlines()[0]
    if "not permitted" in text or "ecurityViolation" in text:
        return _forbidden(subject, text)
    return _not_written(subject, text)


def _forbidden(subject: Subject, text: str) -> NotAllowedError:
    session = subject.session
    hql = "select g.name from ExperimenterGroup g where g.id = :id"
    names = [row[0] for row in session.project(hql, {"id": subject.group})]
    msg = (
        f"{session.server} does not let {session.user} change {subject.what} in group "
        f"{names[0] if names else subject.group!r}: {text}. Ask its owner, a group owner or an "
        "administrator to do it, or to give you the right to."
    )
    return NotAllowedError(msg)


def _not_written(subject: Subject, text: str) -> WriteError:
    msg = (
        f"{subject.session.server} refused to change {subject.what}: {text}. If something was "
        "deleted there meanwhile, run it again; what is done is kept."
    )
    return WriteError(msg)


def save(session: Session, group: int, objects: Sequence[Any]) -> list[int]:
    """Save new objects, some hundred in a call.

    Returns
    -------
    list of int
        Their ids, in the same order.
    """
    if not objects:
        return []
    update = session.conn.c.sf.getUpdateService()
    ids: list[int] = []
    for batch in batches(objects, SAVED_AT_ONCE):
        ids += update.saveAndReturnIds(list(batch), context_of(group))
    return ids


def delete(
    session: Session, group: int, ids: Mapping[str, Iterable[int]], *, owner: int | None = None
) -> None:
    """Delete objects by class and id; annotations take their links and files with them.

    What is gone already is passed over, and so is what is not `owner`'s where one is given.
    """
    pairs = sorted({(kind, number) for kind, numbers in ids.items() for number in numbers})
    for batch in batches(pairs, _DELETED_AT_ONCE):
        targets: dict[str, list[int]] = defaultdict(list)
        for kind, number in batch:
            targets[kind].append(number)
        present = {
            kind: sorted(there(session, kind, known, owner=owner))
            for kind, known in targets.items()
        }
        request = omero.cmd.Delete2(targetObjects={k: v for k, v in present.items() if v})
        if {"Image", "Dataset"} & set(request.targetObjects):
            request.childOptions = [omero.cmd.graphs.ChildOption(excludeType=list(_STAYS))]
        if request.targetObjects:
            session.conn.c.submit(request, loops=_WAITS, ms=_WAIT_MS, ctx=context_of(group))


def there(session: Session, kind: str, ids: Iterable[int], *, owner: int | None = None) -> set[int]:
    """Ids of those objects of a class that are still there, of one owner or of all."""
    hql = f"select o.id from {kind} o where o.id in (:ids)"
    if owner is None:
        return {row[0] for row in project_all(session, hql, ids)}
    hql += " and o.details.owner.id = :owner"
    return {row[0] for row in project_all(session, hql, ids, owner=owner)}


def project_all(
    session: Session, hql: str, ids: Iterable[int], **given: int | str | Sequence[int]
) -> list[list[Any]]:
    """Rows of a projection with ``:ids``, asked for in parts."""
    return [
        row
        for batch in batches(sorted(set(ids)))
        for row in session.project(hql, {"ids": batch, **given})
    ]


def load_all(session: Session, hql: str, ids: Iterable[int]) -> Iterator[Any]:
    """Objects of a query with ``:ids``, loaded in parts."""
    for batch in batches(sorted(set(ids)), SAVED_AT_ONCE):
        parameters = parameters_of({"ids": batch})

        def load(conn: Any, given: Any = parameters) -> Any:
            return conn.getQueryService().findAllByQuery(hql, given, context_of(ALL_GROUPS))

        yield from session.read(load)


def unloaded(kind: str, number: int) -> Any:
    """Make a reference to an object by class and id, as links and parents take one."""
    make: Callable[..., Any] = getattr(omero.model, f"{kind}I")
    return make(number, False)  # noqa: FBT003  (OMERO's own: not loaded)


def link_to(kind: str, number: int, annotation: Any) -> Any:
    """Make a link from an object to an annotation, which may be new."""
    link = getattr(omero.model, f"{kind}AnnotationLinkI")()
    link.parent = unloaded(kind, number)
    link.child = annotation
    return link

"""Where a run of a test writes: a session of a user, the tiny plate as a target, a look at it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from omero.rtypes import unwrap

from omero_hcs.model import ObjectRef, well_name
from omero_hcs.stores.omero.login import Login
from omero_hcs.stores.omero.record import WriteContext
from omero_hcs.stores.omero.session import Session, parameters_of

RUN = "20250101T120000-0000aaaa"


@pytest.fixture
def session_of(omero_server) -> Iterator[Callable[[Any], Session]]:
    """Log a user in: ``session_of(user)``; closed afterwards."""
    with contextlib.ExitStack() as stack:

        def open_as(user: Any) -> Session:
            login = Login(omero_server.host, omero_server.port, user.name, user.password)
            return stack.enter_context(contextlib.closing(Session(login)))

        yield open_as


@pytest.fixture
def rows(omero_conn) -> Callable[..., list[tuple[Any, ...]]]:
    """Ask as the plate's owner: ``rows("select r.id from Roi r where r.name = :n", n="...")``."""

    def ask(hql: str, **given: Any) -> list[tuple[Any, ...]]:
        found = omero_conn.getQueryService().projection(
            hql, parameters_of(given), {"omero.group": "-1"}
        )
        return [tuple(map(unwrap, row)) for row in found]

    return ask


@pytest.fixture
def make_context() -> Callable[[Any, Session], WriteContext]:
    """Name a plate as the target of a run's finishing step: ``make_context(imported, session)``."""

    def make(imported: Any, session: Session) -> WriteContext:
        ids = imported.ids
        return WriteContext(
            session,
            imported.owner.groups[0].id,
            ObjectRef(kind="plate", id=str(ids.plate)),
            (("Plate", ids.plate),),
            {well_name(*place): number for place, number in ids.wells.items()},
            frozenset(ids.images),
            RUN,
        )

    return make


@pytest.fixture
def context(make_context, session_of, omero_tiny) -> WriteContext:
    """The finishing step of a run over the tiny plate, written by its owner."""
    return make_context(omero_tiny, session_of(omero_tiny.owner))


@pytest.fixture
def put(omero_tiny) -> Any:
    """The tiny plate on the server, of `omero_user`: its ids there."""
    return omero_tiny.ids

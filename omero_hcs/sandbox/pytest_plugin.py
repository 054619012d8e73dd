"""Fixtures for tests of code that talks to OMERO: a server, users, groups, connections.

Opt in, with ``pytest_plugins = ["omero_hcs.sandbox.pytest_plugin"]`` in the top-level
``conftest.py``, or for one run with ``pytest -p omero_hcs.sandbox.pytest_plugin``. Loading it
imports neither omero nor anything heavy; the server starts when the first test asks for it.

===========================  =======  ===========================================================
fixture                      scope    what it gives
===========================  =======  ===========================================================
``omero_server``             session  `Address`: host, port, administrator
``omero_people``           session  `People`: makes users and groups, connects them
``omero_root``               test     `BlitzGateway` of the administrator
``omero_make_group``         test     function of a level -> `Group`
``omero_make_user``          test     function of groups (``owns=`` those that he leads) -> `User`
``omero_connect``            test     function of a user (and a group) -> `BlitzGateway`
``omero_group``              test     `Group`; the test runs once for each of the four levels
``omero_user``               test     `User` in a fresh read-annotate group
``omero_conn``               test     his `BlitzGateway`
``omero_second_user``        test     another `User` of the same group
``omero_second_conn``        test     his `BlitzGateway`
===========================  =======  ===========================================================

The server is the sandbox, in a process of its own with a temporary folder, one for each worker of
pytest-xdist. With ``OMERO_HCS_TEST_SERVER`` set (see `omero_hcs.sandbox.address`) it is that
real, throw-away server instead: what the fixtures made there has a unique prefix and is removed at
the end.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from omero_hcs.lazy import load
from omero_hcs.sandbox import launch
from omero_hcs.sandbox.address import Address, from_environment

if TYPE_CHECKING:
    from omero_hcs.sandbox.people import Group, People, User

_LEVELS = ("private", "read-only", "read-annotate", "read-write")


@pytest.fixture(scope="session")
def omero_server() -> Iterator[Address]:
    """Give the server that this session tests with: the sandbox, or a real one."""
    real = from_environment(os.environ)
    if real is not None:
        yield real
        return
    with launch.start() as box:
        yield Address(box.host, box.port, box.user, box.password, is_sandbox=True)


@pytest.fixture(scope="session")
def omero_people(omero_server: Address) -> Iterator[People]:
    """Make users and groups; on a real server they are removed when the session ends."""
    with load("omero_hcs.sandbox.people:People", extra="sandbox")(omero_server) as people:
        yield people
        left = [] if omero_server.is_sandbox else people.remove()
    if left:
        msg = (
            f"{len(left)} users and groups named {people.prefix}-... are still on "
            f"{omero_server.host}: OMERO keeps those that its events name. Without a way in."
        )
        warnings.warn(msg, stacklevel=2)


@pytest.fixture
def omero_root(omero_people: People) -> Iterator[Any]:
    """Give a fresh connection of the administrator."""
    with contextlib.closing(omero_people.connect_admin()) as conn:
        yield conn


@pytest.fixture
def omero_make_group(omero_people: People) -> Callable[..., Group]:
    """Make a group: ``omero_make_group("read-only")``."""
    return omero_people.make_group


@pytest.fixture
def omero_make_user(omero_people: People) -> Callable[..., User]:
    """Make a user: ``omero_make_user(group, other, owns=[other])``."""
    return omero_people.make_user


@pytest.fixture
def omero_connect(omero_people: People) -> Iterator[Callable[..., Any]]:
    """Log users in: ``omero_connect(user)``, ``omero_connect(user, group)``; closed afterwards."""
    with contextlib.ExitStack() as stack:

        def connect(user: User, group: Group | None = None) -> Any:
            return stack.enter_context(contextlib.closing(omero_people.connect(user, group)))

        yield connect


@pytest.fixture(params=_LEVELS)
def omero_group(request: pytest.FixtureRequest, omero_people: People) -> Group:
    """Give a fresh group; a test that asks for it runs once for each permission level."""
    return omero_people.make_group(request.param)


@pytest.fixture
def omero_user(omero_people: People) -> User:
    """Give an ordinary user, alone in a fresh read-annotate group."""
    return omero_people.make_user(omero_people.make_group("read-annotate"))


@pytest.fixture
def omero_conn(omero_user: User, omero_connect: Callable[..., Any]) -> Any:
    """Give the connection of `omero_user`."""
    return omero_connect(omero_user)


@pytest.fixture
def omero_second_user(omero_user: User, omero_people: People) -> User:
    """Give another ordinary member of the group of `omero_user`."""
    return omero_people.make_user(omero_user.groups[0])


@pytest.fixture
def omero_second_conn(omero_second_user: User, omero_connect: Callable[..., Any]) -> Any:
    """Give the connection of `omero_second_user`."""
    return omero_connect(omero_second_user)

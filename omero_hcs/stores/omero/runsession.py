"""Sessions of runs that go on when their user has logged out."""

from __future__ import annotations

import re
from typing import Any

from omero.gateway import BlitzGateway  # noqa: F401  (first: loads omero's modules in order)

import omero  # isort: skip

from omero_hcs.errors import NotAllowedError
from omero_hcs.stores.omero.faults import reason
from omero_hcs.stores.omero.login import Login

_HOUR_MS = 3_600_000
_MAXIMUM = re.compile(r"beyond maximum: (\d+)")


def open_run_session(conn: Any, login: Login, *, group: int, hours: float) -> str:
    """Open a user session and give its key; see `Session.create_run_session`.

    Raises
    ------
    NotAllowedError
    """
    factory = conn.c.getSession()
    _show_password(factory, login)
    name = _group_name(factory, group)
    life = int(hours * _HOUR_MS)
    service = factory.getSessionService()
    try:
        made = _create(service, life, life, name)
    except omero.SecurityViolation as error:
        raise _refused(error, login, hours) from error
    return str(made.getUuid().getValue())


def _create(service: Any, life: int, idle: int, group: str) -> Any:
    """Let it be idle as long as it lives, or as long as the server allows."""
    try:
        return service.createUserSession(life, idle, group)
    except omero.SecurityViolation as error:
        maximum = _MAXIMUM.search(error.message)
        if "timeToIdle" not in error.message or maximum is None:
            raise
        return service.createUserSession(life, min(idle, int(maximum[1])), group)


def _show_password(factory: Any, login: Login) -> None:
    """Prove who asks on a connection that joined its session by the key, after a reconnection."""
    if login.password is not None and not login.key:
        factory.setSecurityPassword(login.password)


def _group_name(factory: Any, group: int) -> str:
    who = factory.getAdminService().getEventContext()
    if group not in who.memberOfGroups and not who.isAdmin:
        msg = f"User {who.userName} is not in group {group}, so no run of his can work there."
        raise NotAllowedError(msg)
    try:
        return str(factory.getAdminService().getGroup(group).getName().getValue())
    except omero.ServerError as error:
        msg = f"The server has no group {group}: {reason(error)}."
        raise NotAllowedError(msg) from error


def _refused(error: Exception, login: Login, hours: float) -> NotAllowedError:
    if login.key:
        msg = (
            f"OMERO opens no session for a run: this one was joined by its key ({login.origin}), "
            "and the password is needed. Log in with a password, or let the runner's service "
            "account do the run."
        )
    else:
        msg = (
            f"OMERO opens no session of {hours:g} hours for a run: {reason(error)}. Ask for fewer "
            "hours, or ask the administrator (omero.sessions.max_user_time_to_live)."
        )
    return NotAllowedError(msg)

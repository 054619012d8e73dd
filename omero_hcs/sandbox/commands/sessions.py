"""Requests about sessions: who is logged in, for how much longer, and forgotten passwords."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omero_hcs.sandbox.commands.handle import RequestFailedError
from omero_hcs.sandbox.ice.record import omero, rtypes
from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.load import Plan, materialise
from omero_hcs.sandbox.sessions import MAXIMUM_USER_IDLE_MS, MAXIMUM_USER_LIFE_MS, OpenSession

if TYPE_CHECKING:
    from omero_hcs.sandbox.server import Server


def update_timeout(server: Server, session: OpenSession, request: Any, current: Any) -> Any:
    """Run an `UpdateSessionTimeoutRequest`.

    Raises
    ------
    RequestFailedError
        There is no such session, or the caller may not give it such time-outs.
    """
    caller = session.caller(current)
    found = server.sessions.get(request.session)
    if found is None or not (caller.is_admin or found.user is session.user):
        raise failure(request, "no-session", session=request.session)
    life = _allowed(request, "timeToLive", found.life_ms, MAXIMUM_USER_LIFE_MS, caller)
    idle = _allowed(request, "timeToIdle", found.idle_ms, MAXIMUM_USER_IDLE_MS, caller)
    if life is None and idle is None:
        raise failure(request, "no-update-performed", session=request.session)
    if life is not None:
        server.world.set(found.row, "timeToLive", life)
        found.life_ms = life
    if idle is not None:
        server.world.set(found.row, "timeToIdle", idle)
        found.idle_ms = idle
    return omero.cmd.OK()


def _allowed(request: Any, name: str, now: int, maximum: int, caller: Caller) -> int | None:
    """Return the time-out that a request asks for, as far as the caller may have it."""
    told = getattr(request, name)
    if told is None:
        return None
    wanted: int = told.val
    if caller.is_admin or wanted == now:
        return wanted
    if wanted <= 0:
        raise failure(
            request, "non-admin-disabling", field=name, target=str(wanted), current=str(now)
        )
    return min(wanted, maximum) if maximum else wanted


def current_sessions(server: Server, session: OpenSession, request: Any, current: Any) -> Any:
    """Run a `CurrentSessionsRequest`: everybody's sessions for an admin, one's own for others."""
    caller = session.caller(current)
    shown = [one for one in server.sessions if one is session or caller.can_read(one.row)]
    rows = [one.row for one in shown]
    return omero.cmd.CurrentSessionsResponse(
        sessions=materialise(server.world, rows, Plan(rows), caller),
        contexts=[_context(one) for one in shown],
        data=[{"method-counter": rtypes.rlong(0)} for _ in shown],
    )


def _context(session: OpenSession) -> Any:
    accounts, user = session.accounts, session.user
    return omero.sys.EventContext(
        shareId=-1,
        sessionId=session.row.id,
        sessionUuid=session.uuid,
        userId=user.id,
        userName=user.values["omeName"],
        groupId=session.group.id,
        groupName=session.group.values["name"],
        isAdmin=accounts.is_admin(user),
        adminPrivileges=sorted(session.privileges()),
        eventId=-1,
        eventType="User",
        memberOfGroups=[one.id for one in accounts.groups_of(user)],
        leaderOfGroups=[one.id for one in accounts.led_by(user)],
        groupPermissions=omero.model.PermissionsI(session.group.level),
    )


def reset_password(server: Server, session: OpenSession, request: Any, current: Any) -> Any:
    """Refuse a `ResetPasswordRequest`: the sandbox sends no mail.

    Raises
    ------
    RequestFailedError
        Always.
    """
    raise failure(request, "mail-not-configured", message="The sandbox sends no mail.")


def failure(request: Any, name: str, **parameters: str) -> RequestFailedError:
    """Make the error response of a request."""
    return RequestFailedError(omero.cmd.ERR(request.ice_id(), name, parameters))

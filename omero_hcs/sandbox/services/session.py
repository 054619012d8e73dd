"""ISession: sessions that are opened, looked at and closed by their keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omero_hcs.sandbox.ice.record import omero
from omero_hcs.sandbox.objects.conditions import removed, security
from omero_hcs.sandbox.objects.load import Plan, materialise
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.services.base import Service
from omero_hcs.sandbox.sessions import (
    MAXIMUM_USER_IDLE_MS,
    MAXIMUM_USER_LIFE_MS,
    NEVER,
    OpenSession,
    Sudo,
)

CLIENT_AGENTS = ("OMERO.insight", "OMERO.web", "OMERO.importer")
# What `closeSession` returns instead of the references that are left.
UNKNOWN_SESSION, SESSION_REMOVED = -1, -2


class ISession(Service):
    """Operations of `omero.api.ISession`."""

    # -- opening

    def createUserSession(
        self, timeToLiveMs: int, timeToIdleMs: int, defaultGroup: str, current: Any
    ) -> Any:
        self.needs_password(current)
        with self.world.lock:
            check_limit("timeToLive", timeToLiveMs, MAXIMUM_USER_LIFE_MS)
            check_limit("timeToIdle", timeToIdleMs, MAXIMUM_USER_IDLE_MS)
            group = self._group_of(self.session.user, defaultGroup)
            made = self.server.open_session(
                self.session.user,
                group,
                agent=agent_of(current, "createSession"),
                life_ms=timeToLiveMs,
                idle_ms=timeToIdleMs,
                sudo=self.session.sudo,
            )
            return self._shown(made)

    def createSessionWithTimeout(self, principal: Any, milliseconds: int, current: Any) -> Any:
        return self.createSessionWithTimeouts(principal, milliseconds, NEVER, current)

    def createSessionWithTimeouts(
        self, principal: Any, timeToLiveMs: int, timeToIdleMs: int, current: Any
    ) -> Any:
        with self.reading(current) as caller:
            known = self.server.sessions.get(principal.name)
            if known is not None:
                known.references += 1
                return self._shown(known)
            user = self.server.accounts.user(principal.name)
            if user is None:
                msg = f"Cannot find a user with name {principal.name}"
                raise removed(msg)
            group = self._group_of(user, principal.group)
            led = None if caller.has("Sudo") else frozenset(caller.led)
            if led is not None and group not in led:
                name = group.values["name"]
                msg = f"Group sudo is not permitted for group {name} (gid={group.id})"
                raise security(msg)
            made = self.server.open_session(
                user,
                group,
                agent=agent_of(current, "OMERO.sudo"),
                life_ms=timeToLiveMs,
                idle_ms=timeToIdleMs,
                sudo=Sudo(self.session.sudo.user or self.session.user, led),
            )
            return self._shown(made)

    def createSession(self, principal: Any, credentials: str, current: Any) -> Any:
        with self.world.lock:
            known = self.server.sessions.get(credentials)
            if known is not None:
                known.references += 1
            else:
                user = self.server.accounts.authenticate(principal.name, credentials)
                if user is None:
                    reason = "Authentication exception."
                    raise omero.AuthenticationException(reason)
                known = self.server.open_session(
                    user,
                    self._group_of(user, principal.group),
                    agent=agent_of(current, "createSession"),
                )
            return self._shown(known)

    def _group_of(self, user: Row, told: str) -> Row:
        accounts = self.server.accounts
        if not told or told == "user":
            return accounts.default_group(user)
        group = accounts.group(told)
        if group is None:
            msg = f"No info in database for {user.values['omeName']} in the group {told!r}"
            raise removed(msg)
        return group  # the first call in the session looks whether he is a member

    # -- looking

    def _open(self, uuid: str) -> OpenSession:
        found = self.server.sessions.get(uuid)
        if found is None:
            msg = f"No context for {uuid}"
            raise removed(msg)
        found.use()  # to ask about a session keeps it alive
        return found

    def _shown(self, session: OpenSession) -> Any:
        row, user, group = session.row, session.user, session.group
        rows = [row, user, group, *filter(None, [session.sudo.user])]
        plan = Plan(rows)
        plan.touch(row, "annotationLinks")
        shown, *people = materialise(self.world, rows, plan, None)
        shown._details._owner, shown._details._group = people[:2]
        return shown

    def getSession(self, uuid: str, current: Any) -> Any:
        with self.world.lock:
            return self._shown(self._open(uuid))

    def getReferenceCount(self, uuid: str, current: Any) -> int:
        with self.world.lock:
            return self._open(uuid).references

    def getMyOpenSessions(self, current: Any) -> list[Any]:
        return self._mine(current)

    def getMyOpenAgentSessions(self, agent: str, current: Any) -> list[Any]:
        return self._mine(current, agent)

    def getMyOpenClientSessions(self, current: Any) -> list[Any]:
        return self._mine(current, *CLIENT_AGENTS)

    def _mine(self, current: Any, *agents: str) -> list[Any]:
        with self.reading(current) as caller:
            found = [
                one
                for one in self.server.sessions
                if one.user is self.session.user
                and (caller.has("ReadSession") or one.sudo.user is self.session.sudo.user)
                and (not agents or one.agent in agents)
            ]
            found.sort(key=lambda one: one.started_ms, reverse=True)
            return [self._shown(one) for one in found]

    # -- closing

    def closeSession(self, session: Any, current: Any) -> int:
        with self.world.lock:
            uuid = None if session._uuid is None else session._uuid.val
            found = None if uuid is None else self.server.sessions.get(uuid)
            if found is None:
                return UNKNOWN_SESSION
            left = self.server.release_session(found)
            return left if left > 0 else SESSION_REMOVED

    # -- the environment of a session: what a script gets, and what it gives back

    def getInput(self, uuid: str, key: str, current: Any) -> Any:
        return self._open(uuid).inputs.get(key)

    def getOutput(self, uuid: str, key: str, current: Any) -> Any:
        return self._open(uuid).outputs.get(key)

    def setInput(self, uuid: str, key: str, value: Any, current: Any) -> None:
        _assign(self._open(uuid).inputs, key, value)

    def setOutput(self, uuid: str, key: str, value: Any, current: Any) -> None:
        _assign(self._open(uuid).outputs, key, value)

    def getInputKeys(self, uuid: str, current: Any) -> list[str]:
        return list(self._open(uuid).inputs)

    def getOutputKeys(self, uuid: str, current: Any) -> list[str]:
        return list(self._open(uuid).outputs)

    def getInputs(self, uuid: str, current: Any) -> Mapping[str, Any]:
        return dict(self._open(uuid).inputs)

    def getOutputs(self, uuid: str, current: Any) -> Mapping[str, Any]:
        return dict(self._open(uuid).outputs)


def check_limit(name: str, wanted: int, maximum: int) -> None:
    """Refuse a time-out beyond what users may ask for; a maximum of 0 allows every one.

    Raises
    ------
    omero.SecurityViolation
    """
    if maximum and not 0 < wanted <= maximum:
        msg = f"Cannot modify {name} beyond maximum: {maximum}"
        raise security(msg)


def agent_of(current: Any, default: str) -> str:
    """Return the program that a client says it is."""
    agent: str = current.ctx.get("omero.agent", default)
    return agent


def _assign(environment: dict[str, Any], key: str, value: Any) -> None:
    if value is None:
        environment.pop(key, None)
    else:
        environment[key] = value

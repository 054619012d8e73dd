"""One connection to a server: opened with a password or by a session's key, and closed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from omero.gateway import BlitzGateway  # first: loads omero.model and omero.cmd in a working order

import Glacier2  # isort: skip
import Ice  # isort: skip
import omero  # isort: skip

from omero_hcs.errors import LoginError
from omero_hcs.stores.omero.faults import is_cut, reason

if TYPE_CHECKING:
    from omero_hcs.stores.omero.login import Login

LOG = logging.getLogger("omero_hcs")
AGENT = "omero-hcs"
"""Who we say that we are: what administrators read in their list of sessions."""

_FAILED_CALL = "%s on %s to <%s> %s(%r, %r)"
"""What the gateway logs, with its trace, about an exception that it raises as well."""


class SessionEndedError(LoginError):
    """The session that was to be joined is not open any more."""


def open_client(
    login: Login, *, outlives: bool = True, properties: Mapping[str, str] | None = None
) -> Any:
    """Log in, or join a session; once more if the connection is cut while it is being made.

    The gateway's own `connect` is not used: it logs the keys of sessions.

    Parameters
    ----------
    login : Login
        The way in; a key goes before a password.
    outlives : bool
        Whether a session that is joined stays open when nobody is connected any more.
    properties : mapping, optional
        Ice's and OMERO's, of a client that is connected already: how to reach its server.

    Returns
    -------
    omero.client
        To be closed with `close_client`.

    Raises
    ------
    SessionEndedError
        If there is no session of that key.
    LoginError
        If the server is not reached, or lets nobody in; the message says which, and the mend.
    """
    try:
        return _open(login, outlives=outlives, properties=properties)
    except Exception as error:
        explained = _explain(login, error)
        if explained is None:
            raise
        raise explained from None  # Ice's own text says no more, and may name the key


def _open(login: Login, *, outlives: bool, properties: Mapping[str, str] | None) -> Any:
    client = _client(login, properties)
    try:
        return _enter(client, login, outlives=outlives)
    except Exception as error:
        close_client(client)
        if not is_cut(error):
            raise
    client = _client(login, properties)
    try:
        return _enter(client, login, outlives=outlives)
    except Exception:
        close_client(client)
        raise


def _client(login: Login, properties: Mapping[str, str] | None) -> Any:
    if properties is None:
        host = f'"{login.host.strip("[]")}"' if ":" in login.host else login.host
        client = omero.client(host=host, port=login.port)
    else:
        client = omero.client(pmap=dict(properties))
    client.setAgent(AGENT)
    return client


def _enter(client: Any, login: Login, *, outlives: bool) -> Any:
    if login.key:
        joined = client.joinSession(login.key)
        if outlives:
            joined.detachOnDestroy()
    else:
        client.createSession(login.user, login.password)
    return client


def gateway_of(client: Any, group: int) -> Any:
    """Wrap a client that has a session; the gateway's calls are in the context of a group."""
    for name, kind in (("omero.gateway", _RaisedAnyway), ("omero.gateway.utils", _NamesKeys)):
        logger = logging.getLogger(name)
        if not any(isinstance(known, kind) for known in logger.filters):
            logger.addFilter(kind())
    conn = BlitzGateway(client_obj=client)
    # The session's key goes along by itself; from here it would get into the gateway's log.
    conn.SERVICE_OPTS.pop(omero.constants.SESSIONUUID, None)
    conn.SERVICE_OPTS.setOmeroGroup(group)
    return conn


def close_client(client: Any) -> None:
    """Close a connection, whatever state it is in."""
    try:
        client.closeSession()
    except Exception as error:  # noqa: BLE001  (it is gone already, in one way or another)
        LOG.debug("a connection did not close in good order: %s", reason(error))


def place_of(client: Any) -> tuple[str, int]:
    """Host and port of the server that a client is connected to."""
    host = client.getProperty("omero.host")
    if host:
        return str(host), int(client.getProperty("omero.port"))
    # The configuration of a script names the router alone.
    router = client.getRouter(client.getCommunicator())
    found = [endpoint.getInfo() for endpoint in router.ice_getEndpoints()]
    return next(((info.host, info.port) for info in found if info.host), ("localhost", 0))


class _RaisedAnyway(logging.Filter):
    """Keep a failed call's trace out of the log: it is raised, and told by whoever catches it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything else pass."""
        return record.msg != _FAILED_CALL


class _NamesKeys(logging.Filter):
    """Keep out of the log what names the key of a session: each option of a call, at DEBUG."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let warnings pass."""
        return record.levelno > logging.DEBUG


def _explain(login: Login, error: Exception) -> LoginError | None:
    """Say why there is no connection; None for what is no such fault."""
    place = f"{login.host}:{login.port}"
    if isinstance(error, Ice.DNSException):
        told = f"There is no machine named {login.host!r}. Check the host in the URI."
    elif isinstance(error, Ice.ConnectionRefusedException):
        told = (
            f"Nothing listens at {place}. Check host and port in the URI (4064 is usual), and that "
            "the OMERO server is running."
        )
    elif isinstance(error, (Ice.ConnectFailedException, Ice.TimeoutException)) or (
        isinstance(error, omero.ClientError) and "null object" in str(error)
    ):
        told = (
            f"{place} does not answer: {reason(error)}. Check the network, and whether a firewall "
            "lets that port pass."
        )
    elif isinstance(error, (Glacier2.PermissionDeniedException, omero.AuthenticationException)):
        return _explain_refusal(login, place)
    elif isinstance(
        error, (Glacier2.CannotCreateSessionException, omero.ServerError, omero.ClientError)
    ):
        told = (
            f"OMERO at {place} opened no session for {login.user or 'the key'}: {reason(error)}. "
            "Ask its administrator."
        )
    elif isinstance(error, Ice.LocalException):
        told = (
            f"What listens at {place} does not speak as an OMERO server does "
            f"({reason(error)}). Pass the port for encrypted connections, 4064 by default."
        )
    else:
        return None
    return LoginError(told)


def _explain_refusal(login: Login, place: str) -> LoginError:
    where = f" (from {login.origin})" if login.origin else ""
    if login.key:
        told = (
            f"The session{where} is not open at {place}: it has ended, timed out, or is another "
            "server's. Log in again, with `omero login` or a password."
        )
        return SessionEndedError(told)
    told = (
        f"OMERO at {place} does not let user {login.user!r} in: the password{where} or the user "
        "name is wrong, or the account is not active. Check both."
    )
    return LoginError(told)

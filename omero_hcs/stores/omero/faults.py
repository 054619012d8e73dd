"""What the exceptions of Ice and OMERO mean: a lost connection, a missing right, or a fault."""

from __future__ import annotations

from omero.gateway import BlitzGateway  # noqa: F401  (first: loads omero's modules in order)

import Ice  # isort: skip
import omero  # isort: skip

_LOST = (
    Ice.SocketException,
    Ice.TimeoutException,
    Ice.DNSException,
    Ice.CloseConnectionException,
    Ice.ForcedCloseConnectionException,
    Ice.ConnectionNotValidatedException,
    Ice.CommunicatorDestroyedException,
    Ice.ObjectAdapterDeactivatedException,
    Ice.ObjectNotExistException,
    omero.SessionException,
)
"""Raised where a connection or its session is gone; nothing but a new one mends that."""

_LOST_INSIDE = ("RemovedSession", "SessionTimeout", "SessionNotExist", "ShutdownInProgress")
"""What a server that closes a session wraps into an unknown exception."""

_NO_SESSION = ("No session available", "No Ice.Communicator active")
"""What a client says that was closed by another thread."""


def is_cut(error: BaseException) -> bool:
    """Whether a connection was cut, perhaps while its encryption was agreed on."""
    # ProtocolException is Ice's own name for the latter; the classes below it are about messages
    # that cannot be read.
    return isinstance(error, Ice.ConnectionLostException) or type(error) is Ice.ProtocolException


def is_lost(error: BaseException) -> bool:
    """Whether an exception says that the connection or its session is gone."""
    if isinstance(error, _LOST) or is_cut(error):
        return True
    if isinstance(error, Ice.UnknownException):
        return any(word in error.unknown for word in _LOST_INSIDE)
    if isinstance(error, omero.ClientError):
        return any(word in str(error) for word in _NO_SESSION)
    return False


def is_forbidden(error: BaseException) -> bool:
    """Whether the server refused a call because of who asks."""
    return isinstance(error, omero.SecurityViolation)


def is_unknown_group(error: BaseException) -> bool:
    """Whether a call named a group that is not there, or that the user is not in."""
    told = reason(error)
    return isinstance(error, omero.ServerError) and (
        "is not a member of group" in told or "ExperimenterGroup" in told
    )


def reason(error: BaseException) -> str:
    """Say in one line what an exception of Ice or OMERO tells, without its trace."""
    if isinstance(error, (omero.ServerError, omero.ClientError)):
        told = str(getattr(error, "message", None) or error)
    elif isinstance(error, Ice.SyscallException):
        told = _WORDS.get(type(error), "the connection failed")
    elif isinstance(error, Ice.LocalException):
        told = _WORDS.get(type(error)) or f"Ice tells {type(error).__name__}"
    else:
        told = str(getattr(error, "reason", None) or error) or type(error).__name__
    return told.strip().splitlines()[0].rstrip(".") if told.strip() else type(error).__name__


_WORDS: dict[type, str] = {
    Ice.ConnectionLostException: "the connection was cut",
    Ice.ProtocolException: "no encrypted connection came about",
    Ice.ConnectionRefusedException: "nothing listens there",
    Ice.ConnectFailedException: "the machine is not reached",
    Ice.ConnectTimeoutException: "it did not answer in time",
    Ice.ConnectionTimeoutException: "it did not answer in time",
    Ice.TimeoutException: "it did not answer in time",
    Ice.DNSException: "there is no machine of that name",
    Ice.CloseConnectionException: "the server closed the connection",
    Ice.ForcedCloseConnectionException: "the connection was closed",
    Ice.ObjectNotExistException: "the session has ended",
    Ice.CommunicatorDestroyedException: "the connection was closed",
}

"""How somebody gets into an OMERO server: which secret, and where it was found."""

from __future__ import annotations

import functools
import getpass
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from omero_hcs.errors import LoginError, WriteError
from omero_hcs.settings import PREFIX, Settings
from omero_hcs.stores.omero.address import OmeroAddress

_KINDS = ("session-file", "password-file")
_PLACES = """\
  1. a file with the key of an open session, named by omero_session_file in omero-hcs.toml
     or by {prefix}OMERO_SESSION_FILE in the environment (or the key itself, without _FILE)
  2. a file with the password, named by omero_password_file or {prefix}OMERO_PASSWORD_FILE
     (or the password itself, without _FILE)
  3. `omero login {user}{host}{port}`: that session is used as long as it is open
  4. a terminal, where the password is asked for"""
TERMINAL = "the terminal"


@dataclass(frozen=True)
class Login:
    """A server, and one way in: a password with its user, or the key of a session.

    `origin` says where the secret was found, for messages. With a key, `user` is who its session
    has to be of; None where anybody's will do.
    """

    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)
    origin: str = ""


def find_login(address: OmeroAddress, secret: str | None, settings: Settings) -> Login:
    """Find a way into a server.

    In this order: what `secret` names, the settings, the session that `omero login` stored (if it
    is still open), the terminal.

    Parameters
    ----------
    address : OmeroAddress
        The server, and perhaps the user.
    secret : str or None
        Where the secret is, as a `StoreSpec` names it: ``"session-file:/path"`` or
        ``"password-file:/path"``; None to look everywhere.
    settings : Settings
        ``omero_*`` of the installation.

    Raises
    ------
    LoginError
        If there is none; the message lists where it may be put. Also if the file named for it is
        not there, is empty, or can be read by others.
    """
    if secret:
        return _from_spec(address, secret, settings)
    return (
        _from_settings(address, settings)
        or _from_omero_login(address, settings)
        or _from_terminal(address, settings)
    )


def write_session_file(key: str, path: Path) -> str:
    """Keep a session's key in a file that only its user can read, for `StoreSpec.secret`.

    Returns
    -------
    str
        What a `StoreSpec` names it: ``"session-file:/path"``.

    Raises
    ------
    WriteError
        If it cannot be written.
    """
    target = path.absolute()
    scratch = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
            file.write(f"{key}\n")
        scratch.replace(target)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        msg = f"The session file {target} could not be written: {error.strerror}."
        raise WriteError(msg) from error
    return f"{_KINDS[0]}:{target}"


def _from_spec(address: OmeroAddress, secret: str, settings: Settings) -> Login:
    kind, _, path = secret.partition(":")
    if kind not in _KINDS or not path:
        msg = (
            f"A store's secret is named by one of {', '.join(f'{kind}:/path' for kind in _KINDS)}; "
            "what was given is none of them."
        )
        raise LoginError(msg)
    origin = f"{kind} {path}"
    found = _read(Path(path), origin)
    if kind == "session-file":
        return _with_key(address, found, origin)
    return _with_password(address, settings, found, origin)


def _from_settings(address: OmeroAddress, settings: Settings) -> Login | None:
    for key, origin in _given(settings, "omero_session"):
        return _with_key(address, key, origin)
    for password, origin in _given(settings, "omero_password"):
        return _with_password(address, settings, password, origin)
    return None


def _given(settings: Settings, name: str) -> Iterator[tuple[str, str]]:
    """Secrets of a setting and where they are from: the value itself, then its file's."""
    value: SecretStr | None = getattr(settings, name)
    if value is not None and value.get_secret_value():
        yield value.get_secret_value(), f"setting {name}"
    path: Path | None = getattr(settings, f"{name}_file")
    if path is not None:
        origin = f"setting {name}_file, {path}"
        yield _read(path.expanduser(), origin), origin


def _from_omero_login(address: OmeroAddress, settings: Settings) -> Login | None:
    from omero_hcs.stores.omero.connect import (  # noqa: PLC0415
        SessionEndedError,
        close_client,
        open_client,
    )
    from omero_hcs.stores.omero.stored import stored_sessions  # noqa: PLC0415

    for user, key in stored_sessions(_of_user(address, settings)):
        login = Login(address.host, address.port, user=user, key=key, origin="omero login")
        try:
            close_client(open_client(login))  # joined only: the session stays open
        except SessionEndedError:
            continue
        return login
    return None


def _from_terminal(address: OmeroAddress, settings: Settings) -> Login:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise LoginError(_nowhere(address))
    user = address.user or settings.omero_user or _ask_user(address)
    password = _ask_password(address.server, user) if user else ""
    if not password:
        forget_answers()
        raise LoginError(_nowhere(address))
    return Login(address.host, address.port, user, password, origin=TERMINAL)


def _with_key(address: OmeroAddress, key: str, origin: str) -> Login:
    return Login(address.host, address.port, user=address.user, key=key.strip(), origin=origin)


def _with_password(address: OmeroAddress, settings: Settings, password: str, origin: str) -> Login:
    user = address.user or settings.omero_user or _stored_user(address)
    if user is None and sys.stdin.isatty() and sys.stderr.isatty():
        user = _ask_user(address)
    if not user:
        msg = (
            f"There is a password for {address.server} ({origin}), but no user name. Write it "
            f"into the URI, omero://USER@{address.host}/..., or set {PREFIX}OMERO_USER."
        )
        raise LoginError(msg)
    return Login(address.host, address.port, user, password, origin=origin)


def _stored_user(address: OmeroAddress) -> str | None:
    from omero_hcs.stores.omero.stored import stored_sessions  # noqa: PLC0415

    return next((user for user, _ in stored_sessions(address)), None)


def _of_user(address: OmeroAddress, settings: Settings) -> OmeroAddress:
    user = address.user or settings.omero_user
    return OmeroAddress(address.host, address.port, user)


# Driver and worker open a store each, in one process: nobody should have to answer twice.
@functools.lru_cache(maxsize=8)
def _ask_password(server: str, user: str) -> str:
    return getpass.getpass(f"Password of {user} at {server}: ")


def forget_answers() -> None:
    """Forget what was given at the terminal: some of it was wrong."""
    _ask_password.cache_clear()
    _ask_user.cache_clear()


@functools.lru_cache(maxsize=8)
def _ask_user(address: OmeroAddress) -> str:
    sys.stderr.write(f"User name at {address.server}: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip()


def _nowhere(address: OmeroAddress) -> str:
    places = _PLACES.format(
        prefix=PREFIX,
        user=f"{address.user}@" if address.user else "",
        host=address.host,
        port="" if address.port == OmeroAddress("").port else f":{address.port}",
    )
    who = f" as {address.user}" if address.user else ""
    return (
        f"There is no way into {address.server}{who}: no password, and no open session. It is "
        f"looked for in these places, in this order:\n{places}"
    )


def _read(path: Path, origin: str) -> str:
    """First line of a secret's file."""
    try:
        mode = path.stat().st_mode
        first = path.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        msg = f"The secret for OMERO ({origin}) cannot be read: {why}."
        raise LoginError(msg) from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        msg = (
            f"The secret for OMERO ({origin}) can be read by others. Close its file with: "
            f"chmod 600 {path}"
        )
        raise LoginError(msg)
    if not first.strip():
        msg = f"The secret for OMERO ({origin}) is empty. Write it into the file's first line."
        raise LoginError(msg)
    return first

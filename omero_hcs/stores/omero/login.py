"""How somebody gets into an OMERO server: which secret, and where it was found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from omero_hcs.errors import LoginError
from omero_hcs.settings import Settings
from omero_hcs.stores.omero.address import OmeroAddress


@dataclass(frozen=True)
class Login:
    """A server, and one way in: a password with its user, or the key of a session.

    `origin` says where the secret was found, for messages.
    """

    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)
    origin: str = ""


def find_login(address: OmeroAddress, secret: str | None, settings: Settings) -> Login:
    """Find a way into a server.

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
        If there is none; the message lists where it may be put.
    """
    user = address.user or settings.omero_user
    key = _value(settings.omero_session, settings.omero_session_file)
    password = _value(settings.omero_password, settings.omero_password_file)
    if secret:
        kind, _, path = secret.partition(":")
        found = _value(None, Path(path))
        key, password = (found, None) if kind == "session-file" else (None, found)
    if key:
        return Login(address.host, address.port, key=key, origin="session")
    if user and password:
        return Login(address.host, address.port, user, password, origin="password")
    msg = f"There is no way into {address.server}."
    raise LoginError(msg)


def _value(given: SecretStr | None, file: Path | None) -> str | None:
    if given is not None:
        return given.get_secret_value()
    return file.read_text(encoding="utf-8").splitlines()[0].strip() if file else None

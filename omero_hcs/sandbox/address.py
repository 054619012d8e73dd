"""Where an OMERO server is, and who enters it as its administrator: all that a test has to know.

Nothing here imports omero, so that naming a server costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from omero_hcs.errors import SettingsError

SERVER_VARIABLE = "OMERO_HCS_TEST_SERVER"
USER_VARIABLE = "OMERO_HCS_TEST_USER"
PASSWORD_VARIABLE = "OMERO_HCS_TEST_PASSWORD"  # noqa: S105  (a name)
PASSWORD_FILE_VARIABLE = "OMERO_HCS_TEST_PASSWORD_FILE"  # noqa: S105
DEFAULT_PORT = 4064


@dataclass(frozen=True)
class Address:
    """An OMERO server and an administrator of it.

    Parameters
    ----------
    host, port : str, int
        Where its router listens for TLS.
    user, password : str
        An administrator. The password is in no repr.
    is_sandbox : bool
        Whether it is ours, thrown away with everything in it.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    is_sandbox: bool = False


def from_environment(environment: Mapping[str, str]) -> Address | None:
    """Read which real server to use for tests; None where the environment names none.

    Parameters
    ----------
    environment : mapping of str to str
        ``OMERO_HCS_TEST_SERVER`` is ``host`` or ``host:port`` (4064); ``OMERO_HCS_TEST_USER`` an
        administrator (root); his password is in ``OMERO_HCS_TEST_PASSWORD`` or, better, in the
        first line of the file that ``OMERO_HCS_TEST_PASSWORD_FILE`` names.

    Raises
    ------
    SettingsError
        If a server is named and its port or the password cannot be used.
    """
    place = environment.get(SERVER_VARIABLE, "")
    if not place:
        return None
    host, port = _split(place)
    user = environment.get(USER_VARIABLE, "root")
    return Address(host, port, user, _password(environment))


def _split(place: str) -> tuple[str, int]:
    host, colon, port = place.rpartition(":")
    if not colon or place.endswith("]"):  # a bare name, or a bare [::1]
        return place.strip("[]"), DEFAULT_PORT
    if not port.isdecimal() or not host:
        msg = f"{SERVER_VARIABLE} is {place!r}. Give it as host or host:port, as in omero.lab:4064."
        raise SettingsError(msg)
    return host.strip("[]"), int(port)


def _password(environment: Mapping[str, str]) -> str:
    file = environment.get(PASSWORD_FILE_VARIABLE, "")
    password = _first_line(Path(file)) if file else environment.get(PASSWORD_VARIABLE, "")
    if not password:
        msg = (
            f"{SERVER_VARIABLE} names a server, but there is no password for it. Put its "
            f"administrator's into a file and name that in {PASSWORD_FILE_VARIABLE}."
        )
        raise SettingsError(msg)
    return password


def _first_line(file: Path) -> str:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        msg = f"{PASSWORD_FILE_VARIABLE} is {file}, which cannot be read: {error.strerror}."
        raise SettingsError(msg) from error
    return lines[0].strip() if lines else ""

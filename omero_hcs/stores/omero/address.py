"""What an OMERO URI names: ``omero://[user@]host[:port]/plate/51,52``. Never a password."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast, get_args
from urllib.parse import unquote

from omero_hcs.errors import InputError

SCHEME = "omero://"
DEFAULT_PORT = 4064

Kind = Literal["screen", "plate", "run", "well", "project", "dataset", "image"]
"""Objects that hold images; a "run" is a PlateAcquisition."""

_URI = re.compile(
    r"omero://(?:(?P<user>[^@/]*)@)?(?P<host>[^/@:\[\]]+|\[[^\]]+\])(?::(?P<port>\d+))?"
    r"(?:/(?P<kind>[a-z]+)/(?P<ids>\d+(?:,\d+)*))?/?"
)


@dataclass(frozen=True)
class OmeroAddress:
    """A server, and which of its objects are meant; `kind` is None where only the server is."""

    host: str
    port: int = DEFAULT_PORT
    user: str | None = None
    kind: Kind | None = None
    ids: tuple[int, ...] = ()

    @property
    def server(self) -> str:
        """Host and port, for messages and file names."""
        return f"{self.host}:{self.port}"

    @property
    def uri(self) -> str:
        """The URI in its one normal form."""
        user = f"{self.user}@" if self.user else ""
        place = f"/{self.kind}/{','.join(map(str, self.ids))}" if self.kind else ""
        return f"{SCHEME}{user}{self.server}{place}"

    def of(self, kind: str, *ids: int) -> str:
        """URI of other objects of the same server, without a user: for places and links."""
        return f"{SCHEME}{self.server}/{kind}/{','.join(map(str, ids))}"


def parse_address(uri: str, *, server_only: bool = False) -> OmeroAddress:
    """Read an OMERO URI.

    Parameters
    ----------
    uri : str
        ``omero://[user@]host[:port]/KIND/ID[,ID...]``, with a kind of `Kind`.
    server_only : bool
        Whether a URI without an object is allowed.

    Raises
    ------
    InputError
        If it is none, names no object, or holds a password.
    """
    match = _URI.fullmatch(uri.strip())
    if match and ":" in (match["user"] or ""):
        msg = (
            f"The URI of {match['host']} holds a password, which others can see in the list of "
            "processes. Leave it out: it is asked for, or put it into a file and name that in "
            "OMERO_HCS_OMERO_PASSWORD_FILE."
        )
        raise InputError(msg)
    kinds = get_args(Kind)
    known = match and (match["kind"] in kinds or (match["kind"] is None and server_only))
    if not match or not known:
        msg = (
            f"{uri!r} is no OMERO object. Write it as omero://host/plate/51 or "
            f"omero://user@host:4064/dataset/7,8, with one of: {', '.join(kinds)}."
        )
        raise InputError(msg)
    return OmeroAddress(
        host=match["host"],
        port=int(match["port"] or DEFAULT_PORT),
        user=unquote(match["user"]) if match["user"] else None,
        kind=cast("Kind | None", match["kind"]),
        ids=tuple(dict.fromkeys(int(text) for text in (match["ids"] or "").split(",") if text)),
    )

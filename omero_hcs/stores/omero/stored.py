"""The sessions that `omero login` stored for the user of this machine; only looked at."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from omero.gateway import BlitzGateway  # noqa: F401  (first: loads omero's modules in order)
from omero.util import get_omero_userdir
from omero.util.sessions import SessionsStore

from omero_hcs.stores.omero.address import DEFAULT_PORT, OmeroAddress

_CURRENT_USER = "._LASTUSER_"
_CURRENT_SESSION = "._LASTSESS_"


def stored_sessions(address: OmeroAddress) -> Iterator[tuple[str, str]]:
    """Sessions stored for a server (and user, where the address has one), the current one first.

    Yields
    ------
    user, key : str
        Whose session, and its key; it may have ended meanwhile.
    """
    folder = _folder()
    # The store makes its folder, and one for each host asked for: not for a mere look.
    if not folder.is_dir():
        return
    store = SessionsStore(str(folder))
    for user in _users(store, address):
        for key in _keys(store, address.host, user):
            port = store.get(address.host, user, key).get("omero.port") or DEFAULT_PORT
            if str(port) == str(address.port):
                yield user, key


def _folder() -> Path:
    """Find the folder as the `omero` command does."""
    given = os.environ.get("OMERO_SESSIONDIR")
    if given:
        return Path(given)
    base = os.environ.get("OMERO_SESSION_DIR")  # its older name, of the folder two above
    return Path(base) / "omero" / "sessions" if base else Path(get_omero_userdir()) / "sessions"


def _users(store: Any, address: OmeroAddress) -> list[str]:
    host = Path(store.dir) / quote(address.host, safe="")
    if not host.is_dir():
        return []
    if address.user:
        return [address.user] if (host / address.user).is_dir() else []
    names = sorted(path.name for path in host.iterdir() if path.is_dir())
    current = _first_line(host / _CURRENT_USER)
    return sorted(names, key=lambda name: name != current)


def _keys(store: Any, host: str, user: str) -> list[str]:
    folder = Path(store.dir) / quote(host, safe="") / user
    keys = [str(key) for key in store.available(host, user)]
    current = _first_line(folder / _CURRENT_SESSION)
    newest = {key: (folder / key).stat().st_mtime for key in keys}
    return sorted(keys, key=lambda key: (key != current, -newest[key]))


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""

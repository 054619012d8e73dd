"""The scripts on a server beside those of this installation: what is ours, and what differs."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from omero_hcs.scripting.catalog import FOLDER
from omero_hcs.scripting.folder import script_files
from omero_hcs.scripting.marks import ScriptText, marked, read_text
from omero_hcs.stores.omero.session import Session
from omero_hcs.tasks.driver import package_version

State = Literal["missing", "same", "other version", "edited", "left over", "foreign"]
"""How a script on a server is beside ours; "foreign" is somebody else's file of that name."""


@dataclass(frozen=True)
class Placed:
    """One script: on the server, in this installation, or both.

    Parameters
    ----------
    path : str
        On the server: "/hcs/Check_Plate_Quality.py".
    state : str
        See `State`.
    id : int or None
        Of its file on the server.
    group : int or None
        In which that file is.
    found : ScriptText or None
        What the server has.
    wanted : str
        What should be there; "" for one that this release does not have.
    """

    path: str
    state: State
    id: int | None = None
    group: int | None = None
    found: ScriptText | None = None
    wanted: str = ""

    @property
    def version(self) -> str:
        """Release that put it on the server; "" where it has no mark, or is not there."""
        return self.found.version if self.found else ""


def placed_scripts(session: Session, *, official: bool) -> tuple[Placed, ...]:
    """Compare the scripts of this installation with those of a server, ordered by path.

    Files of other people in the same folder are left out, unless one has the name of one of ours.

    Parameters
    ----------
    session : Session
        A connection.
    official : bool
        Whether the server's official scripts are meant, or the user's own ones.
    """
    version = package_version()
    wanted = {
        f"/{FOLDER}/{file.name}": marked(file.read_text(encoding="utf-8"), version)
        for file in script_files()
    }
    found = dict(_of_folder(session, official=official))
    placed = []
    for path in sorted({*wanted, *found}):
        file, text = found.get(path, (None, None))
        state = _state(text, wanted.get(path, ""))
        if state is None:
            continue
        number = file.id.val if file else None
        group = file.details.group if file else None
        inside = group.id.val if group else None
        placed.append(Placed(path, state, number, inside, text, wanted.get(path, "")))
    return tuple(placed)


def _of_folder(session: Session, *, official: bool) -> Iterator[tuple[str, tuple[Any, ScriptText]]]:
    """Files of our folder on the server, by path, with their texts."""
    for file in session.read(lambda conn: _listed(conn, session, official=official)):
        path = f"/{file.path.val.strip('/')}/{file.name.val}"
        if not path.startswith(f"/{FOLDER}/"):
            continue
        text = session.read(functools.partial(_text, number=file.id.val))
        yield path, (file, read_text(text))


def _listed(conn: Any, session: Session, *, official: bool) -> list[Any]:
    import omero

    if official:
        return list(service(conn).getScripts())
    me = omero.model.ExperimenterI(session.user_id, loaded=False)
    return list(service(conn).getUserScripts([me]))


def _text(conn: Any, number: int) -> str:
    return service(conn).getScriptText(number) or ""


def service(conn: Any) -> Any:
    """Return IScript as OMERO.web asks it: in the session's own group."""
    return conn.c.sf.getScriptService()


def _state(found: ScriptText | None, wanted: str) -> State | None:
    if found is None:
        return "missing"
    if not found.is_ours:
        return "foreign" if wanted else None
    if found.is_edited:
        return "edited"
    if not wanted:
        return "left over"
    here = read_text(wanted)
    if found.version == here.version and found.body == here.body:
        return "same"
    if not found.version and found.body != here.body:
        return "edited"  # it may be another release's, put there by hand: nobody can tell
    return "other version"

"""The official scripts: files that every user may run, as in OMERO's `lib/scripts`.

A script is an `OriginalFile` of root's in the group `user` whose `repo` is "ScriptRepo". Scripts
of a folder are looked at again whenever somebody lists them: a file that changed becomes a new
object, and the old one stays without being official, as in OMERO's `ScriptRepoHelper`. What an
administrator uploads, edits or deletes changes the sandbox's own copy, never the folder.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from omero_hcs.sandbox.objects.caller import USER_GROUP_ID
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.sessions import now_ms

if TYPE_CHECKING:
    from omero_hcs.sandbox.files import BinaryFolder
    from omero_hcs.sandbox.objects.world import World

LOG = logging.getLogger("omero_hcs.sandbox")
REPOSITORY = "ScriptRepo"
PYTHON, DISABLED = "text/x-python", "text/plain"
HASHER = "SHA1-160"
ROOT_ID = 0


@dataclass(frozen=True)
class Known:
    """A file of the folder as it was last read, and the id that it got then."""

    sha1: str
    script_id: int


class ScriptRepository:
    """The official scripts.

    Parameters
    ----------
    world, files
        Where scripts are objects, and where their texts lie.
    folder : Path, optional
        Every `.py` file below it is a script; the path from the folder is its path in OMERO.
    """

    def __init__(self, world: World, files: BinaryFolder, folder: Path | None = None) -> None:
        self._world, self._files, self._folder = world, files, folder
        self.known: dict[str, Known] = {}

    def refresh(self) -> list[Row]:
        """Read what changed in the folder, and return all official scripts, ordered by path."""
        found = dict(self._read_folder())
        with self._world.transaction():
            for path in self.known.keys() - found.keys():
                self._unregister(self.known.pop(path).script_id)
            for path, text in found.items():
                known, sha1 = self.known.get(path), _sha1(text)
                if known is None or known.sha1 != sha1:
                    self.known[path] = Known(sha1, self.put(path, text).id)
        return sorted(self._official(), key=full_path)

    def dump(self) -> dict[str, list[Any]]:
        """Return what a snapshot keeps: hash and id of each script of the folder."""
        return {path: [known.sha1, known.script_id] for path, known in self.known.items()}

    def restore(self, told: Mapping[str, Sequence[Any]]) -> None:
        """Take back what `dump` returned."""
        self.known = {path: Known(*one) for path, one in told.items()}

    def is_official(self, row: Row) -> bool:
        """Say whether a file is an official script."""
        return row.values.get("repo") == REPOSITORY and row.values.get("mimetype") == PYTHON

    def find(self, path: str, *, scripts_only: bool = True) -> Row | None:
        """Find a file of the repository by its path, with or without a slash in front."""
        wanted = normalised(path)
        rows = (row for row in self._all() if full_path(row) == wanted)
        return next((row for row in rows if self.is_official(row) or not scripts_only), None)

    def put(self, path: str, text: bytes) -> Row:
        """Make a file an official script; what had its path stays, no longer official."""
        old = self.find(path, scripts_only=False)
        if old is not None:
            self._unregister(old.id)
        place = PurePosixPath(normalised(path))
        world = self._world
        with world.transaction():
            row = world.insert(
                "OriginalFile",
                name=place.name,
                path=parent_path(place),
                repo=REPOSITORY,
                mimetype=PYTHON if place.suffix == ".py" else None,
                hasher=world.find("ChecksumAlgorithm", value=HASHER),
            )
            event = world.insert(
                "Event",
                time=now_ms(),
                type=world.find("EventType", value="Internal"),
                experimenter=world.get("Experimenter", ROOT_ID),
                experimenterGroup=world.get("ExperimenterGroup", USER_GROUP_ID),
                status="",
            )
            world.set_details(
                row,
                owner=world.get("Experimenter", ROOT_ID),
                group=world.get("ExperimenterGroup", USER_GROUP_ID),
                creation_event=event,
                update_event=event,
            )
            self.write(row, text)
        return row

    def write(self, row: Row, text: bytes) -> None:
        """Give a script another text. Inside a transaction."""
        self._world.set(row, "size", len(text))
        self._world.set(row, "hash", _sha1(text))
        self._files.original(row).write_bytes(text)

    def read(self, row: Row) -> str:
        """Return the text of a script."""
        return self._files.original(row).read_text(encoding="utf-8")

    def _official(self) -> Iterator[Row]:
        return (row for row in self._all() if self.is_official(row))

    def _all(self) -> Iterator[Row]:
        rows = self._world.all("OriginalFile")
        return (row for row in rows if row.values.get("repo") == REPOSITORY)

    def _unregister(self, script_id: int) -> None:
        row = self._world.get("OriginalFile", script_id)
        if row is not None:
            with self._world.transaction():
                self._world.set(row, "repo", None)

    def _read_folder(self) -> Iterator[tuple[str, bytes]]:
        if self._folder is None:
            return
        for file in sorted(self._folder.rglob("*.py")):
            try:
                text = b"" if file.name.startswith(".") else file.read_bytes()
            except OSError as error:
                LOG.warning("The script %s can't be read: %s", file, error.strerror)
                continue
            if text:  # OMERO skips empty and hidden files
                yield f"/{file.relative_to(self._folder).as_posix()}", text


def normalised(path: str) -> str:
    """Return a path of the repository with one slash in front: `/analysis/Count.py`."""
    return f"/{PurePosixPath(path.lstrip('/'))}"


def parent_path(place: PurePosixPath) -> str:
    """Return the folder of a file as OMERO stores it, with a slash at its end."""
    return f"{str(place.parent).rstrip('/')}/" if str(place.parent) != "." else ""


def full_path(row: Row) -> str:
    """Return path and name of a file together."""
    return f"{row.values.get('path', '')}{row.values.get('name', '')}"


def _sha1(text: bytes) -> str:
    return hashlib.sha1(text, usedforsecurity=False).hexdigest()

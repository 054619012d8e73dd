"""The folder of an export: written beside its place and renamed there, whole or not at all.

`export.json` lists the files and their digests: a folder that has anything else is not ours alone,
and is left as it is.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from omero_hcs.errors import InputError, WriteError
from omero_hcs.jobs.identity import file_sha256
from omero_hcs.stores.contents import told

EXPORT_FILE = "export.json"

_SHOWN = 3


class ExportRecord(BaseModel):
    """What an export wrote, version 1: `about` the run, rows by table, and digests by file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    about: dict[str, Any]
    rows: dict[str, int]
    sha256: dict[str, str]


class ExportFolder:
    """A folder that is filled beside its place, then put there.

    Parameters
    ----------
    place : Path
        Where it is to be.
    listing : str
        Name of the file that lists the others.

    Raises
    ------
    InputError
        If there is something that no export made, or that was changed since.
    WriteError
        If it cannot be written there.
    """

    def __init__(self, place: Path, listing: str = EXPORT_FILE) -> None:
        self._place = place.absolute()
        self._listing = listing
        _refuse_foreign(self._place, listing)
        self._staged = self._place.with_name(f".{self._place.name}.new")

    def __enter__(self) -> Path:
        """Make the folder to fill."""
        with told(self._staged):
            shutil.rmtree(self._staged, ignore_errors=True)
            self._staged.mkdir(parents=True)
        return self._staged

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            shutil.rmtree(self._staged, ignore_errors=True)

    def keep(self, about: Mapping[str, Any], rows: Mapping[str, int]) -> tuple[str, ...]:
        """Put the folder in its place, in place of an earlier export; its files by their paths."""
        digests = {name: file_sha256(self._staged / name) for name in sorted(_names(self._staged))}
        record = ExportRecord(about=dict(about), rows=dict(rows), sha256=digests)
        before = self._place.with_name(f".{self._place.name}.old")
        with told(self._place):
            text = record.model_dump_json(indent=1)
            (self._staged / self._listing).write_text(text, encoding="utf-8")
            shutil.rmtree(before, ignore_errors=True)
            if self._place.exists():
                self._place.rename(before)
            self._staged.rename(self._place)
            shutil.rmtree(before, ignore_errors=True)
        return tuple(str(self._place / name) for name in digests)


def _refuse_foreign(place: Path, listing: str) -> None:
    if not place.exists():
        return
    try:
        digests = _listed(place, listing)
        there = {name: file_sha256(place / name) for name in _names(place)}
    except OSError as error:
        msg = f"Nothing can be written to {place}: {error.strerror}. Pass another --output."
        raise WriteError(msg) from error
    foreign = sorted(name for name, found in there.items() if digests.get(name) != found)
    if foreign:
        more = f" and {len(foreign) - _SHOWN} more" if len(foreign) > _SHOWN else ""
        msg = (
            f"{place} has files that this command did not write, or that were changed since: "
            f"{', '.join(foreign[:_SHOWN])}{more}. Pass another --output, or move them away."
        )
        raise InputError(msg)


def _listed(place: Path, listing: str) -> dict[str, str]:
    """Digests of the files that an export wrote there, its own list among them."""
    path = place / listing
    try:
        record = ExportRecord.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return {}
    return {**record.sha256, listing: file_sha256(path)}


def _names(folder: Path) -> Iterator[str]:
    """Files below a folder, by their paths with slashes."""
    for path in folder.rglob("*"):
        if not path.is_dir():
            yield path.relative_to(folder).as_posix()

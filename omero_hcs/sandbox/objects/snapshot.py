"""A sandbox in one file: written when it ends, read when it starts.

The file is a ZIP archive with these members. Versions are told apart by ``schema_version``.

=================  =============================================================================
member             what it has
=================  =============================================================================
``sandbox.json``   an object: ``schema_version`` (1); ``next_ids`` by entity; ``config``;
                   ``database_uuid``; ``passwords``: for each user's id salt and hash (scrypt,
                   hexadecimal); ``scripts``: for each path of an official script of the folder
                   its SHA-1 and id; ``orders``: ``[entity, id, collection, [ids]]`` of
                   collections that somebody put in order; ``arrivals``: ``[entity, id,
                   referring entity, field, [ids]]`` where rows came in another order than that
                   of their ids
``rows.jsonl``     a line for each row: ``entity``, ``id``, ``version``, ``values`` by field (see
                   `omero_hcs.sandbox.objects.values`; an id for a reference), ``details``:
                   ids, and the permissions of a group
``Pixels/<id>``    the planes of a Pixels object, as the data folder has them
``Files/<id>``     the bytes of an OriginalFile
=================  =============================================================================

Nobody but its owner may read the file: it has hashes of passwords.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omero_hcs.errors import InputError, SandboxError
from omero_hcs.sandbox.model.schema import SCHEMA, Field, Kind
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.objects.values import from_json, to_json

if TYPE_CHECKING:
    from omero_hcs.sandbox.objects.world import World

SCHEMA_VERSION = 1
STATE, ROWS = "sandbox.json", "rows.jsonl"
BYTES = re.compile(r"(Pixels|Files)/\d+")
# What reading a damaged file may run into; RuntimeError is a ZIP that is encrypted or packed oddly.
DAMAGE = (
    zipfile.BadZipFile, zlib.error, json.JSONDecodeError, UnicodeDecodeError, EOFError,
    KeyError, ValueError, TypeError, AttributeError, RuntimeError,
)  # fmt: skip
# Fields of `Details` that are references, and to what.
DETAILS: Mapping[str, str] = {
    "owner": "Experimenter",
    "group": "ExperimenterGroup",
    "creation_event": "Event",
    "update_event": "Event",
    "external_info": "ExternalInfo",
}


def check_place(path: Path) -> None:
    """Make sure, before anybody works for hours, that a snapshot can be written there.

    Raises
    ------
    InputError
    """
    if path.is_dir():
        msg = f"{path} is a folder. Pass --snapshot with a file."
        raise InputError(msg)
    if not os.access(path.parent, os.W_OK | os.X_OK):
        msg = f"There is no folder {path.parent} that can be written to. Pass another --snapshot."
        raise InputError(msg)


# -- writing


def write_snapshot(path: Path, world: World, data: Path, state: Mapping[str, Any]) -> None:
    """Write rows, bytes and state to a file; the old file stays until the new one is whole.

    Parameters
    ----------
    path : Path
        The file.
    world : World
        Nobody may change it meanwhile.
    data : Path
        The folder with `Pixels` and `Files`.
    state : mapping
        What else belongs to the server, ready for JSON.

    Raises
    ------
    SandboxError
        The disk is full, or the folder is gone.
    """
    whole = {
        **state,
        "schema_version": SCHEMA_VERSION,
        "next_ids": dict(world.next_ids),
        "orders": list(_orders(world)),
        "arrivals": list(_arrivals(world)),
    }
    try:
        with (
            _replacing(path) as temporary,
            zipfile.ZipFile(temporary, "w", strict_timestamps=False) as archive,
        ):
            archive.writestr(STATE, json.dumps(whole), zipfile.ZIP_DEFLATED)
            _write_rows(archive, world)
            for name in _files_of(world):
                if (data / name).exists():
                    archive.write(data / name, name, zipfile.ZIP_STORED)
    except OSError as error:
        msg = (
            f"The snapshot {path} can't be written: {error.strerror or error}. "
            "What was in it before is still there."
        )
        raise SandboxError(msg) from error


def _write_rows(archive: zipfile.ZipFile, world: World) -> None:
    entry = zipfile.ZipInfo(ROWS)
    entry.compress_type = zipfile.ZIP_DEFLATED
    with archive.open(entry, "w", force_zip64=True) as lines:
        for row in world.all_rows():
            lines.write(json.dumps(_row_to_json(row)).encode() + b"\n")


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # with mode 0600
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _row_to_json(row: Row) -> dict[str, Any]:
    details = {
        name: getattr(row.details, name).id
        for name in DETAILS
        if getattr(row.details, name) is not None
    }
    if row.details.permissions is not None:
        details["permissions"] = row.details.permissions
    values = {
        name: value.id if isinstance(value, Row) else to_json(value)
        for name, value in row.values.items()
    }
    return {
        "entity": row.entity.name,
        "id": row.id,
        "version": row.version,
        "values": values,
        "details": details,
    }


def _orders(world: World) -> Iterator[list[Any]]:
    for row, collection, members in world.orders():
        yield [row.entity.name, row.id, collection, [member.id for member in members]]


def _arrivals(world: World) -> Iterator[list[Any]]:
    for target in world.all_rows():
        for (entity, field), rows in world.referrers(target).items():
            ids = [row.id for row in rows]
            if ids != sorted(ids):
                yield [target.entity.name, target.id, entity, field, ids]


def _files_of(world: World) -> Iterator[str]:
    for entity, folder in (("Pixels", "Pixels"), ("OriginalFile", "Files")):
        for row in world.all(entity):
            yield f"{folder}/{row.id}"


# -- reading


def read_snapshot(path: Path, world: World, data: Path) -> dict[str, Any]:
    """Fill an empty world and data folder from a file, and return the rest of the state.

    Raises
    ------
    InputError
        The file is no snapshot, is damaged, or was written by a later version.
    """
    with naming_damage(path), zipfile.ZipFile(path) as archive:
        state = _read_state(path, archive)
        _restore_rows(archive, world, state)
        for name in archive.namelist():
            if BYTES.fullmatch(name):
                with archive.open(name) as source, (data / name).open("wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
    return state


@contextmanager
def naming_damage(path: Path) -> Iterator[None]:
    """Turn what a damaged file leads to into an error that names the file.

    Raises
    ------
    InputError
    """
    try:
        yield
    except InputError:
        raise
    except DAMAGE as error:
        msg = (
            f"{path} is no snapshot of a sandbox, or a damaged one "
            f"({type(error).__name__}: {error}). Pass --snapshot with another file, or with one "
            "that does not exist yet."
        )
        raise InputError(msg) from error
    except OSError as error:
        msg = f"The snapshot {path} can't be read: {error.strerror or error}."
        raise InputError(msg) from error


def _read_state(path: Path, archive: zipfile.ZipFile) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(archive.read(STATE))
    version = state["schema_version"]
    if version != SCHEMA_VERSION:
        msg = (
            f"{path} has schema_version {version}; this omero-hcs reads {SCHEMA_VERSION}. "
            "Start it with the omero-hcs that wrote it, or pass another --snapshot."
        )
        raise InputError(msg)
    return state


def _restore_rows(archive: zipfile.ZipFile, world: World, state: Mapping[str, Any]) -> None:
    with archive.open(ROWS) as lines:
        told = [json.loads(line) for line in lines]
    rows = [Row(SCHEMA[one["entity"]], one["id"], version=one["version"]) for one in told]
    known = {(row.entity.root, row.id): row for row in rows}
    for row, one in zip(rows, told, strict=True):
        fields = row.entity.fields
        for name, value in one["values"].items():
            row.values[name] = _value(fields[name], value, known)
        for name, value in one["details"].items():
            is_row = name in DETAILS
            found = known[SCHEMA[DETAILS[name]].root, value] if is_row else value
            setattr(row.details, name, found)

    def find(entity: str, ids: Iterable[int]) -> list[Row]:
        return [known[SCHEMA[entity].root, one] for one in ids]

    world.restore(rows, state["next_ids"])
    for entity, row_id, collection, ids in state["orders"]:
        target = SCHEMA[entity].fields[collection].target
        world.restore_order(find(entity, [row_id])[0], collection, find(target, ids))
    for entity, row_id, referring, field, ids in state["arrivals"]:
        key = (referring, field)
        world.restore_arrivals(find(entity, [row_id])[0], key, find(referring, ids))


def _value(field: Field, told: Any, known: Mapping[tuple[str, int], Row]) -> Any:
    if field.kind is Kind.REF:
        return known[SCHEMA[field.target].root, told]
    return from_json(told)

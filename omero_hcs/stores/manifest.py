"""The files that say what a run left with a plate, schema version 1.

A manifest is written before anything it lists, so that a crash leaves nothing unlisted: a file it
lists may be absent, a file it does not list is not ours.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from omero_hcs.errors import DataError, FormatVersionError
from omero_hcs.model import ObjectRef
from omero_hcs.results import KeyValues, Results, Roi, Tag

SCHEMA_VERSION = 1


class Entry(BaseModel):
    """One thing that a run made.

    `path` of a file is its plain name beside the manifest; a store's own kinds (``"ngff-label"``)
    have the path, and any further keys, that the store needs to find them again. `sha256` is that
    of the content we wrote: a file with another one was changed by a user, and is theirs.
    `replaces` is the sha256 of the content it took the place of, which a crash may have left there.
    `count` is the number of ROIs, tags or pairs inside.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    kind: str
    path: str
    sha256: str | None = None
    replaces: str | None = None
    count: int = 1


class Manifest(BaseModel):
    """What one run (or, with `unit`, one unit of it) left with a plate.

    `intent` counts by kind what was to be written, `entries` lists each thing that was.
    Times are UTC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    run_id: str
    key: str
    task: str
    target: ObjectRef
    unit: str | None = None
    started: AwareDatetime
    updated: AwareDatetime
    package_version: str
    intent: dict[str, int] = {}
    entries: tuple[Entry, ...] = ()


class RoiFile(BaseModel):
    """`rois.json`: regions on images; points are (y, x) in pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    rois: tuple[Roi, ...]


class TagFile(BaseModel):
    """`tags.json`: tags on the plate, its wells and its images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    tags: tuple[Tag, ...]


class KeyValueFile(BaseModel):
    """`key_values.json`: key-value pairs on the plate, its wells and its images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    key_values: tuple[KeyValues, ...]


def new_manifest(
    results: Results, entries: Sequence[Entry], *, started: datetime | None = None
) -> Manifest:
    """Make the manifest of results about to be written.

    Parameters
    ----------
    results : Results
        What is to be written.
    entries : sequence of Entry
        Every thing that will be made.
    started : datetime, optional
        When the run first wrote something here; now, where this is the first time.
    """
    now = datetime.now(UTC)
    return Manifest(
        run_id=results.run_id,
        key=results.key,
        task=results.task,
        target=results.target,
        unit=results.unit,
        started=started or now,
        updated=now,
        package_version=version("omero-hcs"),
        intent=count_kinds(entries),
        entries=tuple(entries),
    )


def count_kinds(entries: Sequence[Entry]) -> dict[str, int]:
    """How many things of each kind there are in some entries."""
    counts: Counter[str] = Counter()
    for entry in entries:
        counts[entry.kind] += entry.count
    return dict(counts)


def read_manifest(path: Path) -> Manifest:
    """Read a manifest of any released version.

    Raises
    ------
    FormatVersionError
        If a newer release wrote it.
    DataError
        If it is damaged or may not be read.
    """
    try:
        data = json.loads(path.read_bytes())
        _refuse_newer(data, path)
        return Manifest.model_validate(data)
    except FormatVersionError:
        raise
    except OSError as error:
        msg = f"The run manifest {path} cannot be read: {error.strerror or error}."
        raise DataError(msg) from error
    except ValueError as error:
        msg = (
            f"The run manifest {path} is damaged ({error}). Restore it from a backup, or delete "
            f"the folder {path.parent} by hand: nothing of it can be undone without the manifest."
        )
        raise DataError(msg) from error


def _refuse_newer(data: object, path: Path) -> None:
    found = data.get("schema_version") if isinstance(data, Mapping) else None
    if isinstance(found, int) and found > SCHEMA_VERSION:
        msg = (
            f"The run manifest {path} has schema version {found}; this release "
            f"({version('omero-hcs')}) reads up to {SCHEMA_VERSION}. "
            "Update with: pip install --upgrade omero-hcs"
        )
        raise FormatVersionError(msg)

"""Parts: what a worker leaves for the driver, one folder a unit, renamed into place when whole.

A part holds `part.json` (status, reason, metrics, warnings), `cells.parquet`, `labels.npz` and the
unit's small files. Reading one needs no pickle.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from omero_hcs.errors import FormatVersionError, InputError, WriteError
from omero_hcs.model import Unit
from omero_hcs.results import Table, UnitResult

SCHEMA_VERSION = 1
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def part_folder(work_dir: Path, unit_id: str) -> Path:
    """Where a unit's part is: a readable name, made unique by a hash of the id."""
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", unit_id).strip("-")[-60:]
    digest = hashlib.sha256(unit_id.encode()).hexdigest()[:10]
    return work_dir / "parts" / f"{readable}-{digest}"


def write_part(work_dir: Path, result: UnitResult) -> Path:
    """Write one unit's part and rename it into place; an older part of the unit is replaced.

    Raises
    ------
    WriteError
        If the disk is full or the folder cannot be written; nothing half-written is left.
    """
    folder = part_folder(work_dir, result.unit)
    scratch = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        for left in folder.parent.glob(f".{folder.name}.*"):  # by a worker that was killed
            shutil.rmtree(left, ignore_errors=True)
        scratch.mkdir(parents=True)
        _fill(scratch, result)
        shutil.rmtree(folder, ignore_errors=True)
        scratch.rename(folder)
    except BaseException as error:
        shutil.rmtree(scratch, ignore_errors=True)
        if not isinstance(error, OSError):
            raise
        msg = (
            f"The part of unit {result.unit} could not be written to {folder.parent}: "
            f"{error.strerror or error}. Free some space, or set OMERO_HCS_STATE_DIR to another "
            f"disk, and start the run again: what is done is kept."
        )
        raise WriteError(msg) from error
    return folder


def _fill(folder: Path, result: UnitResult) -> None:
    record = {
        "schema_version": SCHEMA_VERSION,
        "unit": result.unit,
        "status": result.status,
        "reason": result.reason,
        "metrics": dict(result.metrics),
        "warnings": list(result.warnings),
        "seconds": result.seconds,
        "files": sorted(result.files),
    }
    if len(result.cells.columns):
        result.cells.to_parquet(folder / "cells.parquet")
    if result.labels:
        np.savez_compressed(folder / "labels.npz", **dict(result.labels))  # type: ignore[arg-type]  # numpy types **kwds as bool too
    for name, content in result.files.items():
        if not _FILE_NAME.fullmatch(name) or name == "part.json":
            msg = f"{name!r} is no plain file name, in the result of unit {result.unit}."
            raise InputError(msg)
        (folder / name).write_bytes(content)
    (folder / "part.json").write_text(json.dumps(record), encoding="utf-8")


def read_part(work_dir: Path, unit_id: str) -> UnitResult | None:
    """Read one unit's part, or None if there is none.

    Raises
    ------
    FormatVersionError
        If the part was written by a newer release.
    """
    folder = part_folder(work_dir, unit_id)
    if not (folder / "part.json").is_file():
        return None
    record: dict[str, Any] = json.loads((folder / "part.json").read_text(encoding="utf-8"))
    if record["schema_version"] != SCHEMA_VERSION:
        msg = (
            f"Part {folder.name} has schema version {record['schema_version']}; this release reads "
            f"{SCHEMA_VERSION}. Update omero-hcs, or run with --again."
        )
        raise FormatVersionError(msg)
    cells = folder / "cells.parquet"
    return UnitResult(
        unit=record["unit"],
        status=record["status"],
        reason=record["reason"],
        cells=Table.from_parquet(cells) if cells.is_file() else Table({}),
        metrics=record["metrics"],
        warnings=tuple(record["warnings"]),
        files={name: (folder / name).read_bytes() for name in record["files"]},
        labels=_read_labels(folder / "labels.npz"),
        seconds=record["seconds"],
    )


def _read_labels(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


class Parts(Sequence[UnitResult]):
    """The parts of a run in the order of its units, each read from disk when it is asked for.

    Parameters
    ----------
    work_dir : Path
        The run's folder.
    units : sequence of Unit
        The run's units; one without a part counts as failed, for the ledger's reason.
    reasons : dict, optional
        Why units without a part failed, by unit id.
    """

    def __init__(
        self, work_dir: Path, units: Sequence[Unit], reasons: dict[str, str] | None = None
    ) -> None:
        self._work_dir = work_dir
        self._reasons = reasons or {}
        self.units = tuple(units)

    def __len__(self) -> int:
        return len(self.units)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self._read(unit) for unit in self.units[index]]
        return self._read(self.units[index])

    def __iter__(self) -> Iterator[UnitResult]:
        return (self._read(unit) for unit in self.units)

    def _read(self, unit: Unit) -> UnitResult:
        part = read_part(self._work_dir, unit.id)
        if part is not None:
            return part
        return UnitResult(unit.id, "failed", self._reasons.get(unit.id, "never finished"))

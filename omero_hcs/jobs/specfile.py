"""A run's spec and units on disk, for workers that are told by a file: JSON without secrets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from omero_hcs.errors import FormatVersionError, InputError, WriteError
from omero_hcs.model import RunSpec, Unit

SPEC, UNITS = "spec.json", "units.json"
_UNITS = TypeAdapter(tuple[Unit, ...])


def write_spec(spec: RunSpec, units: Sequence[Unit]) -> Path:
    """Write `spec.json` and `units.json` into the run's folder; the value is the spec's path.

    Raises
    ------
    WriteError
        If they cannot be written.
    """
    path = Path(spec.work_dir) / SPEC
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(UNITS).write_bytes(_UNITS.dump_json(tuple(units)))
        path.write_text(spec.model_dump_json(indent=1), encoding="utf-8")
    except OSError as error:
        msg = (
            f"The run's folder {path.parent} could not be written: {error.strerror or error}. "
            f"Free some space there, or set OMERO_HCS_STATE_DIR to another disk."
        )
        raise WriteError(msg) from error
    return path


def read_spec(path: Path) -> tuple[RunSpec, tuple[Unit, ...]]:
    """Read what `write_spec` wrote.

    Raises
    ------
    InputError
        If the files are not there or are no spec.
    FormatVersionError
        If the spec was written by a newer release.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content.get("schema_version") if isinstance(content, dict) else None
        if isinstance(version, int) and version > 1:
            msg = f"{path} has schema version {version}; this release reads 1. Update omero-hcs."
            raise FormatVersionError(msg)
        spec = RunSpec.model_validate(content)
        return spec, _UNITS.validate_json((path.parent / UNITS).read_bytes())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, ValidationError) as error:
        msg = f"{path} is no run spec with its units: {error}."
        raise InputError(msg) from error

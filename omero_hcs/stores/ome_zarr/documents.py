"""The JSON documents of OME-Zarr groups and arrays, zarr 2 and 3 alike.

They are read as they are, not through ngio: a layout reads two a field, a worker opens the store at
every start, and importing ngio costs 2.4 s and 190 MB that only writing needs. The tests hold this
reader against ngio's own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from omero_hcs.errors import DataError, FormatVersionError

Json = dict[str, Any]

READABLE_VERSIONS = ("0.4", "0.5")
"""NGFF versions that are read; 0.4 lives in zarr 2, 0.5 in zarr 3."""


@dataclass(frozen=True, slots=True)
class Group:
    """Attributes of one group: `ngff` is the part that NGFF defines, `attributes` is all of it."""

    path: Path
    ngff: Json
    attributes: Json


@dataclass(frozen=True, slots=True)
class ArrayHeader:
    """Shape and numpy dtype name of one array."""

    shape: tuple[int, ...]
    dtype: str


def read_group(folder: Path) -> Group:
    """Attributes of the zarr group in a folder.

    Raises
    ------
    DataError
        If there is no group, or its document is no JSON.
    FormatVersionError
        If it is of an NGFF version other than `READABLE_VERSIONS`.
    """
    attributes = _read_json(folder / "zarr.json")
    if attributes is not None:
        attributes = attributes.get("attributes", {})
        ngff = attributes.get("ome", {})
    else:
        attributes = ngff = _read_json(folder / ".zattrs")
    if attributes is None or ngff is None:
        msg = (
            f"{folder} is no OME-Zarr group: it has neither zarr.json nor .zattrs. "
            "The plate's copy is incomplete; copy or convert it again."
        )
        raise DataError(msg)
    _check_version(folder, ngff)
    return Group(folder, ngff, attributes)


def read_header(folder: Path) -> ArrayHeader:
    """Shape and dtype of the zarr array in a folder.

    Raises
    ------
    DataError
        If there is no array, or its document cannot be read.
    """
    document = _read_json(folder / "zarr.json") or _read_json(folder / ".zarray")
    try:
        kind = (document or {}).get("data_type") or (document or {})["dtype"]
        return ArrayHeader(tuple((document or {})["shape"]), np.dtype(kind).name)
    except (KeyError, TypeError) as error:
        msg = f"{folder} is no zarr array of numbers. Copy or convert the plate again."
        raise DataError(msg) from error


def _read_json(path: Path) -> Json | None:
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        msg = f"{path} cannot be read: {error}. Copy or convert the plate again."
        raise DataError(msg) from error
    if isinstance(document, dict):
        return document
    msg = f"{path} holds no JSON object. Copy or convert the plate again."
    raise DataError(msg)


def _check_version(folder: Path, ngff: Json) -> None:
    # NGFF 0.4 keeps the version in each of its parts, 0.5 at the top; 0.4 may leave it out.
    parts = [ngff.get("plate"), ngff.get("well"), *ngff.get("multiscales", [])[:1]]
    versions = [ngff.get("version"), *(part.get("version") for part in parts if part)]
    for version in versions:
        if version is not None and version not in READABLE_VERSIONS:
            msg = (
                f"{folder} is OME-Zarr {version}. This release reads "
                f"{' and '.join(READABLE_VERSIONS)}; convert it with a current tool."
            )
            raise FormatVersionError(msg)

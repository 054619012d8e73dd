"""What an OMERO.table notes of the table of ours that it keeps, so that it is read back as it was.

OMERO knows fewer types than we do, and other names: the note has ours. It is metadata of the
table, a text of JSON under `NOTE_KEY`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from omero_hcs.errors import DataError, FormatVersionError
from omero_hcs.results import Table
from omero_hcs.stores.omero.columns import MOST_COLUMNS, PLACES, TableColumns

NOTE_KEY = "omero_hcs_table"
SCHEMA_VERSION = 1

_LARGEST = np.dtype(np.float64).itemsize
_LONGEST = 60_000  # HDF5 takes no more than 64 KB as one attribute


class KeptColumn(BaseModel):
    """One column of ours: its name, the column of the OMERO.table that keeps it, and its type.

    `dtype` is numpy's short form ("<f4"), `shape` that of one row: nothing for a number.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    column: str
    dtype: str
    shape: tuple[int, ...] = ()


class TableNote(BaseModel):
    """Columns of ours, in their order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    columns: tuple[KeptColumn, ...]


def is_kept_exactly(table: Table) -> bool:
    """Whether an OMERO.table gives back every value as it was; if not, a file has to keep it."""
    fits = len(table.columns) + len(PLACES) <= MOST_COLUMNS
    return fits and all(_is_exact(name, values) for name, values in table.columns.items())


def note_of(table: Table, columns: TableColumns) -> str | None:
    """Make the note of a table, or None where its columns do not keep it exactly."""
    if columns.left_out or not is_kept_exactly(table):
        return None
    keeps = {column.of: column.name for column in columns.columns if column.of}
    note = TableNote(
        columns=tuple(
            KeptColumn(
                name=name, column=keeps[name], dtype=values.dtype.str, shape=values.shape[1:]
            )
            for name, values in table.columns.items()
        )
    )
    text = note.model_dump_json()
    return text if len(text.encode()) <= _LONGEST else None


def read_note(text: str, where: str) -> TableNote:
    """Read a note.

    Raises
    ------
    FormatVersionError
        If a newer release wrote it.
    DataError
        If it is none of ours.
    """
    try:
        return TableNote.model_validate_json(text)
    except ValidationError as error:
        if any(fault["loc"] == ("schema_version",) for fault in error.errors()):
            msg = (
                f"{where} is kept in a form of a newer release; this one reads {SCHEMA_VERSION}. "
                "Update omero-hcs."
            )
            raise FormatVersionError(msg) from None
        msg = f"{where} has a damaged note of its columns. Start its run again with --again."
        raise DataError(msg) from error


class TableReading:
    """Gathers the rows of an OMERO.table into a table of ours, part by part.

    Parameters
    ----------
    note : TableNote
        The table's note.
    rows : int
        How many rows it has.
    """

    def __init__(self, note: TableNote, rows: int) -> None:
        self._note = note
        self._texts: dict[str, list[str]] = {
            item.name: [] for item in note.columns if np.dtype(item.dtype).kind == "U"
        }
        self._arrays: dict[str, NDArray[Any]] = {
            item.name: np.empty((rows, *item.shape), dtype=item.dtype)
            for item in note.columns
            if item.name not in self._texts
        }

    def columns(self) -> Iterator[str]:
        """Names of the OMERO.table's columns that are needed."""
        return (item.column for item in self._note.columns)

    def add(self, start: int, values: Mapping[str, Any]) -> None:
        """Take some rows from `start` on; values by the names of `columns`."""
        for item in self._note.columns:
            part = values[item.column]
            if item.name in self._texts:
                self._texts[item.name] += map(str, part)
            else:
                array = self._arrays[item.name]
                array[start : start + len(part)] = np.reshape(part, (len(part), *item.shape))

    def table(self) -> Table:
        """Give the table, when all rows are there."""
        return Table(
            {
                item.name: np.array(self._texts[item.name], dtype=item.dtype)
                if item.name in self._texts
                else self._arrays[item.name]
                for item in self._note.columns
            }
        )


def _is_exact(name: str, values: NDArray[Any]) -> bool:
    kind, size = values.dtype.kind, values.dtype.itemsize
    if not np.prod(values.shape[1:]):
        return False
    if name in PLACES or kind == "U":
        return kind == "U" and values.ndim == 1 and _are_exact_texts(name, set(values.tolist()))
    # Whole numbers are kept as signed ones of 64 bits, fractions as such of 64 or 32.
    return (kind in "bif" and size <= _LARGEST) or (kind == "u" and size < _LARGEST)


def _are_exact_texts(name: str, texts: set[str]) -> bool:
    if name in ("image", "plate") and all(text.isdecimal() for text in texts):
        return all(str(int(text)) == text for text in texts)  # kept as numbers: no "007"
    return not any("\0" in text for text in texts)  # where PyTables would end it

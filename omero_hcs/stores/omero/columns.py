"""Tables of ours as columns of an OMERO.table: names that it takes, types that keep the values."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import omero.gateway  # noqa: F401  (first: loads omero's modules in order)
from numpy.typing import NDArray
from omero import grid

from omero_hcs.results import Table

MOST_COLUMNS = 512
"""An array is one column, however long: long lists of features go into arrays."""

PLACES = ("well", "image", "plate")
"""Columns that say where a row is, and by which OMERO.web looks rows up."""

_LONGEST_NAME = 60  # HDF5 keeps the names of all columns in one header of 64 KB
_BYTES_AT_ONCE = 1 << 23
_UNPLAIN = re.compile(r"[^0-9A-Za-z_]+")
_NO_OBJECT = -1


@dataclass(frozen=True)
class TableColumn:
    """One column: its name in the table, how OMERO's is made of values, and the values.

    `of` names the column of ours that it keeps, as far as it keeps one.
    """

    name: str
    make: Callable[[list[Any]], Any]
    values: NDArray[Any]
    of: str = ""

    @property
    def row_bytes(self) -> int:
        """Bytes that one row of it takes on the wire, at most."""
        return 8 * int(getattr(self.make([]), "size", 1))


@dataclass(frozen=True)
class TableColumns:
    """Columns of one OMERO.table, and the names of those that did not fit."""

    columns: tuple[TableColumn, ...]
    left_out: tuple[str, ...] = ()

    def heads(self) -> list[Any]:
        """Columns without rows, as a new table takes them."""
        return [column.make([]) for column in self.columns]

    def parts(self) -> Iterator[list[Any]]:
        """Columns with some rows each, far below what one message may hold."""
        rows = max(1, _BYTES_AT_ONCE // sum(column.row_bytes for column in self.columns))
        for start in range(0, len(self.columns[0].values), rows):
            yield [
                column.make(_listed(column.values[start : start + rows])) for column in self.columns
            ]


def table_columns(table: Table, wells: Mapping[str, int], *, has_gaps: bool = True) -> TableColumns:
    """Make the columns of an OMERO.table.

    The columns "well", "image" and "plate" become "Well", "Image" and "Plate", which hold ids and
    by which OMERO.web looks rows up; a well's name is in "Well_Name".

    Parameters
    ----------
    table : Table
        The table; a column of shape (N, D) becomes one column of arrays.
    wells : mapping of str to int
        Ids of the plate's wells by name.
    has_gaps : bool
        Whether numbers may be NaN. Without, such a column becomes one of text with empty cells:
        omero-parade fails on a table that has a single NaN.
    """
    found: dict[str, tuple[Callable[[str, list[Any]], Any], NDArray[Any]]] = {}
    keeps: dict[str, str] = {}
    # First: their names are not to be taken by a column of the task's own.
    for place in PLACES:
        if place in table:
            found |= (made := _place(place, table[place], wells))
            keeps[list(made)[-1]] = place  # the last one: before it there may be one of ids
    for name, values in table.columns.items():
        if name not in PLACES and np.prod(values.shape[1:]):
            free = _free_name(name, found)
            found[free], keeps[free] = _typed(values, has_gaps=has_gaps), name
    columns = [
        TableColumn(name, partial(make, name), values, keeps.get(name, ""))
        for name, (make, values) in found.items()
    ]
    left_out = tuple(column.name for column in columns[MOST_COLUMNS:])
    return TableColumns(tuple(columns[:MOST_COLUMNS]), left_out)


def _listed(values: NDArray[Any]) -> list[Any]:
    """Give values as OMERO's columns take them: rows of fractions go as they are in memory."""
    if values.ndim > 1 and values.dtype.kind == "f":
        return list(np.ascontiguousarray(values))
    plain: list[Any] = values.tolist()
    return plain


_Typed = tuple[Callable[[str, list[Any]], Any], NDArray[Any]]


def _place(place: str, values: NDArray[Any], wells: Mapping[str, int]) -> dict[str, _Typed]:
    """Columns of ids, and of names where they say more."""
    texts = [str(value) for value in values.tolist()]
    head = place.capitalize()
    if place == "well":
        ids = [wells.get(text, _NO_OBJECT) for text in texts]
        named = {f"{head}_Name": _text(texts)}
        has_ids = any(number != _NO_OBJECT for number in ids)
        return (
            {head: (_made(grid.WellColumn), np.array(ids, np.int64)), **named} if has_ids else named
        )
    if all(text.isdecimal() for text in texts):
        kind = grid.ImageColumn if place == "image" else grid.PlateColumn
        return {head: (_made(kind), np.array(texts).astype(np.int64))}
    return {f"{head}_Name": _text(texts)}


def _typed(values: NDArray[Any], *, has_gaps: bool) -> _Typed:
    if values.ndim > 1 and values.shape[1] == 1:
        values = values[:, 0]  # OMERO does not read arrays of one value back as arrays
    if values.ndim > 1:
        return _array(values)
    kind = values.dtype.kind
    if kind == "b":
        return _made(grid.BoolColumn), values
    if kind == "i" or (kind == "u" and not (values > np.iinfo(np.int64).max).any()):
        return _made(grid.LongColumn), values
    if kind == "f" and (has_gaps or np.isfinite(values).all()):
        return _made(grid.DoubleColumn), values
    return _text([_shown(value) for value in values])


def _array(values: NDArray[Any]) -> _Typed:
    flat = values.reshape(len(values), -1)
    if flat.dtype.kind in "iub":
        kind = grid.LongArrayColumn
    else:
        is_wide = flat.dtype.kind == "f" and flat.dtype.itemsize > np.float32().itemsize
        kind = grid.DoubleArrayColumn if is_wide else grid.FloatArrayColumn
        flat = flat.astype(np.float64 if is_wide else np.float32, copy=False)
    width = flat.shape[1]
    return (lambda name, part: kind(name, "", width, part)), flat


def _text(texts: Sequence[str]) -> _Typed:
    """Column of text: of a fixed width, counted in bytes."""
    # PyTables cuts a text at the first NUL, and OMERO wants a width of one at least.
    clean = [text.replace("\0", "") for text in texts]
    width = max((len(text.encode()) for text in clean), default=0) or 1
    return (lambda name, part: grid.StringColumn(name, "", width, part)), np.array(clean, object)


def _shown(value: Any) -> str:
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
        return ""
    return str(value)


def _made(kind: Callable[..., Any]) -> Callable[[str, list[Any]], Any]:
    return lambda name, part: kind(name, "", part)


def _free_name(name: str, taken: Mapping[str, Any]) -> str:
    """Make a name that queries can use and that no other column has."""
    plain = _UNPLAIN.sub("_", name).strip("_")[:_LONGEST_NAME] or "column"
    if plain[0].isdecimal() or keyword.iskeyword(plain):
        plain = f"c_{plain}"
    free, number = plain, 2
    while free in taken:
        free, number = f"{plain}_{number}", number + 1
    return free

"""What a run produces, before any store has seen it.

Cells are columns, not objects: a `Table` maps names to numpy arrays of one length. Parquet, CSV and
pandas are ways to keep or show one. Coordinates are pixels of the image, (y, x), zero-based.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from omero_hcs import lazy
from omero_hcs.errors import InputError, LabelError
from omero_hcs.model import ObjectRef, ZChoice

Column = NDArray[Any]

CELL_COLUMNS = (
    "cell", "plate", "well", "field", "acquisition", "image", "z", "t", "y", "x",
)  # fmt: skip
"""Columns that every cell table begins with; a task adds its own after them."""

LABEL_COLUMNS = (
    "plate", "well", "field", "image", "z", "t", "y", "x", "label", "user", "time", "source",
    "object_id",
)  # fmt: skip
"""Columns of `labels.csv` and of every LabelTable."""

REACH_COLUMNS = ("reach_y", "reach_x")
"""How far, in pixels, the region of a label goes from its centre; NaN for a point or an image."""

QUESTION = "label me?"
"""Text of a suggestion, in a region or a label file: no label until a user writes one instead."""

_ROWS_AT_ONCE, _BYTES_AT_ONCE = 1 << 20, 1 << 26


@dataclass(frozen=True, eq=False)
class Table:
    """Named columns of one length; a column may be 2-D (an embedding a row).

    Parameters
    ----------
    columns : mapping of str to array, shape (N,) or (N, D)
        The data, in the order in which it is written.
    """

    columns: Mapping[str, Column]

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self.columns.items()}
        if len(set(lengths.values())) > 1:
            msg = f"Columns of one table differ in length: {lengths}."
            raise InputError(msg)

    def __len__(self) -> int:
        return next((len(column) for column in self.columns.values()), 0)

    def __getitem__(self, name: str) -> Column:
        try:
            return self.columns[name]
        except KeyError:
            msg = f"The table has no column {name!r}. It has: {', '.join(self.columns)}."
            raise InputError(msg) from None

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def where(self, rows: NDArray[Any]) -> Table:
        """Rows chosen by a boolean mask or by indices, in that order."""
        return Table({name: column[rows] for name, column in self.columns.items()})

    def with_columns(self, **columns: Column) -> Table:
        """Return a copy with columns added or replaced."""
        return Table({**self.columns, **columns})

    def rows(self) -> Iterator[dict[str, Any]]:
        """Each row as a dict of Python values; for small tables only."""
        for index in range(len(self)):
            yield {name: column[index].tolist() for name, column in self.columns.items()}

    @classmethod
    def from_rows(cls, rows: Sequence[Mapping[str, Any]], names: Sequence[str] = ()) -> Table:
        """Build a table from dicts; `names` gives the columns where there are no rows."""
        keys = list(rows[0]) if rows else list(names)
        return cls({key: np.asarray([row[key] for row in rows]) for key in keys})

    @classmethod
    def concat(cls, tables: Sequence[Table]) -> Table:
        """Stack tables that have the same columns; tables without rows are left out.

        Raises
        ------
        InputError
            If two of them have different columns.
        """
        full = [table for table in tables if len(table)]
        if not full:
            return tables[0] if tables else cls({})
        names = list(full[0].columns)
        for table in full:
            if set(table.columns) != set(names):
                msg = f"Tables of different columns: {names} and {list(table.columns)}."
                raise InputError(msg)
        return cls({name: np.concatenate([table[name] for table in full]) for name in names})

    def to_pandas(self) -> Any:
        """Make a pandas DataFrame; a 2-D column becomes one column a feature (`name_0`, ...)."""
        flat: dict[str, Column] = {}
        for name, column in self.columns.items():
            if column.ndim == 1:
                flat[name] = column
            else:
                flat |= {f"{name}_{index}": column[:, index] for index in range(column.shape[1])}
        return lazy.load("pandas:DataFrame", extra="disk")(flat)

    def to_parquet(self, path: Path | str) -> None:
        """Write as parquet; a 2-D column becomes a fixed-size list column."""
        arrow = lazy.load("pyarrow", extra="disk")
        arrays = {name: _to_arrow(arrow, column) for name, column in self.columns.items()}
        row_bytes = sum(column.nbytes for column in self.columns.values()) / max(1, len(self))
        # A group of rows is in memory while it is written: of wide rows it has fewer.
        rows = max(1, min(_ROWS_AT_ONCE, int(_BYTES_AT_ONCE / max(1, row_bytes))))
        write = lazy.load("pyarrow.parquet:write_table", extra="disk")
        write(arrow.table(arrays), str(path), row_group_size=rows)

    @classmethod
    def from_parquet(cls, source: Path | str | bytes) -> Table:
        """Read what `to_parquet` wrote, from a file or from its bytes, with the same dtypes."""
        file = io.BytesIO(source) if isinstance(source, bytes) else str(source)
        table = lazy.load("pyarrow.parquet:ParquetFile", extra="disk")(file).read()
        return cls({name: _from_arrow(table.column(name)) for name in table.column_names})

    def to_csv(self) -> str:
        """Write the table as CSV text with a header line; 2-D columns are not allowed."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(zip(*(column.tolist() for column in self.columns.values()), strict=True))
        return text.getvalue()


def _to_arrow(arrow: Any, column: Column) -> Any:
    if column.ndim == 1:
        # The type is given for text: a field without cells would else get a column of nulls.
        is_text = column.dtype.kind == "U"
        return arrow.array(column.tolist(), arrow.string()) if is_text else arrow.array(column)
    flat = arrow.array(np.ascontiguousarray(column).reshape(-1))
    return arrow.FixedSizeListArray.from_arrays(flat, column.shape[1])


def _from_arrow(column: Any) -> Column:
    array = column.combine_chunks()
    if hasattr(array.type, "list_size"):
        values: Column = array.flatten().to_numpy(zero_copy_only=False)
        return values.reshape(-1, array.type.list_size)
    values = array.to_numpy(zero_copy_only=False)
    return values.astype(str) if values.dtype.kind == "O" else values


def labels_from_csv(text: str, *, name: str) -> Table:
    """Read a LabelTable from CSV text; suggestions that nobody answered (`QUESTION`) are left out.

    Parameters
    ----------
    text : str
        CSV with the columns `LABEL_COLUMNS`. `plate`, `z`, `t`, `user`, `time`, `source` and
        `object_id` may be left out; so may `well` and `field` where `image` is given, or the
        reverse. `field`, `z` and `t` count from 0.
    name : str
        The file's name, for messages.

    Raises
    ------
    LabelError
        If a needed column is missing, there is no row, or a row cannot be read; every bad row is
        named.
    """
    reader = csv.DictReader(io.StringIO(text))
    rows, header = list(reader), set(reader.fieldnames or ())
    missing = {"y", "x", "label"} - header
    if missing or not header & {"image", "well"}:
        needs = ", ".join(sorted(missing)) or "image (or well and field)"
        msg = f"{name} is no label table: it lacks {needs}. Columns: {', '.join(LABEL_COLUMNS)}."
        if any(mark in column for column in header for mark in ";\t"):
            msg += " Its columns are separated by semicolons or tabs: save it with commas instead."
        raise LabelError(msg)
    if not rows:
        msg = f"{name} has no labels: there is no row below its header. Add one row a label."
        raise LabelError(msg)
    faults: list[str] = []
    parsed = [_label_row(row, f"{name} line {line}", faults) for line, row in enumerate(rows, 2)]
    if faults:
        raise LabelError("\n".join(faults))
    answered = [row for row in parsed if row["label"] != QUESTION]
    if not answered:
        msg = f"{name} has no labels: all its rows say {QUESTION!r}. Write the class there instead."
        raise LabelError(msg)
    return Table.from_rows(answered, LABEL_COLUMNS)


def _label_row(row: Mapping[str, str | None], where: str, faults: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {key: (row.get(key) or "").strip() for key in LABEL_COLUMNS}
    for key in ("field", "z", "t"):
        text = values[key] or "0"
        values[key] = int(text) if text.isdecimal() else 0
        if not text.isdecimal():
            faults.append(f"{where}: {key} is {text!r}, not a number counted from 0.")
    for key in ("y", "x"):
        try:
            number = float(values[key])
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            faults.append(f"{where}: {key} is {values[key]!r}, not a number.")
        values[key] = number
    if not values["label"]:
        faults.append(f"{where}: the label is empty.")
    if not values["image"] and not values["well"]:
        faults.append(f"{where}: neither image nor well is given.")
    return values


@dataclass(frozen=True, slots=True)
class Roi:
    """One region on an image: `points` are (y, x) pixels; a rectangle has two opposite corners."""

    image: str
    kind: Literal["rectangle", "polygon", "point"]
    points: tuple[tuple[float, float], ...]
    text: str
    z: int = 0
    t: int = 0
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag on a plate, well or image: `object_kind` and `object_id` say which."""

    object_kind: Literal["plate", "well", "image"]
    object_id: str
    text: str


@dataclass(frozen=True, slots=True)
class KeyValues:
    """Key-value pairs on a plate, well or image, under a namespace of ours."""

    object_kind: Literal["plate", "well", "image"]
    object_id: str
    namespace: str
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ResultFile:
    """A file that a run leaves with its plate: a report, a heat-map; `about` says what it shows."""

    name: str
    media_type: str
    content: bytes
    about: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class LabelImage:
    """A label image of one field: `pixels` has shape (Y, X), integer, 0 is background."""

    image: str
    name: str
    pixels: NDArray[np.integer[Any]]
    z: int = 0
    t: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class CropImages:
    """Crops of one field that become images of their own, where a store has datasets.

    Parameters
    ----------
    image : str
        Id of the image that they were cut from.
    cells : Table
        What each shows, N rows with `CELL_COLUMNS`.
    pixels : array, shape (N, C, Y, X)
        In the camera's dtype.
    channels : tuple of str
        Names of the C channels, as the image has them.
    ranges : tuple of (float, float)
        Grey values between which each channel is shown, alike in all crops of a run.
    z : int or str
        The plane of the image.
    """

    image: str
    cells: Table
    pixels: NDArray[Any]
    channels: tuple[str, ...]
    ranges: tuple[tuple[float, float], ...]
    z: ZChoice = 0


@dataclass(frozen=True, eq=False)
class UnitResult:
    """What one unit came to: its cells and field metrics, or the reason why it failed.

    `files` are small pictures for the report (JPEG bytes by name), or what else the task wants of
    its unit in the end; `labels` are label images by name.
    """

    unit: str
    status: Literal["done", "failed"]
    reason: str | None = None
    cells: Table = field(default_factory=lambda: Table({}))
    metrics: Mapping[str, float | int | str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    labels: Mapping[str, NDArray[np.integer[Any]]] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class Results:
    """What a store is asked to keep for one run and one object; `unit` None is the finishing step.

    Writing the same results twice leaves one copy: results are idempotent per (run id, unit).
    `tables` go by name ("cells", "fields", "wells").
    """

    run_id: str
    key: str
    task: str
    target: ObjectRef
    unit: str | None = None
    tables: Mapping[str, Table] = field(default_factory=dict)
    rois: tuple[Roi, ...] = ()
    tags: tuple[Tag, ...] = ()
    key_values: tuple[KeyValues, ...] = ()
    files: tuple[ResultFile, ...] = ()
    labels: tuple[LabelImage, ...] = ()
    crops: CropImages | None = None


@dataclass(frozen=True)
class WriteReport:
    """What a write or an undo did: counts by kind, where things are, and what was left alone.

    `kept` names what a user changed or deleted, which is left so; `notes` are whole sentences about
    what else is not as was asked for, such as a table that could not be made.
    """

    run_id: str
    counts: Mapping[str, int] = field(default_factory=dict)
    places: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

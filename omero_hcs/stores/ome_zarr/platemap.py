"""Platemaps: a CSV file that says what was put into each well."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from omero_hcs.errors import InputError, InputErrors
from omero_hcs.model import Role, parse_well, row_name, well_name
from omero_hcs.stores.ome_zarr.treatments import Position, WellTreatment

Found = TypeVar("Found")

_COLUMNS = {
    "well": ("well", "well_id", "well_name", "well_position"),
    "row": ("row", "well_row"),
    "column": ("column", "col", "well_column", "well_col"),
    "treatment": ("treatment", "compound", "compound_name", "drug"),
    "dose": ("dose", "concentration", "conc"),
    "dose_unit": ("dose_unit", "unit", "units", "concentration_unit"),
    "role": ("role", "control", "control_type", "well_role"),
}
_ROLES: dict[Role, tuple[str, ...]] = {
    "negative_control": ("negative_control", "negative", "neg", "negcon", "neg_control"),
    "positive_control": ("positive_control", "positive", "pos", "poscon", "pos_control"),
    "treatment": ("treatment", "treated", "trt", "sample", "compound", "dose_series"),
    "empty": ("empty", "blank", "unused"),
}


@dataclass(frozen=True)
class _Header:
    """Which column of the file holds what; `others` go to the metadata."""

    columns: Mapping[str, str]
    others: tuple[str, ...]
    decimal_comma: bool


def read_platemap(path: Path) -> dict[Position, WellTreatment]:
    """Read a platemap.

    Parameters
    ----------
    path : Path
        CSV (comma, semicolon or tab) with a header line. Columns: ``well`` (or ``row`` and
        ``column``), ``treatment`` or ``compound``, ``dose`` or ``concentration``, ``dose_unit`` or
        ``unit``, ``role`` or ``control`` (negative_control, positive_control, treatment, empty).
        All other columns are kept as metadata.

    Returns
    -------
    dict of (int, int) to WellTreatment
        By zero-based (row, column).

    Raises
    ------
    InputErrors
        With every fault of the file, each with its line.
    """
    text = _read(path)
    delimiter = _delimiter(text)
    names, *lines = list(csv.reader(io.StringIO(text), delimiter=delimiter)) or [[]]
    header = _header(names, path, decimal_comma=delimiter == ";")
    faults: list[str] = []
    wells: dict[Position, WellTreatment] = {}
    seen: dict[Position, int] = {}
    for number, cells in enumerate(lines, 2):
        if not any(cell.strip() for cell in cells):
            continue
        row = {name.strip(): cell.strip() for name, cell in zip(names, cells, strict=False)}
        position, treatment, wrong = _line(row, header)
        if position in seen:
            name = well_name(*position)
            wrong.append(f"well {name} is there already, in line {seen[position]}.")
        if position is not None:
            seen.setdefault(position, number)
            wells[position] = treatment
        faults += [f"{path.name} line {number}: {fault}" for fault in wrong]
    if not wells and not faults:
        faults.append(f"{path.name} has a header line, but no wells.")
    if faults:
        raise InputErrors(faults)
    return wells


def _read(path: Path) -> str:
    try:
        # Excel puts a byte order mark before the first column's name.
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        msg = f"The platemap {path} cannot be read: {error.strerror or error}."
        raise InputErrors([msg]) from error
    except UnicodeDecodeError as error:
        msg = f"The platemap {path} is no text in UTF-8. Save it as 'CSV UTF-8'."
        raise InputErrors([msg]) from error


def _delimiter(text: str) -> str:
    first = text.partition("\n")[0]
    return max(",;\t", key=first.count)


def _header(names: list[str], path: Path, *, decimal_comma: bool) -> _Header:
    plain = {name.strip().lower().replace(" ", "_"): name.strip() for name in names}
    columns = {}
    for key, known in _COLUMNS.items():
        found = [name for name in known if name in plain]
        if found:
            columns[key] = plain[found[0]]
    if "well" not in columns and not {"row", "column"} <= set(columns):
        msg = (
            f"The platemap {path.name} has no column 'well' (nor 'row' and 'column'). "
            f"Its columns: {', '.join(names) or 'none'}."
        )
        raise InputErrors([msg])
    used = {columns[key] for key in columns}
    others = tuple(name.strip() for name in names if name.strip() and name.strip() not in used)
    return _Header(columns, others, decimal_comma)


def _line(
    row: Mapping[str, str], header: _Header
) -> tuple[Position | None, WellTreatment, list[str]]:
    """Well and treatment of one line, and all that is wrong with it."""

    def cell(key: str) -> str | None:
        return row.get(header.columns.get(key, ""), "") or None

    wrong: list[str] = []

    def checked(check: Callable[[], Found]) -> Found | None:
        try:
            return check()
        except InputError as error:
            wrong.append(str(error))
            return None

    position = checked(lambda: _position(row, header))
    dose = checked(lambda: _dose(cell("dose"), decimal_comma=header.decimal_comma))
    role = checked(lambda: _role(cell("role")))
    metadata = MappingProxyType({name: row[name] for name in header.others if row.get(name)})
    treatment = WellTreatment(cell("treatment"), dose, cell("dose_unit"), role, metadata)
    return position, treatment, wrong


def _position(row: Mapping[str, str], header: _Header) -> Position:
    columns = header.columns
    letters = row.get(columns.get("row", ""), "")
    if letters.isdecimal() and int(letters) > 0:
        letters = row_name(int(letters) - 1)
    parts = letters + row.get(columns.get("column", ""), "")
    if "well" not in columns:
        return parse_well(parts)
    position = parse_well(row.get(columns["well"], ""))
    if {"row", "column"} <= set(columns) and parts[:1].isalpha() and parse_well(parts) != position:
        msg = f"well is {row[columns['well']]!r}, but row and column say {parts!r}."
        raise InputError(msg)
    return position


def _dose(text: str | None, *, decimal_comma: bool) -> float | None:
    if text is None:
        return None
    try:
        dose = float(text.replace(",", ".") if decimal_comma else text)
    except ValueError:
        dose = math.nan
    if not math.isfinite(dose):
        msg = f"the dose is {text!r}, not a number. Put the unit into a column 'dose_unit'."
        raise InputError(msg)
    return dose


def _role(text: str | None) -> Role | None:
    if text is None:
        return None
    plain = text.lower().replace(" ", "_").replace("-", "_")
    for role, words in _ROLES.items():
        if plain in words:
            return role
    msg = f"the role is {text!r}. Roles are: {', '.join(_ROLES)}."
    raise InputError(msg)

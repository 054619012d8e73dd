"""Tables as a page shows them: readable headers, numbers with units, keys to sort by."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from omero_hcs.errors import InputError
from omero_hcs.model import parse_well
from omero_hcs.results import Table

Kind = Literal["text", "number", "verdict", "words"]
"""How a column is laid out; words are sentences, which need room."""

NO_VALUE = "\N{EN DASH}"
_MICRO = re.compile(r"^u(?=[MmgLl])")
_HEADERS = {
    "abnormal_fraction": "Abnormal (%)",
    "hand_finding": "Metrics",
    "z": "z",
    "t": "t",
}
_WORDS = {"why", "hand_finding"}
_VERDICT_STYLES = {
    "good": {"pass", "passed", "ok", "good", "normal"},
    "bad": {"fail", "failed", "bad", "abnormal", "reject", "rejected"},
    "check": {"review", "check", "warn", "warning", "suspect", "inspect"},
}


@dataclass(frozen=True, slots=True)
class ShownCell:
    """One cell of a table: its text and, where the text does not sort as it should, a key.

    `href` is a page that it leads to.
    """

    text: str
    sort: float | None = None
    style: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True)
class ShownColumn:
    """One column's header and how its cells are laid out."""

    header: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class ShownTable:
    """A table as text; `anchors` has the id of each row, or "" where it has none."""

    columns: tuple[ShownColumn, ...]
    rows: tuple[tuple[ShownCell, ...], ...]
    anchors: tuple[str, ...]


def show_table(
    table: Table,
    *,
    anchor: str | None = None,
    pages: Mapping[str, Mapping[str, str]] | None = None,
) -> ShownTable:
    """Turn a table of results into text.

    Parameters
    ----------
    table : Table
        Columns as `ReportData` describes them. Fractions become percent, a dose takes its unit from
        `dose_unit`, two-dimensional columns are left out.
    anchor : str, optional
        The column whose values name the rows, so that the plate can link to them.
    pages : mapping of str to mapping, optional
        Pages that the values of a column lead to, by the column's name.
    """
    pages = pages or {}
    names = [
        name
        for name, column in table.columns.items()
        if column.ndim == 1 and not (name == "dose_unit" and "dose" in table)
    ]
    columns = tuple(ShownColumn(_header(name), _kind(table, name)) for name in names)
    values = list(table.rows())
    rows = tuple(
        tuple(
            replace(_cell(name, row), href=pages.get(name, {}).get(str(row[name]), ""))
            for name in names
        )
        for row in values
    )
    anchors = tuple(f"{anchor}-{row[anchor]}" if anchor else "" for row in values)
    return ShownTable(columns, rows, anchors)


def is_missing(value: Any) -> bool:
    """Whether a value stands for "there is none": None, NaN or the empty string."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def show_number(value: float) -> str:
    """Show a number with no more digits than one reads: 12345, 0.981, 15.63."""
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"


def show_dose(dose: Any, unit: Any) -> str:
    """Show a dose with its unit: "15.6 nM"; a platemap's "uM" becomes "µM"."""
    if is_missing(dose):
        return NO_VALUE
    number = f"{dose:g}" if isinstance(dose, int | float) else str(dose)
    return number if is_missing(unit) else f"{number} {_MICRO.sub('µ', str(unit))}"


def verdict_style(verdict: str) -> str:
    """Name the look of a verdict: "good", "check", "bad", or "plain" for other words."""
    word = verdict.strip().lower()
    return next((style for style, words in _VERDICT_STYLES.items() if word in words), "plain")


def _header(name: str) -> str:
    if name in _HEADERS:
        return _HEADERS[name]
    if name.startswith("n_"):
        return f"{name[2:]} (n)"
    words, unit = name, ""
    for suffix, shown in (("_fraction", " (%)"), ("_um", " (µm)"), ("_px", " (px)")):
        if name.endswith(suffix):
            words, unit = name.removesuffix(suffix), shown
    words = words.replace("_", " ")
    return words[:1].upper() + words[1:] + unit


def _kind(table: Table, name: str) -> Kind:
    if name == "verdict":
        return "verdict"
    if name in _WORDS:
        return "words"
    return "number" if table[name].dtype.kind in "iuf" else "text"


def _cell(name: str, row: dict[str, Any]) -> ShownCell:
    value = row[name]
    if is_missing(value):
        return ShownCell(NO_VALUE)
    if name == "well":
        return ShownCell(str(value), sort=_well_order(str(value)))
    if name == "field" and isinstance(value, int):
        return ShownCell(str(value + 1))
    if name == "dose":
        sort = float(value) if isinstance(value, int | float) else None
        return ShownCell(show_dose(value, row.get("dose_unit")), sort=sort)
    if name == "verdict":
        return ShownCell(str(value), style=verdict_style(str(value)))
    if name == "role":
        return ShownCell(str(value).replace("_", "\N{NO-BREAK SPACE}"))
    return ShownCell(_text(name, value))


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{100 * value:.1f}" if name.endswith("_fraction") else show_number(value)
    return str(value)


def _well_order(name: str) -> float | None:
    """Give a number that sorts wells as on the plate: A02 before A10, Z01 before AA01."""
    try:
        row, column = parse_well(name)
    except InputError:
        return None
    return row * 100 + column

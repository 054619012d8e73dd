"""File-name patterns: "plate1_{well}_s{field}_w{channel}.tif" to places on a plate."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from omero_hcs.errors import InputError, InputErrors
from omero_hcs.model import parse_well, row_name, well_name

_FORMS = {
    "well": r"[A-Za-z]{1,2}\d{1,2}",
    "row": r"[A-Za-z]{1,2}|\d{1,2}",
    "column": r"\d{1,2}",
    "field": r"\d+",
    "channel": r"[^/]+?",
    "z": r"\d+",
    "t": r"\d+",
    "acquisition": r"[^/]+?",
}
_TOKEN = re.compile(r"\{([^{}]*)\}|(\*)|([^{}*]+)|([{}])")


@dataclass(frozen=True, slots=True)
class Place:
    """What a file name says: which plane of which field it is.

    `row` and `column` are zero-based; the others are as the name has them, None where the pattern
    does not ask for them.
    """

    row: int
    column: int
    field: int | None = None
    channel: str | None = None
    z: int | None = None
    t: int | None = None
    acquisition: str | None = None

    @property
    def well(self) -> str:
        """Name such as "B03"."""
        return well_name(self.row, self.column)


@dataclass(frozen=True, slots=True)
class FilePattern:
    """A parsed pattern; see `parse_pattern`."""

    text: str
    names: frozenset[str]
    expression: re.Pattern[str]

    @property
    def has_folders(self) -> bool:
        """Whether the pattern speaks of sub-folders."""
        return "/" in self.text

    def place(self, path: PurePosixPath) -> Place | None:
        """Place of a file by its path relative to the folder; None if it does not match.

        Raises
        ------
        InputError
            If the name matches, but its well is none of a plate.
        """
        match = self.expression.fullmatch(path.as_posix())
        if match is None:
            return None
        found = match.groupdict()
        row, column = _well(found)
        field, z, t = (
            None if found.get(name) is None else int(found[name]) for name in ("field", "z", "t")
        )
        return Place(row, column, field, found.get("channel"), z, t, found.get("acquisition"))


def parse_pattern(pattern: str) -> FilePattern:
    """Understand a file-name pattern.

    Parameters
    ----------
    pattern : str
        A file name with placeholders in braces: ``{well}`` (or ``{row}`` and ``{column}``),
        ``{field}``, ``{channel}``, ``{z}``, ``{t}``, ``{acquisition}``. ``*`` stands for anything
        but a slash. Slashes lead into sub-folders. Upper and lower case are the same.

    Returns
    -------
    FilePattern

    Raises
    ------
    InputErrors
        If a placeholder is unknown, a brace is left open, or the well is not asked for.

    Examples
    --------
    >>> from pathlib import PurePosixPath
    >>> parse_pattern("BBBC013_{well}_s{field}_w{channel}.tif").place(
    ...     PurePosixPath("BBBC013_B03_s1_w2.tif")
    ... )
    Place(row=1, column=2, field=1, channel='2', z=None, t=None, acquisition=None)
    """
    names, expression, faults = read_pattern(pattern, _FORMS)
    faults += _well_faults(pattern, names)
    if faults:
        raise InputErrors(faults)
    return FilePattern(pattern, names, expression)


def read_pattern(
    pattern: str, forms: Mapping[str, str]
) -> tuple[frozenset[str], re.Pattern[str], list[str]]:
    """Turn a pattern into the placeholders that it has, an expression of them, and its faults.

    Parameters
    ----------
    pattern : str
        As in `parse_pattern`.
    forms : mapping of str to str
        The expression of each placeholder that may be in it.
    """
    faults: list[str] = []
    names: list[str] = []
    parts: list[str] = []
    for name, star, text, stray in _TOKEN.findall(pattern):
        if stray:
            faults.append(f"Pattern {pattern!r}: a brace {stray!r} has no partner.")
        elif star:
            parts.append("[^/]*?")
        elif text:
            parts.append(re.escape(text))
        elif name not in forms:
            known = ", ".join(f"{{{item}}}" for item in forms)
            faults.append(f"Pattern {pattern!r}: {{{name}}} is no placeholder. Known: {known}.")
        else:
            # A placeholder that comes twice has to be the same both times.
            parts.append(f"(?P={name})" if name in names else f"(?P<{name}>{forms[name]})")
            names.append(name)
    return frozenset(names), re.compile("".join(parts), re.IGNORECASE), faults


def _well_faults(pattern: str, names: frozenset[str]) -> list[str]:
    has_parts = {"row", "column"} & names
    if "well" in names and has_parts:
        return [f"Pattern {pattern!r} has {{well}} and {{row}} or {{column}}. Keep one of them."]
    if "well" not in names and len(has_parts) < 2:
        return [f"Pattern {pattern!r} lacks the well. Put in {{well}}, or {{row}}{{column}}."]
    return []


def _well(found: dict[str, str]) -> tuple[int, int]:
    if "well" in found:
        return parse_well(found["well"])
    row = found["row"]
    if row.isdecimal():
        if int(row) == 0:
            msg = f"Row {row!r} is on no plate: rows are counted from 1 in file names."
            raise InputError(msg)
        row = row_name(int(row) - 1)
    return parse_well(row + found["column"])

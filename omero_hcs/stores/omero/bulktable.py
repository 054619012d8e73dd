"""What a bulk-annotations table says of the wells of a plate: one that users or IDR attached."""

from __future__ import annotations

import contextlib
import logging
import math
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any

import Ice
from omero import grid
from omero.gateway import BlitzGateway  # noqa: F401  (first: makes omero.model importable)
from omero.model import OriginalFileI

from omero_hcs.errors import InputError
from omero_hcs.model import parse_well
from omero_hcs.stores.omero.plates import PlateRecord
from omero_hcs.stores.omero.record import BULK_NAMESPACE, OURS
from omero_hcs.stores.omero.session import ALL_GROUPS, Session, context_of

LOG = logging.getLogger(__name__)

_OF_PLATE = (
    "select f.id, ann.description from PlateAnnotationLink l join l.child ann join ann.file f "
    "where l.parent.id = :id and ann.ns = :ns order by ann.id desc"
)
_OF_SCREEN = (
    "select f.id, ann.description from ScreenPlateLink sl join sl.parent s "
    "join s.annotationLinks l join l.child ann join ann.file f "
    "where sl.child.id = :id and ann.ns = :ns order by ann.id desc"
)
_OUR_FILES = (
    f"select fa.file.id from FileAnnotation fa where fa.file.id in (:ids) and fa.ns like '{OURS}%'"
)
_WELLS, _PLATES = ("well", "well name", "wellname"), ("plate", "plate name", "platename")
_IDS = (
    grid.WellColumn, grid.PlateColumn, grid.ImageColumn, grid.RoiColumn, grid.FileColumn,
    grid.DatasetColumn,
)  # fmt: skip
_PLACES = (*_WELLS, *_PLATES, "image", "image name", "screen", "row", "column")

Pair = tuple[str, str]


def read_bulk_table(session: Session, record: PlateRecord) -> dict[int, list[Pair]]:
    """Read the newest bulk-annotations table of a plate or its screen that tells of its wells.

    Tables of ours are none. A table that cannot be read is logged and left out: a plate can be
    worked on without it.

    Returns
    -------
    dict of int to list of pairs
        Column names and values as text, by well id; only those alike in all rows of a well.
    """
    for number in _table_files(session, int(record.plate.id)):
        try:
            found = session.read(partial(_read, number=number, record=record))
        except Ice.Exception as error:
            LOG.warning(
                "The bulk table in file %s of plate %s cannot be read (%s): it is left out.",
                number, record.plate.id, getattr(error, "message", None) or type(error).__name__,
            )  # fmt: skip
            continue
        if found:
            return found
    return {}


def _table_files(session: Session, plate_id: int) -> list[int]:
    """Files of tables that are not ours; the plate's first, of each the newest first."""
    given: dict[str, Any] = {"id": plate_id, "ns": BULK_NAMESPACE}
    rows = [row for query in (_OF_PLATE, _OF_SCREEN) for row in session.project(query, given)]
    files = [number for number, told in rows if not (told or "").startswith("run=")]
    ours = {row[0] for row in session.project(_OUR_FILES, {"ids": files})} if files else set()
    return [number for number in dict.fromkeys(files) if number not in ours]


def _read(conn: Any, number: int, record: PlateRecord) -> dict[int, list[Pair]]:
    file = OriginalFileI(number, loaded=False)
    table = conn.c.sf.sharedResources().openTable(file, context_of(ALL_GROUPS))
    if table is None:  # OMERO's answer where the service is off
        LOG.warning("There is no tables service: bulk tables of %s are left out.", record.plate.id)
        return {}
    try:
        heads, count = table.getHeaders(), table.getNumberOfRows()
        places = [index for index, head in enumerate(heads) if _plain(head.name) in _PLACES]
        if not places or not count:
            return {}
        wells = _wells_of(table.read(places, 0, count).columns, record)
        rows = [row for row, well in enumerate(wells) if well is not None]
        wanted = [index for index, head in enumerate(heads) if _is_told(head)]
        if not rows or not wanted:
            return {}
        columns = table.slice(wanted, rows).columns
        return _pairs([wells[row] or 0 for row in rows], columns)
    finally:
        with contextlib.suppress(Ice.Exception):  # gone with its service
            table.close()


def _is_told(head: Any) -> bool:
    is_array = isinstance(
        head, grid.FloatArrayColumn | grid.DoubleArrayColumn | grid.LongArrayColumn
    )
    return not (is_array or isinstance(head, _IDS) or _plain(head.name) in _PLACES)


def _wells_of(columns: Sequence[Any], record: PlateRecord) -> list[int | None]:
    """Well id of each row, as far as it is of the plate."""
    by_name = {_plain(column.name): column.values for column in columns}
    count = len(columns[0].values)
    of_plate = [True] * count
    for name in _PLATES:
        mine = (int(record.plate.id), record.plate.name)
        of_plate = [
            here and value in mine
            for here, value in zip(of_plate, by_name.get(name, mine[:1] * count), strict=True)
        ]
    found: list[int | None] = [None] * count
    for name in _WELLS:
        told = [_well(value, record) for value in by_name.get(name, ())] or [None] * count
        found = [one or other for one, other in zip(found, told, strict=True)]
    return [well if here else None for well, here in zip(found, of_plate, strict=True)]


def _well(value: Any, record: PlateRecord) -> int | None:
    """Well of an id or a name; -1 is how omero-metadata writes one that it did not find."""
    if not isinstance(value, str):
        return int(value) if value in record.wells.values() else None
    try:
        return record.wells.get(parse_well(value))
    except InputError:
        return None


def _pairs(wells: Sequence[int], columns: Sequence[Any]) -> dict[int, list[Pair]]:
    found: dict[int, list[Pair]] = {well: [] for well in dict.fromkeys(wells)}
    for column in columns:
        texts: dict[int, set[str]] = defaultdict(set)
        for well, value in zip(wells, column.values, strict=True):
            texts[well].add(_text(value))
        for well, several in texts.items():
            if len(several) == 1 and "" not in several:
                found[well].append((column.name, several.pop()))
    return {well: pairs for well, pairs in found.items() if pairs}


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.12g}" if math.isfinite(value) else ""
    return str(value).strip()


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", " ")

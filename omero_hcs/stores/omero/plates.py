"""One plate of a server: its wells, fields, images and channels in two projection queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from omero_hcs.model import MAX_COLUMNS, MAX_ROWS, Acquisition, Field, Plate, Role, Well
from omero_hcs.stores.omero.imagerows import (
    IMAGE_COLUMNS,
    IMAGE_JOINS,
    Described,
    ImageRow,
    describe,
)
from omero_hcs.stores.omero.session import Session

_FORMATS = ((2, 3), (3, 4), (4, 6), (6, 8), (8, 12), (16, 24), (MAX_ROWS, MAX_COLUMNS))
_PLATE = (
    "select pl.name, pl.rows, pl.columns, pl.details.owner.omeName, pl.details.group.id "
    "from Plate pl where pl.id = :id"
)
_RUNS = "select a.id, a.name from PlateAcquisition a where a.plate.id = :id order by a.id"
_FIELDS = (
    "select w.id, w.row, w.column, index(ws), ws.id, ws.plateAcquisition.id, "
    f"{IMAGE_COLUMNS} from Well w left outer join w.wellSamples ws "
    f"left outer join ws.image i {IMAGE_JOINS} where w.plate.id = :id"
)
_IMAGES = (
    "from Well w join w.wellSamples ws join ws.image i {joins} where w.plate.id = :id"
)  # fmt: skip
_LAST = 1 << 62


@dataclass(frozen=True)
class PlatePart:
    """Which part of a plate is meant: None is all of it; what is given has to hold together."""

    wells: frozenset[int] | None = None
    runs: frozenset[int] | None = None
    images: frozenset[int] | None = None


WHOLE = PlatePart()


@dataclass(frozen=True, slots=True)
class WellFacts:
    """What is known of one well; see `model.Well`."""

    treatment: str | None = None
    dose: float | None = None
    dose_unit: str | None = None
    role: Role | None = None
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class PlateRecord:
    """A plate as a server has it; `wells` are ids by (row, column), in row order."""

    plate: Plate
    group: int
    wells: Mapping[tuple[int, int], int]


@dataclass
class _WellRows:
    """What the rows of one well say."""

    id: int
    row: int
    column: int
    samples: dict[int, _Sample] = field(default_factory=dict)


@dataclass(frozen=True)
class _Sample:
    place: tuple[int, int]
    run: int | None
    image: ImageRow


def read_plate(session: Session, plate_id: int, part: PlatePart = WHOLE) -> PlateRecord | None:
    """Read the layout of a plate, or of a part; None where the user sees no such plate.

    Treatments are not in it; see `with_facts`.
    """
    given = {"id": plate_id}
    told = session.project(_PLATE, given)
    if not told:
        return None
    name, rows, columns, owner, group = told[0]
    wells = _well_rows(session.project(_FIELDS, given))
    found = (sample.image.pixels for well in wells for sample in well.samples.values())
    described = describe(session, _IMAGES, given, {ids for ids in found if ids is not None})
    size = _size(rows, columns, wells)
    runs = [
        Acquisition(str(number), run or f"Run {number}")
        for number, run in session.project(_RUNS, given)
        if part.runs is None or number in part.runs
    ]
    filled = [
        (well, fields)
        for well in wells
        if part.wells is None or well.id in part.wells
        if (fields := _fields(well, part, described)) or part.images is None
    ]
    plate = Plate(
        id=str(plate_id),
        name=name or f"Plate {plate_id}",
        rows=size[0],
        columns=size[1],
        wells=tuple(Well(well.row, well.column, fields) for well, fields in filled),
        acquisitions=tuple(runs),
        owner=owner,
    )
    return PlateRecord(plate, group, {(well.row, well.column): well.id for well, _ in filled})


def _well_rows(rows: Iterable[list[Any]]) -> list[_WellRows]:
    """Gather rows by well, in row order; wells without a place on the plate are none."""
    wells: dict[int, _WellRows] = {}
    for well, row, column, index, sample, run, *image in rows:
        if row is None or column is None:
            continue
        here = wells.setdefault(well, _WellRows(well, row, column))
        found = ImageRow(*image)
        if sample is None or found.id is None:
            continue
        before = here.samples.get(sample)
        # An image may have derived pixels, too: its own are the first.
        if before is None or (found.pixels or 0) < (before.image.pixels or 0):
            place = (_LAST if index is None else index, sample)
            here.samples[sample] = _Sample(place, run, found)
    return sorted(wells.values(), key=lambda well: (well.row, well.column, well.id))


def _fields(well: _WellRows, part: PlatePart, described: Described) -> tuple[Field, ...]:
    """Fields in the order of the well's samples; each acquisition counts its own."""
    counts: Counter[int | None] = Counter()
    fields = []
    for sample in sorted(well.samples.values(), key=lambda sample: sample.place):
        index = counts[sample.run]
        counts[sample.run] += 1
        if part.runs is not None and sample.run not in part.runs:
            continue
        if part.images is not None and sample.image.id not in part.images:
            continue
        run = None if sample.run is None else str(sample.run)
        fields.append(Field(index, described.image(sample.image), run))
    return tuple(fields)


def _size(rows: int | None, columns: int | None, wells: Iterable[_WellRows]) -> tuple[int, int]:
    """Rows and columns of a plate; where they are not told, of the smallest usual one."""
    places = [(well.row + 1, well.column + 1) for well in wells]
    least = max((row for row, _ in places), default=1), max((col for _, col in places), default=1)
    if rows and columns and rows >= least[0] and columns >= least[1]:
        return rows, columns
    fitting = (size for size in _FORMATS if size[0] >= least[0] and size[1] >= least[1])
    return next(fitting, least)


def with_facts(record: PlateRecord, facts: Mapping[int, WellFacts]) -> PlateRecord:
    """Put what is known of wells, by their ids, into the plate."""
    wells = []
    for well in record.plate.wells:
        known = facts.get(record.wells[well.row, well.column])
        wells.append(well if known is None else _told(well, known))
    return replace(record, plate=replace(record.plate, wells=tuple(wells)))


def _told(well: Well, known: WellFacts) -> Well:
    return replace(
        well,
        treatment=known.treatment,
        dose=known.dose,
        dose_unit=known.dose_unit,
        role=known.role,
        metadata=MappingProxyType(dict(known.metadata)),
    )

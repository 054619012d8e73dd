"""What a model learns from: the cells that users labelled, cropped as cells to be judged will be.

A label with a place is meant for the nucleus there, a label without one for all cells of its field.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omero_hcs.errors import DataError, InputErrors
from omero_hcs.imaging.crop import at_border
from omero_hcs.imaging.normalize import normalize
from omero_hcs.jobs.identity import unit_generator
from omero_hcs.model import ObjectRef, Site, Unit, ZChoice
from omero_hcs.results import REACH_COLUMNS, Table
from omero_hcs.stores.base import PlateStore
from omero_hcs.tasks.base import all_units, layout_of, sites_by_image
from omero_hcs.tasks.cells import CellFinder, FieldError
from omero_hcs.tasks.conflicts import (
    Conflict,
    Settled,
    conflict_faults,
    conflict_warnings,
    settle,
)
from omero_hcs.tasks.label_places import LabelRows, field_name, point_name
from omero_hcs.tasks.labels import ExampleParams, is_weak
from omero_hcs.tasks.survey import PlateSurvey
from omero_hcs.tasks.weak import choose_cells, uncovered

Crops = NDArray[np.float32]
Planes = Sequence[tuple[Unit, Site]]

_SHOWN = 3


@dataclass(frozen=True, eq=False)
class Matched:
    """Labels of one plane, and the nuclei that they are meant for.

    Parameters
    ----------
    unit : Unit
        The plane.
    rows : array, shape (N,)
        Labels, as rows of their table.
    crops : array, shape (N, C, side, side)
        In [0, 1].
    centers : array, shape (N, 2)
        Where they were cut, (y, x) in pixels.
    alone : array, shape (N,), bool
        Labels that have no nucleus near.
    """

    unit: Unit
    rows: NDArray[np.intp]
    crops: Crops
    centers: NDArray[np.float64]
    alone: NDArray[np.bool_]

    @property
    def places(self) -> list[tuple[Any, ...]]:
        """Keys of the places: equal where two labels are about the same cell."""
        return [(self.unit.id, *center) for center in self.centers.round(3).tolist()]


@dataclass(eq=False)
class Examples:
    """The labelled cells of a run, gathered field by field.

    Parameters
    ----------
    finder : CellFinder
        Finds and crops the cells.
    params : ExampleParams
        Which planes and labels, how many cells a field, which rule.
    labels : Table
        What users labelled.
    fields : sequence of sequences of (Unit, Site)
        The planes of each image.
    owners : mapping of str to str
        Who owns the targets, by their ids.

    The other attributes are filled by `crops`, and complete when it has come to its end. `used`
    says of each label what became of it: "label" (its cell is an example), "field" (cells of its
    field are), "repeated" (the same was said of the same cell), "overruled" or "unused".
    """

    finder: CellFinder
    params: ExampleParams
    labels: Table
    fields: Sequence[Planes]
    owners: Mapping[str, str]
    used: NDArray[np.str_] = field(init=False)
    conflicts: list[Conflict] = field(default_factory=list)
    alone: int = 0
    """Labels with a place that have no nucleus near."""
    padded: int = 0
    """Examples at the border of their image, of whose crop a part is black."""
    left_to_labels: int = 0
    """Cells of labelled fields that have a label of their own."""
    without_cells: list[str] = field(default_factory=list)
    """Fields that have a label and no cells to give it to, or that cannot be read, and why."""
    _tables: list[Table] = field(default_factory=list)

    def __post_init__(self) -> None:
        blank = np.full(len(self.labels), np.nan)
        missing = [name for name in REACH_COLUMNS if name not in self.labels]
        self.labels = self.labels.with_columns(**dict.fromkeys(missing, blank))
        self.used = np.full(len(self.labels), "unused", dtype="U9")
        self._weak = is_weak(self.labels)
        self._rows = LabelRows(self.labels)

    @property
    def table(self) -> Table:
        """One row an example: `results.LABEL_COLUMNS`, `weak`, `unit`, and `group`, its well."""
        return Table.concat(self._tables)

    def crops(self) -> Iterator[Crops]:
        """Crop the examples of one plane after the other, shape (N, C, side, side), in [0, 1].

        Raises
        ------
        DataError
            If pixels of a labelled cell cannot be read.
        InputErrors
            At the end, with every conflict, where they are to be refused.
        """
        for planes in self.fields:
            rows = self._rows.of(planes[0][1], planes[0][0].target.id)
            if len(rows):
                yield from self._of_image(planes, rows)
        if self.params.rule == "refuse" and self.conflicts:
            raise InputErrors(conflict_faults(self.conflicts))

    def _of_image(self, planes: Planes, rows: NDArray[np.intp]) -> Iterator[Crops]:
        labelled: list[NDArray[np.float64]] = []
        for found in self._matched(planes, rows):
            unit, own, centers, alone = found.unit, found.rows, found.centers, found.alone
            settled = self._settle(unit, own, centers, found.places)
            labelled.append(centers[~alone])
            self.alone += int(alone[settled.rows].sum())
            self._keep(unit, own[settled.rows], centers[settled.rows], weak=False)
            yield found.crops[settled.rows]
        about_all = rows[self._weak[rows]]
        if len(about_all):
            yield from self._of_field(planes, about_all, labelled)

    def matched(self) -> Iterator[Matched]:
        """Find the nucleus that each label with a place is meant for, plane by plane."""
        for planes in self.fields:
            rows = self._rows.of(planes[0][1], planes[0][0].target.id)
            yield from self._matched(planes, rows)

    def _matched(self, planes: Planes, rows: NDArray[np.intp]) -> Iterator[Matched]:
        for unit, own in self._labelled_planes(planes, rows[~self._weak[rows]]):
            points, reach = (self._pairs(names, own) for names in (("y", "x"), REACH_COLUMNS))
            crops, centers, alone = self.finder.crops_at(unit, points, reach)
            yield Matched(unit, own, self._normal(crops), centers, alone)

    def _pairs(self, names: Sequence[str], rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Two columns of labels, shape (N, 2)."""
        return np.stack([self.labels[name][rows].astype(np.float64) for name in names], axis=1)

    def _labelled_planes(
        self, planes: Planes, rows: NDArray[np.intp]
    ) -> Iterator[tuple[Unit, NDArray[np.intp]]]:
        """Cut labels of an image by the planes in which they are looked at."""
        times = self.labels["t"][rows]
        for time in np.unique(times):
            now = rows[times == time]
            if not self.own_planes:
                for z in dict.fromkeys(unit.z for unit, _ in planes):
                    yield _at(planes[0][0], z, int(time)), now
                continue
            for z in np.unique(self.labels["z"][now]):
                yield _at(planes[0][0], int(z), int(time)), now[self.labels["z"][now] == z]

    @property
    def own_planes(self) -> bool:
        """Whether labels are looked at in the plane in which a user drew them."""
        return has_own_planes(self.params)

    def _settle(
        self,
        unit: Unit,
        rows: NDArray[np.intp],
        centers: NDArray[np.float64],
        places: Sequence[tuple[Any, ...]],
    ) -> Settled:
        own = self.labels.where(rows)
        own = own.with_columns(y=centers[:, 0].round(1), x=centers[:, 1].round(1))
        names = [point_name(row) for row in own.rows()]
        owner = self.owners.get(unit.target.id, "")
        settled = settle(own, places, names, rule=self.params.rule, owner=owner)
        self.conflicts += settled.conflicts
        self.used[rows] = "repeated"
        self.used[rows[settled.overruled]] = "overruled"
        return settled

    def _of_field(
        self, planes: Planes, rows: NDArray[np.intp], labelled: Sequence[NDArray[np.float64]]
    ) -> Iterator[Crops]:
        """Give the label of a field to cells of it that have none of their own."""
        unit = planes[0][0]
        nowhere = np.full((len(rows), 2), np.nan)
        row = rows[self._settle(unit, rows, nowhere, [(unit.id,)] * len(rows)).rows[0]]
        self.used[row] = "unused"
        name = field_name(next(self.labels.where(rows[:1]).rows()))
        finder = replace(self.finder, tiles_for_empty=True)
        reason = f"{name} has no cells without a label of their own"
        for found in finder.fields([unit for unit, _ in planes]):
            if isinstance(found, FieldError):
                reason = _unread(name, found)
                continue
            centers = np.stack([found.table["y"], found.table["x"]], axis=1)
            free = uncovered(centers, labelled, radius=self._radius())
            self.left_to_labels += len(centers) - len(free)
            rng = unit_generator(self.params.seed, found.unit.id)
            taken = choose_cells(free, -(-self.params.weak_limit // len(planes)), rng)
            if len(taken):
                self._keep(found.unit, np.full(len(taken), row), centers[taken], weak=True)
                yield self._normal(found.crops[taken])
        if self.used[row] == "unused":
            self.without_cells.append(reason)

    def _radius(self) -> float:
        """Half a nucleus: nearer than this, two centres are of the same one."""
        diameter = self.finder.survey.nuclear_diameter
        return diameter / 2 if diameter else self.finder.survey.crop_scale().side_px / 6

    def _normal(self, crops: NDArray[Any]) -> Crops:
        return normalize(crops, self.finder.survey.intensities(), headroom=True)

    def _keep(
        self, unit: Unit, rows: NDArray[np.intp], centers: NDArray[np.float64], *, weak: bool
    ) -> None:
        self.used[rows] = "field" if weak else "label"
        count, site = len(rows), self.finder.sites[unit.target.id, unit.image or ""]
        group = f"{unit.target.id}/{site.well.name}" if site.well else site.image.id
        shape, side = (
            (site.image.size_y, site.image.size_x),
            self.finder.survey.crop_scale().side_px,
        )
        self.padded += int(at_border(shape, centers, size=side).sum())
        self._tables.append(
            self.labels.where(rows).with_columns(
                y=centers[:, 0],
                x=centers[:, 1],
                well=np.full(count, site.well.name if site.well else ""),
                weak=np.full(count, weak),
                unit=np.full(count, unit.id),
                group=np.full(count, group),
            )
        )

    def warnings(self) -> tuple[str, ...]:
        """Say what a user would not expect of the labels."""
        strong = int((self.used == "label").sum())
        told = list(conflict_warnings(self.conflicts, self.params.rule))
        if self.padded:
            count = sum(map(len, self._tables))
            told.append(
                f"{self.padded} of {count} labelled cells lie at the border of their image: what "
                "their crops miss is black, for the cells that are judged as well."
            )
        if self.alone:
            told.append(
                f"{self.alone} of {strong} labels have no nucleus within half a crop, and inside "
                "what was drawn; they were cropped where they are. Cells without one are judged "
                "only in fields that have next to none."
            )
        repeated = int((self.used == "repeated").sum())
        if repeated:
            told.append(
                f"{repeated} of {len(self.labels)} labels are of cells or fields that have the "
                "same label already; each counts once."
            )
        if (self.used == "field").any():
            told.append(_weak_warning(self))
        if self.without_cells:
            more = len(self.without_cells) - _SHOWN
            tail = f"; and {more} more" if more > 0 else ""
            told.append(
                f"{len(self.without_cells)} labelled fields gave no examples: "
                f"{'; '.join(self.without_cells[:_SHOWN])}{tail}."
            )
        return tuple(told)


def _unread(name: str, failed: FieldError) -> str:
    """Say why a field that was labelled as a whole was left out; the others do without it."""
    if not isinstance(failed.error, DataError):
        raise failed.error
    return f"{name} cannot be read: {failed.error}"


def _weak_warning(examples: Examples) -> str:
    cells = int(examples.table["weak"].sum())
    fields = int((examples.used == "field").sum())
    left = examples.left_to_labels
    own = f", but for {left} cells that have a label of their own" if left else ""
    return (
        f"{cells} examples are cells of {fields} fields that were labelled as a whole: each was "
        f"given its field's label{own}. Some of them will not be what the label says."
    )


def _at(unit: Unit, z: ZChoice, t: int) -> Unit:
    """Make the unit of another plane of the same image."""
    stem = unit.id.removesuffix(f"/z{unit.z}/t{unit.t}")
    return unit.model_copy(update={"id": f"{stem}/z{z}/t{t}", "z": z, "t": t})


def has_own_planes(params: ExampleParams) -> bool:
    """Whether labels are looked at in their own plane.

    A label file need not say in which plane a label is, and where all planes are judged in one
    picture, or the sharpest one is, examples have to be seen like that, too.
    """
    return not params.in_file and params.z not in ("max", "focus")


def examples_of(
    store: PlateStore,
    targets: Sequence[ObjectRef],
    params: ExampleParams,
    labels: Table,
    survey: PlateSurvey,
) -> Examples:
    """Prepare the examples of a run; `Examples.crops` reads them."""
    fields: dict[tuple[str, str], list[tuple[Unit, Site]]] = {}
    for unit, site in all_units(store, targets, params):
        fields.setdefault((unit.target.id, site.image.id), []).append((unit, site))
    finder = CellFinder(
        store=store,
        params=params,
        survey=survey,
        sites=sites_by_image(store, targets),
        annotated=labels.where(~is_weak(labels)),
    )
    return Examples(
        finder=finder,
        params=params,
        labels=labels,
        fields=list(fields.values()),
        owners=owners_of(store, targets),
    )


def owners_of(store: PlateStore, targets: Sequence[ObjectRef]) -> dict[str, str]:
    """Who owns each target, where that is known."""
    return {target.id: layout_of(store, target).owner or "" for target in targets}

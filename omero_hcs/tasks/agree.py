"""Whether people label alike: `omero-hcs labels agree`."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omero_hcs.model import ObjectRef, Site, Unit
from omero_hcs.results import LABEL_COLUMNS, Table
from omero_hcs.stores.base import Linked, PlateStore
from omero_hcs.stores.open import open_store
from omero_hcs.tasks.agreement import UNKNOWN, Agreement, LabelledCell
from omero_hcs.tasks.base import CellParams, Progress, all_units, layout_of, names_of, no_progress
from omero_hcs.tasks.conflicts import Said
from omero_hcs.tasks.label_places import LabelRows, check_labels
from omero_hcs.tasks.labels import (
    ExampleParams,
    FoundLabels,
    LabelParams,
    find_labels,
    is_weak,
    label_sources,
)
from omero_hcs.tasks.sources import joined

FEW = 30
"""With fewer cells that two people labelled both, their kappa says little."""


class AgreeParams(LabelParams, CellParams):
    """Which labels are compared, and how the cells that they are about are found."""


@dataclass(frozen=True, eq=False)
class Crop:
    """A cell that is shown: its crop (C, side, side) in [0, 1], and a colour a channel or None."""

    pixels: NDArray[np.float32]
    colors: tuple[str | None, ...]


@dataclass(frozen=True, eq=False)
class FoundAgreement:
    """How far labellers agree.

    Parameters
    ----------
    name : str
        Of the plates.
    cells, fields : Agreement
        On cells, and on fields that were labelled as a whole.
    table : Table
        The labels, with `results.LABEL_COLUMNS`.
    notes : tuple of str
        What to know before relying on it.
    crops : mapping of LabelledCell to Crop
        Cells of which different things were said.
    links : mapping of str to str
        Pages of images, by their ids.
    channels : tuple of str
        Of the crops.
    """

    name: str
    cells: Agreement
    fields: Agreement
    table: Table
    notes: tuple[str, ...]
    crops: Mapping[LabelledCell, Crop]
    links: Mapping[str, str]
    channels: tuple[str, ...] = ()


def agree(
    where: Sequence[str], params: AgreeParams, *, progress: Progress = no_progress
) -> FoundAgreement:
    """Find the cells that people labelled, and what each of them said.

    Labels are about the same cell where training would take them for the same nucleus.

    Parameters
    ----------
    where : sequence of str
        What `open_store` takes.
    params : AgreeParams
        Which labels, and how cells are found.
    progress : callable
        Told after every labelled field.

    Raises
    ------
    LabelError
        If there are no labels.
    InputErrors
        If labels lie on no image, or outside it.
    """
    with contextlib.closing(open_store(joined(where))) as store:
        targets = store.refs()
        found = find_labels(store, targets, label_sources(params))
        check_labels(store, targets, found.table, refuse=False)
        gathered = _Gathered(found)
        if not is_weak(found.table).all():
            gathered.look(store, targets, params, progress)
        gathered.look_at_fields(store, targets, params)
        return gathered.told(store, [layout_of(store, target).name for target in targets])


@dataclass(eq=False)
class _Gathered:
    """What is found, plane by plane."""

    found: FoundLabels
    cells: list[LabelledCell] = field(default_factory=list)
    fields: list[LabelledCell] = field(default_factory=list)
    crops: dict[LabelledCell, Crop] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    channels: tuple[str, ...] = ()

    @property
    def table(self) -> Table:
        return self.found.table

    def look(
        self,
        store: PlateStore,
        targets: Sequence[ObjectRef],
        params: AgreeParams,
        progress: Progress,
    ) -> None:
        """Find the nuclei that labels are meant for."""
        from omero_hcs.tasks.examples import examples_of
        from omero_hcs.tasks.survey import survey_plate

        pairs = all_units(store, targets, params)
        name = names_of(store, targets)
        survey = survey_plate(store, pairs, params, name=name, progress=progress)
        settings = ExampleParams.model_validate(params.model_dump())
        examples = examples_of(store, targets, settings, self.table, survey)
        self.channels = survey.channels
        self.notes += survey.warnings
        # Where planes of a stack are told apart by nothing, a label would be met in each.
        met: set[int] = set()
        alone = 0
        for number, seen in enumerate(examples.matched(), 1):
            site = examples.finder.sites[seen.unit.target.id, seen.unit.image or ""]
            new = np.array([row not in met for row in seen.rows.tolist()], dtype=bool)
            met |= set(seen.rows.tolist())
            alone += int(seen.alone[new].sum())
            self._keep(site, seen.unit, seen.rows[new], seen.centers[new], seen.crops[new])
            progress("looking at the labels", number, len(examples.fields))
        if alone:
            self.notes.append(
                f"{alone} labels have no nucleus near, and are compared only with labels of the "
                "very same place."
            )

    def _keep(
        self,
        site: Site,
        unit: Unit,
        rows: NDArray[np.intp],
        centers: NDArray[np.float64],
        crops: NDArray[np.float32],
    ) -> None:
        at: dict[tuple[float, ...], list[int]] = {}
        for index, center in enumerate(centers.round(3).tolist()):
            at.setdefault(tuple(center), []).append(index)
        colors = tuple(site.image.channel(name).color for name in self.channels)
        plane = f", plane {unit.z + 1}" if isinstance(unit.z, int) and site.image.size_z > 1 else ""
        for center, own in at.items():
            cell = self._labelled(f"{site.label}{plane}", site.image.id, rows[own], center)
            self.cells.append(cell)
            if len({one.label for one in cell.said}) > 1:
                self.crops[cell] = Crop(crops[own[0]], colors)

    def look_at_fields(
        self, store: PlateStore, targets: Sequence[ObjectRef], params: AgreeParams
    ) -> None:
        """Find what was said of whole fields."""
        weak = np.flatnonzero(is_weak(self.table))
        if not len(weak):
            return
        rows = LabelRows(self.table.where(weak))
        sites = {(unit.target.id, site.image.id): site
                 for unit, site in all_units(store, targets, params)}  # fmt: skip
        for (target, image), site in sites.items():
            own = weak[rows.of(site, target)]
            if len(own):
                self.fields.append(self._labelled(site.label, image, own))

    def _labelled(
        self,
        place: str,
        image: str,
        rows: NDArray[np.intp],
        center: Sequence[float] = (np.nan, np.nan),
    ) -> LabelledCell:
        columns = [self.table[name][rows].tolist() for name in ("label", "user", "time")]
        objects = self.table["object_id"][rows].tolist()
        said = [Said(*map(str, each)) for each in zip(*columns, objects, strict=True)]
        # What is said last counts; of unknown times, what stands last in the table.
        order = sorted(range(len(said)), key=lambda index: (said[index].time, index))
        return LabelledCell(
            place,
            tuple(int(rows[index]) for index in order),
            tuple(said[index] for index in order),
            image,
            *center,
        )

    def told(self, store: PlateStore, names: Sequence[str]) -> FoundAgreement:
        """Put together what was found."""
        cells, fields = Agreement(tuple(self.cells)), Agreement(tuple(self.fields))
        images = {one.image for one in (*self.cells, *self.fields)}
        link = store.link if isinstance(store, Linked) else (lambda *_: "")
        return FoundAgreement(
            ", ".join(names),
            cells,
            fields,
            self.table,
            (*self.found.warnings(), *self.notes, *_cautions(cells, fields)),
            self.crops,
            {image: link("image", image) for image in sorted(images)},
            self.channels,
        )


def _cautions(*both: Agreement) -> tuple[str, ...]:
    told = []
    users = Counter[str]()
    for agreement in both:
        users.update(agreement.labellers)
    if UNKNOWN in users and len(users) == 1:
        told.append(
            "The labels name no user, so they cannot be compared. In a label file, put names into "
            "the column 'user'."
        )
    few = [pair for agreement in both for pair in agreement.pairs if pair.cells < FEW]
    if few:
        pair = min(few, key=lambda one: one.cells)
        told.append(
            f"{' and '.join(pair.users)} share {pair.cells} only: with fewer than {FEW}, another "
            "few labels can change the numbers a lot."
        )
    return tuple(told)


def agreement_csv(found: FoundAgreement) -> str:
    """Write every label of what two people or more labelled, a row each, as CSV.

    Rows that are about the same cell have the same `item`; `disputed` says whether people differ.
    """
    rows: list[dict[str, Any]] = []
    shared = (*found.cells.shared, *found.fields.shared)
    for number, one in enumerate(shared, 1):
        for row in one.rows:
            label = {name: found.table[name][row].tolist() for name in LABEL_COLUMNS}
            # Where the nucleus is, not where each of them clicked.
            place = {"y": _blank(one.y), "x": _blank(one.x)}
            rows.append({"item": number, "disputed": bool(one.dispute), **label, **place})
    return Table.from_rows(rows, ("item", "disputed", *LABEL_COLUMNS)).to_csv()


def _blank(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.2f}"

"""What every task is made of: a plan, work on units, and a finish.

A task is a module with `Params`, `plan`, `work` and `finish`::

    def plan(store, params, request) -> Plan                  # driver: checks all, reads a sample
    def work(store, spec, units) -> Iterator[UnitResult]      # workers: only read the store
    def unit_results(spec, unit, part) -> Results | None      # driver, optional: as a part arrives
    def finish(store, spec, parts, progress) -> Outcome       # driver: what the run came to
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, field_validator

from omero_hcs.errors import InputError
from omero_hcs.jobs.parts import Parts
from omero_hcs.model import Layout, ModelRef, ObjectRef, Plate, RunSpec, Site, Unit, ZChoice
from omero_hcs.results import Results, UnitResult
from omero_hcs.settings import Settings
from omero_hcs.stores.base import PlateStore

Progress = Callable[[str, int, int], None]
"""Called with (what is being done, how many are done, how many there are)."""


def no_progress(stage: str, done: int, total: int) -> None:
    """Show nothing."""


WITHIN_UNIT: ContextVar[Progress] = ContextVar("within_unit", default=no_progress)
"""Told how far the unit at hand is, where it takes long and the driver works it off itself."""


@dataclass(frozen=True)
class InDialog:
    """Marks a parameter that the dialog of a script offers; one without it has its default there.

    Whoever may log in to a server fills such a dialog in, so no parameter that names a file of the
    machine is marked.

    Parameters
    ----------
    under : str
        Title of the check box that it belongs to, in the words of the dialog; "" for none.
    name : str
        What the dialog calls it: the parameter's own name in `Snake_Case` by default.
    from_one : bool
        Whether the dialog counts from 1, as OMERO's viewer does, what we count from 0.
    hint : str
        What the dialog tells of it instead of the parameter's description.
    values : tuple of str
        The only values that the dialog takes, where the parameter itself would take more.
    """

    under: str = ""
    name: str = ""
    from_one: bool = False
    hint: str = ""
    values: tuple[str, ...] = ()


PLANES = "Choose_Channels_And_Planes"
"""Check box of a dialog over which images of a plate, and which of their planes, are read."""

MORE = "More_Settings"
"""Check box of a dialog over what few users change."""


WeightsFile = Annotated[
    str | None,
    Field(description="File with the encoder's weights; found by the name by default."),
]
"""Parameter of tasks with an encoder."""

WeightsDigest = Annotated[
    str | None, Field(description="sha256 that the file with the weights must have.")
]
"""Parameter of tasks that choose an encoder."""

Precision = Annotated[
    Literal["auto", "fp32", "bf16"],
    Field(description="Number format of the encoder; auto is the installation's setting."),
]
"""Parameter of tasks with an encoder."""

AnyScale = Annotated[
    bool,
    InDialog(MORE),
    Field(description="Go on although the crops are of another scale than the model's."),
]
"""Parameter of tasks with a quality model."""


class TaskParams(BaseModel):
    """Parameters of a task: unknown names are errors, values are frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: Annotated[int, InDialog(MORE)] = Field(
        default=0, ge=0, description="Seed of every random choice of the run."
    )


class CellParams(TaskParams):
    """How cells are found and cropped; shared by every task that looks at single cells."""

    nuclei: Annotated[str | None, InDialog(PLANES, name="Nuclear_Channel")] = Field(
        default=None, description="Channel with the nuclear stain; found by its name by default."
    )
    channels: Annotated[tuple[str, ...] | None, InDialog(PLANES)] = Field(
        default=None,
        description="Channels to use, in this order, by name or by number (1 is the first); all by"
        " default.",
    )
    centres: Annotated[
        Literal["nuclei", "grid", "labels", "roi"], InDialog(MORE, name="Centre_Crops_On")
    ] = Field(
        default="nuclei",
        description="What crops are centred on: nuclei found in the nuclear channel, a grid of"
        " tiles, the objects of a label image of the plate, or annotated positions.",
    )
    crop_size: Annotated[str, InDialog(MORE)] = Field(
        default="auto",
        description="Side of a crop: auto, or such as 128px, 40um, 3nuclei (nuclear diameters).",
    )
    recipe: Annotated[Literal["auto", "composite", "concat"], InDialog(MORE)] = Field(
        default="auto",
        description="How stains become the encoder's red, green and blue: composite (one picture of"
        " up to three stains; one stain alone is used three times), or concat (a picture of each"
        " stain, one after the other); auto is composite up to three stains.",
    )
    z: Annotated[ZChoice | Literal["all"], InDialog(PLANES, from_one=True)] = Field(
        default="middle", description="Plane of a z-stack: a number, middle, focus, max or all."
    )
    t: Annotated[int | Literal["all"], InDialog(PLANES, from_one=True)] = Field(
        default=0, description="Time point: a number, or all."
    )
    acquisition: Annotated[str | None, InDialog(PLANES)] = Field(
        default=None,
        description="Run of the microscope over the plate whose images are read: its name, id, or"
        " number (1 is the first); all by default.",
    )

    @field_validator("z", "t", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        """Take "3" from a command line as the number 3."""
        return int(value) if isinstance(value, str) and value.isdigit() else value


@dataclass(frozen=True)
class Request:
    """What the driver knows before a plan: the objects, the settings, how to show progress."""

    targets: tuple[ObjectRef, ...]
    settings: Settings
    progress: Progress = no_progress


@dataclass(frozen=True)
class Plan:
    """What a run will do: its units, and what was found out about the plate on the way."""

    units: tuple[Unit, ...]
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a run came to: results for the store, a summary to show, files for the user's disk.

    `of_units` are results of units that could not be told before all were done. They are asked for
    once, one after the other, and written before the others. `closing` are results that tell of
    the others, such as the overview of a screen: asked for once those are written.
    """

    results: tuple[Results, ...] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)
    places: tuple[str, ...] = ()
    of_units: Iterable[Results] = ()
    closing: Iterable[Results] = ()


class Task(Protocol):
    """What the driver and the workers call of a task's module."""

    Params: type[TaskParams]

    def fingerprint(self, store: PlateStore, params: Any, request: Request) -> Fingerprint:
        """Find what, beside the parameters, decides the outcome: model and labels."""
        ...

    def plan(self, store: PlateStore, params: Any, request: Request) -> Plan:
        """Check everything and cut the work into units."""
        ...

    def work(self, store: PlateStore, spec: RunSpec, units: Sequence[Unit]) -> Iterator[UnitResult]:
        """Work units off, one result a unit, in their order."""
        ...

    def unit_results(self, spec: RunSpec, unit: Unit, part: UnitResult) -> Results | None:
        """Give what the store should keep of one unit as soon as it is there."""
        ...

    def finish(self, store: PlateStore, spec: RunSpec, parts: Parts, progress: Progress) -> Outcome:
        """Join the parts into what the store should keep and the user should see."""
        ...


@dataclass(frozen=True)
class Fingerprint:
    """What decides, with the parameters, whether two requests are the same run.

    `more` is what the installation's settings add to it, as JSON has it.
    """

    model: ModelRef | None = None
    labels_sha256: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


TASKS: Mapping[str, str] = {
    "crop_cells": "omero_hcs.tasks.crop_cells",
    "train_qc": "omero_hcs.tasks.train_qc",
    "apply_qc": "omero_hcs.tasks.apply_qc",
    "embed_cells": "omero_hcs.tasks.embed_cells",
}
"""Module of every task that runs over units, by the task's name."""


def layout_of(store: PlateStore, target: ObjectRef) -> Layout:
    """Layout of a plate or an image set."""
    return store.plate(target.id) if target.kind == "plate" else store.images(target.id)


def names_of(store: PlateStore, targets: Iterable[ObjectRef]) -> str:
    """Name plates and image sets to a person: a server's ids are bare numbers."""
    if not store.spec.on_server:
        return ", ".join(target.id for target in targets)
    return ", ".join(layout_of(store, target).name for target in targets)


def units_of(
    target: ObjectRef, layout: Layout, *, z: ZChoice | Literal["all"], t: int | Literal["all"]
) -> Iterator[tuple[Unit, Site]]:
    """Cut a layout into units: one a field, z plane and time point asked for.

    Raises
    ------
    InputError
        If an image has no such plane or time point.
    """
    for site in layout.sites():
        for plane in _planes(site, z):
            for time in _times(site, t):
                yield _unit(target, site, plane, time), site


def all_units(
    store: PlateStore, targets: Iterable[ObjectRef], params: CellParams
) -> list[tuple[Unit, Site]]:
    """Cut everything that a run is about into units; see `units_of`.

    Raises
    ------
    InputError
        Also if an object has no such acquisition.
    """
    return [
        pair
        for target in targets
        for pair in units_of(
            target, of_acquisition(layout_of(store, target), params.acquisition),
            z=params.z, t=params.t,
        )
    ]  # fmt: skip


def of_acquisition(layout: Layout, wanted: str | None) -> Layout:
    """Leave only the images of one acquisition, by its name, id or number from 1; None leaves all.

    Raises
    ------
    InputError
        If there is no such acquisition, or several of that name.
    """
    if wanted is None:
        return layout
    known = layout.acquisitions if isinstance(layout, Plate) else ()
    found = [item for item in known if wanted in (item.name, item.id)]
    if not found and wanted.isdecimal() and 1 <= int(wanted) <= len(known):
        found = [known[int(wanted) - 1]]
    if len(found) != 1 or not isinstance(layout, Plate):
        names = ", ".join(f"{item.name} ({item.id})" for item in known) or "none"
        fault = f"{len(found)} acquisitions" if found else "no acquisition"
        msg = f"{layout.name} has {fault} {wanted!r}. It has: {names}. Name one of them, or none."
        raise InputError(msg)
    chosen = {found[0].id} | ({None} if len(known) == 1 else set())
    wells = (
        replace(well, fields=tuple(item for item in well.fields if item.acquisition in chosen))
        for well in layout.wells
    )
    return replace(layout, wells=tuple(wells))


def _planes(site: Site, z: ZChoice | Literal["all"]) -> Iterable[ZChoice]:
    size = site.image.size_z
    if z == "all":
        return range(size)
    if isinstance(z, int) and not 0 <= z < size:
        msg = f"{site.label} has {size} z plane(s); plane {z} is not there (planes count from 0)."
        raise InputError(msg)
    return (0,) if size == 1 else (z,)


def _times(site: Site, t: int | Literal["all"]) -> Iterable[int]:
    size = site.image.size_t
    if t == "all":
        return range(size)
    if not 0 <= t < size:
        msg = f"{site.label} has {size} time point(s); time {t} is not there (times count from 0)."
        raise InputError(msg)
    return (t,)


def _unit(target: ObjectRef, site: Site, z: ZChoice, t: int) -> Unit:
    where = f"{site.well.name}/f{site.field}" if site.well else site.image.id
    acquisition = f"/a{site.acquisition}" if site.acquisition else ""
    return Unit(
        id=f"{target.id}/{where}{acquisition}/z{z}/t{t}",
        target=target,
        image=site.image.id,
        well=site.well.name if site.well else None,
        field=site.field,
        acquisition=site.acquisition,
        z=z,
        t=t,
    )


def sites_by_image(store: PlateStore, targets: Iterable[ObjectRef]) -> dict[tuple[str, str], Site]:
    """Every site of the targets by (target id, image id)."""
    return {
        (target.id, site.image.id): site
        for target in targets
        for site in layout_of(store, target).sites()
    }

"""The domain's values: plates, wells, fields, images, and what a run is made of.

Layout values (`Plate`, `Well`, ...) are frozen dataclasses: a 1536-well plate makes thousands.
What travels as JSON (`StoreSpec`, `Unit`, `RunSpec`) are frozen pydantic models.
Rows, columns, fields, z and t are zero-based inside; names such as ``"B03"`` are for people.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic import Field as JsonField

from omero_hcs.errors import ChannelNotFoundError, InputError, PlateNotFoundError

ZChoice = int | Literal["middle", "focus", "max"]
"""One z plane: its index, the middle one, the sharpest one, or the maximum over all."""

Role = Literal["negative_control", "positive_control", "treatment", "empty"]
"""What a well is for."""

MAX_ROWS, MAX_COLUMNS = 32, 48
_WELL_NAME = re.compile(r"([A-Za-z]{1,2})0*([1-9][0-9]?)")


def row_name(row: int) -> str:
    """Letters of a zero-based row: 0 -> "A", 25 -> "Z", 26 -> "AA", 31 -> "AF"."""
    if not 0 <= row < MAX_ROWS:
        msg = f"Row {row} is not on any plate: rows go from 0 (A) to {MAX_ROWS - 1} (AF)."
        raise InputError(msg)
    return chr(65 + row) if row < 26 else "A" + chr(65 + row - 26)


def duration(seconds: float) -> str:
    """Say how long in few words: an estimate is no better than that."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def well_name(row: int, column: int) -> str:
    """Name of a well by its zero-based row and column, zero-padded: (1, 2) -> "B03"."""
    if not 0 <= column < MAX_COLUMNS:
        msg = f"Column {column} is not on any plate: columns go from 0 to {MAX_COLUMNS - 1}."
        raise InputError(msg)
    return f"{row_name(row)}{column + 1:02d}"


def parse_well(name: str) -> tuple[int, int]:
    """Zero-based (row, column) of a well name such as "B3", "b03" or "AF48".

    Raises
    ------
    InputError
        If the name is no well of a 1536-well plate or smaller.
    """
    match = _WELL_NAME.fullmatch(name.strip())
    if match:
        letters, column = match[1].upper(), int(match[2]) - 1
        row = ord(letters) - 65 if len(letters) == 1 else 26 + ord(letters[1]) - 65
        if letters[:-1] in ("", "A") and row < MAX_ROWS and column < MAX_COLUMNS:
            return row, column
    msg = f"{name!r} is no well name. Wells go from A01 to AF48, for example 'B03'."
    raise InputError(msg)


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of an image; `name` is unique within the image, `color` is "RRGGBB"."""

    index: int
    name: str
    color: str | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """One image as a store keeps it: sizes in pixels, `dtype` a numpy name.

    `pixel_size_um` is (y, x) in micrometres, or None where it is not known.
    """

    id: str
    name: str
    size_y: int
    size_x: int
    channels: tuple[Channel, ...]
    dtype: str = "uint16"
    size_z: int = 1
    size_t: int = 1
    pixel_size_um: tuple[float, float] | None = None
    z_step_um: float | None = None

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the channels, in their order."""
        return tuple(channel.name for channel in self.channels)

    def channel(self, name: str) -> Channel:
        """Find a channel by name (in any case) or by number, counted from 1 ("2", "w2", "ch2").

        The very name goes before one in other case, a name before a number.

        Raises
        ------
        ChannelNotFoundError
            If there is none; the message lists those that are there.
        """
        wanted = name.strip().lower()
        same = [channel for channel in self.channels if channel.name == name]
        alike = [channel for channel in self.channels if channel.name.strip().lower() == wanted]
        if same or alike:
            return (same or alike)[0]
        number = wanted.removeprefix("w").removeprefix("ch")
        if number.isdecimal() and 1 <= int(number) <= len(self.channels):
            return self.channels[int(number) - 1]
        names = ", ".join(repr(channel.name) for channel in self.channels)
        msg = f"Image {self.name} has no channel {name!r}. It has: {names}. Pass one of these."
        raise ChannelNotFoundError(msg)


@dataclass(frozen=True, slots=True)
class Field:
    """One position imaged in a well; `index` counts from 0 within well and acquisition."""

    index: int
    image: Image
    acquisition: str | None = None


@dataclass(frozen=True, slots=True)
class Well:
    """One well, what was put into it, and its fields."""

    row: int
    column: int
    fields: tuple[Field, ...] = ()
    treatment: str | None = None
    dose: float | None = None
    dose_unit: str | None = None
    role: Role | None = None
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def name(self) -> str:
        """Name such as "B03"."""
        return well_name(self.row, self.column)


@dataclass(frozen=True, slots=True)
class Acquisition:
    """One run of the microscope over a plate."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Site:
    """One image and where it was taken: `well` and `acquisition` are None in an image set."""

    image: Image
    field: int
    well: Well | None = None
    acquisition: str | None = None

    @property
    def label(self) -> str:
        """A name for people: "B03 field 1", with the acquisition where there are several."""
        if self.well is None:
            return self.image.name
        run = f" acquisition {self.acquisition}" if self.acquisition else ""
        return f"{self.well.name} field {self.field + 1}{run}"


@dataclass(frozen=True, slots=True)
class Plate:
    """A plate: its size, its wells in row order, its acquisitions, and who owns it, if known."""

    id: str
    name: str
    rows: int
    columns: int
    wells: tuple[Well, ...]
    acquisitions: tuple[Acquisition, ...] = ()
    owner: str | None = None

    def well(self, name: str) -> Well:
        """Find a well by name.

        Raises
        ------
        PlateNotFoundError
            If the plate has no such well.
        """
        position = parse_well(name)
        for well in self.wells:
            if (well.row, well.column) == position:
                return well
        msg = f"Plate {self.name} has no well {name}; it has {len(self.wells)} wells."
        raise PlateNotFoundError(msg)

    def sites(self) -> Iterator[Site]:
        """Every image of the plate, well by well, in row order."""
        for well in self.wells:
            for item in well.fields:
                yield Site(item.image, item.index, well, item.acquisition)


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Images that are no plate: a folder, a Dataset, a Project or one Image; and who owns them."""

    id: str
    name: str
    images: tuple[Image, ...]
    owner: str | None = None

    def sites(self) -> Iterator[Site]:
        """Every image of the set, in the store's order."""
        for index, image in enumerate(self.images):
            yield Site(image, index)


Layout = Plate | ImageSet
"""What a task runs on."""


@dataclass(frozen=True, slots=True)
class Screen:
    """Plates that a store keeps together, by their ids; what tells of all is attached to it."""

    id: str
    name: str
    plates: tuple[str, ...]

    @property
    def ref(self) -> ObjectRef:
        """The screen as a target of results."""
        return ObjectRef(kind="screen", id=self.id)


class _Json(BaseModel):
    """A frozen value that travels as JSON and refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ObjectRef(_Json):
    """One object of a store: a plate, a set of images, or a screen, which only files go to."""

    kind: Literal["plate", "images", "screen"]
    id: str


class StoreSpec(_Json):
    """How a worker reopens a store. Never holds a secret: `secret` names where one is kept."""

    uri: str
    secret: str | None = None

    @property
    def on_server(self) -> bool:
        """Whether results are kept on a server, for others to see, and not beside the images."""
        return "://" in self.uri


class Unit(_Json):
    """The smallest piece of work: one field at one z and t (or, for training, the whole run).

    `id` is unique within a run and the same in every run over the same plate.
    """

    id: str
    target: ObjectRef
    image: str | None = None
    well: str | None = None
    field: int = 0
    acquisition: str | None = None
    z: ZChoice = 0
    t: int = 0


class ModelRef(_Json):
    """The model file that a run uses."""

    name: str
    path: str
    sha256: str


class RunSpec(_Json):
    """All that a worker needs to know about a run, as JSON of a few kB, version 1.

    `context` is what `plan` found out about the plate (channels, crop scale, normalisation);
    `work_dir` is the folder, shared by driver and workers, that holds the run's parts.
    """

    schema_version: Literal[1] = 1
    run_id: str
    key: str
    task: str
    store: StoreSpec
    targets: tuple[ObjectRef, ...]
    params: dict[str, Any]
    context: dict[str, Any] = JsonField(default_factory=dict)
    model: ModelRef | None = None
    labels_sha256: str | None = None
    package_version: str
    work_dir: str

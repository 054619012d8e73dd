"""Images out of the rows of projection queries: sizes, pixel types, units, channels.

The images of a plate or set are nearly always alike, and a server answers "three channels, the same
in all 3,456 images" ten times as fast as it lists them. So it is asked for that first, and for each
image only where they differ.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from omero.gateway import BlitzGateway  # noqa: F401  (first: makes omero.model importable)
from omero.model import LengthI
from omero.model.enums import UnitsLength

from omero_hcs.model import Channel, Image
from omero_hcs.stores.omero.planes import PIXEL_DTYPES
from omero_hcs.stores.omero.session import Session

IMAGE_COLUMNS = "i.id, i.name, p.id"
IMAGE_JOINS = "left outer join i.pixels p"
"""What gives `IMAGE_COLUMNS`, an `ImageRow`, in a query that has images as `i`."""

_PIXELS = (
    "p.sizeX, p.sizeY, p.sizeZ, p.sizeT, pt.value, "
    "p.physicalSizeX.value, p.physicalSizeX.unit, p.physicalSizeY.value, p.physicalSizeY.unit, "
    "p.physicalSizeZ.value, p.physicalSizeZ.unit"
)
_PIXELS_JOINS = "join i.pixels p join p.pixelsType pt"
_CHANNELS = "lc.name, lc.emissionWave.value, lc.emissionWave.unit, c.red, c.green, c.blue"
_CHANNELS_JOINS = "join i.pixels p join p.channels c left outer join c.logicalChannel lc"

Channels = tuple[Channel, ...]
Rows = tuple[tuple[Any, ...], ...]


class ImageRow(NamedTuple):
    """One image as `IMAGE_COLUMNS` tell it."""

    id: int
    name: str | None
    pixels: int | None


class _Pixels(NamedTuple):
    size_c: int
    size_x: int
    size_y: int
    size_z: int
    size_t: int
    type: str
    x: float | None
    x_unit: str | None
    y: float | None
    y_unit: str | None
    z: float | None
    z_unit: str | None


_NO_PIXELS = Image("", "", 0, 0, (Channel(0, "Channel 1"),), "uint8")


@dataclass(frozen=True)
class Described:
    """What is known of the pixels of many images, by the ids of their pixels."""

    pixels: Mapping[int, Rows]
    channels: Mapping[int, Rows]

    def image(self, row: ImageRow) -> Image:
        """Make an image.

        One without pixels is of 0 x 0 and otherwise like the first of the others, so that a run
        over all of them can be planned, and this one fails alone when it is read.
        """
        alike = self._alike(row.pixels) or self._without_pixels
        return replace(alike, id=str(row.id), name=row.name or f"Image {row.id}")

    @cached_property
    def _without_pixels(self) -> Image:
        first = min(self.pixels, default=None)
        return replace(self._alike(first) or _NO_PIXELS, size_y=0, size_x=0)

    def _alike(self, pixels: int | None) -> Image | None:
        found = self.pixels.get(pixels) if pixels is not None else None
        return _alike(found[0], self.channels.get(pixels or 0, ())) if found else None


def describe(
    session: Session,
    images: str,
    given: Mapping[str, int | Sequence[int]],
    pixels: Collection[int],
) -> Described:
    """Read sizes, types and channels of many images.

    Parameters
    ----------
    session : Session
        Who reads.
    images : str
        The query over the images, as `i`: ``from Image i {joins} where i.id = :id``.
    given : mapping
        The query's parameters.
    pixels : collection of int
        Ids of the pixels that it gives.
    """
    if not pixels:
        return Described({}, {})

    def ask(columns: str, joins: str, place: str) -> Mapping[int, Rows]:
        query = images.format(joins=joins)
        # OMERO's own queries have index() inside min and max; none of them groups by it.
        told = f"select min({place}), max({place}), {columns}, count(distinct p.id)"
        groups = session.project(f"{told} {query} group by {columns}", given)
        if all(count == len(pixels) and first == last for first, last, *_, count in groups):
            rows = tuple(sorted((first, *facts) for first, _, *facts, _ in groups))
            return dict.fromkeys(pixels, rows)
        return _by_first(session.project(f"select p.id, {place}, {columns} {query}", given))

    return Described(
        ask(_PIXELS, _PIXELS_JOINS, "p.sizeC"), ask(_CHANNELS, _CHANNELS_JOINS, "index(c)")
    )


def _by_first(rows: Sequence[Sequence[Any]]) -> Mapping[int, Rows]:
    found: dict[int, set[tuple[Any, ...]]] = {}
    for number, *row in rows:  # a set: an image may be in several datasets
        found.setdefault(number, set()).add(tuple(row))
    return {number: tuple(sorted(several, key=_place)) for number, several in found.items()}


def _place(row: tuple[Any, ...]) -> int:
    return int(row[0] or 0)


@lru_cache(maxsize=256)
def _alike(described: tuple[Any, ...], channels: Rows) -> Image:
    """Make an image, still without id and name, that all images described alike are."""
    pixels = _Pixels(*described)
    y, x = micrometres(pixels.y, pixels.y_unit), micrometres(pixels.x, pixels.x_unit)
    return Image(
        id="",
        name="",
        size_y=pixels.size_y,
        size_x=pixels.size_x,
        channels=_channels(channels, pixels.size_c),
        dtype=PIXEL_DTYPES.get(pixels.type, pixels.type),
        size_z=pixels.size_z,
        size_t=pixels.size_t,
        pixel_size_um=(y, x) if y and x else None,
        z_step_um=micrometres(pixels.z, pixels.z_unit),
    )


def micrometres(value: float | None, unit: str | None) -> float | None:
    """Convert a length of OMERO, or None where it is none: unknown, not positive, in pixels."""
    if value is None or unit is None or not (math.isfinite(value) and value > 0):
        return None
    if unit == "MICROMETER":
        return float(value)
    length = LengthI(value, getattr(UnitsLength, unit))
    try:
        return float(LengthI(length, "MICROMETER").getValue())
    except Exception:  # noqa: BLE001  (omero-py's own: "PIXEL" and "REFERENCEFRAME" are no lengths)
        return None


def _channels(rows: Rows, size_c: int) -> Channels:
    """Name the channels of an image, and those of its pixels that nobody described."""
    names: list[str] = []
    colors: list[str | None] = []
    for index in range(size_c):
        _, name, wave, unit, *rgb = rows[index] if index < len(rows) else (index, *(None,) * 6)
        names.append(_unique(_label(index, name, wave, unit), names))
        colors.append(_color(rgb))
    described = zip(names, colors, strict=True)
    return tuple(Channel(index, name, color) for index, (name, color) in enumerate(described))


def _label(index: int, name: str | None, wave: float | None, unit: str | None) -> str:
    """Label a channel as OMERO.web does: by its name, else its emission, else its number."""
    if name and name.strip():
        return name.strip()
    length = micrometres(wave, unit)
    return f"{length * 1000:g} nm" if length else f"Channel {index + 1}"


def _unique(name: str, taken: Sequence[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name} {number}"
    return free


def _color(rgb: Sequence[int | None]) -> str | None:
    known = [value for value in rgb if value is not None]
    return bytes(known).hex().upper() if len(known) == 3 else None

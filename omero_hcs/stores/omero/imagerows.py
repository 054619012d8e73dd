"""Images out of the rows of projection queries: sizes, pixel types, units, channels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from omero.gateway import BlitzGateway  # noqa: F401  (first: makes omero.model importable)
from omero.model import LengthI
from omero.model.enums import UnitsLength

from omero_hcs.model import Channel, Image
from omero_hcs.stores.omero.session import Session

DTYPES: Mapping[str, str] = {
    "int8": "int8", "uint8": "uint8", "int16": "int16", "uint16": "uint16",
    "int32": "int32", "uint32": "uint32", "float": "float32", "double": "float64",
    "bit": "bool", "complex": "complex64", "double-complex": "complex128",
}  # fmt: skip
"""Numpy's name of a pixel type of OMERO."""

IMAGE_COLUMNS = (
    "i.id, i.name, p.id, p.sizeX, p.sizeY, p.sizeZ, p.sizeT, p.sizeC, pt.value, "
    "p.physicalSizeX.value, p.physicalSizeX.unit, p.physicalSizeY.value, p.physicalSizeY.unit, "
    "p.physicalSizeZ.value, p.physicalSizeZ.unit"
)
IMAGE_JOINS = "left outer join i.pixels p left outer join p.pixelsType pt"
"""What gives `IMAGE_COLUMNS` in a query that has images as `i`."""

_CHANNEL_COLUMNS = (
    "p.id, index(c), lc.name, lc.emissionWave.value, lc.emissionWave.unit, c.red, c.green, c.blue"
)
_CHANNEL_JOINS = "join i.pixels p join p.channels c left outer join c.logicalChannel lc"

Channels = tuple[Channel, ...]


class ImageRow(NamedTuple):
    """One image as `IMAGE_COLUMNS` tell it; all is None where there are no pixels."""

    id: int
    name: str | None
    pixels: int | None
    size_x: int | None
    size_y: int | None
    size_z: int | None
    size_t: int | None
    size_c: int | None
    type: str | None
    x: float | None
    x_unit: str | None
    y: float | None
    y_unit: str | None
    z: float | None
    z_unit: str | None


def read_channels(
    session: Session, images: str, given: Mapping[str, int | Sequence[int]]
) -> dict[int, Channels]:
    """Channels of many images, by the ids of their pixels.

    Parameters
    ----------
    session : Session
        Who reads.
    images : str
        Begin of the query, with the images as `i`, and after ``{joins}`` its end:
        ``from Image i {joins} where i.id = :id``.
    given : mapping
        The query's parameters.
    """
    query = f"select {_CHANNEL_COLUMNS} {images.format(joins=_CHANNEL_JOINS)}"
    rows: dict[int, list[tuple[Any, ...]]] = {}
    for pixels, *row in session.project(query, given):
        rows.setdefault(pixels, []).append(tuple(row))
    # The images of a plate have the same channels, so each kind of them is made once.
    made: dict[tuple[Any, ...], Channels] = {}
    found = {}
    for pixels, several in rows.items():
        kind = tuple(sorted(several, key=_place))
        if kind not in made:
            made[kind] = _channels(kind)
        found[pixels] = made[kind]
    return found


def image_of(row: ImageRow, channels: Mapping[int, Channels]) -> Image:
    """Make an image; one without pixels has sizes of 0 and no channels."""
    known = channels.get(row.pixels, ()) if row.pixels is not None else ()
    y, x = micrometres(row.y, row.y_unit), micrometres(row.x, row.x_unit)
    return Image(
        id=str(row.id),
        name=row.name or f"Image {row.id}",
        size_y=row.size_y or 0,
        size_x=row.size_x or 0,
        channels=_filled(known, row.size_c or 0),
        dtype=DTYPES.get(row.type or "", row.type or "uint8"),
        size_z=row.size_z or 0,
        size_t=row.size_t or 0,
        pixel_size_um=(y, x) if y and x else None,
        z_step_um=micrometres(row.z, row.z_unit),
    )


@lru_cache(maxsize=1024)
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


def _place(row: tuple[Any, ...]) -> int:
    return int(row[0] or 0)


def _channels(rows: Sequence[tuple[Any, ...]]) -> Channels:
    names: list[str] = []
    for index, (_, name, wave, unit, *_) in enumerate(rows):
        names.append(_unique(_label(index, name, wave, unit), names))
    return tuple(
        Channel(index, name, _color(row[4:]))
        for index, (name, row) in enumerate(zip(names, rows, strict=True))
    )


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


def _filled(channels: Channels, size_c: int) -> Channels:
    """Name the channels that the pixels have and nobody described."""
    if len(channels) == size_c:
        return channels
    known = channels[:size_c]
    names = [channel.name for channel in known]
    for index in range(len(known), size_c):
        names.append(_unique(f"Channel {index + 1}", names))
    return (*known, *(Channel(index, names[index]) for index in range(len(known), size_c)))

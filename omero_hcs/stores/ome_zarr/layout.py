"""From the documents of an OME-Zarr plate or image to the domain's values; no pixel is read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from omero_hcs.errors import DataError, InputError
from omero_hcs.imaging.channels import number_names
from omero_hcs.model import (
    Acquisition,
    Channel,
    Field,
    Image,
    Plate,
    Well,
    parse_well,
    well_name,
)
from omero_hcs.stores.ome_zarr.documents import Group, Json, read_group, read_header
from omero_hcs.stores.ome_zarr.treatments import Position, WellTreatment, treatments_from_json

PLATE_SIZES = ((2, 3), (3, 4), (4, 6), (6, 8), (8, 12), (16, 24), (32, 48))
"""Rows and columns of the plates that are made: 6, 12, 24, 48, 96, 384 and 1536 wells."""

_UM_PER_UNIT = {
    "angstrom": 1e-4,
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "meter": 1e6,
}


@dataclass(frozen=True, slots=True)
class Pixels:
    """Where an image's full-resolution array is, and the order of its axes ("tczyx" or fewer)."""

    folder: Path
    axes: str


def plate_size(wells: list[Position]) -> tuple[int, int]:
    """Rows and columns of the smallest plate made that holds these wells, (row, column) each."""
    rows = max((row for row, _ in wells), default=0) + 1
    columns = max((column for _, column in wells), default=0) + 1
    for size in PLATE_SIZES:
        if rows <= size[0] and columns <= size[1]:
            return size
    return rows, columns


def read_plate(root: Path, *, plate_id: str) -> Plate:
    """Layout of the plate in a folder.

    Parameters
    ----------
    root : Path
        The plate's folder, "plate.zarr".
    plate_id : str
        Id that the plate gets.

    Returns
    -------
    Plate
        Wells in row order; wells that have a treatment but no images have no fields.

    Raises
    ------
    DataError
        If a document that the plate lists is missing or cannot be read.
    FormatVersionError
        If the plate is of an NGFF version that is not read.
    """
    group = read_group(root)
    try:
        return _plate(group, plate_id)
    except (KeyError, TypeError, AttributeError) as error:
        msg = f"{root} is no OME-Zarr plate that can be read: {error!r} in its attributes."
        raise DataError(msg) from error


def axis_steps(multiscale: Json) -> list[float]:
    """Size of a step along each axis at full resolution, in the axis' own unit."""
    factors = [1.0] * len(multiscale["axes"])
    transforms = [
        *multiscale["datasets"][0].get("coordinateTransformations", ()),
        *multiscale.get("coordinateTransformations", ()),
    ]
    for transform in transforms:
        if transform.get("type") == "scale":
            factors = [a * b for a, b in zip(factors, transform["scale"], strict=True)]
    return factors


def _plate(group: Group, plate_id: str) -> Plate:
    root, stored = group.path, group.ngff["plate"]
    name = str(stored.get("name") or plate_id)
    treatments = treatments_from_json(group.attributes, plate=name)
    acquisitions = tuple(
        Acquisition(str(item["id"]), str(item.get("name") or f"acquisition {item['id']}"))
        for item in stored.get("acquisitions") or ()
    )
    paths = _well_paths(stored, root)
    wells = {
        position: _read_well(root / path, path, position, several=len(acquisitions) > 1)
        for position, path in paths.items()
    }
    positions = sorted({*wells, *treatments})
    rows, columns = _size(stored, positions)
    return Plate(
        id=plate_id,
        name=name,
        rows=rows,
        columns=columns,
        wells=tuple(
            _treated(at, wells.get(at, ()), treatments.get(at, WellTreatment())) for at in positions
        ),
        acquisitions=acquisitions,
    )


def read_image(folder: Path, *, image_id: str, name: str) -> Image:
    """Sizes, channels and pixel size of the image in a folder.

    Raises
    ------
    DataError
        If its documents are missing or do not fit NGFF.
    """
    group = read_group(folder)
    try:
        return _image(group, image_id, name)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        msg = f"{folder} is no OME-Zarr image that can be read: {error!r} in its attributes."
        raise DataError(msg) from error


def locate_pixels(folder: Path) -> Pixels:
    """Where the full-resolution pixels of the image in a folder are.

    Raises
    ------
    DataError
        If its documents are missing or do not fit NGFF.
    """
    group = read_group(folder)
    try:
        multiscale = group.ngff["multiscales"][0]
        return Pixels(folder / multiscale["datasets"][0]["path"], _axes(multiscale))
    except (KeyError, IndexError, TypeError) as error:
        msg = f"{folder} is no OME-Zarr image that can be read: {error!r} in its attributes."
        raise DataError(msg) from error


def _well_paths(stored: Json, root: Path) -> dict[Position, str]:
    paths: dict[Position, str] = {}
    for item in stored.get("wells", ()):
        row, _, column = item["path"].partition("/")
        try:
            # By name, where names are those of a plate: writers list only the rows they have, so
            # that `rowIndex` 0 may be row B.
            position = parse_well(row + column)
        except InputError:
            position = (int(item["rowIndex"]), int(item["columnIndex"]))
        if position in paths:
            both = f"{paths[position]} and {item['path']}"
            msg = f"{root} lists well {well_name(*position)} twice, as {both}."
            raise DataError(msg)
        paths[position] = item["path"]
    return paths


def _size(stored: Json, positions: list[Position]) -> tuple[int, int]:
    rows, columns = plate_size(positions)
    return max(rows, len(stored.get("rows", ()))), max(columns, len(stored.get("columns", ())))


def _read_well(folder: Path, path: str, position: Position, *, several: bool) -> tuple[Field, ...]:
    fields = []
    counts: Counter[str | None] = Counter()
    for item in read_group(folder).ngff.get("well", {}).get("images", ()):
        number = item.get("acquisition")
        acquisition = None if number is None else str(number)
        index = counts[acquisition]
        counts[acquisition] += 1
        name = f"{well_name(*position)} field {index + 1}"
        name = f"{name} acquisition {acquisition}" if several and acquisition else name
        image_id = f"{path}/{item['path']}"
        image = read_image(folder / item["path"], image_id=image_id, name=name)
        fields.append(Field(index, image, acquisition))
    return tuple(fields)


def _treated(position: Position, fields: tuple[Field, ...], treatment: WellTreatment) -> Well:
    return Well(
        *position,
        fields,
        treatment.treatment,
        treatment.dose,
        treatment.dose_unit,
        treatment.role,
        treatment.metadata,
    )


def _image(group: Group, image_id: str, name: str) -> Image:
    multiscale = group.ngff["multiscales"][0]
    axes = _axes(multiscale)
    header = read_header(group.path / multiscale["datasets"][0]["path"])
    sizes = dict(zip(axes, header.shape, strict=True))
    scale = _scale_um(multiscale, axes)
    y_um, x_um = scale.get("y"), scale.get("x")
    return Image(
        id=image_id,
        name=name,
        size_y=sizes["y"],
        size_x=sizes["x"],
        channels=_channels(group.ngff.get("omero") or {}, sizes.get("c", 1)),
        dtype=header.dtype,
        size_z=sizes.get("z", 1),
        size_t=sizes.get("t", 1),
        pixel_size_um=(y_um, x_um) if y_um and x_um else None,
        z_step_um=scale.get("z") if sizes.get("z", 1) > 1 else None,
    )


def _axes(multiscale: Json) -> str:
    return "".join(axis["name"] for axis in multiscale["axes"])


def _scale_um(multiscale: Json, axes: str) -> dict[str, float]:
    """Micrometres a step of each space axis; axes without a unit are left out: it is not known."""
    factors = axis_steps(multiscale)
    units = [_UM_PER_UNIT.get(axis.get("unit", "")) for axis in multiscale["axes"]]
    return {
        axis: factor * unit
        for axis, factor, unit in zip(axes, factors, units, strict=True)
        if unit is not None
    }


def _channels(omero: Json, count: int) -> tuple[Channel, ...]:
    stored: list[Json] = list(omero.get("channels") or ())[:count]
    stored += [{}] * (count - len(stored))
    names = number_names([str(item.get("label") or "") for item in stored])
    return tuple(
        Channel(index, name, _color(item.get("color")))
        for index, (name, item) in enumerate(zip(names, stored, strict=True))
    )


def _color(value: object) -> str | None:
    text = str(value or "").lstrip("#").upper()
    return text if len(text) == 6 else None

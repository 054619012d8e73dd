"""From matched file names to fields: which file is which plane, what is missing, what is double."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from omero_hcs.errors import InputError, InputErrors
from omero_hcs.stores.imagefile import EXTENSIONS, natural_key
from omero_hcs.stores.ome_zarr.pattern import FilePattern, Place

PlaneKey = tuple[int, int, int]
"""Indices (t, c, z) of one plane within its field."""

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Axes:
    """Values that the file names of one acquisition take, sorted; None alone: not in the names."""

    fields: tuple[int | None, ...]
    channels: tuple[str | None, ...]
    zs: tuple[int | None, ...]
    ts: tuple[int | None, ...]

    def planes(self) -> dict[PlaneKey, tuple[int | None, str | None, int | None]]:
        """Every plane of a whole field, with its values in the file name."""
        return {
            (t, c, z): (time, channel, depth)
            for t, time in enumerate(self.ts)
            for c, channel in enumerate(self.channels)
            for z, depth in enumerate(self.zs)
        }


@dataclass(frozen=True, slots=True)
class FieldFiles:
    """Files of one field; `place` has the values of its names, without channel, z and t."""

    place: Place
    index: int
    files: Mapping[PlaneKey, Path]


@dataclass(frozen=True, slots=True)
class Arrangement:
    """All fields of a folder, in plate order, and the axes of each acquisition.

    `faults` name wells on no plate, two files for one place, and planes that a field lacks.
    `unmatched` are image files that the pattern leaves out.
    """

    fields: tuple[FieldFiles, ...]
    axes: Mapping[str | None, Axes]
    unmatched: tuple[str, ...]
    faults: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file that is used."""
        return tuple(path for field in self.fields for path in field.files.values())

    @property
    def positions(self) -> tuple[tuple[int, int], ...]:
        """Zero-based (row, column) of the wells that have images, sorted."""
        return tuple(sorted({(field.place.row, field.place.column) for field in self.fields}))


def arrange_folder(folder: Path, pattern: FilePattern) -> Arrangement:
    """Find the files of a folder that match a pattern, and put them in their places.

    Parameters
    ----------
    folder : Path
        The folder. Sub-folders are looked into only if the pattern has a slash.
    pattern : FilePattern
        The pattern.

    Returns
    -------
    Arrangement

    Raises
    ------
    InputErrors
        If there is no folder, no file in it, or none that matches.
    """
    names = _list_files(folder, pattern)
    found, unmatched, faults = _match(names, pattern)
    if not found and not faults:
        examples = ", ".join(repr(str(name)) for name in names[:2])
        count = "1 file" if len(names) == 1 else f"{len(names)} files"
        faults.append(
            f"No file in {folder} matches the pattern {pattern.text!r}. "
            f"It holds {count}, such as {examples}."
        )
    if not found:
        raise InputErrors(shorten(faults))
    axes = _axes(found)
    fields, more = _fields(found, axes, folder)
    return Arrangement(fields, axes, unmatched, (*shorten(faults), *shorten(more)))


def shorten(faults: Sequence[str]) -> list[str]:
    """Keep the first messages of a long list and count the others."""
    rest = len(faults) - _SHOWN
    if rest <= 1:
        return list(faults)
    return [*faults[:_SHOWN], f"... and {rest} more of this kind."]


def _list_files(folder: Path, pattern: FilePattern) -> list[PurePosixPath]:
    if not folder.is_dir():
        msg = f"There is no folder {folder}."
        raise InputErrors([msg])
    walk: Iterable[Path] = folder.rglob("*") if pattern.has_folders else folder.iterdir()
    paths = (path for path in walk if not path.name.startswith(".") and path.is_file())
    names = [PurePosixPath(path.relative_to(folder).as_posix()) for path in paths]
    if not names:
        where = "" if pattern.has_folders else " (sub-folders are read where the pattern has a '/')"
        msg = f"The folder {folder} holds no files{where}."
        raise InputErrors([msg])
    return sorted(names, key=lambda name: natural_key(str(name)))


def _match(
    names: Sequence[PurePosixPath], pattern: FilePattern
) -> tuple[dict[PurePosixPath, Place], tuple[str, ...], list[str]]:
    found: dict[PurePosixPath, Place] = {}
    unmatched: list[str] = []
    faults: list[str] = []
    for name in names:
        try:
            place = pattern.place(name)
        except InputError as error:
            faults.append(f"{name}: {error}")
            continue
        if place is None:
            if name.suffix.lower() in EXTENSIONS:
                unmatched.append(str(name))
        elif name.suffix.lower() not in EXTENSIONS:
            faults.append(f"{name} is no image that is read. TIFF, PNG and JPEG are.")
        else:
            found[name] = place
    return found, tuple(unmatched), faults


def _axes(found: Mapping[PurePosixPath, Place]) -> dict[str | None, Axes]:
    # An acquisition is a run of its own: it may have other channels and planes than the next.
    runs: dict[str | None, list[Place]] = defaultdict(list)
    for place in found.values():
        runs[place.acquisition].append(place)
    order = sorted(runs, key=lambda name: natural_key(name or ""))
    return {
        name: Axes(
            _numbers(runs[name], lambda place: place.field),
            tuple(sorted({place.channel for place in runs[name]}, key=_channel_key)),
            _numbers(runs[name], lambda place: place.z),
            _numbers(runs[name], lambda place: place.t),
        )
        for name in order
    }


def _channel_key(name: str | None) -> tuple[tuple[int, int, str], ...]:
    return natural_key(name or "")


def _numbers(
    places: Sequence[Place], value: Callable[[Place], int | None]
) -> tuple[int | None, ...]:
    return tuple(sorted({value(place) for place in places}, key=lambda number: number or 0))


def _fields(
    found: Mapping[PurePosixPath, Place], axes: Mapping[str | None, Axes], folder: Path
) -> tuple[tuple[FieldFiles, ...], list[str]]:
    groups: dict[Place, dict[Place, list[PurePosixPath]]] = defaultdict(lambda: defaultdict(list))
    for name, place in found.items():
        groups[replace(place, channel=None, z=None, t=None)][place].append(name)
    run_order = {name: number for number, name in enumerate(axes)}
    ordered = sorted(
        groups,
        key=lambda place: (
            place.row,
            place.column,
            run_order[place.acquisition],
            place.field or 0,
        ),
    )
    faults: list[str] = []
    fields = []
    for place in ordered:
        planes = groups[place]
        faults += _doubles(planes)
        run = axes[place.acquisition]
        faults += _missing(place, planes, run)
        files = {
            key: folder / planes[replace(place, t=t, channel=channel, z=z)][0]
            for key, (t, channel, z) in run.planes().items()
            if replace(place, t=t, channel=channel, z=z) in planes
        }
        fields.append(FieldFiles(place, run.fields.index(place.field), files))
    return tuple(fields), faults


def _doubles(planes: Mapping[Place, Sequence[PurePosixPath]]) -> list[str]:
    return [
        f"{' and '.join(str(name) for name in names)} are {label(place)} both."
        for place, names in planes.items()
        if len(names) > 1
    ]


def _missing(place: Place, planes: Mapping[Place, Sequence[PurePosixPath]], run: Axes) -> list[str]:
    wanted = (replace(place, t=t, channel=channel, z=z) for t, channel, z in run.planes().values())
    near = next(iter(planes.values()))[0]
    return [
        f"{label(missing)} is missing; other fields have it (this field has {near}, ...)."
        for missing in wanted
        if missing not in planes
    ]


def label(place: Place) -> str:
    """Name of a place for people: "B03 field 1 channel 2", with the values of the file names."""
    named = {
        "field": place.field,
        "channel": place.channel,
        "z": place.z,
        "t": place.t,
        "acquisition": place.acquisition,
    }
    parts = [f"{key} {value}" for key, value in named.items() if value is not None]
    return " ".join([place.well, *parts])

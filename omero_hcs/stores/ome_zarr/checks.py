"""Checks of a folder that is to become a plate: what the files hold, channels, platemap, gaps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import TypeVar

from omero_hcs.errors import DataError, InputErrors
from omero_hcs.imaging.channels import number_names
from omero_hcs.model import Channel, well_name
from omero_hcs.stores.imagefile import natural_key, read_header
from omero_hcs.stores.ome_zarr.arrangement import Arrangement, Axes, FieldFiles, label, shorten
from omero_hcs.stores.ome_zarr.blocks import BlockInfo, inspect_blocks
from omero_hcs.stores.ome_zarr.display import default_color
from omero_hcs.stores.ome_zarr.layout import plate_size
from omero_hcs.stores.ome_zarr.treatments import Position, WellTreatment

Progress = Callable[[int, int], None]
"""Called with what is done and what there is in all."""

Found = TypeVar("Found")

_RGB_COLORS = {"red": "FF0000", "green": "00FF00", "blue": "0000FF"}
_NAMES_SHOWN = 12
# A platemap with fewer wells than this share off the plate has a typing error in it; with more, the
# plate is a larger one of which a part was imaged.
_TYPING_ERROR_SHARE = 0.1


class Faults:
    """Collects the faults of several checks, to report all of them at once."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def gather(self, check: Callable[[], Found]) -> Found | None:
        """Return what a check returns, or None and keep its faults."""
        try:
            return check()
        except InputErrors as error:
            self.found += error.faults
            return None

    def raise_any(self) -> None:
        """Raise InputErrors if there are any."""
        if self.found:
            raise InputErrors(self.found)


def inspect_files(
    arrangement: Arrangement, *, progress: Progress | None
) -> dict[str | None, BlockInfo]:
    """Decode every file, and return what each file of an acquisition holds.

    Raises
    ------
    InputErrors
        Naming files that cannot be read, or that differ from most in size or dtype, or that hold
        more channels, planes or times than the pattern leaves them.
    """
    found = inspect_blocks(arrangement.paths, progress)
    faults = shorten([str(info) for info in found.values() if isinstance(info, DataError)])
    usual: dict[str | None, BlockInfo] = {}
    for run, axes in arrangement.axes.items():
        infos = {
            path: _as_counted(info, axes)
            for field in arrangement.fields
            if field.place.acquisition == run
            for path in field.files.values()
            if isinstance(info := found[path], BlockInfo)
        }
        if infos:
            usual[run] = Counter(infos.values()).most_common(1)[0][0]
            faults += shorten(_odd_files(infos, usual[run]))
            faults += _axis_faults(usual[run], axes, next(iter(infos)))
    if faults:
        raise InputErrors(faults)
    return usual


def name_channels(
    arrangement: Arrangement,
    usual: Mapping[str | None, BlockInfo],
    names: Sequence[str] | None,
) -> dict[str | None, tuple[Channel, ...]]:
    """Channels of each acquisition, by the names given, else by the file names or headers.

    Raises
    ------
    InputErrors
        If the count of names does not fit.
    """
    values = {value for axes in arrangement.axes.values() for value in axes.channels}
    if values == {None}:
        return {
            run: _channels(_held_names(arrangement, run, info, names))
            for run, info in usual.items()
        }
    ordered = sorted((value for value in values if value is not None), key=natural_key)
    if names is not None and len(names) != len(ordered):
        msg = (
            f"Channel names given: {', '.join(names)}. But the files have {len(ordered)} channels: "
            f"{', '.join(ordered)}. Give a name for each, in this order."
        )
        raise InputErrors([msg])
    given = names or [f"channel {value}" if value.isdecimal() else value for value in ordered]
    unique = dict(zip(ordered, number_names(given), strict=True))
    return {
        run: _channels([unique[value] for value in axes.channels if value is not None])
        for run, axes in arrangement.axes.items()
    }


def check_options(
    names: Sequence[str] | None, pixel_size_um: float | tuple[float, float] | None
) -> None:
    """Refuse channel names that are empty or come twice, and pixel sizes that are none.

    Raises
    ------
    InputErrors
        With every fault.
    """
    faults = []
    counts = Counter(name.strip().lower() for name in names or ())
    if "" in counts:
        faults.append("A channel name is empty. Give each channel a name.")
    for name, count in counts.items():
        if name and count > 1:
            faults.append(f"The channel name {name!r} was given {count} times. Names are unique.")
    sizes = pixel_size_um if isinstance(pixel_size_um, tuple) else (pixel_size_um,)
    if any(size is not None and not (isfinite(size) and size > 0) for size in sizes):
        faults.append(f"The pixel size is {pixel_size_um} um. It has to be above 0.")
    if faults:
        raise InputErrors(faults)


def check_platemap(
    arrangement: Arrangement, treatments: Mapping[Position, WellTreatment], *, name: str
) -> None:
    """Refuse a platemap of another plate.

    Raises
    ------
    InputErrors
        If none of its wells has images, or single wells are off the plate that the images are of.
    """
    if not treatments:
        return
    positions = arrangement.positions
    rows, columns = plate_size(list(positions))
    if not treatments.keys() & set(positions):
        msg = (
            f"{name} is the platemap of another plate: none of its wells has images. "
            f"Images are there of {_listed(positions)}."
        )
        raise InputErrors([msg])
    off = sorted(at for at in treatments if at[0] >= rows or at[1] >= columns)
    if 0 < len(off) < _TYPING_ERROR_SHARE * len(treatments):
        last = well_name(rows - 1, columns - 1)
        raise InputErrors(
            [
                f"{name}: well {well_name(*at)} is not on this plate of {rows * columns} wells "
                f"(A01 to {last}). Correct the well's name or delete its line."
                for at in off
            ]
        )


def find_gaps(
    arrangement: Arrangement, treatments: Mapping[Position, WellTreatment]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Wells without images, and warnings about them and about all that is odd but no fault.

    Without a platemap a well is missing if it lies between wells that have images.
    """
    positions = set(arrangement.positions)
    rows = {row for row, _ in positions}
    columns = {column for _, column in positions}
    expected = {at for at, known in treatments.items() if known.role != "empty"} or {
        (row, column)
        for row in range(min(rows), max(rows) + 1)
        for column in range(min(columns), max(columns) + 1)
    }
    missing = sorted(expected - positions)
    warnings = []
    if missing:
        where = "in the platemap" if treatments else "between the imaged wells"
        warnings.append(f"No images of {_count(missing, 'well')} {where}: {_listed(missing)}.")
    unknown = sorted(positions - treatments.keys()) if treatments else []
    if unknown:
        warnings.append(
            f"Not in the platemap: {_count(unknown, 'well')} with images: {_listed(unknown)}."
        )
    warnings += _missing_fields(arrangement)
    if arrangement.unmatched:
        shown = ", ".join(arrangement.unmatched[:3])
        count = _count(arrangement.unmatched, "image file")
        warnings.append(f"Left out, because of the pattern: {count}, such as {shown}.")
    return tuple(well_name(*at) for at in missing), tuple(warnings)


def find_pixel_size(
    arrangement: Arrangement, given: float | tuple[float, float] | None
) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """Pixel size (y, x) in micrometres, and a warning where the user did not give it."""
    if given is not None:
        return (given if isinstance(given, tuple) else (given, given)), ()
    first = arrangement.paths[0]
    size = read_header(first).pixel_size_um
    if size is None:
        return None, ("The pixel size is not known. Pass --pixel-size if micrometres matter.",)
    told = f"The pixel size, {size[0]:.4g} x {size[1]:.4g} um, was taken from {first.name}."
    return size, (told,)


def _as_counted(info: BlockInfo, axes: Axes) -> BlockInfo:
    """Grey saved as RGB is one channel where the file names count the channels."""
    one = info.is_grey and axes.channels != (None,)
    return replace(info, size_c=1 if one else info.size_c, is_grey=True)


def _odd_files(infos: Mapping[Path, BlockInfo], usual: BlockInfo) -> list[str]:
    return [
        f"{path.name} holds {_described(info)}; most files hold {_described(usual)}."
        for path, info in infos.items()
        if info != usual
    ]


def _described(info: BlockInfo) -> str:
    counted = {"channels": info.size_c, "planes": info.size_z, "times": info.size_t}
    more = [f"{count} {noun}" for noun, count in counted.items() if count > 1]
    return ", ".join([f"{info.size_y} x {info.size_x} {info.dtype}", *more])


def _axis_faults(info: BlockInfo, axes: Axes, example: Path) -> list[str]:
    checks = (
        ("channel", "channels", axes.channels, info.size_c),
        ("z", "planes", axes.zs, info.size_z),
        ("t", "times", axes.ts, info.size_t),
    )
    return [
        f"The pattern has {{{name}}}, but each file holds {count} {noun} itself, such as "
        f"{example.name}. Save one a file, or take {{{name}}} out of the pattern (use *)."
        for name, noun, values, count in checks
        if values != (None,) and count > 1
    ]


def _held_names(
    arrangement: Arrangement, run: str | None, info: BlockInfo, names: Sequence[str] | None
) -> tuple[str, ...]:
    if names is not None:
        if len(names) != info.size_c:
            msg = (
                f"Channel names given: {', '.join(names)}. But each file holds {info.size_c} "
                f"channels. If the file names tell the channel, put {{channel}} into the pattern."
            )
            raise InputErrors([msg])
        return tuple(names)
    field = next(item for item in arrangement.fields if item.place.acquisition == run)
    held = read_header(next(iter(field.files.values()))).channels
    return number_names(held if len(held) == info.size_c else [""] * info.size_c)


def _channels(names: Sequence[str]) -> tuple[Channel, ...]:
    return tuple(
        Channel(index, name, _RGB_COLORS.get(name) or default_color(name, index))
        for index, name in enumerate(names)
    )


def _missing_fields(arrangement: Arrangement) -> list[str]:
    """Warn of wells that have fewer fields than others of their acquisition."""
    there: dict[tuple[str, str | None], set[int]] = {}
    one: dict[tuple[str, str | None], FieldFiles] = {}
    for field in arrangement.fields:
        key = (field.place.well, field.place.acquisition)
        there.setdefault(key, set()).add(field.index)
        one[key] = field
    lost = [
        label(replace(one[key].place, field=value))
        for key, indices in there.items()
        for index, value in enumerate(arrangement.axes[key[1]].fields)
        if index not in indices
    ]
    if not lost:
        return []
    more = f" and {len(lost) - _NAMES_SHOWN} more" if len(lost) > _NAMES_SHOWN else ""
    shown = ", ".join(lost[:_NAMES_SHOWN])
    return [f"No images of {_count(lost, 'field')} that other wells have: {shown}{more}."]


def _count(items: Sequence[object], noun: str) -> str:
    return f"1 {noun}" if len(items) == 1 else f"{len(items)} {noun}s"


def _listed(positions: Sequence[Position]) -> str:
    names = [well_name(*at) for at in positions]
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more

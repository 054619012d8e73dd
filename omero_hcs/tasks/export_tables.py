"""What a quality run stored, as the tables that other programs read: whom to leave out, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omero_hcs.results import Column, Table
from omero_hcs.tasks.export_columns import Format, Level

Flags = NDArray[np.bool_]
"""Which rows of a table are to be left out, shape (N,)."""

_KEPT = ("pass", "warn")
_UNPLAIN = re.compile(r"\W+")


@dataclass(frozen=True, eq=False)
class JudgedPlate:
    """A plate or image set and what its quality run stored.

    Parameters
    ----------
    name : str
        Its name.
    classes, artefacts : tuple of str
        Classes of the model, the normal one first; those that the run took for artefacts.
    cells, fields : Table
        As the run stored them; `cells` has no columns where no cell was found.
    wells : Table or None
        None of an image set.
    image_names : mapping of str to str
        Names of the images by their ids.
    flagged : tuple of str
        Classes whose cells are to be left out; none means what the run itself did not keep.
    """

    name: str
    classes: tuple[str, ...]
    artefacts: tuple[str, ...]
    cells: Table
    fields: Table
    wells: Table | None
    image_names: Mapping[str, str]
    flagged: tuple[str, ...] = ()

    @cached_property
    def judged(self) -> Table:
        """All that was judged, tiles as well; with its columns where there is nothing."""
        return self.cells if len(self.cells) else _no_cells(self.classes)

    @cached_property
    def units(self) -> NDArray[np.str_]:
        """Units of all that was judged: ids of cells begin with them."""
        return np.array([name.rpartition("/")[0] for name in self.judged["cell"].tolist()], str)

    @cached_property
    def flags(self) -> Flags:
        """What of all that was judged is to be left out."""
        cells = self.judged
        if "kept" in cells and not self.flagged:
            return ~cells["kept"].astype(bool)
        by_class = np.isin(cells["class"], self.flagged or self.artefacts)
        return by_class | np.isin(self.units, self.fields["unit"][flags_of(self.fields)])

    @cached_property
    def single(self) -> Flags:
        """What of it is a cell: tiles are only if there is nothing else."""
        real: Flags = self.judged["centre"] != "tile"
        return real if real.any() else ~real

    @cached_property
    def single_cells(self) -> Table:
        """Cells without the tiles that were judged beside them."""
        return self.judged.where(self.single)


def flags_of(judged: Table) -> Flags:
    """Which fields or wells are to be left out: all that neither passed nor only warn."""
    return ~np.isin(_or(judged, "verdict", ""), _KEPT)


def export_table(plate: JudgedPlate, form: Format, level: Level) -> Table:
    """Make one table of `export_columns.FILES`.

    Parameters
    ----------
    plate : JudgedPlate
        What was judged.
    form, level : str
        For which program, and of what.
    """
    if form == "pandas":
        return _own(plate, level)
    if level == "cells":
        return _cells(plate, form)
    # LoadData makes numbers of 0 and 1, and text of anything else.
    flag = np.uint8 if form == "cellprofiler" else np.bool_
    if level == "fields":
        return _fields(plate, flag)
    return _wells(plate, flag)


def _own(plate: JudgedPlate, level: Level) -> Table:
    """Make the run's own table, with the name of the plate and the flag before it."""
    if level == "cells":
        table, flags = plate.judged, plate.flags
    else:
        table = plate.fields if level == "fields" else plate.wells or Table({})
        flags = flags_of(table)
    names = np.full(len(table), plate.name)
    return Table({"plate_name": names, "flag": flags, **table.columns})


def _fields(plate: JudgedPlate, flag: type[np.generic]) -> Table:
    fields = plate.fields
    names = [plate.image_names.get(image, "") for image in fields["image"].tolist()]
    flagged = plate.units[plate.single & plate.flags]
    return Table(
        {
            **_keys(plate, fields),
            "Metadata_ImageID": fields["image"],
            "Metadata_ImageName": np.array(names, dtype=str),
            **_verdict(plate, fields, flag, _counted(flagged, fields["unit"])),
        }
    )


def _wells(plate: JudgedPlate, flag: type[np.generic]) -> Table:
    wells, fields = plate.wells or Table({}), plate.fields
    flagged = plate.judged["well"][plate.single & plate.flags]
    bad = fields["well"][flags_of(fields)]
    return Table(
        {
            "Metadata_Plate": np.full(len(wells), plate.name),
            "Metadata_Well": wells["well"],
            **_verdict(plate, wells, flag, _counted(flagged, wells["well"])),
            "Metadata_QC_Count_Sites": _counted(fields["well"], wells["well"]),
            "Metadata_QC_Count_Sites_Flagged": _counted(bad, wells["well"]),
        }
    )


def _cells(plate: JudgedPlate, form: Format) -> Table:
    cells, flags = plate.single_cells, plate.flags[plate.single]
    columns = {
        "Location_Center_X": cells["x"],
        "Location_Center_Y": cells["y"],
        "QC_Class": cells["class"],
        "QC_Abnormal": cells["abnormal"],
        "QC_Flag": flags.astype(np.uint8) if form == "cellprofiler" else flags,
    }
    if form == "pycytominer":
        before = {name: "Nuclei_" for name in columns if name.startswith("Location")}
        columns = {f"Metadata_{before.get(name, '')}{name}": col for name, col in columns.items()}
    return Table({**_keys(plate, cells), **columns})


def _keys(plate: JudgedPlate, table: Table) -> dict[str, Column]:
    """Columns that say where a row is; those that are the same everywhere are left out."""
    keys = {
        "Metadata_Plate": np.full(len(table), plate.name),
        "Metadata_Well": table["well"],
        "Metadata_Site": table["field"].astype(np.int64) + 1,
    }
    more = {"acquisition": "Metadata_Acquisition", "z": "Metadata_Z", "t": "Metadata_T"}
    for name, key in more.items():
        if len(np.unique(plate.fields[name])) > 1:
            # Where there are several planes, each is named by its number.
            keys[key] = table[name] if name == "acquisition" else table[name].astype(np.int64)
    return keys


def _verdict(
    plate: JudgedPlate, table: Table, flag: type[np.generic], flagged: Column
) -> dict[str, Column]:
    verdicts = _or(table, "verdict", "")
    cells = _or(table, "cells", 0)
    counts = {
        f"Metadata_QC_Count_{name}": _or(table, f"n_{label}", 0)
        for label, name in zip(plate.classes, _plain(plate.classes), strict=True)
    }
    return {
        "Metadata_QC_Verdict": np.where(verdicts == "", "unknown", verdicts),
        "Metadata_QC_Flag": flags_of(table).astype(flag),
        "Metadata_QC_Reason": _reasons(table),
        "Metadata_QC_AbnormalFraction": _or(table, "abnormal_fraction", np.nan),
        "Metadata_QC_Count_Cells": cells,
        "Metadata_QC_Count_Flagged": flagged,
        **counts,
    }


def _reasons(table: Table) -> Column:
    """Say why in the words of the run: why it was judged so, what was found, why it failed."""
    given = [_or(table, name, "").tolist() for name in ("why", "finding", "reason")]
    texts = [next((text for text in row if text), "") for row in zip(*given, strict=True)]
    return np.array(texts, dtype=str)


def _counted(names: Column, wanted: Column) -> Column:
    """Count how often each wanted name is among the names."""
    found, counts = np.unique(names, return_counts=True)
    known = dict(zip(found.tolist(), counts.tolist(), strict=True))
    return np.array([known.get(name, 0) for name in wanted.tolist()], dtype=np.int64)


def _or(table: Table, name: str, blank: Any) -> Column:
    """Give a column, or a blank one: where no field could be read, there are no verdicts."""
    return table[name] if name in table else np.full(len(table), blank)


def _plain(classes: Sequence[str]) -> list[str]:
    """Make names of columns of classes: letters, digits and underscores, each name once."""
    names: list[str] = []
    for label in classes:
        plain = _UNPLAIN.sub("_", label).strip("_") or "class"
        names.append(plain if plain not in names else f"{plain}_{len(names) + 1}")
    return names


def _no_cells(classes: Sequence[str]) -> Table:
    """Make the cells' table of a plate without any."""
    texts = ("cell", "plate", "well", "acquisition", "image", "centre", "class")
    whole = ("field", "z", "t")
    numbers = ("y", "x", "abnormal", *(f"p_{name}" for name in classes))
    kinds: tuple[tuple[tuple[str, ...], Any], ...] = (
        (texts, np.str_), (whole, np.int32), (numbers, np.float64),
    )  # fmt: skip
    return Table({name: np.empty(0, dtype=kind) for names, kind in kinds for name in names})

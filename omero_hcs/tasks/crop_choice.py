"""Which crops of a run are kept: all, or a random sample that is spread evenly over the fields.

How many cells there are is known when the last field is done. Until then each field gets its equal
share; what fields with few cells leave is then divided among the others. A field's sample grows by
adding to it, so what was kept first stays.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omero_hcs.errors import DataError
from omero_hcs.jobs.identity import unit_generator
from omero_hcs.jobs.parts import Parts
from omero_hcs.model import RunSpec, Unit
from omero_hcs.results import Table, UnitResult
from omero_hcs.stores.base import PlateStore
from omero_hcs.tasks.base import CellParams
from omero_hcs.tasks.cells import CellFinder, FieldCells, finder_of
from omero_hcs.tasks.labels import annotated_positions

_FILE = "crops.npz"


@dataclass(frozen=True, eq=False)
class FieldCrops:
    """Crops of one field: their cells, and their pixels, shape (N, C, side, side)."""

    unit: Unit
    cells: Table
    pixels: NDArray[Any]


def chosen_rows(unit_id: str, cells: int, most: int, *, seed: int) -> NDArray[np.intp]:
    """Choose at most so many cells of a field, in their order; more of them include the fewer."""
    order = unit_generator(seed, unit_id).permutation(cells)
    return np.sort(order[:most])


def shares(cells: Sequence[int], limit: int, *, seed: int) -> list[int]:
    """Divide a limit among fields as evenly as their numbers of cells allow.

    Parameters
    ----------
    cells : sequence of int
        How many each field has.
    limit : int
        How many there may be in all.
    seed : int
        Decides which fields get one more where the limit cannot be divided evenly.
    """
    counts = np.asarray(cells, dtype=np.int64)
    if counts.sum() <= limit:
        return [int(count) for count in counts]
    low, high = 0, int(counts.max())  # the highest level up to which all fields can be filled
    while high - low > 1:
        level = (low + high) // 2
        low, high = (level, high) if np.minimum(counts, level).sum() <= limit else (low, level)
    kept = np.minimum(counts, low)
    more = np.flatnonzero(counts > low)
    left = limit - int(kept.sum())
    kept[np.random.default_rng(seed).choice(more, left, replace=False)] += 1
    return [int(count) for count in kept]


def cells_by_unit(cells: Table) -> Counter[str]:
    """Count the cells of each unit."""
    return (
        Counter(name.rpartition("/")[0] for name in cells["cell"].tolist())
        if len(cells)
        else Counter()
    )


def packed(rows: NDArray[np.intp], pixels: NDArray[Any]) -> dict[str, bytes]:
    """Put crops of a field into the files of its part; `rows` are those of its cells."""
    content = io.BytesIO()
    np.savez(content, rows=rows, pixels=pixels)
    return {_FILE: content.getvalue()}


def unpacked(unit: Unit, part: UnitResult, rows: NDArray[np.intp]) -> FieldCrops | None:
    """Take some crops out of a field's part; None if it does not have all of them."""
    if _FILE not in part.files:
        return None
    with np.load(io.BytesIO(part.files[_FILE]), allow_pickle=False) as stored:
        kept, pixels = stored["rows"], stored["pixels"]
    if not np.isin(rows, kept).all():
        return None
    return FieldCrops(unit, part.cells.where(rows), pixels[np.searchsorted(kept, rows)])


@dataclass(frozen=True)
class KeptCrops:
    """The crops that a run keeps, read field by field.

    Parameters
    ----------
    store : PlateStore
        Where crops are cut anew whose field kept too few.
    spec : RunSpec
        The run.
    params : CellParams
        Its parameters.
    parts : Parts
        Its parts.
    shares : sequence of int
        How many are kept of each part.
    """

    store: PlateStore
    spec: RunSpec
    params: CellParams
    parts: Parts
    shares: Sequence[int]

    def of(self, index: int) -> FieldCrops:
        """Crops of one part.

        Raises
        ------
        DataError
            If they have to be cut anew, and the field cannot be read any more.
        """
        unit, part = self.parts.units[index], self.parts[index]
        most, seed = self.shares[index], self.params.seed
        rows = chosen_rows(unit.id, len(part.cells), most, seed=seed)
        return unpacked(unit, part, rows) or self._cut(unit, rows)

    def each(self, indices: Sequence[int]) -> Iterator[FieldCrops]:
        """Crops of some parts that have any."""
        return (self.of(index) for index in indices if self.shares[index])

    def _cut(self, unit: Unit, rows: NDArray[np.intp]) -> FieldCrops:
        found = next(iter(self._finder.fields([unit])))
        if not isinstance(found, FieldCells) or (len(rows) and rows[-1] >= len(found.table)):
            msg = f"The crops of {unit.id} cannot be cut again: its image was changed or deleted."
            raise DataError(msg)
        return FieldCrops(unit, found.table.where(rows), found.crops[rows])

    @cached_property
    def _finder(self) -> CellFinder:
        annotated = annotated_positions(self.store, self.spec.targets, self.params)
        return finder_of(self.store, self.spec, self.params, annotated=annotated)

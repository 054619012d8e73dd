"""Key-values on a crop image made by us: they lead back to the cell that it shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_SOURCE, _PLATE, _WELL, _FIELD = "Source image", "Plate", "Well", "Field"
_Y, _X, _Z, _T, _RUN, _CELL = "Centre Y", "Centre X", "Z", "T", "Run", "Cell"


@dataclass(frozen=True, slots=True)
class CropNote:
    """Where a crop image was cut from.

    Parameters
    ----------
    source : int
        Id of the image that it was cut from.
    y, x : float
        Centre of the crop there, in pixels.
    z, t : int
        The plane, counted from 0.
    plate : int, optional
        Id of the image's plate.
    well : str, optional
        Name of its well: "B03".
    field : int, optional
        The field within the well, counted from 0.
    run : str, optional
        The run that made it.
    cell : str, optional
        Id of the cell in that run's tables.
    """

    source: int
    y: float
    x: float
    z: int = 0
    t: int = 0
    plate: int | None = None
    well: str | None = None
    field: int | None = None
    run: str | None = None
    cell: str | None = None

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Key-values that say so; what is not known is left out.

        People read them in OMERO.web: field, z and t count from 1, as OMERO's viewers do.
        """
        field = None if self.field is None else self.field + 1
        said = (
            (_SOURCE, self.source), (_PLATE, self.plate), (_WELL, self.well), (_FIELD, field),
            (_Y, self.y), (_X, self.x), (_Z, self.z + 1), (_T, self.t + 1), (_RUN, self.run),
            (_CELL, self.cell),
        )  # fmt: skip
        return tuple((key, str(value)) for key, value in said if value is not None)

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[str, str]]) -> CropNote | None:
        """Read what `pairs` wrote; None where it no longer says which cell it was."""
        said = dict(pairs)
        plate, field = said.get(_PLATE), said.get(_FIELD)
        try:
            return cls(
                source=int(said[_SOURCE]),
                y=float(said[_Y]),
                x=float(said[_X]),
                z=int(said.get(_Z, 1)) - 1,
                t=int(said.get(_T, 1)) - 1,
                plate=int(plate) if plate else None,
                well=said.get(_WELL),
                field=int(field) - 1 if field else None,
                run=said.get(_RUN),
                cell=said.get(_CELL),
            )
        except (KeyError, ValueError):
            return None

"""What was put into each well, as it is kept in the plate group's attributes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from omero_hcs.errors import DataError, FormatVersionError
from omero_hcs.model import Role, Well, parse_well

ATTRIBUTE_KEY = "omero-hcs"
"""Key of our part of the plate group's attributes."""

ROLES: tuple[Role, ...] = get_args(Role)

Position = tuple[int, int]
"""Zero-based (row, column) of a well."""


@dataclass(frozen=True, slots=True)
class WellTreatment:
    """What a platemap says about one well."""

    treatment: str | None = None
    dose: float | None = None
    dose_unit: str | None = None
    role: Role | None = None
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, well: Well) -> WellTreatment:
        """Take the treatment out of a well."""
        return cls(well.treatment, well.dose, well.dose_unit, well.role, well.metadata)


class _StoredWell(BaseModel):
    model_config = ConfigDict(extra="ignore")

    treatment: str | None = None
    dose: float | None = None
    dose_unit: str | None = None
    role: Role | None = None
    metadata: dict[str, str] = {}


class _StoredPlate(BaseModel):
    model_config = ConfigDict(extra="ignore")

    schema_version: Literal[1]
    wells: dict[str, _StoredWell] = {}


def treatments_to_json(wells: Iterable[Well]) -> dict[str, Any]:
    """Our part of the plate's attributes: `schema_version` and `wells` by name.

    Wells of which nothing is known are left out.
    """
    stored = {}
    for well in wells:
        known = _StoredWell(
            treatment=well.treatment,
            dose=well.dose,
            dose_unit=well.dose_unit,
            role=well.role,
            metadata=dict(well.metadata),
        ).model_dump(exclude_defaults=True)
        if known:
            stored[well.name] = known
    return {"schema_version": 1, "wells": stored}


def treatments_from_json(
    attributes: Mapping[str, Any], *, plate: str
) -> dict[Position, WellTreatment]:
    """Read back what `treatments_to_json` wrote; empty where the plate has none.

    Parameters
    ----------
    attributes : mapping
        All attributes of the plate group.
    plate : str
        The plate's name, for messages.

    Raises
    ------
    FormatVersionError
        If they were written by a newer release.
    DataError
        If they do not fit the format.
    """
    stored = attributes.get(ATTRIBUTE_KEY)
    if stored is None:
        return {}
    version = stored.get("schema_version") if isinstance(stored, dict) else None
    if version != 1:
        msg = (
            f"Plate {plate}: its well treatments are of schema version {version!r}; "
            "this release reads version 1. Update omero-hcs."
        )
        raise FormatVersionError(msg)
    try:
        wells = _StoredPlate.model_validate(stored).wells
    except ValidationError as error:
        msg = f"Plate {plate}: the attribute {ATTRIBUTE_KEY!r} cannot be read: {error}"
        raise DataError(msg) from error
    return {
        parse_well(name): WellTreatment(
            well.treatment,
            well.dose,
            well.dose_unit,
            well.role,
            MappingProxyType(dict(well.metadata)),
        )
        for name, well in wells.items()
    }

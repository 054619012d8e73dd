"""Static types of expressions, and how a property is read from a value of each.

Properties are resolved while a query is compiled, so that a misspelt one fails before a row is
read, with Hibernate's words. As in Hibernate, a property that only a subclass has is found from its
base as well: `Annotation a where a.textValue = 'x'`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from omero_hcs.sandbox.hql.faults import HqlError
from omero_hcs.sandbox.ice.record import omero
from omero_hcs.sandbox.model.java import java_name
from omero_hcs.sandbox.model.schema import PREFIX, SCHEMA, Entity, Field, Kind

NUMBERS = ("RInt", "RLong", "RFloat", "RDouble")  # each holds what those before it hold
DETAILS = {
    "owner": ("owner", "Experimenter"),
    "group": ("group", "ExperimenterGroup"),
    "creationEvent": ("creation_event", "Event"),
    "updateEvent": ("update_event", "Event"),
    "externalInfo": ("external_info", "ExternalInfo"),
}
OF_EVERYTHING = ("externalInfo",)  # what global objects have, too


@dataclass(frozen=True)
class Scalar:
    """A plain value. `rtype` is the class that carries it to a client."""

    rtype: str

    @property
    def is_number(self) -> bool:
        """Say whether one can calculate with it."""
        return self.rtype in NUMBERS


@dataclass(frozen=True)
class Thing:
    """A row of an entity."""

    entity: Entity


@dataclass(frozen=True)
class Members:
    """A collection. `ordered` ones have positions; every one is treated as such."""

    owner: Entity
    field: Field
    element: Type


@dataclass(frozen=True)
class DetailsOf:
    """`details` of an entity."""

    entity: Entity


@dataclass(frozen=True)
class PermissionsOf:
    """`details.permissions` of an entity."""

    entity: Entity


@dataclass(frozen=True)
class ClassOf:
    """`class` of an entity: the value is the entity's name; clients get the Java name."""


@dataclass(frozen=True)
class Quantity:
    """A length, time, power ...: an object of the client's with a value and a unit."""

    slice_type: str


@dataclass(frozen=True)
class NamedValueType:
    """One pair of a map annotation."""


@dataclass(frozen=True)
class Opaque:
    """A value that can be selected and tested for null, and nothing else."""

    slice_type: str


@dataclass(frozen=True)
class Unknown:
    """Null, or a parameter: whatever the other side of a comparison is."""


Type = (
    Scalar
    | Thing
    | Members
    | DetailsOf
    | PermissionsOf
    | ClassOf
    | Quantity
    | NamedValueType
    | Opaque
    | Unknown
)
Reader = Callable[[Any], Any]  # from a value that is not None

LONG, INT, DOUBLE = Scalar("RLong"), Scalar("RInt"), Scalar("RDouble")
STRING, BOOL, TIME = Scalar("RString"), Scalar("RBool"), Scalar("RTime")
UNKNOWN = Unknown()


def property_of(owner: Type, name: str) -> tuple[Type, Reader]:
    """Find a property.

    Returns
    -------
    type, reader
        Its type, and how to read it. The reader of a collection gives the row that owns it.

    Raises
    ------
    HqlError
        There is none.
    """
    found = None
    if isinstance(owner, Thing):
        found = _of_entity(owner.entity, name)
    elif isinstance(owner, DetailsOf):
        found = _of_details(owner.entity, name)
    elif isinstance(owner, PermissionsOf):
        found = PERMISSIONS.get(name)
    elif isinstance(owner, Quantity):
        found = QUANTITY.get(name)
    elif isinstance(owner, NamedValueType):
        found = NAMED_VALUE.get(name)
    elif isinstance(owner, Members):
        msg = (
            f"illegal attempt to dereference collection [{owner.field.name}] "
            f"with element property reference [{name}]"
        )
        raise HqlError(msg)
    if found is None:
        msg = f"could not resolve property: {name} of: {_told(owner)}"
        raise HqlError(msg)
    return found


def field_of(entity: Entity, name: str) -> Field | None:
    """Find a field of an entity or, as Hibernate does, of one that descends from it."""
    return next((one.fields[name] for one in entity.concrete if name in one.fields), None)


def _of_entity(entity: Entity, name: str) -> tuple[Type, Reader] | None:
    special = SPECIAL.get(name)
    if special is not None:
        return special
    if name == "details":
        return DetailsOf(entity), lambda row: row
    field = field_of(entity, name)
    if field is None:
        return None
    if field.kind is Kind.COLLECTION:
        return Members(entity, field, Thing(SCHEMA[field.target])), lambda row: row
    if field.kind is Kind.VALUE and _is_list(field.target):
        return Members(entity, field, NamedValueType()), lambda row: row
    return _type_of(field), lambda row: row.values.get(name)


def _of_details(entity: Entity, name: str) -> tuple[Type, Reader] | None:
    if name == "permissions":
        return PermissionsOf(entity), lambda row: row
    if name not in DETAILS or (entity.is_global and name not in OF_EVERYTHING):
        return None
    attribute, target = DETAILS[name]
    return Thing(SCHEMA[target]), lambda row: getattr(row.details, attribute)


def _type_of(field: Field) -> Type:
    if field.kind is Kind.SCALAR:
        return Scalar(field.target)
    if field.kind is Kind.REF:
        return Thing(SCHEMA[field.target])
    short = field.target.removeprefix(PREFIX)
    return Quantity(field.target) if is_quantity(short) else Opaque(field.target)


def is_quantity(short: str) -> bool:
    """Say whether a class of the model is a number with a unit, by its name."""
    return short in {
        "ElectricPotential",
        "Frequency",
        "Length",
        "Power",
        "Pressure",
        "Temperature",
        "Time",
    }


def _is_list(slice_type: str) -> bool:
    return slice_type == "::omero::api::NamedValueList"


def _told(owner: Type) -> str:
    if isinstance(owner, Thing | DetailsOf):
        return java_name(owner.entity)
    return type(owner).__name__


SPECIAL: dict[str, tuple[Type, Reader]] = {
    "id": (LONG, lambda row: row.id),
    "version": (INT, lambda row: row.version),
    "class": (ClassOf(), lambda row: row.entity.name),
}
QUANTITY: dict[str, tuple[Type, Reader]] = {
    "value": (DOUBLE, lambda quantity: quantity.getValue()),
    "unit": (STRING, lambda quantity: str(quantity.getUnit())),
}
PERMISSIONS: dict[str, tuple[Type, Reader]] = {
    "perm1": (LONG, lambda row: omero.model.PermissionsI(row.level).getPerm1()),
}
NAMED_VALUE: dict[str, tuple[Type, Reader]] = {
    "name": (STRING, lambda pair: pair.name),
    "value": (STRING, lambda pair: pair.value),
}

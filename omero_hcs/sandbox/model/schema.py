"""Entities and fields of OMERO's model, built from the records of the generated code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from omero_hcs.sandbox.ice.record import RECORDS, omero, rtypes

PREFIX = "::omero::model::"
ROOT = PREFIX + "IObject"
# Bookkeeping of the generated classes, not data.
IGNORED = ("Loaded", "CountPerOwner")
WRAPPERS: Mapping[str, Callable[[Any], Any]] = {
    "RString": rtypes.rstring,
    "RLong": rtypes.rlong,
    "RInt": rtypes.rint,
    "RDouble": rtypes.rdouble,
    "RFloat": rtypes.rfloat,
    "RBool": rtypes.rbool,
    "RTime": rtypes.rtime,
}
# Where more than one field of a member points back, these are the ones that mean the collection.
BACK_REFERENCES = ("parent", "parentFolder")


class Kind(StrEnum):
    """What a field holds."""

    SCALAR = "scalar"  # a plain Python value, an rtype on the wire
    REF = "ref"  # a row
    COLLECTION = "collection"  # rows that point here
    VALUE = "value"  # units, lists of names and values: kept as the client sent them


@dataclass(eq=False)
class Field:
    """One field of an entity.

    Attributes
    ----------
    name : str
        As in HQL: `wellSamples`, not `_wellSamplesSeq`.
    target : str
        Entity of a ref or collection, `RString` and the like of a scalar, Slice type of a value.
    wrap : callable or None
        Makes the rtype of a scalar.
    inverse : str
        Of a collection: the ref of its members that points back. Empty where none does.
    is_ordered : bool
        Of a collection: whether its members have places in it.
    """

    name: str
    kind: Kind
    target: str
    nullable: bool = True
    wrap: Callable[[Any], Any] | None = None
    inverse: str = ""
    is_ordered: bool = False

    @cached_property
    def attribute(self) -> str:
        """Attribute of the generated class that holds it."""
        return f"_{self.name}Seq" if self.kind is Kind.COLLECTION else f"_{self.name}"

    @cached_property
    def loaded_attribute(self) -> str:
        """Attribute that says whether a collection is loaded."""
        return f"_{self.name}Loaded"

    @cached_property
    def count_attribute(self) -> str:
        """Attribute with the number of links by owner, where the class has one."""
        return f"_{self.name}CountPerOwner"


@dataclass(eq=False)
class Entity:
    """A class of the model. Compared by identity."""

    name: str
    base: Entity | None = None
    fields: dict[str, Field] = field(default_factory=dict)
    children: list[Entity] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"Entity({self.name})"

    def lineage(self) -> Iterator[Entity]:
        """Itself and its bases, the nearest first."""
        entity: Entity | None = self
        while entity is not None:
            yield entity
            entity = entity.base

    @cached_property
    def names(self) -> frozenset[str]:
        """Names of itself and its bases."""
        return frozenset(entity.name for entity in self.lineage())

    def isa(self, name: str) -> bool:
        """Say whether it is that entity or descends from it."""
        return name in self.names

    @cached_property
    def root(self) -> str:
        """Name of its topmost base: ids are counted per root, as in OMERO's tables."""
        return next(reversed(list(self.lineage()))).name

    @cached_property
    def concrete(self) -> tuple[Entity, ...]:
        """Itself and everything that descends from it."""
        return (self, *(entity for child in self.children for entity in child.concrete))

    @cached_property
    def implementation(self) -> Any:
        """The class that clients instantiate (`ImageI`); None for an abstract entity."""
        return getattr(omero.model, f"{self.name}I", None)

    def loaded(self, row_id: int) -> Any:
        """Make a loaded object, with nothing but its id yet."""
        return self.implementation(row_id, True)  # noqa: FBT003  (omero-py's signature)

    def unloaded(self, row_id: int) -> Any:
        """Make an object that is known by its id only."""
        return self.implementation(row_id, False)  # noqa: FBT003

    @cached_property
    def is_global(self) -> bool:
        """Say whether it belongs to nobody: enumerations, users, groups."""
        return bool(self.implementation and self.implementation.isGlobal(None))

    @cached_property
    def is_link(self) -> bool:
        """Say whether it joins a `parent` and a `child`."""
        return bool(self.implementation and self.implementation.isLink(None))

    @cached_property
    def is_annotation_link(self) -> bool:
        """Say whether it links an annotation."""
        return self.is_link and self.name.endswith("AnnotationLink")

    @cached_property
    def is_enum(self) -> bool:
        """Say whether it is an enumeration: global, and known by its `value`."""
        return self.name == "PixelsType" or (self.is_global and set(self.fields) == {"value"})

    @cached_property
    def scalars(self) -> tuple[Field, ...]:
        """Fields with plain values."""
        return tuple(one for one in self.fields.values() if one.kind is Kind.SCALAR)

    @cached_property
    def stored(self) -> tuple[Field, ...]:
        """Fields that a row itself holds: all but the collections."""
        return tuple(one for one in self.fields.values() if one.kind is not Kind.COLLECTION)

    @cached_property
    def collections(self) -> tuple[Field, ...]:
        """Fields that are made of the rows that point here."""
        return tuple(one for one in self.fields.values() if one.kind is Kind.COLLECTION)


def build_schema() -> dict[str, Entity]:
    """Make the entities of everything that descends from `IObject`."""
    identifiers = [name for name in RECORDS.classes if _is_entity(name)]
    schema = {_short(name): Entity(_short(name)) for name in identifiers}
    for identifier in identifiers:
        base = RECORDS.classes[identifier].base
        if base is not None and base != ROOT:
            entity = schema[_short(identifier)]
            entity.base = schema[_short(base)]
            entity.base.children.append(entity)
    for identifier in identifiers:
        entity = schema[_short(identifier)]
        entity.fields = {one.name: one for one in _fields(identifier, entity, schema)}
    for entity in schema.values():
        for one in entity.collections:
            one.inverse = _inverse(entity, schema[one.target])
            # Only classes with an ordered collection know of a first one in it.
            one.is_ordered = hasattr(entity.implementation, f"getPrimary{one.target}")
    return schema


def _is_entity(identifier: str) -> bool:
    name: str | None = identifier
    while name is not None and name in RECORDS.classes:
        if name == ROOT:
            return identifier != ROOT
        name = RECORDS.classes[name].base
    return False


def _short(identifier: str) -> str:
    return identifier.removeprefix(PREFIX)


def _fields(identifier: str, entity: Entity, schema: Mapping[str, Entity]) -> Iterator[Field]:
    recorded = RECORDS.classes[identifier]
    if recorded.base is not None and recorded.base != ROOT:
        yield from _fields(recorded.base, entity, schema)
    told = getattr(entity.implementation, "_field_info", None)
    for member, slice_type in recorded.members:
        name = member.removeprefix("_")
        if name != "version" and not name.endswith(IGNORED):
            one = _field(name, slice_type, schema)
            one.nullable = getattr(getattr(told, one.name, None), "nullable", True)
            yield one


def _field(name: str, slice_type: str, schema: Mapping[str, Entity]) -> Field:
    if name.endswith("Seq") and slice_type in RECORDS.sequences:
        return Field(
            name.removesuffix("Seq"), Kind.COLLECTION, _short(RECORDS.sequences[slice_type])
        )
    scalar = slice_type.removeprefix("::omero::")
    if scalar in WRAPPERS:
        return Field(name, Kind.SCALAR, scalar, wrap=WRAPPERS[scalar])
    if slice_type.startswith(PREFIX) and _short(slice_type) in schema:
        return Field(name, Kind.REF, _short(slice_type))
    return Field(name, Kind.VALUE, slice_type)


def _inverse(owner: Entity, member: Entity) -> str:
    back = [
        one.name for one in member.fields.values() if one.kind is Kind.REF and owner.isa(one.target)
    ]
    preferred = [name for name in back if name in BACK_REFERENCES]
    return next(iter(preferred or back), "")


SCHEMA: dict[str, Entity] = build_schema()


def entity_name(told: str) -> str:
    """Short name of an entity in any of the ways that clients name it.

    `Image`, `ImageI`, `omero.model.Image`, `ome.model.core.Image` and `::omero::model::Image` are
    all `Image`. What is no entity comes back as its last word, for the error.
    """
    last = told.replace("::", ".").rpartition(".")[2]
    if last not in SCHEMA and last.endswith("I") and last[:-1] in SCHEMA:
        return last[:-1]
    return last


def entity_of(obj: Any) -> Entity:
    """Return the entity of a model object that a client sent."""
    return SCHEMA[type(obj).ice_staticId().rpartition("::")[2]]

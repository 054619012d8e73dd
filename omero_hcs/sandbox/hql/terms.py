"""Compiled expressions, and what they are evaluated in.

A query is compiled to closures over an environment: a list with the `Run` in front and one place
for each source of the query and of its subqueries. A row of the result is an assignment of rows to
those places, so reading `ws.image.name` is an index and two dictionary look-ups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from omero_hcs.sandbox.hql.faults import missing_parameter
from omero_hcs.sandbox.hql.kinds import UNKNOWN, Type
from omero_hcs.sandbox.model.schema import Entity, Field, Kind
from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.objects.world import World

Environment = list[Any]
Getter = Callable[[Environment], Any]
RUN: Final = 0  # place of the run in an environment
NOWHERE: frozenset[int] = frozenset()


@dataclass(slots=True)
class Run:
    """One execution of a query.

    Attributes
    ----------
    caller : Caller or None
        Who asks; None sees everything.
    parameters : mapping
        Plain values, rows, and lists of these, by name.
    rtypes : mapping
        Class in which a client sent each of them; empty for our own queries, which are not checked.
    results : dict
        What needs to be computed once only, such as the set of an `in (:ids)`.
    """

    world: World
    caller: Caller | None
    parameters: Mapping[str, Any]
    rtypes: Mapping[str, str] = field(default_factory=dict)
    results: dict[Any, Any] = field(default_factory=dict)

    def parameter(self, name: str) -> Any:
        """Value of a named parameter.

        Raises
        ------
        omero.ApiUsageException
            It has none.
        """
        value = self.parameters.get(name)
        if value is None:
            raise missing_parameter(name)
        return value

    def sees(self, row: Row) -> bool:
        """Say whether the row exists for the caller."""
        return self.caller is None or self.caller.can_read(row)


@dataclass(frozen=True, slots=True)
class Hop:
    """One step from a row to a row it refers to, or to a member of a collection of it."""

    owner: Entity
    field: Field

    @property
    def can_return(self) -> bool:
        """Say whether there is an index for the way back."""
        if self.field.kind is Kind.COLLECTION:
            return bool(self.field.inverse)
        return self.field.kind is Kind.REF

    def back(self, world: World, target: Row) -> list[Row]:
        """Rows from which the step leads to the target."""
        if self.field.kind is Kind.COLLECTION:
            owner = target.values.get(self.field.inverse)
            return [] if owner is None else [owner]
        return [
            row
            for entity in self.owner.concrete
            if self.field.name in entity.fields
            for row in world.references(target, entity.name, self.field.name)
        ]


@dataclass(frozen=True, slots=True)
class Trail:
    """Where the row of a term comes from: steps from the row of a source, and its entity."""

    slot: int
    hops: tuple[Hop, ...] = ()
    entity: Entity | None = None


@dataclass(frozen=True, slots=True)
class Lookup:
    """What a condition tells of one row: the only rows it may be.

    Attributes
    ----------
    values : callable
        Their ids, or the rows themselves.
    slots : frozenset of int
        Places that must be filled before.
    """

    trail: Trail
    entity: Entity
    values: Callable[[Environment], Iterable[Any]]
    slots: frozenset[int]


@dataclass(slots=True)
class Term:
    """A compiled expression.

    Attributes
    ----------
    get : callable
        Its value in an environment; None is SQL's null.
    slots : frozenset of int
        Places that must be filled before.
    trail : Trail or None
        If it is a row, or the id of one: how one gets there.
    parameter : str or None
        If it is nothing but a parameter: its name.
    lookups : tuple of Lookup
        If it is a condition: the rows for which alone it can hold.
    """

    get: Getter
    type: Type = UNKNOWN
    slots: frozenset[int] = NOWHERE
    trail: Trail | None = None
    parameter: str | None = None
    lookups: tuple[Lookup, ...] = ()
    is_literal: bool = False
    is_path: bool = False
    is_aggregate: bool = False

    @property
    def is_constant(self) -> bool:
        """Say whether its value is the same in all environments of a run."""
        return not self.slots and not self.is_aggregate


def slots_of(*terms: Term) -> frozenset[int]:
    """Places that any of the terms needs."""
    return NOWHERE.union(*(term.slots for term in terms))


def derived(get: Getter, kind: Type, *terms: Term) -> Term:
    """Make a term that is computed from others."""
    return Term(get, kind, slots_of(*terms), is_aggregate=any(one.is_aggregate for one in terms))

"""`from` and `join`: nested loops, as short as the conditions allow.

A range does not go through all rows of its entity if a condition of `where` names the rows for
which alone it can hold, directly (`i.id in (:ids)`) or through references and collections in either
direction (`ws.well.plate.id = :id`, or `join d.imageLinks l join l.child i where i.id = :id`): the
index over references leads back from those. Every condition is checked in the first loop in which
all that it needs is there.

What the caller may not read does not exist, in ranges and joins alike, as with the security filters
of OMERO's Hibernate mapping.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from omero_hcs.sandbox.hql import syntax as s
from omero_hcs.sandbox.hql.faults import HqlError, could_not_execute
from omero_hcs.sandbox.hql.kinds import (
    DetailsOf,
    Members,
    Quantity,
    Thing,
    Type,
    field_of,
    property_of,
)
from omero_hcs.sandbox.hql.logic import compile_truth
from omero_hcs.sandbox.hql.paths import walk
from omero_hcs.sandbox.hql.programs import Fetch, Walk
from omero_hcs.sandbox.hql.scope import Scope, Source
from omero_hcs.sandbox.hql.terms import RUN, Environment, Getter, Hop, Lookup, Term, Trail, slots_of
from omero_hcs.sandbox.model.schema import SCHEMA, Entity, Kind
from omero_hcs.sandbox.objects.row import Row

Candidates = Callable[[Environment], Iterable[Any]]


@dataclass(slots=True)
class Step:
    """One loop."""

    source: Source
    candidates: Candidates
    entity: Entity | None = None  # of a range
    is_outer: bool = False
    condition: Getter | None = None  # of `with`
    slots: frozenset[int] = frozenset()  # that it needs
    checks: list[Getter] = field(default_factory=list)


def add_source(node: s.Range | s.Join, scope: Scope) -> tuple[Step, Fetch | None]:
    """Compile one source, and make its alias known."""
    if isinstance(node, s.Join):
        return _join(node, scope)
    if scope.find(node.path.names[0]) is not None and len(node.path.names) > 1:
        return _join(s.Join(node.path, node.alias, outer=False, fetch=False, condition=None), scope)
    return _range(node, scope), None


def _range(node: s.Range, scope: Scope) -> Step:
    names = node.path.names
    entity = SCHEMA.get(names[-1]) if len(names) == 1 or names[0] == "ome" else None
    if entity is None:
        msg = f"{node.path} is not mapped"
        raise HqlError(msg)
    slot = scope.new_slot()
    source = Source(node.alias or str(node.path), slot, Thing(entity), Trail(slot))
    _name(source, scope)
    return Step(source, _everything(entity), entity)


def _everything(entity: Entity) -> Candidates:
    name, mixed = entity.name, len(entity.concrete) > 1

    def candidates(env: Environment) -> Iterable[Row]:
        run = env[RUN]
        rows = run.world.all(name)
        if mixed:
            rows = sorted(rows, key=_by_id)
        return rows if run.caller is None else filter(run.caller.can_read, rows)

    return candidates


def _by_id(row: Row) -> int:
    return row.id


def _name(source: Source, scope: Scope) -> None:
    if source.alias in scope.sources:
        msg = f"Duplicate definition of alias '{source.alias}'"
        raise HqlError(msg)
    scope.sources[source.alias] = source


# -- joins


def _join(node: s.Join, scope: Scope) -> tuple[Step, Fetch | None]:
    names = node.path.names
    origin = scope.find(names[0])
    if origin is None or len(names) == 1:
        msg = "Path expected for join!" if len(names) == 1 else f"Invalid path: '{node.path}'"
        raise HqlError(msg)
    owner = _owner(scope, origin, names[1:-1])
    kind, _ = property_of(owner.type, names[-1])
    slot = scope.new_slot()
    is_indexed = isinstance(kind, Members)
    if is_indexed:
        scope.new_slot()
    element = kind.element if isinstance(kind, Members) else kind
    trail = _trail(origin, owner, names[-1], slot)
    source = Source(node.alias or f"{node.path}#{slot}", slot, element, trail, is_indexed)
    candidates = _joined(owner, kind, names[-1], slot)
    _name(source, scope)
    condition = _with(node, scope)
    step = Step(
        source,
        candidates,
        is_outer=node.outer,
        condition=None if condition is None else condition.get,
        slots=owner.slots if condition is None else slots_of(owner, condition),
    )
    if not node.fetch:
        return step, None
    beyond = owner.trail is not None and bool(owner.trail.hops)
    return step, Fetch(owner.get, -1 if beyond else origin.slot, names[-1], slot, is_indexed)


def _owner(scope: Scope, origin: Source, names: Sequence[str]) -> Term:
    """Compile what is joined from; inside `from`, a path itself requires nothing."""
    bare = Scope(scope.compiler, scope)
    return walk(bare, origin, names)


def _trail(origin: Source, owner: Term, name: str, slot: int) -> Trail:
    """How one gets to what is joined; nothing but its own place if there is no way back."""
    here = Trail(slot)
    if owner.trail is None or not isinstance(owner.type, Thing):
        return here
    found = field_of(owner.type.entity, name)
    hop = None if found is None else Hop(owner.type.entity, found)
    if hop is None or not hop.can_return:
        return here
    return Trail(origin.trail.slot, (*origin.trail.hops, *owner.trail.hops, hop))


def _with(node: s.Join, scope: Scope) -> Term | None:
    if node.condition is None:
        return None
    if node.fetch:
        msg = "with-clause not allowed on fetched associations; use filters"
        raise HqlError(msg)
    term = compile_truth(node.condition, scope)
    if term.is_aggregate:
        msg = "aggregates not allowed in JOIN conditions"
        raise could_not_execute(msg)
    return term


def _joined(owner: Term, kind: Type, name: str, slot: int) -> Candidates:
    if isinstance(kind, Thing):
        _, read = property_of(owner.type, name)
        return _referred(owner.get, read)
    if isinstance(kind, Quantity | DetailsOf):
        _, read = property_of(owner.type, name)
        return _component(owner.get, read)
    if not isinstance(kind, Members):
        msg = f"illegal join: {name} is no association"
        raise HqlError(msg)
    if kind.field.kind is Kind.VALUE:
        return _pairs(owner.get, name, slot + 1)
    return _members(owner.get, name, slot + 1)


def _referred(owner: Getter, read: Callable[[Any], Any]) -> Candidates:
    def candidates(env: Environment) -> Iterable[Row]:
        row = owner(env)
        found = None if row is None else read(row)
        return () if found is None or not env[RUN].sees(found) else (found,)

    return candidates


def _component(owner: Getter, read: Callable[[Any], Any]) -> Candidates:
    """Join a part of the row itself. That is no join to a database, so that null drops nothing."""

    def candidates(env: Environment) -> Iterable[Any]:
        row = owner(env)
        return (None if row is None else read(row),)

    return candidates


def _members(owner: Getter, name: str, index_slot: int) -> Candidates:
    def candidates(env: Environment) -> Iterable[Row]:
        row, run = owner(env), env[RUN]
        if row is None or name not in row.entity.fields:
            return
        for index, member in enumerate(run.world.members(row, name)):
            if run.sees(member):
                env[index_slot] = index
                yield member

    return candidates


def _pairs(owner: Getter, name: str, index_slot: int) -> Candidates:
    def candidates(env: Environment) -> Iterable[Any]:
        row = owner(env)
        for index, pair in enumerate(() if row is None else row.values.get(name) or ()):
            env[index_slot] = index
            yield pair

    return candidates


# -- conditions


def place_conditions(steps: Sequence[Step], conditions: Sequence[Term]) -> list[Getter]:
    """Put each condition in the first loop where it can be checked.

    Returns
    -------
    list of callables
        Conditions that need none of the loops.
    """
    constants = []
    for condition in conditions:
        needing = [step for step in steps if step.source.slot in condition.slots]
        if needing:
            needing[-1].checks.append(condition.get)
        else:
            constants.append(condition.get)
    return constants


def narrow_ranges(steps: Sequence[Step], conditions: Sequence[Term]) -> None:
    """Give each range only the rows that a condition names, if there is such a condition."""
    trails = {step.source.slot: step.source.trail for step in steps}
    filled: set[int] = set()
    own = frozenset(trails)
    lookups = [lookup for condition in conditions for lookup in condition.lookups]
    for step in steps:
        slot = step.source.slot
        if step.entity is not None:
            usable = [
                (lookup, hops)
                for lookup in lookups
                if not (lookup.slots & own) - filled
                and (hops := _way(trails, lookup, slot)) is not None
            ]
            if usable:
                lookup, hops = min(usable, key=lambda one: len(one[1]))
                step.candidates = _looked_up(step.entity, lookup, hops)
        filled.add(slot)


def _way(trails: dict[int, Trail], lookup: Lookup, slot: int) -> tuple[Hop, ...] | None:
    source = trails.get(lookup.trail.slot)
    if source is None or source.slot != slot:
        return None
    return (*source.hops, *lookup.trail.hops)


def _looked_up(entity: Entity, lookup: Lookup, hops: Sequence[Hop]) -> Candidates:
    backwards = tuple(reversed(hops))
    name, target = entity.name, lookup.entity.name

    def candidates(env: Environment) -> Iterable[Row]:
        run = env[RUN]
        world = run.world
        found: dict[Row, None] = {}
        for value in lookup.values(env):
            row = world.get(target, value) if isinstance(value, int) else value
            if isinstance(row, Row):
                found[row] = None
        for hop in backwards:
            found = dict.fromkeys(row for known in found for row in hop.back(world, known))
        rows = sorted((row for row in found if row.entity.isa(name)), key=_by_id)
        return rows if run.caller is None else filter(run.caller.can_read, rows)

    return candidates


# -- running


def walk_of(steps: Sequence[Step], emit_slot: int) -> Walk:
    """Make the nested loops; the innermost calls what stands at `emit_slot`."""

    def emit(env: Environment) -> bool:
        stop: bool = env[emit_slot](env)
        return stop

    after: Walk = emit
    for step in reversed(steps):
        after = _loop(step, _checked(step.checks, after))
    return after


def _checked(checks: Sequence[Getter], after: Walk) -> Walk:
    if not checks:
        return after
    if len(checks) == 1:
        only = checks[0]
        return lambda env: only(env) is True and after(env)

    def checked(env: Environment) -> bool:
        for check in checks:
            if check(env) is not True:
                return False
        return after(env)

    return checked


def _loop(step: Step, after: Walk) -> Walk:
    slot, candidates, condition = step.source.slot, step.candidates, step.condition

    def loop(env: Environment) -> bool:
        for row in candidates(env):
            env[slot] = row
            if (condition is None or condition(env) is True) and after(env):
                return True
        return False

    return _outer_loop(step, after) if step.is_outer else loop


def _outer_loop(step: Step, after: Walk) -> Walk:
    slot, candidates, condition = step.source.slot, step.candidates, step.condition
    empty_index = slot + 1 if step.source.is_indexed else None

    def loop(env: Environment) -> bool:
        met = False
        for row in candidates(env):
            env[slot] = row
            if condition is None or condition(env) is True:
                met = True
                if after(env):
                    return True
        if met:
            return False
        env[slot] = None
        if empty_index is not None:
            env[empty_index] = None
        return after(env)

    return loop

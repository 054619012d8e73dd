"""Paths: `ws.image.details.owner.omeName`.

As in Hibernate, a path that goes on after a reference joins what it refers to, by an inner join:
where the reference is null the whole row of the result is dropped, even inside an `or`. What needs
no join drops nothing: `x.ref.id`, which is a column of `x`, and `x.ref` itself outside of `select`.
"""

from __future__ import annotations

from collections.abc import Sequence

from omero_hcs.sandbox.hql.faults import HqlError
from omero_hcs.sandbox.hql.kinds import ClassOf, Reader, Thing, Type, field_of, property_of
from omero_hcs.sandbox.hql.scope import Scope, Source
from omero_hcs.sandbox.hql.syntax import Path
from omero_hcs.sandbox.hql.terms import Getter, Hop, Term, Trail
from omero_hcs.sandbox.model.schema import SCHEMA


def compile_path(node: Path, scope: Scope) -> Term:
    """Compile a path, or the name of a class.

    Raises
    ------
    HqlError
        A name means nothing.
    """
    names = node.names
    source = scope.find(names[0])
    if source is None:
        source = _naked(names[0], scope)
        if source is None:
            return _class_constant(names)
        return walk(scope, source, names)
    return walk(scope, source, names[1:])


def _naked(name: str, scope: Scope) -> Source | None:
    """Source of a property without an alias: `from Image where name = 'x'`."""
    if len(scope.sources) != 1:
        return None
    source = next(iter(scope.sources.values()))
    try:
        property_of(source.type, name)
    except HqlError:
        return None
    return source


def _class_constant(names: Sequence[str]) -> Term:
    entity = names[-1]
    if entity in SCHEMA and (len(names) == 1 or names[0] == "ome"):
        return Term(lambda _: entity, ClassOf(), is_literal=True)
    told = ".".join(names)
    msg = f"Invalid path: '{told}'" if len(names) > 1 else f"{told} is no alias and no property"
    raise HqlError(msg)


def walk(scope: Scope, source: Source, names: Sequence[str]) -> Term:
    """Compile the properties after an alias."""
    here: Type = source.type
    readers: list[Reader] = []
    entity = here.entity if isinstance(here, Thing) else None
    trail: Trail | None = Trail(source.slot, entity=entity)
    slots = frozenset({source.slot})
    for place, name in enumerate(names):
        if isinstance(here, Thing) and readers and name != "id":
            _require(scope, source, readers, names[:place])
        found, reader = property_of(here, name)
        trail, here = _extend(trail, here, name, found), found
        if name != "details":  # its value is the row itself
            readers.append(reader)
    if scope.in_select and names and isinstance(here, Thing):
        _require(scope, source, readers, names)
    return Term(compose(source.slot, readers), here, slots, trail, is_path=bool(names))


def _require(scope: Scope, source: Source, readers: Sequence[Reader], names: Sequence[str]) -> None:
    get = compose(source.slot, tuple(readers))
    scope.required.setdefault(
        (source.slot, tuple(names)),
        Term(lambda env: get(env) is not None, slots=frozenset({source.slot})),
    )


def _extend(trail: Trail | None, owner: Type, name: str, found: Type) -> Trail | None:
    if trail is None or not isinstance(owner, Thing):
        return None
    if name == "id":
        return trail
    field = field_of(owner.entity, name)
    if field is None or not isinstance(found, Thing):
        return None
    hop = Hop(owner.entity, field)
    return Trail(trail.slot, (*trail.hops, hop), found.entity) if hop.can_return else None


def compose(slot: int, readers: Sequence[Reader]) -> Getter:
    """Make the getter that reads one property after another, until one is null."""
    if not readers:
        return lambda env: env[slot]
    if len(readers) == 1:
        return _one(slot, readers[0])
    if len(readers) == 2:
        return _two(slot, readers[0], readers[1])
    chain = tuple(readers)

    def get(env: list[object]) -> object:
        value = env[slot]
        for read in chain:
            if value is None:
                return None
            value = read(value)
        return value

    return get


def _one(slot: int, read: Reader) -> Getter:
    def get(env: list[object]) -> object:
        value = env[slot]
        return None if value is None else read(value)

    return get


def _two(slot: int, first: Reader, second: Reader) -> Getter:
    def get(env: list[object]) -> object:
        value = env[slot]
        if value is None:
            return None
        value = first(value)
        return None if value is None else second(value)

    return get

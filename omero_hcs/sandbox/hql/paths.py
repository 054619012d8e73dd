"""Paths: `ws.image.details.owner.omeName`.

As in Hibernate, a path that goes on after a reference joins what it refers to, by an inner join:
where the reference is null the whole row of the result is dropped, even inside an `or`. What needs
no join drops nothing: `x.ref.id`, which is a column of `x`, and `x.ref` itself outside of `select`.
"""

from __future__ import annotations

from collections.abc import Sequence

from omero_hcs.sandbox.hql.faults import HqlError
from omero_hcs.sandbox.hql.kinds import (
    INT,
    ClassOf,
    Members,
    Reader,
    Thing,
    Type,
    field_of,
    property_of,
)
from omero_hcs.sandbox.hql.scope import Scope, Source
from omero_hcs.sandbox.hql.syntax import Call, Path
from omero_hcs.sandbox.hql.terms import RUN, Environment, Getter, Hop, Term, Trail
from omero_hcs.sandbox.model.schema import SCHEMA, Kind
from omero_hcs.sandbox.objects.row import Row

INDEX_COLUMN = "_index"
SIZE = "size"


def compile_path(node: Path, scope: Scope) -> Term:
    """Compile a path, or the name of a class.

    Raises
    ------
    HqlError
        A name means nothing.
    """
    names = node.names
    if names[1:] and names[-1] == SIZE:  # of a collection, the old way to write size(...)
        collection = Path(names[:-1])
        if isinstance(compile_path(collection, scope).type, Members):
            return scope.compile(Call(SIZE, (collection,)))
    source = scope.find(names[0])
    if source is not None:
        return walk(scope, source, names[1:])
    source = _naked(names[0], scope)
    if source is not None:
        return walk(scope, source, names)
    return _index_column(names, scope) or _class_constant(names)


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


def _index_column(names: Sequence[str], scope: Scope) -> Term | None:
    """Find the column with the place of a row in a collection: `order by well_index`.

    Hibernate hands a name that it does not know on to the database, and OMERO.iviewer makes use of
    it. Of all the columns that are no properties, these are worth having.
    """
    if len(names) != 1 or not names[0].endswith(INDEX_COLUMN):
        return None
    name = names[0].removesuffix(INDEX_COLUMN)
    for source in scope.sources.values():
        field = field_of(source.type.entity, name) if isinstance(source.type, Thing) else None
        if field is not None and field.kind is Kind.REF:
            collections = SCHEMA[field.target].collections
            back = next((one for one in collections if one.inverse == name), None)
            if back is not None:
                get = _place_in(source.slot, name, back.name)
                return Term(get, INT, frozenset({source.slot}))
    return None


def _place_in(slot: int, owner: str, collection: str) -> Getter:
    def get(env: Environment) -> int | None:
        row = env[slot]
        parent = None if row is None else row.values.get(owner)
        if parent is None:
            return None
        members: list[Row] = env[RUN].world.members(parent, collection)
        return members.index(row)

    return get


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

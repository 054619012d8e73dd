"""Functions, and aggregates over the rows of a group."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from omero_hcs.sandbox.hql import syntax as s
from omero_hcs.sandbox.hql.conditions import comparable
from omero_hcs.sandbox.hql.expressions import as_text, compile_concatenation, matched, told
from omero_hcs.sandbox.hql.faults import HqlError, could_not_execute
from omero_hcs.sandbox.hql.kinds import (
    BOOL,
    DOUBLE,
    INT,
    LONG,
    STRING,
    TIME,
    ClassOf,
    Scalar,
    Thing,
    Type,
    Unknown,
)
from omero_hcs.sandbox.hql.memberships import members_of
from omero_hcs.sandbox.hql.programs import sort_key
from omero_hcs.sandbox.hql.scope import Scope
from omero_hcs.sandbox.hql.terms import Environment, Getter, Term, derived

MILLISECONDS = 1000
EDGES = frozenset({"minindex", "maxindex"})  # of an alias, they are aggregates
Aggregate = Callable[[list[Any]], Any]
Function = tuple[Type | None, Callable[..., Any]]  # type of its value; None: that of its argument

AGGREGATES: dict[str, Aggregate] = {
    "count": len,
    "sum": lambda values: sum(values) if values else None,
    "avg": lambda values: sum(values) / len(values) if values else None,
    "min": lambda values: min(values, key=sort_key, default=None),
    "max": lambda values: max(values, key=sort_key, default=None),
}


def compile_call(node: s.Call, scope: Scope) -> Term:
    """Compile a function.

    Raises
    ------
    HqlError
        The sandbox has no such function.
    """
    if node.name in AGGREGATES:
        return _aggregate(node, scope)
    special = SPECIAL.get(node.name)
    if special is not None:
        return special(node, scope)
    if node.name not in FUNCTIONS:
        known = ", ".join(sorted({*AGGREGATES, *SPECIAL, *FUNCTIONS}))
        msg = f"The sandbox has no HQL function '{node.name}'. It has: {known}"
        raise HqlError(msg)
    kind, function = FUNCTIONS[node.name]
    terms = [scope.compile(argument) for argument in node.arguments]
    result = kind or (terms[0].type if terms else LONG)
    return derived(_applied(node.name, function, [term.get for term in terms]), result, *terms)


def _applied(name: str, function: Callable[..., Any], getters: Sequence[Getter]) -> Getter:
    """Make a getter that is null where an argument is."""

    def get(env: Environment) -> Any:
        values = [one(env) for one in getters]
        if None in values:
            return None
        try:
            return function(*values)
        except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
            msg = f"{name}: {error}"
            raise could_not_execute(msg) from error

    return get


# -- aggregates


def _aggregate(node: s.Call, scope: Scope) -> Term:
    if len(node.arguments) != 1:
        msg = f"{node.name} takes one argument"
        raise HqlError(msg)
    slot, calculate = scope.group_slot, AGGREGATES[node.name]
    if isinstance(node.arguments[0], s.Star):
        return Term(lambda env: len(env[slot]), LONG, is_aggregate=True)
    term = scope.compile(node.arguments[0])
    if term.is_aggregate:
        msg = "aggregate function calls cannot be nested"
        raise could_not_execute(msg)
    inner, unique = term.get, node.distinct

    def get(env: Environment) -> Any:
        values = [value for member in env[slot] if (value := inner(member)) is not None]
        return calculate(list(dict.fromkeys(values)) if unique else values)

    return Term(get, _aggregate_type(node.name, term.type), term.slots, is_aggregate=True)


def _aggregate_type(name: str, kind: Type) -> Type:
    """Type of an aggregate, as in Hibernate: whole numbers add up to a long."""
    if name == "count":
        return LONG
    sortable = isinstance(kind, Scalar | ClassOf | Unknown)
    if not sortable or (name in {"sum", "avg"} and not _is_number(kind)):
        msg = f"function {name}({told(kind)}) does not exist"
        raise could_not_execute(msg)
    if name == "avg":
        return DOUBLE
    if name == "sum" and isinstance(kind, Scalar):
        return LONG if kind.rtype in {"RInt", "RLong"} else DOUBLE
    return kind


def _is_number(kind: Type) -> bool:
    return isinstance(kind, Scalar) and kind.is_number


# -- those that are more than a function of their arguments' values


def _index(node: s.Call, scope: Scope) -> Term:
    """Compile `index(alias)`: the place in the collection that it was joined from."""
    path = node.arguments[0] if node.arguments else None
    source = scope.find(path.names[0]) if isinstance(path, s.Path) else None
    if source is None or not source.is_indexed:
        msg = "index() needs the alias of a joined collection"
        raise HqlError(msg)
    slot = source.slot + 1
    return Term(lambda env: env[slot], INT, frozenset({source.slot}))


def _edge_index(node: s.Call, scope: Scope) -> Term:
    """Compile `minindex`, `maxindex`: of a joined collection, or of a path to one."""
    path = node.arguments[0] if node.arguments else None
    last = node.name == "maxindex"
    if isinstance(path, s.Path) and len(path.names) == 1:
        aggregate = s.Call("max" if last else "min", (s.Call("index", (path,)),))
        return _aggregate(aggregate, scope)
    size = _size(node, scope)
    count = size.get

    def get(env: Environment) -> int | None:
        members = count(env)
        return (members - 1 if last else 0) if members else None

    return derived(get, INT, size)


def _size(node: s.Call, scope: Scope) -> Term:
    """Compile `size(collection)`."""
    if len(node.arguments) != 1:
        msg = f"{node.name} takes one collection"
        raise HqlError(msg)
    values, term = members_of(node.arguments[0], scope)
    return Term(lambda env: sum(1 for _ in values(env)), LONG, term.slots)


def _type(node: s.Call, scope: Scope) -> Term:
    """Compile `type(x)` and `type(x.class)`: the class, as `x.class` gives it."""
    term = scope.compile(node.arguments[0])
    if not isinstance(term.type, Thing | ClassOf):
        msg = "type() needs an object or its class"
        raise HqlError(msg)
    inner, of_row = term.get, isinstance(term.type, Thing)

    def get(env: Environment) -> str | None:
        value = inner(env)
        if value is None:
            return None
        name: str = value.entity.name if of_row else value
        return name

    return derived(get, ClassOf(), term)


def _cast(node: s.Call, scope: Scope) -> Term:
    """Compile `cast(x as type)`."""
    told_type = node.arguments[0] if node.arguments else None
    if not isinstance(told_type, s.Typed) or told_type.type_name not in CASTS:
        msg = f"cast needs `as` and one of: {', '.join(CASTS)}"
        raise HqlError(msg)
    kind, change = CASTS[told_type.type_name]
    term = scope.compile(told_type.argument)
    return derived(_applied("cast", change, [term.get]), kind, term)


def _extract(node: s.Call, scope: Scope) -> Term:
    """Compile `extract(year from x)`. An epoch is in seconds, everything is a double."""
    told_part = node.arguments[0] if node.arguments else None
    name = str(told_part.part) if isinstance(told_part, s.TakenFrom) else ""
    if not isinstance(told_part, s.TakenFrom) or name not in PARTS:
        msg = f"extract needs `from` and one of: {', '.join(PARTS)}"
        raise HqlError(msg)
    term = scope.compile(told_part.source)
    return derived(_applied("extract", PARTS[name], [term.get]), DOUBLE, term)


def _coalesce(node: s.Call, scope: Scope) -> Term:
    """Compile `coalesce`: the first that is not null."""
    terms = [scope.compile(argument) for argument in node.arguments]
    getters = tuple(term.get for term in terms)
    kind = matched([term.type for term in terms], "COALESCE")

    def get(env: Environment) -> Any:
        for one in getters:
            value = one(env)
            if value is not None:
                return value
        return None

    return derived(get, kind, *terms)


def _nullif(node: s.Call, scope: Scope) -> Term:
    """Compile `nullif(a, b)`: null if they are equal."""
    if len(node.arguments) != len(("a", "b")):
        msg = "nullif takes two arguments"
        raise HqlError(msg)
    first, second = (scope.compile(argument) for argument in node.arguments)
    one, other = comparable(first, second)

    def get(env: Environment) -> Any:
        return None if one(env) == other(env) else first.get(env)

    return derived(get, first.type, first, second)


def _concat(node: s.Call, scope: Scope) -> Term:
    """Compile `concat`."""
    return compile_concatenation(s.Concatenation(node.arguments), scope)


def _itself(node: s.Call, scope: Scope) -> Term:
    """Compile `object(x)`."""
    return scope.compile(node.arguments[0])


SPECIAL: dict[str, Callable[[s.Call, Scope], Term]] = {
    "index": _index,
    "minindex": _edge_index,
    "maxindex": _edge_index,
    "size": _size,
    "type": _type,
    "cast": _cast,
    "extract": _extract,
    "coalesce": _coalesce,
    "nullif": _nullif,
    "concat": _concat,
    "object": _itself,
}


def _to_bool(value: Any) -> bool:
    return value.lower() in {"true", "t", "1"} if isinstance(value, str) else bool(value)


def _to_whole(value: Any) -> int:
    """Round as PostgreSQL casts, to the even neighbour."""
    return int(value) if isinstance(value, str) else round(value)


CASTS: dict[str, tuple[Type, Callable[[Any], Any]]] = {
    "string": (STRING, as_text),
    "text": (STRING, as_text),
    "int": (INT, _to_whole),
    "integer": (INT, _to_whole),
    "long": (LONG, _to_whole),
    "double": (DOUBLE, float),
    "float": (Scalar("RFloat"), float),
    "boolean": (BOOL, _to_bool),
}


# -- functions of values that are not null


def _part(name: str) -> Callable[[int], int]:
    """Make the function that reads a part of a time."""

    def read(milliseconds: int) -> int:
        moment = datetime.fromtimestamp(milliseconds / MILLISECONDS, UTC)
        part: int = getattr(moment, name)
        return part

    return read


PARTS: dict[str, Callable[[int], float]] = {
    "epoch": lambda milliseconds: milliseconds / MILLISECONDS,
    **{name: _part(name) for name in ("year", "month", "day", "hour", "minute", "second")},
}


def _substring(text: str, start: int, length: int | None = None) -> str:
    """Cut as SQL does, counting from 1."""
    end = None if length is None else start - 1 + length
    return text[max(start - 1, 0) : end]


def _locate(part: str, text: str, start: int = 1) -> int:
    return text.find(part, start - 1) + 1


def _now() -> int:
    return int(datetime.now(UTC).timestamp() * MILLISECONDS)


FUNCTIONS: dict[str, Function] = {
    "lower": (STRING, lambda text: text.lower()),
    "upper": (STRING, lambda text: text.upper()),
    "trim": (STRING, lambda text: text.strip(" ")),
    "ltrim": (STRING, lambda text: text.lstrip(" ")),
    "rtrim": (STRING, lambda text: text.rstrip(" ")),
    "length": (LONG, len),
    "character_length": (LONG, len),
    "substring": (STRING, _substring),
    "locate": (INT, _locate),
    "replace": (STRING, lambda text, old, new: text.replace(old, new)),
    "str": (STRING, as_text),
    "abs": (None, abs),
    "sign": (INT, lambda number: (number > 0) - (number < 0)),
    "sqrt": (DOUBLE, math.sqrt),
    "floor": (None, math.floor),
    "ceil": (None, math.ceil),
    "round": (None, round),
    "mod": (INT, math.fmod),
    "year": (INT, PARTS["year"]),
    "month": (INT, PARTS["month"]),
    "day": (INT, PARTS["day"]),
    "hour": (INT, PARTS["hour"]),
    "minute": (INT, PARTS["minute"]),
    "second": (INT, PARTS["second"]),
    "current_timestamp": (TIME, _now),
    "now": (TIME, _now),
}

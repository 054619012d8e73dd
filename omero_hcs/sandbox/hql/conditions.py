"""Comparisons: which values can be compared, and how."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from omero_hcs.sandbox.hql import syntax as s
from omero_hcs.sandbox.hql.expressions import one_column, rows_of, safely, strict, told
from omero_hcs.sandbox.hql.faults import HqlError, could_not_execute, wrong_class
from omero_hcs.sandbox.hql.kinds import (
    BOOL,
    STRING,
    UNKNOWN,
    ClassOf,
    DetailsOf,
    Members,
    NamedValueType,
    Opaque,
    PermissionsOf,
    Quantity,
    Scalar,
    Thing,
    Type,
)
from omero_hcs.sandbox.hql.logic import compile_and
from omero_hcs.sandbox.hql.scope import Scope
from omero_hcs.sandbox.hql.terms import RUN, Environment, Getter, Lookup, Term, derived, slots_of
from omero_hcs.sandbox.objects.row import Row

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
JAVA_CLASSES = {
    "RInt": "java.lang.Integer",
    "RLong": "java.lang.Long",
    "RFloat": "java.lang.Float",
    "RDouble": "java.lang.Double",
    "RString": "java.lang.String",
    "RBool": "java.lang.Boolean",
    "RTime": "java.sql.Timestamp",
    "RObject": "ome.model.IObject",
}
INCOMPARABLE = (Members, DetailsOf, PermissionsOf, Quantity, NamedValueType, Opaque)
DEFAULT_ESCAPE = "\\"  # PostgreSQL's, where a query names none


# -- comparisons


def compile_comparison(node: s.Comparison, scope: Scope) -> Term:
    """Compile a comparison."""
    left, right = scope.compile(node.left), scope.compile(node.right)
    first, second = comparable(left, right)
    term = derived(strict(COMPARISONS[node.operator], first, second), BOOL, left, right)
    if node.operator == "=":
        term.lookups = (
            *lookup(left, lambda env: (second(env),), right),
            *lookup(right, lambda env: (first(env),), left),
        )
    return term


def lookup(
    looked_for: Term, values: Callable[[Environment], Iterable[Any]], *given: Term
) -> tuple[Lookup, ...]:
    """Make what a condition says about a row, if it can be used."""
    trail, slots = looked_for.trail, slots_of(*given)
    if trail is None or trail.entity is None or looked_for.slots & slots:
        return ()
    return (Lookup(trail, trail.entity, values, slots),)


def comparable(left: Term, right: Term) -> tuple[Getter, Getter]:
    """Getters of two values that can be compared.

    Raises
    ------
    HqlError
        One is nothing that can be compared.
    omero.ApiUsageException
        PostgreSQL would have no operator for their types.
    """
    return side(left, right), side(right, left)


def side(term: Term, other: Term) -> Getter:
    """Getter of one side of a comparison."""
    if isinstance(term.type, INCOMPARABLE):
        msg = f"a {told(term.type)} can't be compared; name one of its properties"
        raise HqlError(msg)
    kinds = (term.type, other.type)
    if any(isinstance(kind, ClassOf) for kind in kinds) and not _are_classes(kinds):
        msg = f"operator does not exist: {told(term.type)} = {told(other.type)}"
        raise could_not_execute(msg)
    if term.parameter is not None:
        return _parameter_side(term, term.parameter, other)
    if isinstance(other.type, ClassOf) and not isinstance(term.type, ClassOf):
        return _mapped(term.get, last_word)
    if isinstance(term.type, Thing) or isinstance(other.type, Thing):
        return _mapped(term.get, id_of)
    if isinstance(term.type, Scalar) and isinstance(other.type, Scalar):
        return _scalar_side(term, term.type, other, other.type)
    return term.get


def _are_classes(kinds: Iterable[Type]) -> bool:
    """Say whether all are classes, or names of such."""
    return all(isinstance(kind, ClassOf) or kind in (STRING, UNKNOWN) for kind in kinds)


def id_of(value: Any) -> Any:
    """Id of a row; ids themselves stay."""
    return value.id if isinstance(value, Row) else value


def last_word(name: Any) -> Any:
    """Short name of a class."""
    return name.rpartition(".")[2] if isinstance(name, str) else name


def _mapped(inner: Getter, change: Callable[[Any], Any]) -> Getter:
    return lambda env: change(inner(env))


def _parameter_side(term: Term, name: str, other: Term) -> Getter:
    """Check the class of a parameter, as Hibernate's types do while they bind it."""
    wanted = expected_class(other)
    change = last_word if isinstance(other.type, ClassOf) else id_of
    get = term.get

    def checked(env: Environment) -> Any:
        check_class(env, name, wanted)
        return change(get(env))

    return checked


def expected_class(other: Term) -> str | None:
    """RType that a parameter needs to have to be compared with a term; None for any."""
    if isinstance(other.type, Thing):
        return "RObject"
    return other.type.rtype if isinstance(other.type, Scalar) else None


def check_class(env: Environment, name: str, wanted: str | None) -> None:
    """Refuse a parameter of another class than the one that is needed.

    Raises
    ------
    omero.InternalException
        It has another one.
    """
    given = env[RUN].rtypes.get(name)
    if wanted is not None and given is not None and given != wanted:
        raise wrong_class(JAVA_CLASSES.get(given, given), JAVA_CLASSES[wanted])


def _scalar_side(term: Term, kind: Scalar, other: Term, other_kind: Scalar) -> Getter:
    if kind.rtype == other_kind.rtype or (kind.is_number and other_kind.is_number):
        return term.get
    if other.is_literal and other_kind == STRING:
        return term.get  # the other side is changed
    if term.is_literal and kind == STRING:
        return _literal(term.get, other_kind)
    msg = f"operator does not exist: {told(kind)} = {told(other_kind)}"
    raise could_not_execute(msg)


def _literal(get: Getter, kind: Scalar) -> Getter:
    """Read a quoted literal as PostgreSQL does where another type is needed: `id = '5'`."""
    text = get([])
    try:
        value = READERS[kind.rtype](text)
    except ValueError as error:
        msg = f'invalid input syntax for type {told(kind)}: "{text}"'
        raise could_not_execute(msg) from error
    return lambda _: value


def _read_time(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def _read_bool(text: str) -> bool:
    known = {"true": True, "t": True, "false": False, "f": False}
    if text.lower() not in known:
        raise ValueError(text)
    return known[text.lower()]


READERS: dict[str, Callable[[str], Any]] = {
    "RInt": int,
    "RLong": int,
    "RFloat": float,
    "RDouble": float,
    "RTime": _read_time,
    "RBool": _read_bool,
}


def compile_between(node: s.Between, scope: Scope) -> Term:
    """Compile `between`."""
    return compile_and(
        s.And(
            (
                s.Comparison(">=", node.operand, node.low),
                s.Comparison("<=", node.operand, node.high),
            )
        ),
        scope,
    )


def compile_quantified(node: s.Quantified, scope: Scope) -> Term:
    """Compile `x > all (select ...)` and `x > any (select ...)`."""
    left, program, key = scope.compile(node.left), scope.subquery(node.query), object()
    column = Term(left.get, one_column(program))
    first = side(left, column)
    compare = safely(COMPARISONS[node.operator])
    every = node.quantifier == "all"

    def get(env: Environment) -> bool | None:
        value = first(env)
        results = [
            None if value is None or other is None else compare(value, other)
            for other in map(id_of, _column(rows_of(program, env, key)))
        ]
        return _all(results) if every else _any(results)

    return Term(get, BOOL, left.slots | program.outer_slots, is_aggregate=left.is_aggregate)


def _column(rows: Iterable[tuple[Any, ...]]) -> list[Any]:
    return [row[0] for row in rows]


def _all(results: Sequence[bool | None]) -> bool | None:
    if False in results:
        return False
    return None if None in results else True


def _any(results: Sequence[bool | None]) -> bool | None:
    if True in results:
        return True
    return None if None in results else False


# -- strings


def compile_like(node: s.Like, scope: Scope) -> Term:
    """Compile `like`."""
    terms = [scope.compile(node.operand), scope.compile(node.pattern)]
    for term in terms:
        if term.type not in (STRING, UNKNOWN):
            msg = f"operator does not exist: {told(term.type)} ~~ text"
            raise could_not_execute(msg)
    escape = scope.compile(node.escape) if node.escape is not None else None
    first, second = (_text(get) for get in comparable(terms[0], terms[1]))
    ignore_case = node.ignore_case

    def get(env: Environment) -> bool | None:
        value, pattern = first(env), second(env)
        mark = DEFAULT_ESCAPE if escape is None else escape.get(env)
        if value is None or pattern is None or mark is None:
            return None
        return like_regex(pattern, mark, ignore_case).fullmatch(value) is not None

    return derived(get, BOOL, *terms, *(() if escape is None else (escape,)))


def _text(get: Getter) -> Getter:
    """Refuse what turns out to be no text: a parameter that is compared with a parameter."""

    def checked(env: Environment) -> str | None:
        value = get(env)
        if value is None or isinstance(value, str):
            return value
        msg = "operator does not exist: like needs text"
        raise could_not_execute(msg)

    return checked


@lru_cache(1000)
def like_regex(pattern: str, escape: str, ignore_case: bool) -> re.Pattern[str]:
    """Make a regular expression of a pattern of `like`.

    Raises
    ------
    omero.ApiUsageException
        The escape is not one character, or the pattern ends with it.
    """
    if len(escape) > 1:
        msg = "invalid escape string"
        raise could_not_execute(msg)
    parts: list[str] = []
    characters = iter(pattern)
    for character in characters:
        if character == escape:
            literal = next(characters, None)
            if literal is None:
                msg = "LIKE pattern must not end with escape character"
                raise could_not_execute(msg)
            parts.append(re.escape(literal))
        else:
            parts.append({"%": ".*", "_": "."}.get(character) or re.escape(character))
    return re.compile("".join(parts), re.DOTALL | (re.IGNORECASE if ignore_case else re.NOFLAG))

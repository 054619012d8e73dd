"""Values: literals, parameters, arithmetic, `case`, subqueries."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from omero_hcs.sandbox.hql import syntax as s
from omero_hcs.sandbox.hql.faults import HqlError, could_not_execute
from omero_hcs.sandbox.hql.kinds import (
    DOUBLE,
    NUMBERS,
    STRING,
    UNKNOWN,
    Scalar,
    Type,
    Unknown,
)
from omero_hcs.sandbox.hql.programs import Program
from omero_hcs.sandbox.hql.scope import Scope
from omero_hcs.sandbox.hql.terms import RUN, Environment, Getter, Term, derived

ONE, TWO = 1, 2
WHOLE = ("RInt", "RLong")


def compile_literal(node: s.Literal, _: Scope) -> Term:
    """Compile a literal."""
    value = node.value
    kind = UNKNOWN if node.rtype is None else Scalar(node.rtype)
    return Term(lambda _: value, kind, is_literal=True)


def compile_parameter(node: s.Parameter, _: Scope) -> Term:
    """Compile a parameter. Its list is one value only inside `in`."""
    name = node.name

    def get(env: Environment) -> Any:
        value = env[RUN].parameter(name)
        if isinstance(value, list):
            if len(value) != ONE:
                msg = f"a list was given for :{name} where one value is needed"
                raise could_not_execute(msg)
            return value[0]
        return value

    return Term(get, UNKNOWN, parameter=name)


def compile_negative(node: s.Negative, scope: Scope) -> Term:
    """Compile `-x`."""
    term = scope.compile(node.operand)
    get = _number(term, "-")
    return derived(strict(operator.mul, lambda _: -1, get), term.type, term)


def compile_arithmetic(node: s.Arithmetic, scope: Scope) -> Term:
    """Compile `x + y` and the like; whole numbers are divided as SQL does, towards zero."""
    left, right = scope.compile(node.left), scope.compile(node.right)
    first, second = (_number(term, node.operator) for term in (left, right))
    kind = wider(left.type, right.type)
    whole = isinstance(kind, Scalar) and kind.rtype in WHOLE
    calculate = _divide(whole=whole) if node.operator == "/" else CALCULATIONS[node.operator]
    return derived(strict(calculate, first, second), kind, left, right)


def wider(*kinds: Type) -> Type:
    """Type of a calculation with numbers of these types."""
    known = [one for one in kinds if isinstance(one, Scalar)]
    if not known:
        return UNKNOWN
    if any(one.rtype not in NUMBERS for one in known):
        return known[0]
    widest = max(known, key=lambda one: NUMBERS.index(one.rtype))
    return DOUBLE if widest.rtype == "RFloat" and len(set(known)) > 1 else widest


def matched(kinds: Sequence[Type], word: str) -> Type:
    """Type of one of several values: `case`, `coalesce`.

    Raises
    ------
    omero.ApiUsageException
        They have no type in common.
    """
    known = [one for one in kinds if not isinstance(one, Unknown)]
    if not known or all(one == known[0] for one in known):
        return known[0] if known else UNKNOWN
    if all(isinstance(one, Scalar) and one.is_number for one in known):
        return wider(*known)
    msg = f"{word} types {told(known[0])} and {told(known[-1])} cannot be matched"
    raise could_not_execute(msg)


def _number(term: Term, sign: str) -> Getter:
    """Getter of a number, or of a time; parameters are checked when they are there."""
    kind, get = term.type, term.get
    msg = f"operator does not exist: {sign} {told(kind)}"
    if isinstance(kind, Scalar) and (kind.is_number or kind.rtype == "RTime"):
        return get
    if not isinstance(kind, Unknown):
        raise could_not_execute(msg)

    def checked(env: Environment) -> Any:
        value = get(env)
        if value is None or isinstance(value, int | float):
            return value
        raise could_not_execute(msg)

    return checked


def told(kind: Type) -> str:
    """Name a type in an error, as PostgreSQL does."""
    if isinstance(kind, Scalar):
        return COLUMN_TYPES[kind.rtype]
    return type(kind).__name__.lower()


COLUMN_TYPES = {
    "RInt": "integer",
    "RLong": "bigint",
    "RFloat": "real",
    "RDouble": "double precision",
    "RString": "character varying",
    "RBool": "boolean",
    "RTime": "timestamp without time zone",
}


def strict(function: Callable[[Any, Any], Any], left: Getter, right: Getter) -> Getter:
    """Make a getter that is null where one of its operands is."""

    def get(env: Environment) -> Any:
        first = left(env)
        if first is None:
            return None
        second = right(env)
        return None if second is None else calculate(first, second)

    calculate = safely(function)
    return get


def safely(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Make a function that refuses values whose types nobody could check before: parameters."""

    def calculate(first: Any, second: Any) -> Any:
        try:
            return function(first, second)
        except TypeError as error:
            msg = f"operator does not exist: {error}"
            raise could_not_execute(msg) from error

    return calculate


def _divide(*, whole: bool) -> Callable[[Any, Any], Any]:
    def divide(dividend: Any, divisor: Any) -> Any:
        if divisor == 0:
            msg = "division by zero"
            raise could_not_execute(msg)
        if not whole:
            return dividend / divisor
        quotient = abs(dividend) // abs(divisor)
        return quotient if (dividend < 0) == (divisor < 0) else -quotient

    return divide


CALCULATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}


def compile_concatenation(node: s.Concatenation, scope: Scope) -> Term:
    """Compile `x || y`: null if one of them is."""
    terms = [scope.compile(part) for part in node.parts]
    for term in terms:
        if not isinstance(term.type, Scalar | Unknown):
            msg = f"operator does not exist: {told(term.type)} || text"
            raise could_not_execute(msg)
    return derived(concatenate([term.get for term in terms]), STRING, *terms)


def concatenate(getters: Sequence[Getter]) -> Getter:
    """Make a getter of the concatenation of several."""

    def get(env: Environment) -> str | None:
        values = [one(env) for one in getters]
        return None if None in values else "".join(as_text(value) for value in values)

    return get


def as_text(value: Any) -> str:
    """Write a value as PostgreSQL casts it to text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def compile_subquery(node: s.Subquery, scope: Scope) -> Term:
    """Compile a subquery that stands for one value."""
    program = scope.subquery(node.query)
    kind = one_column(program)
    key = object()

    def get(env: Environment) -> Any:
        rows = rows_of(program, env, key, most=TWO)
        if len(rows) > 1:
            msg = "more than one row returned by a subquery used as an expression"
            raise could_not_execute(msg)
        return rows[0][0] if rows else None

    return Term(get, kind, program.outer_slots)


def rows_of(program: Program, env: Environment, key: object, most: int | None = None) -> Any:
    """Rows of a subquery; computed once in a run if it does not depend on the query around it."""
    if program.outer_slots:
        return program.rows(env, most)
    results = env[RUN].results
    if key not in results:
        results[key] = program.rows(env, most)
    return results[key]


def one_column(program: Program) -> Type:
    """Type of the only column of a subquery."""
    if len(program.items) != 1:
        msg = "subquery has too many columns"
        raise HqlError(msg)
    return program.items[0].term.type


def compile_row_of(node: s.RowOf, scope: Scope) -> Term:
    """Compile `(a, b)`: a tuple, null if one of them is."""
    terms = [scope.compile(part) for part in node.parts]
    getters = tuple(term.get for term in terms)

    def get(env: Environment) -> tuple[Any, ...] | None:
        values = tuple(one(env) for one in getters)
        return None if None in values else values

    return derived(get, UNKNOWN, *terms)


def refuse(node: s.Expression, _: Scope) -> Term:
    """Refuse what has a meaning only as an argument of some functions."""
    msg = f"unexpected {type(node).__name__.lower()}"
    raise HqlError(msg)

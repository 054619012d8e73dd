"""Conditions about several values: `in`, `exists`, `is empty`, `member of`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from omero_hcs.sandbox.hql import syntax as s
from omero_hcs.sandbox.hql.conditions import (
    check_class,
    expected_class,
    id_of,
    last_word,
    lookup,
    side,
)
from omero_hcs.sandbox.hql.expressions import one_column, rows_of
from omero_hcs.sandbox.hql.faults import HqlError, could_not_execute
from omero_hcs.sandbox.hql.kinds import BOOL, ClassOf, Members
from omero_hcs.sandbox.hql.scope import Scope
from omero_hcs.sandbox.hql.terms import RUN, Environment, Getter, Term, derived
from omero_hcs.sandbox.model.schema import Kind
from omero_hcs.sandbox.objects.row import Row

Values = Callable[[Environment], Iterable[Any]]
Several = tuple[Values, Term]  # values, and a term that has their type and what they depend on


def compile_in(node: s.In, scope: Scope) -> Term:
    """Compile `in`. Sets that stay the same are made once in a run."""
    if isinstance(node.operand, s.RowOf):
        return _row_in(node, node.operand, scope)
    operand = scope.compile(node.operand)
    several = [_choice(choice, operand, scope) for choice in node.choices]
    like = [term for _, term in several]
    values = _together([get for get, _ in several])
    first = side(operand, like[0] if len(like) == 1 else Term(operand.get, operand.type))
    change = last_word if isinstance(operand.type, ClassOf) else id_of
    known = _set_of(values, change, constant=all(term.is_constant for term in like))

    def get(env: Environment) -> bool | None:
        return holds(first(env), known(env))

    term = derived(get, BOOL, operand, *like)
    term.lookups = lookup(operand, values, *like)
    return term


def holds(value: Any, known: frozenset[Any]) -> bool | None:
    """Say whether a value is in a set, where either may be unknown."""
    if not known:
        return False
    if value is None:
        return None
    if value in known:
        return True
    return None if None in known else False


def _set_of(
    values: Values, change: Callable[[Any], Any], *, constant: bool
) -> Callable[[Environment], frozenset[Any]]:
    def fresh(env: Environment) -> frozenset[Any]:
        return frozenset(map(change, values(env)))

    if not constant:
        return fresh
    key = object()

    def kept(env: Environment) -> frozenset[Any]:
        results = env[RUN].results
        found: frozenset[Any] | None = results.get(key)
        if found is None:
            found = results[key] = fresh(env)
        return found

    return kept


def _together(getters: Sequence[Values]) -> Values:
    if len(getters) == 1:
        return getters[0]
    return lambda env: [value for get in getters for value in get(env)]


def _choice(node: s.Expression, operand: Term, scope: Scope) -> Several:
    if isinstance(node, s.Subquery):
        program, key = scope.subquery(node.query), object()
        term = Term(_never, one_column(program), program.outer_slots)
        return (lambda env: [row[0] for row in rows_of(program, env, key)]), term
    if isinstance(node, s.Call) and node.name == "elements":
        return members_of(node.arguments[0], scope)
    term = scope.compile(node)
    if term.parameter is not None:
        return _listed(term.parameter, operand), term
    get = side(term, operand)
    return (lambda env: (get(env),)), term


def _never(_: Environment) -> Any:
    msg = "only its type is used"
    raise AssertionError(msg)


def _listed(name: str, operand: Term) -> Values:
    wanted = expected_class(operand)

    def values(env: Environment) -> Iterable[Any]:
        value = env[RUN].parameter(name)
        if not isinstance(value, list):
            value = (value,)
        elif not value:  # Hibernate writes `in ()`, and can't read it
            msg = f"unexpected end of subtree: the list :{name} is empty"
            raise could_not_execute(msg)
        check_class(env, name, wanted)
        found: Iterable[Any] = value
        return found

    return values


def _row_in(node: s.In, operand: s.RowOf, scope: Scope) -> Term:
    """Compile `(a, b) in (select c, d ...)`."""
    choice = node.choices[0]
    if not isinstance(choice, s.Subquery):
        msg = "`(a, b) in` needs a subquery"
        raise HqlError(msg)
    program, key = scope.subquery(choice.query), object()
    terms = [scope.compile(part) for part in operand.parts]
    if len(terms) != len(program.items):
        msg = "subquery has too many or too few columns"
        raise HqlError(msg)

    def get(env: Environment) -> bool | None:
        value = tuple(id_of(term.get(env)) for term in terms)
        rows = rows_of(program, env, key)
        known = {tuple(map(id_of, row)) for row in rows}
        return None if None in value and known else value in known

    return derived(get, BOOL, *terms, Term(_never, slots=program.outer_slots))


def members_of(node: s.Expression, scope: Scope) -> Several:
    """Members of a collection that the caller can see."""
    term = scope.compile(node)
    if not isinstance(term.type, Members):
        msg = "a collection is needed here"
        raise HqlError(msg)
    kind, owner = term.type, term.get

    def values(env: Environment) -> Iterable[Any]:
        row, run = owner(env), env[RUN]
        if row is None or kind.field.name not in row.entity.fields:
            return ()
        if kind.field.kind is Kind.VALUE:
            return row.values.get(kind.field.name) or ()
        return filter(run.sees, run.world.members(row, kind.field.name))

    return values, Term(_never, kind.element, term.slots)


def compile_is_empty(node: s.IsEmpty, scope: Scope) -> Term:
    """Compile `is empty`."""
    values, term = members_of(node.operand, scope)
    return Term(lambda env: not any(True for _ in values(env)), BOOL, term.slots)


def compile_member(node: s.Member, scope: Scope) -> Term:
    """Compile `member of`."""
    values, term = members_of(node.collection, scope)
    operand = scope.compile(node.operand)
    first: Getter = side(operand, term)

    def get(env: Environment) -> bool | None:
        value = first(env)
        return None if value is None else value in map(id_of, values(env))

    return derived(get, BOOL, operand, term)


def compile_exists(node: s.Exists, scope: Scope) -> Term:
    """Compile `exists`."""
    if isinstance(node.source, s.Call):
        if node.source.name != "elements":
            msg = "exists needs a subquery"
            raise HqlError(msg)
        return Term(*_some(*members_of(node.source.arguments[0], scope)))
    program, key = scope.subquery(node.source), object()
    return Term(lambda env: bool(rows_of(program, env, key, 1)), BOOL, program.outer_slots)


def _some(values: Values, term: Term) -> tuple[Getter, Any, frozenset[int]]:
    return (lambda env: any(isinstance(one, Row) for one in values(env))), BOOL, term.slots

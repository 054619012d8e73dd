"""Three-valued logic: True, False, and None where SQL says unknown; and `case`."""

from __future__ import annotations

from typing import Any

from omero_hcs.sandbox.hql import syntax as s
from omero_hcs.sandbox.hql.expressions import matched, told
from omero_hcs.sandbox.hql.faults import HqlError, could_not_execute
from omero_hcs.sandbox.hql.kinds import BOOL, UNKNOWN, DetailsOf, Members
from omero_hcs.sandbox.hql.scope import Scope
from omero_hcs.sandbox.hql.terms import Environment, Term, derived


def compile_truth(node: s.Expression, scope: Scope) -> Term:
    """Compile what has to be true or false.

    Raises
    ------
    omero.ApiUsageException
        It is a number, a text, or the like.
    """
    term = scope.compile(node)
    if term.type not in (BOOL, UNKNOWN):
        msg = f"argument must be type boolean, not type {told(term.type)}"
        raise could_not_execute(msg)
    return term


def compile_and(node: s.And, scope: Scope) -> Term:
    """Compile `and`."""
    terms = [compile_truth(part, scope) for part in node.parts]
    getters = tuple(term.get for term in terms)

    def get(env: Environment) -> bool | None:
        unknown = False
        for one in getters:
            value = one(env)
            if value is None:
                unknown = True
            elif not value:
                return False
        return None if unknown else True

    term = derived(get, BOOL, *terms)
    term.lookups = tuple(lookup for one in terms for lookup in one.lookups)
    return term


def compile_or(node: s.Or, scope: Scope) -> Term:
    """Compile `or`."""
    terms = [compile_truth(part, scope) for part in node.parts]
    getters = tuple(term.get for term in terms)

    def get(env: Environment) -> bool | None:
        unknown = False
        for one in getters:
            value = one(env)
            if value:
                return True
            unknown = unknown or value is None
        return None if unknown else False

    return derived(get, BOOL, *terms)


def compile_not(node: s.Not, scope: Scope) -> Term:
    """Compile `not`."""
    term = compile_truth(node.operand, scope)
    inner = term.get

    def get(env: Environment) -> bool | None:
        value = inner(env)
        return None if value is None else not value

    return derived(get, BOOL, term)


def compile_is_null(node: s.IsNull, scope: Scope) -> Term:
    """Compile `is null`."""
    term = scope.compile(node.operand)
    if isinstance(term.type, Members | DetailsOf):
        msg = "`is null` needs a value; use `is empty` with a collection"
        raise HqlError(msg)
    inner = term.get
    return derived(lambda env: inner(env) is None, BOOL, term)


def compile_case(node: s.Case, scope: Scope) -> Term:
    """Compile `case`."""
    whens = [when for when, _ in node.branches]
    if node.operand is not None:
        whens = [s.Comparison("=", node.operand, when) for when in whens]
    tests = [compile_truth(when, scope) for when in whens]
    values = [scope.compile(value) for _, value in node.branches]
    default = scope.compile(node.otherwise or s.Literal(None, None))
    pairs = tuple((test.get, value.get) for test, value in zip(tests, values, strict=True))
    otherwise = default.get

    def get(env: Environment) -> Any:
        for test, value in pairs:
            if test(env):
                return value(env)
        return otherwise(env)

    kind = matched([term.type for term in (*values, default)], "CASE")
    return derived(get, kind, *tests, *values, default)

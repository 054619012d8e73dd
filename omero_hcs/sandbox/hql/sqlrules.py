"""What PostgreSQL demands of grouped and of distinct rows, and Hibernate does not check.

A sandbox that took such queries would hide faults that show only against a real server.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import fields, replace

from omero_hcs.sandbox.hql import syntax as s
from omero_hcs.sandbox.hql.faults import HqlError, could_not_execute
from omero_hcs.sandbox.hql.kinds import ClassOf, Quantity, Scalar, Thing, Unknown
from omero_hcs.sandbox.hql.scope import Scope
from omero_hcs.sandbox.hql.terms import Term
from omero_hcs.sandbox.model.schema import SCHEMA

# Parts of a column's path that are no steps to another table.
OF_THE_ROW = frozenset({"id", "details"})
PARTS_OF_QUANTITIES = (["value"], ["unit"])


def check_groups(query: s.Query, scope: Scope, aggregates: Collection[str]) -> None:
    """Refuse to select or sort by what differs within a group.

    Parameters
    ----------
    aggregates : collection of str
        Names of the functions over the rows of a group.

    Raises
    ------
    omero.ApiUsageException
        A column is neither grouped by nor inside an aggregate.
    """
    selected = [item.expression for item in query.select.items] if query.select else []
    sorted_by = [unaliased(one.expression, query) for one in query.order_by]
    having = [] if query.having is None else [query.having]
    keys = frozenset(_column(key) for key in query.group_by)
    # Grouped by its id, a row is the same throughout the group.
    by_id = [key for key in keys if isinstance(key, s.Path) and len(key.names) == 1]
    whole = {source.slot for key in by_id if (source := scope.sources.get(key.names[0]))}
    for node in (*selected, *sorted_by, *having):
        for path in _loose_paths(node, keys, aggregates):
            if _is_own(path, scope) and not _is_column(path, scope, whole):
                msg = (
                    f'column "{path}" must appear in the GROUP BY clause '
                    "or be used in an aggregate function"
                )
                raise could_not_execute(msg)


def _is_own(path: s.Path, scope: Scope) -> bool:
    """Say whether a path begins at a source of this very query."""
    if scope.find(path.names[0]) is None:
        return path.names[-1] not in SCHEMA  # else it is a class, not a column
    return path.names[0] in scope.sources


def _loose_paths(
    node: object, keys: Collection[object], aggregates: Collection[str]
) -> Iterator[s.Path]:
    """Paths outside of keys, aggregates and subqueries."""
    if isinstance(node, s.Query) or _column(node) in keys:
        return
    if isinstance(node, s.Call) and node.name in aggregates:
        return
    if isinstance(node, s.Path):
        yield node
    elif isinstance(node, tuple):
        for part in node:
            yield from _loose_paths(part, keys, aggregates)
    elif isinstance(node, s.Expression):
        for one in fields(node):
            yield from _loose_paths(getattr(node, one.name), keys, aggregates)


def _column(node: object) -> object:
    """Name a column in one way: a reference and its id are the same one."""
    is_id = isinstance(node, s.Path) and len(node.names) > 1 and node.names[-1] == "id"
    return s.Path(node.names[:-1]) if is_id and isinstance(node, s.Path) else node


def check_order(query: s.Query, scope: Scope, loaded: Collection[int]) -> None:
    """Refuse to sort distinct rows by what is not selected.

    Parameters
    ----------
    loaded : collection of int
        Places of the rows that are selected or fetched with all their columns.

    Raises
    ------
    omero.ApiUsageException
        An expression is not selected.
    """
    selected = [item.expression for item in query.select.items] if query.select else []
    for one in query.order_by:
        node = unaliased(one.expression, query)
        if node in selected or (isinstance(node, s.Path) and _is_column(node, scope, loaded)):
            continue
        msg = "for SELECT DISTINCT, ORDER BY expressions must appear in select list"
        raise could_not_execute(msg)


def _is_column(node: s.Path, scope: Scope, loaded: Collection[int]) -> bool:
    """Say whether a path is a column of a loaded row."""
    source = scope.find(node.names[0])
    names = node.names if source is None else node.names[1:]
    if source is None and len(scope.sources) == 1:  # a property without an alias
        source = next(iter(scope.sources.values()))
    rest = [name for name in names if name not in OF_THE_ROW]
    is_column = len(rest) <= 1 or rest[1:] in PARTS_OF_QUANTITIES
    return is_column and source is not None and source.slot in loaded


def sortable(node: s.Expression, scope: Scope) -> Term:
    """Compile what rows are sorted by.

    Raises
    ------
    HqlError
        It has no order.
    """
    term = scope.compile(node)
    if isinstance(term.type, Quantity) and isinstance(node, s.Path):
        # OMERO.web does so: Hibernate sorts by all columns of it, and the first is its value.
        return scope.compile(replace(node, names=(*node.names, "value")))
    if not isinstance(term.type, Scalar | Thing | ClassOf | Unknown):
        msg = f"a {type(term.type).__name__} can't be sorted by; name one of its properties"
        raise HqlError(msg)
    return term


def unaliased(node: s.Expression, query: s.Query) -> s.Expression:
    """Put what an alias of `select` stands for in its place in `order by`."""
    if query.select is not None and isinstance(node, s.Path) and len(node.names) == 1:
        for item in query.select.items:
            if item.alias == node.names[0]:
                return item.expression
    return node

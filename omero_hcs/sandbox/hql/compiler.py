"""From syntax to programs: which function compiles what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from omero_hcs.sandbox.hql import syntax as s
from omero_hcs.sandbox.hql.conditions import (
    compile_between,
    compile_comparison,
    compile_like,
    compile_quantified,
)
from omero_hcs.sandbox.hql.expressions import (
    compile_arithmetic,
    compile_concatenation,
    compile_literal,
    compile_negative,
    compile_parameter,
    compile_row_of,
    compile_subquery,
    refuse,
)
from omero_hcs.sandbox.hql.faults import HqlError, could_not_execute
from omero_hcs.sandbox.hql.functions import AGGREGATES, EDGES, compile_call
from omero_hcs.sandbox.hql.kinds import Thing
from omero_hcs.sandbox.hql.logic import (
    compile_and,
    compile_case,
    compile_is_null,
    compile_not,
    compile_or,
    compile_truth,
)
from omero_hcs.sandbox.hql.memberships import (
    compile_exists,
    compile_in,
    compile_is_empty,
    compile_member,
)
from omero_hcs.sandbox.hql.paths import compile_path
from omero_hcs.sandbox.hql.programs import Fetch, Item, Program
from omero_hcs.sandbox.hql.scope import Scope, Source
from omero_hcs.sandbox.hql.sources import (
    Step,
    add_source,
    narrow_ranges,
    place_conditions,
    walk_of,
)
from omero_hcs.sandbox.hql.sqlrules import check_groups, check_order, sortable, unaliased
from omero_hcs.sandbox.hql.terms import Term, slots_of

COMPILERS: dict[type, Callable[[Any, Scope], Term]] = {
    s.Literal: compile_literal,
    s.Parameter: compile_parameter,
    s.Path: compile_path,
    s.Star: refuse,
    s.Typed: refuse,
    s.TakenFrom: refuse,
    s.Call: compile_call,
    s.Arithmetic: compile_arithmetic,
    s.Negative: compile_negative,
    s.Concatenation: compile_concatenation,
    s.Comparison: compile_comparison,
    s.Quantified: compile_quantified,
    s.And: compile_and,
    s.Or: compile_or,
    s.Not: compile_not,
    s.IsNull: compile_is_null,
    s.IsEmpty: compile_is_empty,
    s.In: compile_in,
    s.Like: compile_like,
    s.Between: compile_between,
    s.Member: compile_member,
    s.Exists: compile_exists,
    s.Case: compile_case,
    s.Subquery: compile_subquery,
    s.RowOf: compile_row_of,
}


class HqlCompiler:
    """Compiles expressions and queries."""

    def expression(self, node: s.Expression, scope: Scope) -> Term:
        """Compile an expression."""
        return COMPILERS[type(node)](node, scope)

    def query(self, query: s.Query, parent: Scope | None = None) -> Program:
        """Compile a query, or one inside another.

        Raises
        ------
        HqlError
            It can't be translated.
        omero.ApiUsageException
            PostgreSQL would refuse it.
        """
        scope = Scope(self, parent)
        emit_slot = scope.new_slot()
        steps, fetches = _sources(query, scope)
        items = _items(query, scope, steps)
        conditions = [compile_truth(part, scope) for part in _parts(query.where)]
        keys = [scope.compile(key) for key in query.group_by]
        having = [] if query.having is None else [compile_truth(query.having, scope)]
        order = [sortable(unaliased(one.expression, query), scope) for one in query.order_by]
        grouped = [item.term for item in items] + having + order
        is_grouped = bool(keys) or any(term.is_aggregate for term in grouped)
        _check(query, items, fetches, scope)
        _refuse_aggregates(conditions, "WHERE")
        _refuse_aggregates(keys, "GROUP BY")
        if is_grouped:
            check_groups(query, scope, frozenset(AGGREGATES) | EDGES)
        conditions += scope.required.values()
        constants = place_conditions(steps, conditions)
        narrow_ranges(steps, conditions)
        return Program(
            items=items,
            form=s.Form.ROW if query.select is None else query.select.form,
            distinct=query.select is not None and query.select.distinct,
            walk=walk_of(steps, emit_slot),
            constants=tuple(constants),
            group_by=tuple(key.get for key in keys),
            having=having[0].get if having else None,
            order_by=tuple(
                (term.get, one.descending) for term, one in zip(order, query.order_by, strict=True)
            ),
            fetches=tuple(fetch for fetch in fetches if fetch is not None),
            is_grouped=is_grouped,
            group_slot=scope.group_slot,
            emit_slot=emit_slot,
            outer_slots=_outer_slots([*grouped, *conditions, *keys], steps, scope),
            places=scope.new_slot(),  # counted on by all subqueries
        )


def _refuse_aggregates(terms: Sequence[Term], clause: str) -> None:
    if any(term.is_aggregate for term in terms):
        msg = f"aggregates not allowed in {clause} clause"
        raise could_not_execute(msg)


def _check(
    query: s.Query, items: Sequence[Item], fetches: Sequence[Fetch | None], scope: Scope
) -> None:
    """Refuse to fetch for, and to sort distinct rows by, what is not selected."""
    if query.select is None:
        return
    loaded = _selected(items)
    for fetch in fetches:
        if fetch is not None:
            if fetch.origin not in loaded:
                msg = (
                    "query specified join fetching, but the owner of the fetched association was "
                    f"not present in the select list [{fetch.field}]"
                )
                raise HqlError(msg)
            loaded.add(fetch.slot)
    if query.select.distinct:
        check_order(query, scope, loaded)


def _sources(query: s.Query, scope: Scope) -> tuple[list[Step], list[Fetch | None]]:
    made = [add_source(source, scope) for source in query.sources]
    steps, fetches = [step for step, _ in made], [fetch for _, fetch in made]
    if scope.parent is not None and any(fetches):
        msg = "fetch may not be used in subqueries"
        raise HqlError(msg)
    return steps, fetches


def _parts(condition: s.Expression | None) -> Iterator[s.Expression]:
    """Conditions that all have to hold."""
    if isinstance(condition, s.And):
        for part in condition.parts:
            yield from _parts(part)
    elif condition is not None:
        yield condition


def _items(query: s.Query, scope: Scope, steps: Sequence[Step]) -> tuple[Item, ...]:
    if query.select is None:  # all that is not fetched, as in Hibernate
        names = [
            step.source.alias
            for step, node in zip(steps, query.sources, strict=True)
            if not (isinstance(node, s.Join) and node.fetch)
        ]
        return tuple(Item(_term_of(scope.sources[name]), None) for name in names)
    scope.in_select = True
    items = tuple(
        Item(scope.compile(item.expression), item.alias or str(place))
        for place, item in enumerate(query.select.items)
    )
    scope.in_select = False
    return items


def _term_of(source: Source) -> Term:
    slot = source.slot
    return Term(lambda env: env[slot], source.type, frozenset({slot}), source.trail)


def _selected(items: Sequence[Item]) -> set[int]:
    """Places of the rows that are selected themselves."""
    return {
        slot
        for item in items
        if isinstance(item.term.type, Thing)
        and item.term.trail is not None
        and not item.term.is_path
        for slot in item.term.slots
    }


def _outer_slots(terms: Sequence[Term], steps: Sequence[Step], scope: Scope) -> frozenset[int]:
    own = {step.source.slot for step in steps}
    used = slots_of(*terms).union(*(step.slots for step in steps))
    return used - own if scope.parent is not None else frozenset()

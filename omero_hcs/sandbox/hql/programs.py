"""A compiled query: how it is run, grouped, sorted and made distinct."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from omero_hcs.sandbox.hql.syntax import Form
from omero_hcs.sandbox.hql.terms import Environment, Getter, Term
from omero_hcs.sandbox.objects.load import Plan
from omero_hcs.sandbox.objects.row import Row

Walk = Callable[[Environment], bool]  # says whether to stop
Result = tuple[tuple[Any, ...], tuple[Any, ...]]  # what is selected, and what to sort it by


@dataclass(frozen=True, slots=True)
class Item:
    """A selected value, and its key in a `new map(...)`."""

    term: Term
    alias: str | None


@dataclass(frozen=True, slots=True)
class Fetch:
    """A `join fetch`: the row that is fetched for, the field, and where the fetched row is.

    `origin` is the place of the row fetched for; -1 if the path went on from there.
    """

    owner: Getter
    origin: int
    field: str
    slot: int
    is_collection: bool

    def note(self, env: Environment, plan: Plan) -> None:
        """Write down what the row of a result loads."""
        owner, fetched = self.owner(env), env[self.slot]
        if owner is None:
            return
        if isinstance(fetched, Row):
            plan.load(fetched)
        if self.is_collection and isinstance(owner, Row):
            plan.touch(owner, self.field)
            if isinstance(fetched, Row):
                plan.add(owner, self.field, fetched)


@dataclass(slots=True)
class Program:
    """A query that can be run.

    Attributes
    ----------
    walk : callable
        Fills the places of the sources, and calls what stands at `emit_slot` with every row.
    constants : tuple of callables
        Conditions that do not depend on the query's own sources.
    group_slot : int
        Where the rows of a group stand while its aggregates are computed.
    outer_slots : frozenset of int
        Places of the queries around it that it uses.
    places : int
        Length that its environment needs.
    """

    items: tuple[Item, ...]
    form: Form
    distinct: bool
    walk: Walk
    constants: tuple[Getter, ...]
    group_by: tuple[Getter, ...]
    having: Getter | None
    order_by: tuple[tuple[Getter, bool], ...]
    fetches: tuple[Fetch, ...]
    is_grouped: bool
    group_slot: int
    emit_slot: int
    outer_slots: frozenset[int]
    places: int

    @property
    def fetches_collections(self) -> bool:
        """Say whether a `join fetch` may repeat the rows that it fetches for."""
        return any(fetch.is_collection for fetch in self.fetches)

    def rows(
        self, env: Environment, most: int | None = None, plan: Plan | None = None
    ) -> list[tuple[Any, ...]]:
        """Run it.

        Parameters
        ----------
        env : list
            With the run in front, and the rows of the queries around it in their places.
        most : int, optional
            Stop early when there are so many rows and their order does not matter.
        plan : Plan, optional
            Where to write down what `join fetch` loads.
        """
        found = self._grouped(env, plan) if self.is_grouped else self._plain(env, most, plan)
        if self.distinct:
            found = distinct(found)
        for place, (_, descending) in reversed(tuple(enumerate(self.order_by))):
            found.sort(key=_sorter(place), reverse=descending)
        return [values for values, _ in found]

    def _plain(self, env: Environment, most: int | None, plan: Plan | None) -> list[Result]:
        found: list[Result] = []
        stop_at = None if self.distinct or self.order_by else most
        get_values = tuple_of([item.term.get for item in self.items])
        get_order = tuple_of([get for get, _ in self.order_by])

        def emit(env: Environment) -> bool:
            found.append((get_values(env), get_order(env)))
            if plan is not None:
                for fetch in self.fetches:
                    fetch.note(env, plan)
            return len(found) == stop_at

        self._run(env, emit)
        return found

    def _grouped(self, env: Environment, plan: Plan | None) -> list[Result]:
        groups: dict[Hashable, list[Environment]] = {} if self.group_by else {(): []}
        get_key = tuple_of(self.group_by)

        def emit(env: Environment) -> bool:
            groups.setdefault(hashable(get_key(env)), []).append(env[:])
            if plan is not None:
                for fetch in self.fetches:
                    fetch.note(env, plan)
            return False

        self._run(env, emit)
        get_values = tuple_of([item.term.get for item in self.items])
        get_order = tuple_of([get for get, _ in self.order_by])
        found: list[Result] = []
        for members in groups.values():
            group = (members[0] if members else env)[:]
            group[self.group_slot] = members
            if self.having is None or self.having(group) is True:
                found.append((get_values(group), get_order(group)))
        return found

    def _run(self, env: Environment, emit: Walk) -> None:
        if all(condition(env) is True for condition in self.constants):
            env[self.emit_slot] = emit
            self.walk(env)


def tuple_of(getters: Sequence[Getter]) -> Callable[[Environment], tuple[Any, ...]]:
    """Make the getter of a tuple. Most queries select one thing, or sort by nothing."""
    if not getters:
        return lambda _: ()
    if len(getters) == 1:
        only = getters[0]
        return lambda env: (only(env),)
    several = tuple(getters)
    return lambda env: tuple([get(env) for get in several])


def distinct(found: Iterable[Result]) -> list[Result]:
    """Keep the first of those that are equal."""
    kept: dict[Hashable, Result] = {}
    for one in found:
        kept.setdefault(hashable(one[0]), one)
    return list(kept.values())


def hashable(values: tuple[Any, ...]) -> Hashable:
    """Make a key of values: lengths and the like are equal if their parts are."""
    return tuple([_key(value) for value in values])


def _key(value: Any) -> Hashable:
    if hasattr(value, "getUnit"):
        return (value.getValue(), str(value.getUnit()))
    key: Hashable = tuple(value) if isinstance(value, list) else value
    return key


def sort_key(value: Any) -> tuple[bool, Any]:
    """Make a key as PostgreSQL sorts: nulls are greater than everything, rows go by their id."""
    if isinstance(value, Row):
        return (False, value.id)
    return (value is None, 0 if value is None else value)


def _sorter(place: int) -> Callable[[Result], tuple[bool, Any]]:
    return lambda one: sort_key(one[1][place])

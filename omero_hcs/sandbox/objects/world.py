"""All rows of a sandbox, a reverse index over their references, and an undo journal.

Everything that changes a row goes through `World`, so that a save that fails in the middle leaves
nothing, and so that deleting a plate need not look at every row there is.
"""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from omero_hcs.sandbox.model.schema import SCHEMA, Kind
from omero_hcs.sandbox.objects.row import Row

# OMERO's root user and system group have id 0.
FIRST_IDS = {"Experimenter": 0, "ExperimenterGroup": 0, "Session": 0}
FIRST_ID = 1
# Place of a member that no client put in order.
LAST = 1 << 60

# Fields of a row that point somewhere, with the numbers of these pointings.
Places = list[tuple[str, int]]
Undo = tuple[Callable[..., None], tuple[Any, ...]]


class Journal:
    """How to take back what a transaction did, and what to do once it is certain."""

    def __init__(self) -> None:
        self.undo: list[Undo] = []
        self.after: list[Callable[[], None]] = []
        self.born: set[Row] = set()  # changes of these need no undoing: they go away whole
        # Parts of the world, by identity, that are in order no longer once all is undone.
        self.ids: dict[int, dict[int, Row]] = {}
        self.pointings: dict[int, dict[Row, int]] = {}


class World:
    """The rows of a sandbox.

    Hold `lock` while reading; `transaction()` takes it, and is needed for every change.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.on_removed: list[Callable[[Row], None]] = []  # told once the removal is certain
        self._by_root: dict[str, dict[int, Row]] = defaultdict(dict)
        self._by_entity: dict[str, dict[int, Row]] = {name: {} for name in SCHEMA}
        # Who points at a row, by entity and field, with the number of the pointing: it gives order.
        self._references: dict[Row, dict[tuple[str, str], dict[Row, int]]] = {}
        self._pointings = itertools.count()
        self._orders: dict[tuple[Row, str], dict[Row, int]] = {}
        self._next_ids: dict[str, int] = {}
        self._journal: Journal | None = None

    # -- reading

    def get(self, entity: str, row_id: int) -> Row | None:
        """Find a row by its entity, or one that this descends from, and its id."""
        row = self._by_root[SCHEMA[entity].root].get(row_id)
        return row if row is not None and row.entity.isa(entity) else None

    def all(self, entity: str) -> Iterator[Row]:
        """All rows of an entity and its descendants, by ascending id within each."""
        for concrete in SCHEMA[entity].concrete:
            yield from tuple(self._by_entity[concrete.name].values())

    def count(self, entity: str) -> int:
        """How many rows an entity and its descendants have."""
        return sum(len(self._by_entity[one.name]) for one in SCHEMA[entity].concrete)

    def find(self, entity: str, **values: Any) -> Row | None:
        """First row whose fields have these values."""
        wanted = values.items()
        return next(
            (row for row in self.all(entity) if all(row.values.get(k) == v for k, v in wanted)),
            None,
        )

    def members(self, row: Row, collection: str) -> list[Row]:
        """Rows of a collection, in the order in which they were put there."""
        field = row.entity.fields[collection]
        index = self._references.get(row)
        if not index:
            return []
        found = [
            member
            for concrete in SCHEMA[field.target].concrete
            for member in index.get((concrete.name, field.inverse), ())
        ]
        order = self._orders.get((row, collection))
        if order is not None:
            found.sort(key=lambda member: (order.get(member, LAST), member.id))
        return found

    def references(self, target: Row, entity: str, field: str) -> Collection[Row]:
        """Rows of exactly that entity whose field points at the target."""
        return self._references.get(target, {}).get((entity, field), {}).keys()

    def referrers(self, target: Row) -> Mapping[tuple[str, str], Collection[Row]]:
        """All rows that point at the target, by their entity and field."""
        index = self._references.get(target, {})
        return {key: tuple(rows) for key, rows in index.items() if rows}

    # -- changing

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the lock, and take everything back if the block fails. May be nested."""
        with self.lock:
            if self._journal is not None:
                yield  # the outer one decides
                return
            journal = self._journal = Journal()
            try:
                yield
            except BaseException:
                self._journal = None
                self._take_back(journal)
                raise
            finally:
                self._journal = None
        for action in journal.after:
            action()

    def _take_back(self, journal: Journal) -> None:
        for undo, arguments in reversed(journal.undo):
            undo(*arguments)
        # What was put back is at the end of where it had a place.
        for rows in journal.ids.values():
            _sort(rows, key=lambda item: item[0])
        for pointing in journal.pointings.values():
            _sort(pointing, key=lambda item: item[1])

    def after_commit(self, action: Callable[[], None]) -> None:
        """Do something once the transaction is certain: what can't be undone, such as files."""
        self._open_journal().after.append(action)

    def insert(self, entity: str, **values: Any) -> Row:
        """Make a row, with the next id of its root."""
        journal = self._open_journal()
        root = SCHEMA[entity].root
        row_id = self._next_ids.get(root, FIRST_IDS.get(root, FIRST_ID))
        self._next_ids[root] = row_id + 1  # as a sequence of PostgreSQL: never taken back
        row = Row(SCHEMA[entity], row_id)
        self._put(row)
        journal.born.add(row)
        journal.undo.append((self._drop, (row,)))
        for name, value in values.items():
            self.set(row, name, value)
        return row

    def set(self, row: Row, field: str, value: Any) -> None:
        """Give a field of a row a value; None for null."""
        journal = self._open_journal()
        old = row.values.get(field)
        if row not in journal.born:
            journal.undo.append((self._assign_again, (journal, row, field, old, self._places(row))))
        self._assign(row, field, value)

    def set_details(self, row: Row, **details: Row | str | None) -> None:
        """Change details of a row, named as in `Details`."""
        journal = self._open_journal()
        if row not in journal.born:
            old = {name: getattr(row.details, name) for name in details}
            journal.undo.append((_set_details, (row, old)))
        _set_details(row, details)

    def touch(self, row: Row, event: Row | None) -> None:
        """Count a change of a row, and remember the event that changed it."""
        journal = self._open_journal()
        if row not in journal.born:
            journal.undo.append((_set_version, (row, row.version)))
            _set_version(row, row.version + 1)
        self.set_details(row, update_event=event)

    def arrange(self, row: Row, collection: str, members: Sequence[Row]) -> None:
        """Put the members of a collection in order; those not named come after them."""
        key = (row, collection)
        self._open_journal().undo.append((self._set_order, (key, self._orders.get(key))))
        self._set_order(key, {member: place for place, member in enumerate(members)})

    def remove(self, row: Row) -> None:
        """Take a row away. Whoever points at it must have been changed or removed before."""
        journal = self._open_journal()
        journal.undo.append((self._put_again, (journal, row, self._places(row))))
        journal.after += [partial(tell, row) for tell in self.on_removed]
        for collection in row.entity.collections:
            key = (row, collection.name)
            if key in self._orders:
                journal.undo.append((self._set_order, (key, self._orders[key])))
                self._set_order(key, None)
        self._drop(row)

    # -- as a whole, for a snapshot

    @property
    def next_ids(self) -> Mapping[str, int]:
        """The id that the next row of each root gets."""
        return self._next_ids

    def all_rows(self) -> Iterator[Row]:
        """Every row there is."""
        for rows in self._by_root.values():
            yield from sorted(rows.values(), key=lambda row: row.id)

    def orders(self) -> Iterator[tuple[Row, str, list[Row]]]:
        """Yield the collections that were put in order: whose, which, the members by place."""
        for (row, collection), order in self._orders.items():
            yield row, collection, sorted(order, key=lambda member: order[member])

    def restore(self, rows: Sequence[Row], next_ids: Mapping[str, int]) -> None:
        """Fill an empty world with rows that have ids, values and details already."""
        for row in rows:
            self._put(row)
        self._next_ids.update(next_ids)

    def restore_order(self, row: Row, collection: str, members: Sequence[Row]) -> None:
        """Put the members of a restored collection in order."""
        self._orders[row, collection] = {member: place for place, member in enumerate(members)}

    def restore_arrivals(self, row: Row, key: tuple[str, str], rows: Sequence[Row]) -> None:
        """Make restored rows of an entity, that point at a row by a field, come in this order."""
        self._references[row][key] = {one: next(self._pointings) for one in rows}

    # -- parts of changes, each of which undoes another

    def _open_journal(self) -> Journal:
        if self._journal is None:
            msg = "A world is changed only inside World.transaction()."
            raise RuntimeError(msg)
        return self._journal

    def _put(self, row: Row) -> None:
        self._by_root[row.entity.root][row.id] = row
        self._by_entity[row.entity.name][row.id] = row
        for name, value in row.values.items():
            self._point(row, name, value)

    def _drop(self, row: Row) -> None:
        self._by_root[row.entity.root].pop(row.id, None)
        self._by_entity[row.entity.name].pop(row.id, None)
        for name, value in row.values.items():
            self._unpoint(row, name, value)
        if not any(self._references.get(row, {}).values()):
            self._references.pop(row, None)

    def _assign(self, row: Row, field: str, value: Any) -> None:
        if row.entity.fields[field].kind is Kind.REF:
            self._unpoint(row, field, row.values.get(field))
            self._point(row, field, value)
        if value is None:
            row.values.pop(field, None)
        else:
            row.values[field] = value

    def _point(self, row: Row, field: str, target: Any) -> None:
        if isinstance(target, Row):
            index = self._references.setdefault(target, {})
            index.setdefault((row.entity.name, field), {})[row] = next(self._pointings)

    def _unpoint(self, row: Row, field: str, target: Any) -> None:
        if isinstance(target, Row):
            self._references.get(target, {}).get((row.entity.name, field), {}).pop(row, None)

    # -- putting things back where they were

    def _places(self, row: Row) -> Places:
        return [
            (name, self._references[target][row.entity.name, name][row])
            for name, target in row.values.items()
            if isinstance(target, Row)
        ]

    def _put_again(self, journal: Journal, row: Row, places: Places) -> None:
        self._put(row)
        for rows in (self._by_root[row.entity.root], self._by_entity[row.entity.name]):
            journal.ids[id(rows)] = rows
        self._point_again(journal, row, places)

    def _assign_again(
        self, journal: Journal, row: Row, field: str, value: Any, places: Places
    ) -> None:
        self._assign(row, field, value)
        self._point_again(journal, row, places)

    def _point_again(self, journal: Journal, row: Row, places: Places) -> None:
        for name, number in places:
            pointing = self._references[row.values[name]][row.entity.name, name]
            pointing[row] = number
            journal.pointings[id(pointing)] = pointing

    def _set_order(self, key: tuple[Row, str], order: dict[Row, int] | None) -> None:
        if order is None:
            self._orders.pop(key, None)
        else:
            self._orders[key] = order


def _sort(found: dict[Any, Any], key: Callable[[Any], int]) -> None:
    items = sorted(found.items(), key=key)
    found.clear()
    found.update(items)


def _set_details(row: Row, details: Mapping[str, Any]) -> None:
    for name, value in details.items():
        setattr(row.details, name, value)


def _set_version(row: Row, version: int) -> None:
    row.version = version

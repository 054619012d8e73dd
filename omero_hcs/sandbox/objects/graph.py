"""Which rows a request about a graph of objects takes: what goes with what, and what is orphaned.

OMERO's requests that delete, move or give objects work alike. What belongs to an object goes with
it. What is only held by it (an image in a dataset) is taken if nothing else holds it, or if the
request says so for its type.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

from omero_hcs.sandbox.model.java import java_name
from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.graph_rules import (
    HOLDS_ITSELF,
    ORPHANED_INSTRUMENTS,
    RULES,
)
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.objects.world import World

# Of what lost a holder: True to take it, False to leave it, None to look who else holds it.
Verdict = Callable[[Row], bool | None]


class GraphFaultError(Exception):
    """What a request wants to do with a graph of objects can't be done."""


@dataclass(frozen=True)
class Options:
    """What a request says about objects that it did not name.

    Attributes
    ----------
    verdict : callable
    ignored : collection of str
        Entities that are as good as not there.
    stop_at : collection of str
        Entities from where on nothing more is taken (`SkipHead`).
    """

    verdict: Verdict = lambda _: None
    ignored: Collection[str] = ()
    stop_at: Collection[str] = ()


@dataclass
class GraphPlan(ABC):
    """What a request takes. Making a plan changes nothing.

    Attributes
    ----------
    taken : dict
        Rows that the request is about in the end; whether the caller needs the right to do it.
    """

    world: World
    caller: Caller
    options: Options = field(default_factory=Options)
    taken: dict[Row, bool] = field(default_factory=dict)
    _pending: list[Row] = field(default_factory=list)
    _orphans: dict[Row, None] = field(default_factory=dict)
    _held: dict[Row, None] = field(default_factory=dict)

    def add(self, rows: Iterable[Row], *, is_checked: bool = True) -> None:
        """Add rows that somebody named, and all that goes with them."""
        for row in rows:
            self._take(row, is_checked=is_checked)
        self._follow()
        while self._settle():
            self._follow()
            self._orphans.update(self._held)
            self._held.clear()

    @abstractmethod
    def _reach(self, row: Row) -> None:
        """Take or orphan what a row that has been taken leads to."""

    @abstractmethod
    def _may_take(self, row: Row) -> bool:
        """Say whether the caller has the right to do to a row what the request does."""

    @abstractmethod
    def _take_orphan(self, row: Row) -> None:
        """Take a row that nothing holds any longer, or leave it."""

    # -- what goes with what

    def _take(self, row: Row, *, is_checked: bool) -> None:
        if self.is_ignored(row):
            return
        if row not in self.taken:
            self._pending.append(row)
            self._orphans.pop(row, None)
            self._held.pop(row, None)
        # Once anything says so, the caller's right to do it is not looked at.
        self.taken[row] = is_checked and self.taken.get(row, True)

    def is_ignored(self, row: Row) -> bool:
        """Say whether the request asked to act as if the row were not there."""
        return is_one_of(row, self.options.ignored)

    def _follow(self) -> None:
        while self._pending:
            row = self._pending.pop()
            if not is_one_of(row, self.options.stop_at):
                self._reach(row)

    def _orphan_instruments(self, row: Row) -> None:
        for settings, device in ORPHANED_INSTRUMENTS.get(row.entity.name, ()):
            used = row.values.get(settings)
            owner = None if used is None else used.values.get(device)
            instrument = None if owner is None else owner.values.get("instrument")
            if instrument is not None:
                self._orphan(instrument)

    # -- what lost a holder

    def _orphan(self, row: Row) -> None:
        known = row in self.taken or row in self._orphans or row in self._held
        if known or self.is_ignored(row):
            return
        self._orphans[row] = None
        fileset = row.values.get("fileset")
        if fileset is not None:
            self._orphan(fileset)

    def _settle(self) -> bool:
        """Take the orphans that nothing holds. False if there were none."""
        for row in tuple(self._orphans):
            verdict = self.options.verdict(row)
            if verdict and self._may_take(row):
                self._orphans.pop(row, None)
                self._take_orphan(row)
            elif verdict is False:
                self._hold(row)
        self._hold_what_is_held()
        left, self._orphans = tuple(self._orphans), {}
        for row in left:
            self._take_orphan(row)
        return bool(self._pending)

    def _hold_what_is_held(self) -> None:
        before = -1
        while before != len(self._orphans):  # what is held may hold others
            before = len(self._orphans)
            for row in tuple(self._orphans):
                if row in self._orphans and self._is_held(row):
                    self._hold(row)

    def _hold(self, row: Row) -> None:
        self._orphans.pop(row, None)
        self._held[row] = None
        if row.entity.name == "Fileset":
            # Images of a fileset stay or go together.
            for image in self.world.references(row, "Image", "fileset"):
                if image in self._orphans:
                    self._hold(image)

    def _is_held(self, row: Row) -> bool:
        return any(
            holder not in self.taken and holder not in self._orphans
            for holder in self._holders(row)
            if not self.is_ignored(holder)
        )

    def _holders(self, row: Row) -> Iterator[Row]:
        target = row.values.get(HOLDS_ITSELF.get(row.entity.name, ""))
        if target is not None:
            yield target
        for reference, others in self.world.referrers(row).items():
            if reference not in RULES.holding:
                continue
            for other in others:
                if reference[1] == "child" and reference[0] != "JobOriginalFileLink":
                    if other not in self.taken and not self.is_ignored(other):
                        yield other.values["parent"]
                else:
                    yield other

    # -- what forbids it

    def split_filesets(self, verb: str) -> Iterator[str]:
        """Yield faults of images that are taken while others of their filesets are not."""
        for row in self.taken:
            fileset = row.values.get("fileset")
            if fileset is not None and fileset not in self.taken:
                for image in self.world.references(fileset, "Image", "fileset"):
                    if image not in self.taken and not self.is_ignored(image):
                        yield (
                            f"within {named(fileset)} may not {verb} {named(row)} "
                            f"while {named(image)} remains"
                        )

    def referrers_left(self, row: Row) -> Iterator[tuple[str, Row]]:
        """Yield what points at a row and is not taken: the reference, the row that stays."""
        for (entity, name), others in self.world.referrers(row).items():
            for other in others:
                if other not in self.taken:
                    yield f"{entity}.{name}", other


def is_one_of(row: Row, names: Collection[str]) -> bool:
    """Say whether a row is of one of these entities, or of one that descends from them."""
    return any(map(row.entity.isa, names))


def named(row: Row) -> str:
    """Name a row as OMERO does where a rule forbids something: `Image[5]`."""
    return f"{row.entity.name}[{row.id}]"


def shown(row: Row) -> str:
    """Name a row as OMERO does where a right is missing: `ome.model.core.Image[5]`."""
    return f"{java_name(row.entity)}[{row.id}]"

"""Which rows go when some are deleted, who forbids it, and taking them away.

A plan is made first and changes nothing: what goes with what, then which of the objects that lost a
holder have none left, until nothing more goes. Then its faults are looked for, as OMERO does: rules
that forbid it, rights that are missing, references that can't be null. Only then are rows removed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

from omero_hcs.sandbox.hql.java_names import java_name
from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.delete_rules import (
    CHECKED,
    CONTAINING_LINKS,
    DEPENDENT_ANNOTATIONS,
    HOLDS_ITSELF,
    IF_DELETABLE,
    INDEPENDENT_ANNOTATIONS,
    ORPHANED_INSTRUMENTS,
    REGARDLESS_OF_RIGHTS,
    RULES,
    UNCHECKED_ORPHANS,
    Consequence,
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
        Entities from where on nothing more goes (`SkipHead`).
    """

    verdict: Verdict = lambda _: None
    ignored: Collection[str] = ()
    stop_at: Collection[str] = ()


@dataclass
class DeletionPlan:
    """What goes.

    Attributes
    ----------
    deleted : dict
        Rows that go; whether it takes the right to delete them.
    """

    world: World
    caller: Caller
    options: Options = field(default_factory=Options)
    deleted: dict[Row, bool] = field(default_factory=dict)
    _pending: list[Row] = field(default_factory=list)
    _orphans: dict[Row, None] = field(default_factory=dict)
    _held: dict[Row, None] = field(default_factory=dict)

    def delete(self, rows: Iterable[Row]) -> None:
        """Add rows that somebody asked to delete, and all that goes with them."""
        for row in rows:
            self._take(row, is_checked=True)
        self._follow()
        while self._settle():
            self._follow()
            self._orphans.update(self._held)
            self._held.clear()

    # -- what goes with what

    def _take(self, row: Row, *, is_checked: bool) -> None:
        if self._is_ignored(row):
            return
        if row not in self.deleted:
            self._pending.append(row)
            self._orphans.pop(row, None)
            self._held.pop(row, None)
        # Once anything says so, the right to delete it is not looked at.
        self.deleted[row] = is_checked and self.deleted.get(row, True)

    def _is_ignored(self, row: Row) -> bool:
        return any(row.entity.isa(name) for name in self.options.ignored)

    def _follow(self) -> None:
        while self._pending:
            row = self._pending.pop()
            if not any(row.entity.isa(name) for name in self.options.stop_at):
                self._follow_referrers(row)
                self._follow_references(row)

    def _follow_referrers(self, row: Row) -> None:
        for reference, others in self.world.referrers(row).items():
            consequence = RULES.goes_with_target.get(reference)
            for other in others:
                if reference[1] == "parent" and other.entity.is_link:
                    self._orphan_child(row, other)
                if consequence is not None and not self._is_forbidden_link(other, reference):
                    is_checked = consequence.is_checked and self.deleted[row]
                    self._take(other, is_checked=is_checked)
                elif reference in RULES.orphaned_by_target:
                    self._orphan(other, IF_DELETABLE)

    def _is_forbidden_link(self, link: Row, reference: tuple[str, str]) -> bool:
        # A tag stays on what somebody else may not delete; `faults` says so.
        if reference[1] != "child" or not link.entity.is_annotation_link:
            return False
        parent = link.values["parent"]
        return (
            link.values["child"].entity.isa("TagAnnotation")
            and parent not in self.deleted
            and not self._may_delete(parent)
        )

    def _orphan_child(self, parent: Row, link: Row) -> None:
        child = link.values["child"]
        if link.entity.is_annotation_link:
            if any(child.entity.isa(name) for name in INDEPENDENT_ANNOTATIONS):
                if child.details.owner is parent.details.owner:
                    self._orphan(child, IF_DELETABLE)
            else:
                self._orphan_dependent(child)
        elif link.entity.name in CONTAINING_LINKS:
            self._orphan(child, IF_DELETABLE)

    def _orphan_dependent(self, annotation: Row) -> None:
        if any(annotation.entity.isa(name) for name in DEPENDENT_ANNOTATIONS):
            regardless = any(annotation.entity.isa(name) for name in REGARDLESS_OF_RIGHTS)
            self._orphan(annotation, CHECKED if regardless else IF_DELETABLE)

    def _follow_references(self, row: Row) -> None:
        for name, other in row.values.items():
            if isinstance(other, Row):
                reference = (row.entity.name, name)
                if reference in RULES.goes_with_holder:
                    self._take(other, is_checked=self.deleted[row])
                elif reference in RULES.orphaned_by_holder:
                    self._orphan(other, RULES.orphaned_by_holder[reference])
                elif name == "child" and row.entity.is_annotation_link:
                    self._orphan_dependent(other)
        self._orphan_instruments(row)
        external = row.details.external_info
        if external is not None:
            self._take(external, is_checked=False)

    def _orphan_instruments(self, row: Row) -> None:
        for settings, device in ORPHANED_INSTRUMENTS.get(row.entity.name, ()):
            used = row.values.get(settings)
            owner = None if used is None else used.values.get(device)
            instrument = None if owner is None else owner.values.get("instrument")
            if instrument is not None:
                self._orphan(instrument, CHECKED)

    # -- what lost a holder

    def _orphan(self, row: Row, consequence: Consequence) -> None:
        known = row in self.deleted or row in self._orphans or row in self._held
        if known or self._is_ignored(row):
            return
        if consequence.if_deletable and not self._may_delete(row):
            return
        self._orphans[row] = None
        fileset = row.values.get("fileset")
        if fileset is not None:
            self._orphan(fileset, CHECKED)

    def _settle(self) -> bool:
        """Take the orphans that nobody holds. False if there were none."""
        for row in tuple(self._orphans):
            verdict = self.options.verdict(row)
            if verdict and self._may_delete(row):
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

    def _take_orphan(self, row: Row) -> None:
        unchecked = any(row.entity.isa(name) for name in UNCHECKED_ORPHANS)
        if unchecked or self._may_delete(row):
            self._take(row, is_checked=not unchecked)

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
            holder not in self.deleted and holder not in self._orphans
            for holder in self._holders(row)
            if not self._is_ignored(holder)
        )

    def _holders(self, row: Row) -> Iterator[Row]:
        target = row.values.get(HOLDS_ITSELF.get(row.entity.name, ""))
        if target is not None:
            yield target
        for reference, others in self.world.referrers(row).items():
            if reference not in RULES.holding:
                continue
            for other in others:
                if reference[1] == "child" and "JobOriginalFileLink" not in reference:
                    if other not in self.deleted and not self._is_ignored(other):
                        yield other.values["parent"]
                else:
                    yield other

    def _may_delete(self, row: Row) -> bool:
        return self.caller.is_admin or self.caller.rights(row).delete

    # -- what forbids it

    def check(self) -> None:
        """Look whether the plan can be carried out.

        Raises
        ------
        GraphFaultError
        """
        for fault in self._broken_rules():
            raise GraphFaultError(fault)
        forbidden = [row for row, checked in self.deleted.items() if checked]
        forbidden = [row for row in forbidden if not self._may_delete(row)]
        if forbidden:
            same = [row for row in forbidden if row.entity is forbidden[0].entity]
            msg = f"not permitted to delete {', '.join(map(shown, same))}"
            raise GraphFaultError(msg)
        for row, name in self.cut():
            if not row.entity.fields[name].nullable:
                msg = f"cannot null {java_name(row.entity)}.{name}"
                raise GraphFaultError(msg)
            if not (self.caller.is_admin or self.caller.rights(row).edit):
                msg = f"not permitted to update {shown(row)}"
                raise GraphFaultError(msg)

    def _broken_rules(self) -> Iterator[str]:
        for row in self.deleted:
            for (entity, name), others in self.world.referrers(row).items():
                for other in others:
                    if other not in self.deleted and not self._is_ignored(other):
                        yield from self._broken_by(row, other, f"{entity}.{name}")

    def _broken_by(self, row: Row, other: Row, reference: str) -> Iterator[str]:
        if reference in ("WellSample.image", "FilesetEntry.originalFile"):
            yield f"may not delete {shown(row)} while {shown(other)} remains"
        elif reference.endswith("AnnotationLink.child") and row.entity.isa("TagAnnotation"):
            yield f"may not delete {shown(row)} while {shown(other.values['parent'])} remains"

    def cut(self) -> Iterator[tuple[Row, str]]:
        """Yield references of rows that stay to rows that go: the row that stays, its field."""
        for row in self.deleted:
            for (_, name), others in self.world.referrers(row).items():
                for other in others:
                    if other not in self.deleted:
                        yield other, name

    # -- doing it

    def carry_out(self) -> None:
        """Cut the references and remove the rows. Inside a transaction."""
        for row, name in tuple(self.cut()):
            self.world.set(row, name, None)
        remove_all(self.world, self.deleted)


def remove_all(world: World, rows: Collection[Row]) -> None:
    """Remove rows that only these rows point at, each after those that point at it."""
    waiting = dict.fromkeys(rows, 0)
    for row in waiting:
        for target in _targets(row, waiting):
            waiting[target] += 1
    ready = [row for row, count in waiting.items() if not count]
    while ready:
        row = ready.pop()
        del waiting[row]
        for target in _targets(row, waiting):
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
        world.remove(row)
    for row in waiting:  # these point at each other in a circle
        world.remove(row)


def _targets(row: Row, among: Collection[Row]) -> list[Row]:
    return [one for one in row.values.values() if isinstance(one, Row) and one in among]


def shown(row: Row) -> str:
    """Name a row as OMERO does in the errors of such requests: `ome.model.core.Image[5]`."""
    return f"{java_name(row.entity)}[{row.id}]"

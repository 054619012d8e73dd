"""Which rows go when some are deleted, who forbids it, and taking them away.

A plan is made first. Then its faults are looked for, as OMERO does: rules that forbid it, rights
that are missing, references that can't be null. Only then are rows removed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from omero_hcs.sandbox.model.java import java_name
from omero_hcs.sandbox.model.schema import SCHEMA
from omero_hcs.sandbox.objects.graph import GraphFaultError, GraphPlan, is_one_of, named, shown
from omero_hcs.sandbox.objects.graph_rules import (
    CONTAINING_LINKS,
    DEPENDENT_ANNOTATIONS,
    INDEPENDENT_ANNOTATIONS,
    REGARDLESS_OF_RIGHTS,
    RULES,
    UNCHECKED_ORPHANS,
)
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.objects.world import World


class DeletionPlan(GraphPlan):
    """What goes when some rows are deleted."""

    def _may_take(self, row: Row) -> bool:
        return self.caller.is_admin or self.caller.rights(row).delete

    def _take_orphan(self, row: Row) -> None:
        unchecked = is_one_of(row, UNCHECKED_ORPHANS)
        if unchecked or self._may_take(row):
            self._take(row, is_checked=not unchecked)

    def _reach(self, row: Row) -> None:
        for reference, others in self.world.referrers(row).items():
            for other in others:
                self._reach_referrer(row, reference, other)
        for name, other in row.values.items():
            if isinstance(other, Row):
                self._reach_target(row, name, other)
        self._orphan_instruments(row)
        if row.details.external_info is not None:
            self._take(row.details.external_info, is_checked=False)

    def _reach_referrer(self, row: Row, reference: tuple[str, str], other: Row) -> None:
        if reference[1] == "parent" and other.entity.is_link:
            self._orphan_child(row, other)
        consequence = RULES.goes_with_target.get(reference)
        if consequence is not None and not self._is_forbidden_link(other, reference):
            self._take(other, is_checked=consequence.is_checked and self.taken[row])
        elif reference in RULES.orphaned_by_target and self._may_take(other):
            self._orphan(other)

    def _is_forbidden_link(self, link: Row, reference: tuple[str, str]) -> bool:
        # A tag that is on what somebody else may not delete stays there: the rules forbid it.
        if reference[1] != "child" or not link.entity.is_annotation_link:
            return False
        parent = link.values["parent"]
        is_tag = link.values["child"].entity.isa("TagAnnotation")
        return is_tag and parent not in self.taken and not self._may_take(parent)

    def _orphan_child(self, parent: Row, link: Row) -> None:
        child = link.values["child"]
        if link.entity.is_annotation_link:
            if not is_one_of(child, INDEPENDENT_ANNOTATIONS):
                self._orphan_dependent(child)
            elif child.details.owner is parent.details.owner and self._may_take(child):
                self._orphan(child)
        elif link.entity.name in CONTAINING_LINKS and self._may_take(child):
            self._orphan(child)

    def _orphan_dependent(self, annotation: Row) -> None:
        if is_one_of(annotation, DEPENDENT_ANNOTATIONS) and (
            is_one_of(annotation, REGARDLESS_OF_RIGHTS) or self._may_take(annotation)
        ):
            self._orphan(annotation)

    def _reach_target(self, row: Row, name: str, other: Row) -> None:
        reference = (row.entity.name, name)
        if reference in RULES.goes_with_holder:
            self._take(other, is_checked=self.taken[row])
        elif reference in RULES.orphaned_by_holder:
            if not RULES.orphaned_by_holder[reference].if_deletable or self._may_take(other):
                self._orphan(other)
        elif name == "child" and row.entity.is_annotation_link:
            self._orphan_dependent(other)

    # -- what forbids it

    def check(self) -> None:
        """Look whether the plan can be carried out.

        Raises
        ------
        GraphFaultError
        """
        for fault in self._faults():
            raise GraphFaultError(fault)

    def _faults(self) -> Iterator[str]:
        yield from self.split_filesets("delete")
        for row in self.taken:
            for reference, other in self.referrers_left(row):
                if not self.is_ignored(other):
                    yield from self._broken_by(row, other, reference)
        for row, is_checked in self.taken.items():
            if is_checked and not self._may_take(row):
                yield f"not permitted to delete {shown(row)}"
        yield from self._faults_of_cuts()

    def _faults_of_cuts(self) -> Iterator[str]:
        for row, name in self._cut():
            if not row.entity.fields[name].nullable:
                yield f"cannot null {java_name(row.entity)}.{name}"
            if not (self.caller.is_admin or self.caller.rights(row).edit):
                yield f"not permitted to update {shown(row)}"

    def _broken_by(self, row: Row, other: Row, reference: str) -> Iterator[str]:
        if reference in ("WellSample.image", "FilesetEntry.originalFile"):
            yield f"may not delete {named(row)} while {named(other)} remains"
        elif reference.endswith("AnnotationLink.child") and row.entity.isa("TagAnnotation"):
            yield f"may not delete {named(row)} while {named(other.values['parent'])} remains"

    def _cut(self) -> Iterator[tuple[Row, str]]:
        """Yield references of rows that stay to rows that go: the row that stays, its field."""
        for row in self.taken:
            for reference, other in self.referrers_left(row):
                yield other, reference.partition(".")[2]

    # -- doing it

    def carry_out(self) -> None:
        """Cut the references and remove the rows. Inside a transaction."""
        for row, name in tuple(self._cut()):
            self.world.set(row, name, None)
        if any(row.entity.name == "ExternalInfo" for row in self.taken):
            self._cut_external_info()
        remove_all(self.world, self.taken)

    def _cut_external_info(self) -> None:
        # The only reference that no index knows; hardly anybody uses it.
        for entity in SCHEMA.values():
            if entity.base is None:
                for row in self.world.all(entity.name):
                    if row.details.external_info in self.taken and row not in self.taken:
                        self.world.set_details(row, external_info=None)


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

"""Which rows change their group or their owner together, and what is cut or lost when they do.

Rules of `Chgrp2` and `Chown2`, as in `blitz-chgrp-rules.xml` and `blitz-chown-rules.xml` of
omero-blitz, as far as they matter to objects that clients make. Moved: what belongs to an object
moves with it, links to what stays are deleted. Given: links between users stay, except in private
groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from omero_hcs.sandbox.model.java import java_name
from omero_hcs.sandbox.objects.caller import GROUP_READ
from omero_hcs.sandbox.objects.delete import DeletionPlan
from omero_hcs.sandbox.objects.graph import GraphFaultError, GraphPlan, is_one_of, named, shown
from omero_hcs.sandbox.objects.graph_rules import (
    CONTAINING_LINKS,
    DEPENDENT_ANNOTATIONS,
    INDEPENDENT_ANNOTATIONS,
    RULES,
)
from omero_hcs.sandbox.objects.row import Row

# What points at pixels or images and may be somebody else's.
PERSONAL = frozenset((("RenderingDef", "pixels"), ("Thumbnail", "pixels"), ("Roi", "image")))
# These go whole or not at all: their links never keep them apart from what is taken.
TOGETHER = frozenset((("Channel", "logicalChannel"), ("Mask", "pixels")))
SETTINGS = {
    ("Image", "objectiveSettings"): "objective",
    ("LogicalChannel", "detectorSettings"): "detector",
    ("LogicalChannel", "lightSourceSettings"): "lightSource",
}
# Somebody who may not take one of these leaves it; without anything else the request fails.
CHOSEN = ("Annotation", "Dataset", "Folder", "Image", "Plate")
NOT_BACK = frozenset((("FileAnnotation", "file"), ("Channel", "logicalChannel")))
SHARED = ("experiment", "imagingEnvironment", "instrument", "stageLabel", "statsInfo")
FILES = ("file", "originalFile", "source")
GROUP_ANNOTATE = 3  # place in "rwra--"


@dataclass
class TransferPlan(GraphPlan):
    """What changes its group or its owner when some rows do.

    Attributes
    ----------
    verb : str
        `move` or `give`, for errors.
    to_private : bool
        Others would not see it afterwards, so that nothing may join objects of different owners.
    """

    verb: str = "move"
    to_private: bool = False
    _lost: list[Row] = field(default_factory=list)

    @property
    def is_move(self) -> bool:
        """Say whether the group changes, not the owner."""
        return self.verb == "move"

    def _may_take(self, row: Row) -> bool:
        if self.caller.is_admin:
            return True
        rights = self.caller.rights(row)
        return row.details.owner is self.caller.user if self.is_move else rights.chown

    def _take_orphan(self, row: Row) -> None:
        if self.to_private and row.entity.isa("Annotation") and self._is_of_another(row):
            if self.caller.rights(row).delete:
                self._lost.append(row)
        elif not is_one_of(row, CHOSEN):
            self._take(row, is_checked=row.entity.name != "StatsInfo")
        elif self._may_take(row) or self._may_join(row):
            self._take(row, is_checked=False)

    def _may_join(self, row: Row) -> bool:
        return self.is_move and not self.to_private and self.caller.rights(row).delete

    def _is_of_another(self, annotation: Row) -> bool:
        parents = (
            link.values["parent"]
            for (_, name), links in self.world.referrers(annotation).items()
            for link in links
            if name == "child"
        )
        owner = annotation.details.owner
        return all(one not in self.taken or one.details.owner is not owner for one in parents)

    # -- what goes with what

    def _reach(self, row: Row) -> None:
        for reference, others in self.world.referrers(row).items():
            for other in others:
                self._reach_referrer(row, reference, other)
        for name, other in row.values.items():
            if isinstance(other, Row) and not other.entity.is_global:
                self._reach_target(row, name, other)
        self._orphan_instruments(row)
        if row.details.external_info is not None:
            self._take(row.details.external_info, is_checked=False)

    def _reach_referrer(self, row: Row, reference: tuple[str, str], other: Row) -> None:
        if other.entity.is_link and reference != ("FilesetJobLink", "parent"):
            if reference[1] == "parent":
                self._orphan_child(row, other)
            elif reference == ("PixelsOriginalFileMap", "child"):
                self._orphan(other.values["parent"])
        elif reference in PERSONAL:
            if self._goes_along(row, other):
                self._take(other, is_checked=False)
        elif reference in RULES.goes_with_target and reference not in NOT_BACK:
            self._take(other, is_checked=self.taken[row])
        elif reference in RULES.orphaned_by_target:
            self._orphan(other)

    def _goes_along(self, row: Row, other: Row) -> bool:
        is_same = row.details.owner is other.details.owner
        return is_same or (self.is_move and not self.to_private)

    def _orphan_child(self, parent: Row, link: Row) -> None:
        child = link.values["child"]
        is_same = child.details.owner is parent.details.owner
        if link.entity.is_annotation_link:
            # In groups where others annotate, what was written stays its writer's.
            stays = not self.is_move and child.level[GROUP_ANNOTATE] in "aw"
            dependent = is_one_of(child, DEPENDENT_ANNOTATIONS)
            if not stays and (dependent or (is_same and is_one_of(child, INDEPENDENT_ANNOTATIONS))):
                self._orphan(child)
        elif link.entity.name in CONTAINING_LINKS and (is_same or self._may_join(child)):
            self._orphan(child)

    def _reach_target(self, row: Row, name: str, other: Row) -> None:
        reference = (row.entity.name, name)
        if reference in RULES.goes_with_holder or reference in TOGETHER:
            self._take(other, is_checked=self.taken[row])
        elif reference in RULES.orphaned_by_holder:
            self._orphan(other)

    # -- what comes of links and of what is left behind

    def finish(self) -> DeletionPlan:
        """Take the links between what is taken. Returns what is lost: links, settings of others.

        Raises
        ------
        GraphFaultError
            It can't be done.
        """
        lost = dict.fromkeys(self._lost)
        for row in tuple(self.taken):
            lost.update(dict.fromkeys(self._lost_with(row)))
        for fault in self._faults():
            raise GraphFaultError(fault)
        plan = DeletionPlan(self.world, self.caller, self.options)
        plan.add([row for row in lost if row not in self.taken], is_checked=False)
        return plan

    def _lost_with(self, row: Row) -> Iterator[Row]:
        for reference, others in self.world.referrers(row).items():
            for other in others:
                if other.entity.is_link and not other.entity.is_global:
                    yield from self._link_ends(row, other, reference)
                elif reference in PERSONAL and other not in self.taken and self._cuts:
                    yield other
        for (entity, name), device in SETTINGS.items():
            settings = row.values.get(name) if row.entity.name == entity else None
            if settings is not None and settings.values.get(device) in self.taken:
                self.taken.setdefault(settings, False)
            elif settings is not None and self._cuts:
                yield settings

    @property
    def _cuts(self) -> bool:
        return self.is_move or self.to_private

    def _link_ends(self, row: Row, link: Row, reference: tuple[str, str]) -> Iterator[Row]:
        if link in self.taken:
            return
        other = link.values["child" if reference[1] == "parent" else "parent"]
        if other in self.taken and (self.is_move or link.details.owner is row.details.owner):
            self.taken[link] = False
        elif other not in self.taken and self._cuts:
            yield link

    # -- what forbids it

    def _faults(self) -> Iterator[str]:
        yield from self.split_filesets(self.verb)
        for row in self.taken:
            for reference, other in self.referrers_left(row):
                yield from self._broken_by(row, other, reference)
            if self._cuts:
                yield from self._shared_with_others(row)
        for row, is_checked in self.taken.items():
            if is_checked and not self._may_take(row):
                reason = "does not own" if self.is_move else "not permitted to give"
                yield f"{reason} {shown(row)}"

    def _broken_by(self, row: Row, other: Row, reference: str) -> Iterator[str]:
        if reference == "FileAnnotation.file":
            yield f"may not {self.verb} {named(row)} while used by {named(other)}"
        elif reference in ("WellSample.image", "FilesetEntry.originalFile") and self._cuts:
            yield f"may not {self.verb} {named(row)} while {named(other)} remains"

    def _shared_with_others(self, row: Row) -> Iterator[str]:
        for name, other in row.values.items():
            if not isinstance(other, Row) or other in self.taken or other.entity.is_global:
                continue
            if row.entity.name == "Roi" and name == "image":
                yield f"cannot {self.verb} {named(row)} while {named(other)} remains"
            elif row.entity.name == "WellSample":
                yield f"may not {self.verb} {named(row)} while {named(other)} remains"
            elif name in SHARED:
                yield self._sharing(row, name, other)
            elif name in FILES and other.entity.name == "OriginalFile":
                yield f"cannot {self.verb} {named(other)} while objects using it remain"

    def _sharing(self, row: Row, name: str, other: Row) -> str:
        users = self.world.references(other, row.entity.name, name)
        left = next((user for user in users if user not in self.taken), other)
        return (
            f"may not {self.verb} {named(row)} while {named(left)} remains "
            f"as they share {named(other)}"
        )

    # -- doing it

    def cut(self) -> None:
        """Null the references between what moves and what stays. Inside a transaction.

        Raises
        ------
        GraphFaultError
            One of them can't be null.
        """
        if not self.is_move:
            return
        for row in self.taken:
            for name, other in tuple(row.values.items()):
                is_cut = isinstance(other, Row) and other not in self.taken
                if is_cut and not other.entity.is_global:
                    self._null(row, name)
            for reference, other in tuple(self.referrers_left(row)):
                if not other.entity.is_global:
                    self._null(other, reference.partition(".")[2])

    def _null(self, row: Row, name: str) -> None:
        if not row.entity.fields[name].nullable:
            msg = f"cannot null {java_name(row.entity)}.{name}"
            raise GraphFaultError(msg)
        self.world.set(row, name, None)


def is_private(group: Row) -> bool:
    """Say whether members of a group don't see each other's objects."""
    return group.level[GROUP_READ] != "r"

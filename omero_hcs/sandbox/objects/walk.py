"""What is in an object, and what it is in: for requests that ask for children and parents."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.graph import is_one_of
from omero_hcs.sandbox.objects.graph_rules import CONTAINING_LINKS, RULES, Reference
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.objects.world import World

# These are in their holder although they could be used by others as well.
HELD_WITHIN: frozenset[Reference] = frozenset(
    (
        ("Channel", "logicalChannel"),
        ("Channel", "statsInfo"),
        ("FileAnnotation", "file"),
        ("FilesetEntry", "originalFile"),
        ("Image", "experiment"),
        ("Image", "imagingEnvironment"),
        ("Image", "instrument"),
        ("Image", "objectiveSettings"),
        ("Image", "stageLabel"),
        ("LogicalChannel", "detectorSettings"),
        ("LogicalChannel", "lightPath"),
        ("LogicalChannel", "lightSourceSettings"),
        ("Shape", "transform"),
        ("WellSample", "image"),
    )
)
NOT_WITHIN: frozenset[Reference] = frozenset(
    (
        ("Channel", "logicalChannel"),
        ("DetectorSettings", "detector"),
        ("FileAnnotation", "file"),
        ("LightSettings", "lightSource"),
        ("ObjectiveSettings", "objective"),
    )
)


def descend(
    world: World, caller: Caller, roots: Iterable[Row], stop_before: Collection[str] = ()
) -> dict[Row, None]:
    """Return what is in some rows, themselves included, as far as the caller sees it."""
    return _reach(roots, lambda row: _inside(world, row), caller, stop_before)


def ascend(
    world: World, caller: Caller, roots: Iterable[Row], stop_before: Collection[str] = ()
) -> dict[Row, None]:
    """Return what some rows are in, themselves included, as far as the caller sees it."""
    return _reach(roots, lambda row: _around(world, row), caller, stop_before)


def _reach(
    roots: Iterable[Row],
    step: Callable[[Row], Iterable[Row]],
    caller: Caller,
    stop_before: Collection[str],
) -> dict[Row, None]:
    reached = dict.fromkeys(roots)
    pending = list(reached)
    while pending:
        for other in step(pending.pop()):
            if (
                other not in reached
                and caller.can_read(other)
                and not is_one_of(other, stop_before)
            ):
                reached[other] = None
                pending.append(other)
    return reached


def is_within(row: Row, field: str) -> bool:
    """Say whether what points at another by this field is in it: pixels are in their image."""
    reference = (row.entity.name, field)
    is_part = reference in RULES.goes_with_target or reference in RULES.orphaned_by_target
    return is_part and not row.entity.is_link and reference not in NOT_WITHIN


def holds(row: Row, field: str) -> bool:
    """Say whether what a field of a row points at is in the row: an image is in a field."""
    reference = (row.entity.name, field)
    inherited = any((one.name, field) in HELD_WITHIN for one in row.entity.lineage())
    return inherited or reference in RULES.goes_with_holder


def contains(link: Row) -> bool:
    """Say whether the parent of a link contains the child."""
    name = link.entity.name
    return link.entity.is_annotation_link or name in CONTAINING_LINKS or name == "FilesetJobLink"


def _inside(world: World, row: Row) -> Iterator[Row]:
    for (_, field), others in world.referrers(row).items():
        for other in others:
            if other.entity.is_link and field == "parent" and contains(other):
                yield other.values["child"]
            elif is_within(other, field):
                yield other
    for field, other in row.values.items():
        if isinstance(other, Row) and holds(row, field):
            yield other


def _around(world: World, row: Row) -> Iterator[Row]:
    for (_, field), others in world.referrers(row).items():
        for other in others:
            if other.entity.is_link and field == "child" and contains(other):
                yield other.values["parent"]
            elif holds(other, field):
                yield other
    for field, other in row.values.items():
        if isinstance(other, Row) and is_within(row, field):
            yield other

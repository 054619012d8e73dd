"""Deletion: one row alone (`IUpdate.deleteObject`), and whole graphs (`omero.cmd.Delete2`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omero_hcs.sandbox.commands.graph_requests import (
    by_class,
    caller_of,
    known_names,
    reporting,
    targets,
    verdict_of,
)
from omero_hcs.sandbox.ice.record import omero
from omero_hcs.sandbox.model.java import java_name
from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.conditions import security, validation
from omero_hcs.sandbox.objects.delete import DeletionPlan
from omero_hcs.sandbox.objects.graph import Options
from omero_hcs.sandbox.objects.graph_rules import DELETE_TARGETS
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.objects.world import World

if TYPE_CHECKING:
    from collections.abc import Collection

    from omero_hcs.sandbox.server import Server
    from omero_hcs.sandbox.sessions import OpenSession


def delete_row(world: World, row: Row, caller: Caller) -> None:
    """Delete one row alone, as `IUpdate.deleteObject` does: what points at it forbids it.

    Raises
    ------
    omero.SecurityViolation
        The caller may not delete it.
    omero.ValidationException
        Another row still points at it.
    """
    if not caller.rights(row).delete:
        msg = f"Cannot delete object: {java_name(row.entity)}:Id_{row.id}"
        raise security(msg)
    for (entity, field), rows in world.referrers(row).items():
        others = [other for other in rows if other is not row]
        if others:
            msg = (
                f"could not execute statement; constraint [fk{entity.lower()}_{field.lower()}_"
                f"{row.entity.root.lower()}]: {others[0]} still points at {row} by {field}"
            )
            raise validation(msg)
    world.remove(row)


def delete(server: Server, session: OpenSession, request: Any, current: Any) -> Any:
    """Run a `Delete2`: delete objects and what goes with them."""
    deleted = delete_graph(server, session, request, current)
    return omero.cmd.Delete2Response(by_class(deleted))


def delete_graph(
    server: Server,
    session: OpenSession,
    request: Any,
    current: Any,
    stop_at: Collection[str] = (),
) -> Collection[Row]:
    """Delete what a request names, or only find out what would go. Returns what went.

    Raises
    ------
    RequestFailedError
    """
    caller = caller_of(server, session, current)
    options = Options(
        verdict_of(request), known_names(request, request.typesToIgnore), frozenset(stop_at)
    )
    plan = DeletionPlan(server.world, caller, options)
    plan.add(targets(server.world, request, caller, DELETE_TARGETS))
    if not stop_at:
        with reporting(request):
            plan.check()
    if not request.dryRun:
        plan.carry_out()
    return plan.taken

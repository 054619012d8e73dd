"""Deletion: one row alone (`IUpdate.deleteObject`), and whole graphs (`omero.cmd.Delete2`)."""

from __future__ import annotations

from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.conditions import security, validation
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.objects.world import World


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
        msg = f"Cannot delete object: ome.model.{row.entity.name}:Id_{row.id}"
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

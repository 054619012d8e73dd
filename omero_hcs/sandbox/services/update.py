"""IUpdate: graphs of objects saved whole, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omero_hcs.sandbox.commands.delete import delete_row
from omero_hcs.sandbox.model.java import java_name
from omero_hcs.sandbox.model.schema import entity_of
from omero_hcs.sandbox.objects.conditions import api_usage, security, validation
from omero_hcs.sandbox.objects.load import materialise
from omero_hcs.sandbox.objects.ownership import named
from omero_hcs.sandbox.objects.save import Merger
from omero_hcs.sandbox.services.base import Service


class IUpdate(Service):
    """Operations of `omero.api.IUpdate`."""

    def saveObject(self, obj: Any, current: Any) -> None:
        self.saveAndReturnIds([obj], current)

    def saveCollection(self, objects: Sequence[Any], current: Any) -> None:
        self.saveAndReturnIds(objects, current)

    def saveArray(self, objects: Sequence[Any], current: Any) -> None:
        self.saveAndReturnIds(objects, current)

    def saveAndReturnObject(self, obj: Any, current: Any) -> Any:
        return self.saveAndReturnArray([obj], current)[0]

    def saveAndReturnArray(self, objects: Sequence[Any], current: Any) -> list[Any]:
        with self.writing(current) as caller:
            merger = Merger(self.world, caller)
            rows = merger.merge_all(objects)
            return materialise(self.world, rows, merger.plan(), caller)

    def saveAndReturnIds(self, objects: Sequence[Any], current: Any) -> list[int]:
        with self.writing(current) as caller:
            return [row.id for row in Merger(self.world, caller).merge_all(objects)]

    def deleteObject(self, obj: Any, current: Any) -> None:
        if obj is None:
            return
        entity = entity_of(obj)
        if obj._id is None:
            msg = "Non-managed IObject entity cannot be deleted. Must have an id."
            raise api_usage(msg)
        with self.writing(current) as caller:
            row = self.world.get(entity.name, obj._id.val)
            if row is None:
                msg = (
                    f"No row with the given identifier exists: [{java_name(entity)}#{obj._id.val}]"
                )
                raise validation(msg)
            if not caller.can_read(row):
                msg = f"Cannot read {named(row)}"
                raise security(msg)
            delete_row(self.world, row, caller)

    def indexObject(self, obj: Any, current: Any) -> None:
        self.for_admins(current)  # and queries look at the objects themselves

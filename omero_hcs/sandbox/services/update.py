"""IUpdate: graphs of objects saved whole, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omero_hcs.sandbox.commands.delete import delete_row
from omero_hcs.sandbox.model.schema import entity_of
from omero_hcs.sandbox.objects.load import materialise
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
        with self.writing(current) as caller:
            delete_row(self.world, self.row(entity_of(obj).name, obj.id.val, caller), caller)

    def indexObject(self, obj: Any, current: Any) -> None:
        return None  # queries look at the objects themselves

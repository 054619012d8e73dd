"""ITypes: the enumerations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omero_hcs.sandbox.commands.delete import delete_row
from omero_hcs.sandbox.model.schema import SCHEMA, entity_of
from omero_hcs.sandbox.objects.conditions import api_usage, validation
from omero_hcs.sandbox.services.base import Service
from omero_hcs.sandbox.services.query import known_entity


class ITypes(Service):
    """Operations of `omero.api.ITypes`."""

    def allEnumerations(self, kind: str, current: Any) -> list[Any]:
        with self.reading(current) as caller:
            return self.each(list(self.world.all(enumeration_name(kind))), caller)

    def getEnumeration(self, kind: str, value: str, current: Any) -> Any:
        with self.reading(current) as caller:
            row = self.world.find(enumeration_name(kind), value=value)
            if row is None:
                msg = f"An {kind} enum does not exist with the value: {value}"
                raise api_usage(msg)
            return self.one(row, caller)

    def getEnumerationTypes(self, current: Any) -> list[str]:
        return [name for name, entity in SCHEMA.items() if entity.is_enum]

    def getEnumerationsWithEntries(self, current: Any) -> dict[str, list[Any]]:
        return {
            name: self.allEnumerations(name, current) for name in self.getEnumerationTypes(current)
        }

    def getAnnotationTypes(self, current: Any) -> list[str]:
        return [
            name
            for name, entity in SCHEMA.items()
            if entity.implementation is not None and "annotationLinks" in entity.fields
        ]

    def createEnumeration(self, newEnum: Any, current: Any) -> Any:
        entity = entity_of(newEnum)
        name = enumeration_name(entity.name)
        with self.writing(current) as caller:
            value = None if newEnum._value is None else newEnum._value.val
            if value is None:
                msg = f"not-null property references a null or transient value: {name}.value"
                raise validation(msg)
            if self.world.find(name, value=value) is not None:
                msg = (
                    "could not execute statement; duplicate key value violates unique constraint "
                    f'"{name.lower()}_unique_value": {value}'
                )
                raise validation(msg)
            scalars = {one.name: getattr(newEnum, one.attribute) for one in entity.scalars}
            given = {key: told.val for key, told in scalars.items() if told is not None}
            return self.one(self.world.insert(name, **given), caller)

    def updateEnumeration(self, oEnum: Any, current: Any) -> Any:
        with self.writing(current) as caller:
            self.for_admins(current)
            row = self.row(enumeration_name(entity_of(oEnum).name), oEnum.id.val, caller)
            self.world.set(row, "value", oEnum.value.val)
            return self.one(row, caller)

    def updateEnumerations(self, listEnum: Sequence[Any], current: Any) -> None:
        with self.world.transaction():
            for one in listEnum:
                self.updateEnumeration(one, current)

    def deleteEnumeration(self, oEnum: Any, current: Any) -> None:
        with self.writing(current) as caller:
            self.for_admins(current)
            row = self.row(enumeration_name(entity_of(oEnum).name), oEnum.id.val, caller)
            delete_row(self.world, row, caller)


def enumeration_name(told: str) -> str:
    """Return the short name of an enumeration that a client named in one way or another.

    Raises
    ------
    omero.ApiUsageException
        There is no such enumeration.
    """
    name = known_entity(told)
    if not SCHEMA[name].is_enum:
        msg = f"{told} is not an enumeration."
        raise api_usage(msg)
    return name

"""IQuery: objects by id, by example and by HQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omero_hcs.sandbox.ice.record import omero, rtypes
from omero_hcs.sandbox.model.schema import SCHEMA, entity_name, entity_of
from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.conditions import api_usage, security, validation
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.services.base import Service


class IQuery(Service):
    """Operations of `omero.api.IQuery`."""

    def findAllByQuery(self, query: str, params: Any, current: Any) -> list[Any]:
        with self.reading(current) as caller:
            found: list[Any] = self.server.engine.find(query, params, caller)
            return found

    def findByQuery(self, query: str, params: Any, current: Any) -> Any:
        return only(self.findAllByQuery(query, params, current), query)

    def projection(self, query: str, params: Any, current: Any) -> list[list[Any]]:
        with self.reading(current) as caller:
            rows: list[list[Any]] = self.server.engine.project(query, params, caller)
            return rows

    def find(self, entity: str, row_id: int, current: Any) -> Any:
        with self.reading(current) as caller:
            row = self._readable(entity, row_id, caller)
            return None if row is None else self.one(row, caller)

    def get(self, entity: str, row_id: int, current: Any) -> Any:
        with self.reading(current) as caller:
            row = self._readable(entity, row_id, caller)
            if row is None:
                msg = (
                    f"The requested object ({entity},{row_id}) is not available.\n"
                    "Please use IQuery.find to determine existence.\n"
                )
                raise validation(msg)
            return self.one(row, caller)

    def _readable(self, entity: str, row_id: int, caller: Caller) -> Row | None:
        row = self.world.get(known_entity(entity), row_id)
        if row is not None and not caller.can_read(row):
            msg = f"Cannot read ome.model.{row.entity.name}:Id_{row_id}"
            raise security(msg)
        return row

    def findAll(self, entity: str, page: Any, current: Any) -> list[Any]:
        query = f"select x from {known_entity(entity)} x order by x.id"
        return self.findAllByQuery(query, parameters({}, page), current)

    def findAllByString(
        self,
        entity: str,
        field: str,
        value: str,
        caseSensitive: bool,
        page: Any,
        current: Any,
    ) -> list[Any]:
        name = known_entity(entity)
        path = f"x.{field}" if caseSensitive else f"lower(x.{field})"
        text = value if caseSensitive else value.lower()
        query = f"select x from {name} x where {path} like :value order by x.id"
        return self.findAllByQuery(query, parameters({"value": f"%{text}%"}, page), current)

    def findByString(self, entity: str, field: str, value: str, current: Any) -> Any:
        query = f"select x from {known_entity(entity)} x where x.{field} = :value"
        return self.findByQuery(query, parameters({"value": value}), current)

    def findAllByExample(self, example: Any, page: Any, current: Any) -> list[Any]:
        entity = entity_of(example)
        told = {one.name: getattr(example, one.attribute) for one in entity.scalars}
        wanted = {name: value.val for name, value in told.items() if value is not None}
        with self.reading(current) as caller:
            rows = [
                row
                for row in self.world.all(entity.name)
                if caller.can_read(row)
                and all(row.values.get(name) == value for name, value in wanted.items())
            ]
            return self.each(paged(rows, page), caller)

    def findByExample(self, example: Any, current: Any) -> Any:
        name = type(example).__name__
        return only(self.findAllByExample(example, None, current), f"by example of {name}")

    def findAllByFullText(self, entity: str, query: str, params: Any, current: Any) -> list[Any]:
        words = query.replace("*", "").lower().split()
        with self.reading(current) as caller:
            rows = [
                row
                for row in self.world.all(known_entity(entity))
                if caller.can_read(row) and all(_has_word(row, word) for word in words)
            ]
            return self.each(rows, caller)

    def refresh(self, obj: Any, current: Any) -> Any:
        return self.get(entity_of(obj).name, obj.id.val, current)


def known_entity(told: str) -> str:
    """Return the short name of an entity that a client named in one way or another.

    Raises
    ------
    omero.ApiUsageException
        There is no such entity.
    """
    name = entity_name(told)
    if name not in SCHEMA:
        msg = f"{told} is not a known type."
        raise api_usage(msg)
    return name


def parameters(values: dict[str, str], page: Any = None) -> Any:
    """Make the parameters of a query of text values, with a filter that may be None."""
    made = omero.sys.Parameters()
    made.map = {name: rtypes.rstring(value) for name, value in values.items()}
    made.theFilter = page
    return made


def only(found: Sequence[Any], query: str) -> Any:
    """Return the one object that a query found, None for none.

    Raises
    ------
    omero.ApiUsageException
        There is more than one.
    """
    different = list({id(one): one for one in found}.values())
    if len(different) > 1:
        msg = (
            f"Query named:\n\n\t{query}\n\nhas returned more than one Object\n"
            "findBy methods must return a single value.\n"
            "Please try findAllBy methods for queries which return Lists."
        )
        raise api_usage(msg)
    return different[0] if different else None


def paged(rows: list[Row], page: Any) -> list[Row]:
    """Return the part of rows that a filter's offset and limit ask for."""
    if page is None:
        return rows
    start = 0 if page.offset is None else page.offset.val
    return rows[start:] if page.limit is None else rows[start : start + page.limit.val]


def _has_word(row: Row, word: str) -> bool:
    return any(isinstance(value, str) and word in value.lower() for value in row.values.values())

"""The parameters that come with a query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from omero_hcs.sandbox.ice.record import omero
from omero_hcs.sandbox.model.schema import entity_of
from omero_hcs.sandbox.objects.conditions import api_usage
from omero_hcs.sandbox.objects.world import World


@dataclass(slots=True)
class Given:
    """Parameters as plain values.

    Attributes
    ----------
    values : dict
        By name; lists are lists, objects are rows.
    rtypes : dict
        Class in which the client sent each (the first of a list), for the checks of Hibernate.
    """

    values: dict[str, Any] = field(default_factory=dict)
    rtypes: dict[str, str] = field(default_factory=dict)
    offset: int = 0
    limit: int | None = None


def read_parameters(parameters: Any, world: World) -> Given:
    """Read an `omero.sys.Parameters`, which may be None.

    Of its filter only `offset` and `limit` count, as in OMERO's `Query.doInHibernate`; owner, group
    and times are for other services.
    """
    given = Given()
    if parameters is None:
        return given
    for name, value in (parameters.map or {}).items():
        given.values[name] = plain(value, world)
        first = _first(value)
        if first is not None:
            given.rtypes[name] = _class_of(first)
    told = parameters.theFilter
    if told is not None:
        given.offset = 0 if told.offset is None else max(told.offset.getValue(), 0)
        given.limit = None if told.limit is None else told.limit.getValue()
    return given


def named(parameters: Mapping[str, Any]) -> Given:
    """Take plain values as they are; those of our own queries."""
    values = {
        name: list(value) if isinstance(value, (set, frozenset, tuple)) else value
        for name, value in parameters.items()
    }
    return Given(values)


def plain(value: Any, world: World) -> Any:
    """Unwrap an rtype: a row for an object, a list for a list."""
    if value is None:
        return None
    if isinstance(value, (omero.RArray, omero.RList, omero.RSet)):
        return [plain(one, world) for one in value.val or ()]
    if isinstance(value, omero.RObject):
        return _row(value.val, world)
    if isinstance(value, omero.RType):
        return value.val if hasattr(value, "val") else value._val
    msg = f"Query parameter must be a subclass of RType {value}"
    raise api_usage(msg)


def _row(obj: Any, world: World) -> Any:
    if obj is None or obj._id is None:
        return None
    return world.get(entity_of(obj).name, obj._id.val) or _Gone()


class _Gone:
    """An object that does not exist, and therefore equals nothing."""


def _first(value: Any) -> Any:
    if isinstance(value, (omero.RArray, omero.RList, omero.RSet)):
        return next(iter(value.val or ()), None)
    return value


def _class_of(value: Any) -> str:
    return str(value.ice_staticId().rpartition("::")[2])

"""What a query gives back: rtypes for `projection`, objects for `findAllByQuery`.

As OMERO's `IceMapper.toRType`: an object becomes an `RObject`, a length or the like a map of its
value, its unit and the unit's symbol, permissions a map of what the caller may do, a class its Java
name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from omero_hcs.sandbox.hql.expressions import COLUMN_TYPES
from omero_hcs.sandbox.hql.faults import could_not_execute
from omero_hcs.sandbox.hql.kinds import (
    ClassOf,
    DetailsOf,
    Members,
    NamedValueType,
    Opaque,
    PermissionsOf,
    Quantity,
    Scalar,
    Thing,
    Type,
)
from omero_hcs.sandbox.hql.programs import Item, Program
from omero_hcs.sandbox.hql.syntax import Form
from omero_hcs.sandbox.ice.record import rtypes
from omero_hcs.sandbox.model.java import java_name
from omero_hcs.sandbox.model.schema import SCHEMA, WRAPPERS
from omero_hcs.sandbox.objects.caller import EVERYTHING, Caller
from omero_hcs.sandbox.objects.load import Builder
from omero_hcs.sandbox.objects.row import Row

PERMISSIONS_SUFFIX = "_details_permissions"
Wrap = Callable[[Any], Any]
READERS: Mapping[str, Wrap] = {"RInt": int, "RLong": int, "RFloat": float, "RDouble": float}


def wrapper(item: Item, form: Form, builder: Builder, caller: Caller | None) -> Wrap:
    """Make the function that wraps the values of a selected item."""
    if form is Form.MAP and (item.alias or "").endswith(PERMISSIONS_SUFFIX):
        return lambda row: None if row is None else permissions_map(row, caller)
    wrap = _wrap_of(item.term.type, builder, caller)
    return lambda value: None if value is None else wrap(value)


def _wrap_of(kind: Type, builder: Builder, caller: Caller | None) -> Wrap:
    if isinstance(kind, Scalar):
        return _scalar(kind.rtype)
    if isinstance(kind, Thing):
        return lambda row: rtypes.robject(builder.object_of(row))
    if isinstance(kind, PermissionsOf):
        return lambda row: permissions_map(row, caller)
    if isinstance(kind, ClassOf):
        return _class_name
    if isinstance(kind, Quantity):
        return quantity_map
    if isinstance(kind, Opaque | NamedValueType | DetailsOf | Members):
        return _unsupported(type(kind).__name__)
    return lambda value: _by_value(value, builder)


def _scalar(rtype: str) -> Wrap:
    wrap, read = WRAPPERS[rtype], READERS.get(rtype, _as_it_is)

    def wrapped(value: Any) -> Any:
        try:
            return wrap(read(value))
        except (TypeError, ValueError) as error:  # a parameter of another type
            msg = f"invalid input syntax for type {COLUMN_TYPES[rtype]}: {value}"
            raise could_not_execute(msg) from error

    return wrapped


def _as_it_is(value: Any) -> Any:
    return value


def _class_name(name: str) -> Any:
    return rtypes.rstring(java_name(SCHEMA[name]))


def _unsupported(name: str) -> Wrap:
    def refuse(_: Any) -> Any:
        msg = f"Unsupported conversion to rtype from {name}"
        raise could_not_execute(msg)

    return refuse


def _by_value(value: Any, builder: Builder) -> Any:
    """Wrap what has no type until it is there: a selected parameter."""
    if isinstance(value, Row):
        return rtypes.robject(builder.object_of(value))
    return rtypes.wrap(value)


def permissions_map(row: Row, caller: Caller | None) -> Any:
    """Say what the caller may do with a row."""
    rights = EVERYTHING if caller is None else caller.rights(row)
    told = {
        "perm": rtypes.rstring(row.level),
        "canLink": rtypes.rbool(rights.link),
        "canEdit": rtypes.rbool(rights.edit),
        "canDelete": rtypes.rbool(rights.delete),
        "canAnnotate": rtypes.rbool(rights.annotate),
        "canChgrp": rtypes.rbool(rights.chgrp),
        "canChown": rtypes.rbool(rights.chown),
    }
    return rtypes.rmap(told)


def quantity_map(quantity: Any) -> Any:
    """Tell a length or the like."""
    return rtypes.rmap(
        {
            "value": rtypes.rdouble(quantity.getValue()),
            "unit": rtypes.rstring(str(quantity.getUnit())),
            "symbol": rtypes.rstring(quantity.getSymbol()),
        }
    )


def wrap_rows(
    program: Program, rows: Iterable[Sequence[Any]], builder: Builder, caller: Caller | None
) -> list[list[Any]]:
    """Wrap all results; one of `new map(...)` is a row with one map."""
    wraps = [wrapper(item, program.form, builder, caller) for item in program.items]
    if program.form is Form.ROW:
        told = ([wrap(value) for wrap, value in zip(wraps, row, strict=True)] for row in rows)
        # Hibernate gives a single column without a row around it; OMERO makes none for null.
        return [[] if row == [None] else row for row in told]
    if program.form is Form.LIST:
        return [
            [rtypes.rlist([wrap(value) for wrap, value in zip(wraps, row, strict=True)])]
            for row in rows
        ]
    keys = [item.alias or "" for item in program.items]
    return [[rtypes.rmap(_told(keys, wraps, row))] for row in rows]


def _told(keys: Sequence[str], wraps: Sequence[Wrap], row: Sequence[Any]) -> Mapping[str, Any]:
    return {key: wrap(value) for key, wrap, value in zip(keys, wraps, row, strict=True)}

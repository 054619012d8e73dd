"""A task's parameters as the dialog of a script.

OMERO.web orders inputs by their `grouping`, a text, and indents those "under" a check box: "05.02"
is under "05". It greys nothing out, so `inputs` refuses what is filled in under a box that is not
ticked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from omero import scripts
from omero.rtypes import rlong, rstring
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from omero_hcs import lazy
from omero_hcs.scripting.catalog import Script
from omero_hcs.tasks.base import MORE, PLANES, InDialog

DATA_TYPE, IDS, DRY_RUN, AGAIN = "Data_Type", "IDs", "Dry_Run", "Again"
"""Inputs of every script; OMERO.web fills the first two from what is selected."""

_ABOUT_BOXES = {
    PLANES: "Tick to choose channels, the nuclear stain, z planes, time points or an acquisition.",
    MORE: "Tick to change settings that are right for most plates.",
}


@dataclass(frozen=True)
class Shown:
    """A parameter that a dialog offers, and how."""

    name: str
    title: str
    field: FieldInfo
    how: InDialog


def shown_fields(schema: type[BaseModel]) -> tuple[Shown, ...]:
    """Fields of a model that are marked for the dialog: its own before those it shares."""
    found = []
    for name, field in schema.model_fields.items():
        how = next((item for item in field.metadata if isinstance(item, InDialog)), None)
        if how is not None:
            found.append(Shown(name, how.name or _snake_case(name), field, how))
    own = schema.__annotations__
    return tuple(sorted(found, key=lambda item: item.name not in own))


def inputs_of(script: Script, client: Any) -> list[Any]:
    """Make the inputs of a script's dialog.

    Parameters
    ----------
    script : Script
        The script.
    client : omero.client or None
        Of whoever opens the dialog, for lists that the server makes; None without a server.
    """
    fields = shown_fields(lazy.load(script.params))
    made: list[Any] = list(_objects(script))
    place = len(made)
    for shown in (item for item in fields if not item.how.under):
        place += 1
        made.append(_input(script, shown, f"{place:02d}", client))
    if script.dry_run:
        place += 1
        about = "Only tell what would be read and written, how long it takes, what is in the way."
        made.append(_box(DRY_RUN, place, about))
        place += 1
        about = "Do it again although it was done before: the new results replace the old ones."
        made.append(_box(AGAIN, place, about))
    boxes = {item.how.under for item in fields if item.how.under}
    for box in sorted(boxes, key=list(_ABOUT_BOXES).index):
        place += 1
        made.append(_box(box, place, _ABOUT_BOXES[box]))
        under = [item for item in fields if item.how.under == box]
        for number, shown in enumerate(under, 1):
            made.append(_input(script, shown, f"{place:02d}.{number:02d}", client))
    return made


def _objects(script: Script) -> Iterator[Any]:
    if not script.kinds:
        return
    about = "What is selected: type and ids are filled in from the selection."
    yield scripts.String(
        DATA_TYPE,
        optional=False,
        grouping="01",
        description=about,
        values=[rstring(kind) for kind in script.kinds],
        default=script.kinds[0],
    )
    about = "Ids of the objects, separated by commas."
    # Optional, for what OMERO.web says of a missing input has no mend, and the icon of success.
    yield scripts.List(IDS, optional=True, grouping="02", description=about).ofType(rlong(0))


def _box(name: str, place: int, about: str) -> Any:
    return scripts.Bool(name, grouping=f"{place:02d}", description=about, default=False)


def _input(script: Script, shown: Shown, grouping: str, client: Any) -> Any:
    kind: Any = shown.field.annotation
    default = shown.field.get_default(call_default_factory=True)
    given: dict[str, Any] = {
        "grouping": grouping,
        "description": shown.how.hint or shown.field.description or "",
    }
    if shown.name in script.choices:
        values = lazy.load(script.choices[shown.name])(client)
        given |= {"values": [rstring(value) for value in values], "default": values[0]}
        return scripts.String(shown.title, **given)
    if shown.how.values:
        values = shown.how.values
        given |= {"values": [rstring(value) for value in values], "default": default or values[0]}
        return scripts.String(shown.title, **given)
    if kind is bool:
        return scripts.Bool(shown.title, **given, default=default)
    if number := _number(kind):
        given |= _limits(shown.field) | ({} if default is None else {"default": default})
        return (scripts.Long if number is int else scripts.Double)(shown.title, **given)
    if get_origin(kind) is Literal:
        values = [rstring(value) for value in get_args(kind)]
        return scripts.String(shown.title, **given, values=values, default=default)
    if default is None:
        return scripts.String(shown.title, **given)
    if shown.how.from_one and isinstance(default, int):
        default += 1
    return scripts.String(shown.title, **given, default=str(default))


def _number(kind: Any) -> type | None:
    """Give int or float where a parameter takes one and, at most, nothing instead."""
    kinds = set(get_args(kind) or (kind,)) - {type(None)}
    return next((item for item in (int, float) if kinds == {item}), None)


def _limits(field: FieldInfo) -> dict[str, Any]:
    """Find the least and the largest value that pydantic lets through, where it knows them."""
    bounds = {"min": "ge", "max": "le"}
    told = {
        name: [getattr(item, bound) for item in field.metadata if hasattr(item, bound)]
        for name, bound in bounds.items()
    }
    return {name: values[0] for name, values in told.items() if values}


def _snake_case(name: str) -> str:
    return "_".join(word.capitalize() for word in name.split("_"))

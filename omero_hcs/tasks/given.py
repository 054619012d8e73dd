"""What a person gave for a task's parameters, as text: checked, and told back where it is wrong.

Command line and dialogs of scripts take the same texts; they differ in what they call a parameter.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from omero_hcs.errors import InputError, InputErrors, ParamsError

M = TypeVar("M", bound=BaseModel)

Naming = Callable[[str], str]
"""Says what a person knows a parameter by: "crop_size" -> "--crop-size"."""

_WORDS = {
    "nuclei": "CHANNEL",
    "crop_size": "SIZE",
    "labels": "SOURCE",
    "output": "FILE",
    "weights": "FILE",
    "weights_sha256": "SHA256",
    "normal_class": "CLASS",
}
"""What stands for a value in a help text, where the parameter's name in capitals says less."""


def flag_of(name: str) -> str:
    """Name a parameter as the command line does: "crop_size" -> "--crop-size"."""
    return f"--{name.replace('_', '-')}"


def choices_of(kind: Any) -> list[str]:
    """Give the words of a Literal, if nothing else is allowed."""
    if get_origin(kind) is Literal and all(isinstance(item, str) for item in get_args(kind)):
        return list(get_args(kind))
    return []


def word_of(name: str, kind: Any) -> str:
    """Give what stands for a parameter's value: CHANNEL, NUMBER, NAME,NAME."""
    members = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    listed = [get_args(member) for member in members if get_origin(member) is tuple]
    if listed:
        return "NUMBER,NUMBER" if listed[0][0] is int else "NAME,NAME"
    words = [
        word for member in members if get_origin(member) is Literal for word in get_args(member)
    ]
    if words:
        return "|".join(["NUMBER", *words])
    numbers = {int: "NUMBER", float: "FRACTION"}
    word = _WORDS.get(name, name.upper())
    return next((numbers[member] for member in members if member in numbers), word)


def params_of(schema: type[M], given: Mapping[str, Any], *, naming: Naming = flag_of) -> M:
    """Check what was given against a parameter model.

    Parameters
    ----------
    schema : type
        A pydantic model, such as a task's `Params`.
    given : mapping
        Values by field name; None was not given. Lists are given with commas.
    naming : callable
        What messages call a parameter; the command line's flags by default.

    Raises
    ------
    ParamsError, InputErrors
        Naming the parameter that does not fit, or every one of several.
    """
    values = {
        name: _split(naming(name), schema.model_fields[name], value)
        for name, value in given.items()
        if value is not None
    }
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise params_error(schema, error, naming=naming) from None


def params_error(
    schema: type[BaseModel], error: ValidationError, *, naming: Naming = flag_of
) -> InputError:
    """Make the error that says of each parameter that does not fit what it must be.

    Parameters
    ----------
    schema : type
        The model.
    error : ValidationError
        What pydantic found.
    naming : callable
        What messages call a parameter.
    """
    faults: dict[str, str] = {}
    for fault in error.errors():
        name = str(fault["loc"][0])
        kind = word_of(name, schema.model_fields[name].annotation)
        must = f"must be {_either(kind)}" if "|" in kind else _must(fault["msg"])
        faults.setdefault(name, f"{naming(name)} {str(fault['input'])!r} {must}.")
    texts = list(faults.values())
    return InputErrors(texts) if len(texts) > 1 else ParamsError(texts[0])


def _either(words: str) -> str:
    *first, last = words.replace("NUMBER", "a number").split("|")
    return f"{', '.join(first)} or {last}"


def _must(message: str) -> str:
    """Turn pydantic's "Input should be a valid integer, unable to parse..." to a user."""
    message = message.partition(", unable to parse")[0].removeprefix("Value error, ")
    return message.replace("Input should", "must").replace("a valid integer", "a whole number")


def _split(name: str, field: FieldInfo, value: Any) -> Any:
    if not isinstance(value, str) or "tuple" not in str(field.annotation):
        return value
    parts = tuple(part.strip() for part in value.split(",") if part.strip())
    if not parts:
        msg = f"{name} {value!r} names none. Pass them with commas between, such as DAPI,GFP."
        raise ParamsError(msg)
    return parts

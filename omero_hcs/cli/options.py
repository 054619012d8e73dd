"""Options of a command, made from a task's parameters: one model, one truth."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import click
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from omero_hcs.cli.terminal import progress_bar, show_dry_run, show_outcome
from omero_hcs.errors import InputError, InputErrors, ParamsError
from omero_hcs.tasks.base import CellParams, TaskParams

F = TypeVar("F", bound=Callable[..., Any])
M = TypeVar("M", bound=BaseModel)

_METAVARS = {
    "nuclei": "CHANNEL",
    "crop_size": "SIZE",
    "labels": "SOURCE",
    "output": "FILE",
    "weights": "FILE",
    "weights_sha256": "SHA256",
    "normal_class": "CLASS",
}
"""What stands for an option's value in the help, where its name in capitals says less."""


def options_of(schema: type[BaseModel]) -> Callable[[F], F]:
    """Decorate a command with one option a field of a parameter model.

    Parameters
    ----------
    schema : type
        A pydantic model; field names, defaults and descriptions become the options'.
    """

    def decorate(function: F) -> F:
        for name, field in reversed(_own_first(schema)):
            click.option(*_flags(name, field), **_attributes(name, field))(function)
        return function

    return decorate


def _own_first(schema: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    """Fields of the model itself before those it shares with others: help shows them first."""
    fields, own, shared = schema.model_fields, schema.__annotations__, CellParams.model_fields
    return sorted(fields.items(), key=lambda item: item[0] in shared and item[0] not in own)


def _flags(name: str, field: FieldInfo) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    return [f"{flag}/--no-{flag[2:]}" if field.annotation is bool else flag, name]


def _attributes(name: str, field: FieldInfo) -> dict[str, Any]:
    kind, choices = field.annotation, _choices(field.annotation)
    default = field.get_default(call_default_factory=True)
    attributes: dict[str, Any] = {
        "help": field.description,
        "default": None if default is None or kind is bool else str(default),
        "show_default": default is not None,
        "metavar": None if choices or kind is bool else _metavar(name, kind),
    }
    if kind is bool:
        attributes |= {"is_flag": True, "default": default}
    elif choices:
        attributes["type"] = click.Choice(choices)
    else:
        attributes["type"] = str
    return attributes


def _choices(kind: Any) -> list[str]:
    """Give the words of a Literal, if nothing else is allowed."""
    if get_origin(kind) is Literal and all(isinstance(item, str) for item in get_args(kind)):
        return list(get_args(kind))
    return []


def _metavar(name: str, kind: Any) -> str:
    members = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    if any(get_origin(member) is tuple for member in members):
        return "NAME,NAME"
    words = [
        word for member in members if get_origin(member) is Literal for word in get_args(member)
    ]
    if words:
        return "|".join(["NUMBER", *words])
    numbers = {int: "NUMBER", float: "FRACTION"}
    word = _METAVARS.get(name, name.upper())
    return next((numbers[member] for member in members if member in numbers), word)


def params_of(schema: type[M], given: Mapping[str, Any]) -> M:
    """Check what was given on the command line against a parameter model.

    Parameters
    ----------
    schema : type
        A pydantic model, such as a task's `Params`.
    given : mapping
        Values by field name; None was not given. Lists are given with commas.

    Raises
    ------
    ParamsError, InputErrors
        Naming the option that does not fit, or every one of several.
    """
    values = {
        name: _split(name, schema.model_fields[name], value)
        for name, value in given.items()
        if value is not None
    }
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise options_error(schema, error) from None


def options_error(
    schema: type[BaseModel], error: ValidationError, *, flags: Mapping[str, str] = {}
) -> InputError:
    """Make the error that says of each option that does not fit what it must be.

    Parameters
    ----------
    schema : type
        The model whose fields are options.
    error : ValidationError
        What pydantic found.
    flags : mapping
        Flags of fields whose option has another name.
    """
    faults: dict[str, str] = {}
    for fault in error.errors():
        name = str(fault["loc"][0])
        flag = flags.get(name, f"--{name.replace('_', '-')}")
        kind = _metavar(name, schema.model_fields[name].annotation)
        must = f"must be {_either(kind)}" if "|" in kind else _must(fault["msg"])
        faults.setdefault(name, f"{flag} {str(fault['input'])!r} {must}.")
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
        msg = f"--{name} {value!r} names none. Pass them with commas between, such as DAPI,GFP."
        raise ParamsError(msg)
    return parts


def task_command(name: str, task: str, schema: type[TaskParams]) -> click.Command:
    """Make the command of a task that runs over a plate or a folder of images.

    Parameters
    ----------
    name : str
        The verb.
    task : str
        A key of `tasks.base.TASKS`.
    schema : type
        The task's `Params`; its docstring is the command's help.
    """

    @click.command(name, help=schema.__doc__)
    @click.argument("plate")
    @options_of(schema)
    @click.option(
        "--again", is_flag=True, help="Make a new run, also of a request that was answered."
    )
    @click.option(
        "--dry-run",
        "rehearse",
        is_flag=True,
        help="Only tell what would be read and written, how long it takes, and what is in the way.",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
    def command(plate: str, *, again: bool, rehearse: bool, as_json: bool, **given: Any) -> int:
        from omero_hcs.tasks.driver import run_task
        from omero_hcs.tasks.dry_run import dry_run

        params = params_of(schema, given)
        if rehearse:
            with progress_bar(quiet=as_json) as progress:
                told = dry_run(task, plate, params, progress=progress)
            return show_dry_run(told, as_json=as_json)
        with progress_bar(quiet=as_json) as progress:
            outcome = run_task(task, plate, params, again=again, progress=progress)
        return show_outcome(outcome, as_json=as_json)

    return command


def folder_type(*, exists: bool) -> click.Path:
    """Make the type of an argument that is a folder."""
    return click.Path(exists=exists, file_okay=False, path_type=Path)

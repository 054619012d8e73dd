"""Options of a command, made from a task's parameters: one model, one truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from omero_hcs.cli.terminal import progress_bar, show_dry_run, show_outcome
from omero_hcs.tasks.base import TaskParams
from omero_hcs.tasks.given import choices_of, flag_of, params_of, word_of

F = TypeVar("F", bound=Callable[..., Any])


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
    depth: dict[str, int] = {}
    for number, model in enumerate(schema.__mro__):
        for name in getattr(model, "__annotations__", {}):
            depth.setdefault(name, number)
    return sorted(schema.model_fields.items(), key=lambda item: depth[item[0]])


def _flags(name: str, field: FieldInfo) -> list[str]:
    flag = flag_of(name)
    return [f"{flag}/--no-{flag[2:]}" if field.annotation is bool else flag, name]


def _attributes(name: str, field: FieldInfo) -> dict[str, Any]:
    kind, choices = field.annotation, choices_of(field.annotation)
    default = field.get_default(call_default_factory=True)
    attributes: dict[str, Any] = {
        "help": field.description,
        "default": None if default is None or kind is bool else _written(default),
        "show_default": default is not None,
        "metavar": None if choices or kind is bool else word_of(name, kind),
    }
    if kind is bool:
        attributes |= {"is_flag": True, "default": default}
    elif choices:
        attributes["type"] = click.Choice(choices)
    else:
        attributes["type"] = str
    return attributes


def _written(default: Any) -> str:
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)


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

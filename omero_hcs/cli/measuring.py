"""Commands that measure quality models: sources, options, and a folder for what comes out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from omero_hcs import lazy
from omero_hcs.cli.options import options_of
from omero_hcs.cli.terminal import DONE, echo, echo_json, echo_pairs, progress_bar
from omero_hcs.errors import ParamsError
from omero_hcs.tasks.given import params_of
from omero_hcs.tasks.qc_choices import LabelledParams


def measure_command(verb: str, schema: type[LabelledParams], entry: str) -> click.Command:
    """Make a command that measures something on labelled cells of one or several sources.

    Parameters
    ----------
    verb : str
        "evaluate".
    schema : type
        Its parameters; the docstring is the command's help.
    entry : str
        "module:name" of what measures.
    """

    @click.command(verb, help=schema.__doc__)
    @click.argument("source", required=False)
    @click.option(
        "--from",
        "more",
        multiple=True,
        metavar="SOURCE",
        help="A further plate, dataset or folder with labels; may be given several times.",
    )
    @options_of(schema)
    @where_it_goes
    def command(source: str | None, more: tuple[str, ...], **given: Any) -> int:
        named = (*([source] if source else []), *more)
        if not named:
            msg = f"Name what is labelled: omero-hcs qc {verb} SOURCE, or --from SOURCE."
            raise ParamsError(msg)
        return measure(verb, named, schema, entry, given)

    return command


def where_it_goes(function: Any) -> Any:
    """Decorate a command with where its tables go, and how they are shown."""
    for option in reversed((
        click.option(
            "--output",
            type=click.Path(file_okay=False, path_type=Path),
            help="Folder for tables and figure; qc-VERB-SOURCE by default.",
        ),
        click.option(
            "--overwrite", is_flag=True, help="Replace what an earlier command left there."
        ),
        click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON."),
    )):  # fmt: skip
        function = option(function)
    return function


def measure(
    verb: str,
    where: tuple[str, ...],
    schema: type[LabelledParams],
    entry: str,
    given: dict[str, Any],
) -> int:
    """Measure, write what came out, and show it; the value is the exit code."""
    from omero_hcs.tasks.measurement import folder_for, write_measurement

    output, overwrite, as_json = (given.pop(name) for name in ("output", "overwrite", "as_json"))
    params = params_of(schema, given)
    place = folder_for(verb, where, output, overwrite=overwrite)
    with progress_bar(quiet=as_json) as progress:
        measured = lazy.load(entry)(where, params, progress)
    places = write_measurement(measured, place)
    if as_json:
        told = json.loads(Path(places[-1]).read_text(encoding="utf-8"))  # NaN has become null
        echo_json({**told["about"], "places": list(places)})
        return DONE
    echo_pairs(measured.lines)
    for warning in dict.fromkeys(measured.warnings):
        echo(f"  warning: {warning}", error=True)
    for path in places:
        echo(f"  {path}")
    return DONE

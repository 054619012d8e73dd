"""`omero-hcs labels`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from omero_hcs.cli.agreement import agreement_told, show_agreement
from omero_hcs.cli.options import options_of
from omero_hcs.cli.terminal import BAD_INPUT, DONE, echo, echo_json, echo_pairs, progress_bar
from omero_hcs.errors import WriteError
from omero_hcs.tasks.agree import AgreeParams
from omero_hcs.tasks.given import params_of
from omero_hcs.tasks.labels import ExampleParams, LabelParams

_WELLS = 12


@click.group("labels")
def command() -> None:
    """List, check, compare or export what users labelled, in a file or in OMERO."""


@command.command("list")
@click.argument("store", nargs=-1, required=True)
@options_of(LabelParams)
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def list_labels(store: tuple[str, ...], *, as_json: bool, **given: Any) -> int:
    """Count labels by class, user, source and well."""
    from omero_hcs.tasks.label_verbs import list_labels

    found = list_labels(store, params_of(LabelParams, given))
    if as_json:
        echo_json(found)
        return DONE
    echo(f"{found['labels']} labels: {_counted(found['classes'])}")
    if found["whole_fields"]:
        echo_pairs({"of whole fields": found["whole_fields"]})
    for name in ("users", "sources", "wells"):
        rows = list(found[name].items())
        echo_pairs({f"{name[:-1]} {key}": _counted(counts) for key, counts in rows[:_WELLS]})
        if len(rows) > _WELLS:
            echo(f"  ... and {len(rows) - _WELLS} more {name}; --json lists all")
    echo_pairs({"texts that are no class": _counted(found["other_texts"])})
    for note in found["notes"]:
        echo(f"  note: {note}", error=True)
    return DONE


@command.command("check")
@click.argument("store", nargs=-1, required=True)
@options_of(ExampleParams)
@click.option(
    "--pixels/--no-pixels",
    default=True,
    help="Also look for the nucleus of each label: slower, and finds two labels of one cell.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def check(store: tuple[str, ...], *, pixels: bool, as_json: bool, **given: Any) -> int:
    """Say what is wrong with labels, before a model is trained on them.

    Exit code 2 if training would refuse them.
    """
    from omero_hcs.tasks.label_verbs import check

    params = params_of(ExampleParams, given)
    with progress_bar(quiet=as_json) as progress:
        found = check(store, params, pixels=pixels, progress=progress)
    if as_json:
        echo_json(
            {
                "counts": dict(found.counts),
                "faults": list(found.faults),
                "notes": list(found.notes),
            }
        )
    else:
        echo(f"{'examples' if pixels else 'labels'}: {_counted(found.counts)}")
        for note in found.notes:
            echo(f"  note: {note}")
        for fault in found.faults:
            echo(f"  fault: {fault}", error=True)
        if not found.faults:
            echo("Nothing is wrong: a model can be trained on them.")
    return BAD_INPUT if found.faults else DONE


@command.command("export")
@click.argument("store", nargs=-1, required=True)
@options_of(LabelParams)
@click.option("--output", metavar="FILE", help="File to write to; the terminal by default.")
def export(store: tuple[str, ...], *, output: str | None, **given: Any) -> int:
    """Write labels as a labels.csv."""
    from omero_hcs.tasks.label_verbs import export_labels

    text = export_labels(store, params_of(LabelParams, given))
    if output is None:
        echo(text.rstrip("\n"))
        return DONE
    _write(output, text.encode())
    echo(f"{len(text.splitlines()) - 1} labels are in {output}")
    return DONE


@command.command("agree")
@click.argument("store", nargs=-1, required=True)
@options_of(AgreeParams)
@click.option("--output", metavar="FILE", help="Page to write, with the cells people differ on.")
@click.option("--csv", "table", metavar="FILE", help="CSV file to write, a row a label.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def agree(
    store: tuple[str, ...], output: str | None, table: str | None, *, as_json: bool, **given: Any
) -> int:
    """Say how far people who labelled the same cells agree, and on which cells they do not."""
    from omero_hcs.tasks.agree import agree, agreement_csv
    from omero_hcs.tasks.agree_page import agreement_page

    params = params_of(AgreeParams, given)
    with progress_bar(quiet=as_json) as progress:
        found = agree(store, params, progress=progress)
    if output:
        _write(output, agreement_page(found))
    if table:
        _write(table, agreement_csv(found).encode())
    if as_json:
        echo_json(agreement_told(found))
        return DONE
    show_agreement(found)
    for place in filter(None, (output, table)):
        echo(f"  {place}")
    return DONE


def _write(place: str, content: bytes) -> None:
    try:
        Path(place).write_bytes(content)
    except OSError as error:
        msg = f"The labels could not be written to {place}: {error.strerror}. Pass another file."
        raise WriteError(msg) from error


def _counted(counts: Mapping[str, int]) -> str:
    often = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    more = f" and {len(often) - _WELLS} more" if len(often) > _WELLS else ""
    return ", ".join(f"{count} {name}" for name, count in often[:_WELLS]) + more

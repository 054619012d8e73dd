"""`omero-hcs qc export`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from omero_hcs.cli.options import options_of
from omero_hcs.cli.terminal import DONE, echo, echo_json, progress_bar
from omero_hcs.tasks.given import params_of
from omero_hcs.tasks.qc_export import ExportParams


@click.command("export")
@click.argument("plate")
@click.option("--run", "run_id", metavar="RUN_ID", help="Quality run; the latest by default.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the files; qc-export-RUN_ID by default.",
)
@options_of(ExportParams)
@click.option("--json", "as_json", is_flag=True, help="Print counts and files as JSON.")
def command(
    plate: str, run_id: str | None, output: Path | None, *, as_json: bool, **given: Any
) -> int:
    """Write which cells, fields and wells to leave out, for other programs.

    The folder gets tables for CellProfiler, pycytominer and pandas, with a README.txt that tells
    what each column means and how each program takes them.
    """
    from omero_hcs.tasks.qc_export import export_verdicts

    params = params_of(ExportParams, given)
    with progress_bar(quiet=as_json) as progress:
        made = export_verdicts(plate, params, run_id=run_id, output=output, progress=progress)
    if as_json:
        echo_json([dataclasses.asdict(one) for one in made])
        return DONE
    for one in made:
        echo(f"{one.name}, run {one.run_id}")
        for level, counts in one.counts.items():
            share = f" ({counts['flagged'] / counts['all']:.0%})" if counts["all"] else ""
            echo(f"  {counts['flagged']} of {counts['all']} {level} are flagged{share}")
        for place in one.places:
            echo(f"  {place}")
    return DONE

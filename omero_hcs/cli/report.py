"""`omero-hcs report`."""

from __future__ import annotations

from pathlib import Path

import click

from omero_hcs.cli.terminal import echo, echo_json, progress_bar


@click.command("report")
@click.argument("plate")
@click.argument("run_id", required=False)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the page and the heat-map; by default they replace those of the run.",
)
@click.option("--json", "as_json", is_flag=True, help="Print where they are as JSON.")
def command(plate: str, run_id: str | None, *, output: Path | None, as_json: bool) -> int:
    """Make the report of a quality run again; of the latest one by default."""
    from omero_hcs.tasks.make_report import make_report

    with progress_bar(quiet=as_json) as progress:
        made = make_report(plate, run_id, output=output, progress=progress)
    if as_json:
        echo_json({"run_id": made.run_id, "places": list(made.places), "kept": list(made.kept)})
        return 0
    echo(f"run {made.run_id}")
    for place in made.places:
        echo(f"  {place}")
    for kept in made.kept:
        echo(f"  kept, because it was changed since: {kept}", error=True)
    return 0

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
    help="Folder for pages and pictures; by default they replace those of the run.",
)
@click.option("--json", "as_json", is_flag=True, help="Print where they are as JSON.")
def command(plate: str, run_id: str | None, *, output: Path | None, as_json: bool) -> int:
    """Make the report of a quality run again; of the latest one of each plate by default.

    PLATE may be a screen on a server: it gets an overview of its plates, too.
    """
    from omero_hcs.tasks.make_report import make_report

    with progress_bar(quiet=as_json) as progress:
        made = make_report(plate, run_id, output=output, progress=progress)
    if as_json:
        lists = {"places": made.places, "kept": made.kept, "without": made.without}
        echo_json({"run_id": made.run_id, **{name: list(told) for name, told in lists.items()}})
        return 0
    echo(f"run {made.run_id}")
    for place in made.places:
        echo(f"  {place}")
    for name in made.without:
        echo(f"  no quality run yet, so no report: {name}", error=True)
    for kept in made.kept:
        echo(f"  kept, because it was changed since: {kept}", error=True)
    return 0

"""`omero-hcs demo`."""

from __future__ import annotations

import time
from pathlib import Path

import click

from omero_hcs.cli.terminal import echo, progress_bar


@click.command("demo")
@click.option(
    "--output",
    default="demo",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the plate and its results.",
)
def command(output: Path) -> int:
    """Simulate a plate, label 25 + 25 cells from its truth, train, judge, and report."""
    from omero_hcs.settings import load_settings
    from omero_hcs.tasks.demo import run_demo

    started = time.monotonic()
    with progress_bar() as progress:
        outcome = run_demo(output, load_settings().values, progress=progress)
    for line in outcome.lines:
        echo(line)
    echo(f"report: {outcome.report}")
    echo(f"plate:  {outcome.plate}  ({time.monotonic() - started:.0f} s in all)")
    return 0

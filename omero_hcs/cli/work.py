"""`omero-hcs work`: what an engine calls on a node."""

from __future__ import annotations

import re
from pathlib import Path

import click

from omero_hcs.cli.terminal import echo
from omero_hcs.errors import ParamsError


@click.command("work")
@click.option(
    "--spec",
    "spec_file",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The run's spec.json.",
)
@click.option("--units", "wanted", required=True, metavar="FIRST-LAST", help="Such as 0-49.")
def command(spec_file: Path, wanted: str) -> int:
    """Work some units of a run off; their parts go into the run's folder.

    The units are numbered as in the units.json beside the spec.
    """
    from omero_hcs.jobs.specfile import read_spec
    from omero_hcs.worker import run_units

    spec, units = read_spec(spec_file)
    first, last = _range(wanted, len(units))
    failed = 0
    for result in run_units(spec, units[first : last + 1]):
        failed += result.status == "failed"
        echo(f"{result.unit} {result.status} {result.reason or ''}".rstrip())
    return 3 if failed else 0


def _range(text: str, count: int) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    first = int(match[1]) if match else -1
    last = int(match[2] or match[1]) if match else -1
    if match is None or not first <= last < count:
        msg = f"--units {text!r} is no range of this run's units. They go from 0 to {count - 1}."
        raise ParamsError(msg)
    return first, last

"""`omero-hcs undo`."""

from __future__ import annotations

import click

from omero_hcs.cli.terminal import echo, echo_json, echo_pairs
from omero_hcs.errors import ParamsError


@click.command("undo")
@click.argument("where", nargs=-1, metavar="[PLATE] RUN_ID")
@click.option("--json", "as_json", is_flag=True, help="Print what was removed as JSON.")
def command(where: tuple[str, ...], *, as_json: bool) -> int:
    """Remove exactly what a run wrote; what users made or changed since stays.

    The plate need not be named where this installation made the run.
    """
    from omero_hcs.tasks.undo_run import undo_run

    if len(where) not in (1, 2):
        msg = "Name the run: omero-hcs undo RUN_ID, or omero-hcs undo PLATE RUN_ID."
        raise ParamsError(msg)
    report = undo_run(where[-1], where=where[0] if len(where) == 2 else None)
    if as_json:
        told = {"removed": report.counts, "kept": report.kept, "notes": report.notes}
        echo_json({"run_id": report.run_id, **told})
        return 0
    echo(f"run {report.run_id}: undone")
    echo_pairs({"removed": dict(report.counts)})
    for kept in report.kept:
        echo(f"  kept, because it was changed since: {kept}", error=True)
    for note in report.notes:
        echo(f"  note: {note}", error=True)
    return 0

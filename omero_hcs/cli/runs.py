"""`omero-hcs runs`."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import click

from omero_hcs.cli.terminal import echo, echo_json


@click.group("runs", invoke_without_command=True)
@click.option("--limit", default=20, show_default=True, help="How many, the newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
@click.pass_context
def command(context: click.Context, *, limit: int, as_json: bool) -> int:
    """List the runs of this installation: what, where, how far."""
    if context.invoked_subcommand:
        return 0
    from omero_hcs.settings import load_settings
    from omero_hcs.tasks.driver import open_ledger

    with contextlib.closing(open_ledger(load_settings().values)) as ledger:
        records = ledger.runs(limit=limit)
        rows: list[dict[str, Any]] = [
            {
                "run_id": record.spec.run_id,
                "task": record.spec.task,
                "status": record.status,
                "units": ledger.counts(record.spec.run_id),
                "store": record.spec.store.uri,
                "message": record.message,
                "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            }
            for record in records
        ]
    if as_json:
        echo_json(rows)
        return 0
    for row in rows:
        units = ", ".join(f"{count} {status}" for status, count in row["units"].items())
        echo(f"{row['run_id']}  {row['task']:12} {row['status']:10} {units:24} {row['store']}")
        if row["message"]:
            echo(f"    {row['message'].splitlines()[0]}")
    if not rows:
        echo("No runs yet.")
    return 0


@command.command("undo")
@click.argument("run_id")
@click.option("--json", "as_json", is_flag=True, help="Print what was removed as JSON.")
@click.pass_context
def undo(context: click.Context, run_id: str, *, as_json: bool) -> int:
    """Remove what a run wrote; the same as `omero-hcs undo`."""
    from omero_hcs.cli.undo import command as undo_command

    code: int = context.invoke(undo_command, where=(run_id,), as_json=as_json)
    return code

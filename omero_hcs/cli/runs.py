"""`omero-hcs runs`."""

from __future__ import annotations

import contextlib
import dataclasses
import getpass
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from omero_hcs.cli.terminal import echo, echo_json, echo_pairs

if TYPE_CHECKING:
    from omero_hcs.settings import Settings
    from omero_hcs.stores.base import PlateStore
    from omero_hcs.tasks.runs import KnownRun


class _Runs(click.Group):
    """A group that lists where no verb is named: ``runs``, ``runs plate.zarr``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take what is no verb as what `list` is to list."""
        if not args or args[0] not in {*self.commands, "-h", "--help"}:
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group("runs", cls=_Runs, subcommand_metavar="[STORE] | COMMAND [ARGS]...")
def command() -> None:
    """List runs, tell how far one is, cancel or undo one.

    STORE is a plate or an image folder, also on a server (omero://HOST/plate/51): then all runs
    over it are known, of whichever machine. Without it, those of this installation are.
    """


@command.command("list")
@click.argument("store", required=False)
@click.option("--limit", default=20, show_default=True, help="How many, the newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
def show(store: str | None, *, limit: int, as_json: bool) -> int:
    """List runs: what, where, how far."""
    with _runs_of(store, limit=limit) as (_, runs, _settings):
        shown = list(runs[:limit])
    if as_json:
        echo_json([_row(run) for run in shown])
        return 0
    for run in shown:
        _show_line(run)
    if not shown:
        echo(f"No runs over {store} yet." if store else "No runs yet.")
    return 0


@command.command("status")
@click.argument("run_id")
@click.argument("store", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def status(run_id: str, store: str | None, *, as_json: bool) -> int:
    """Tell how far a run is, or what it came to."""
    with _one(run_id, store) as (_, run, _settings):
        known = run
    if as_json:
        echo_json(_row(known))
        return 0
    from omero_hcs.tasks.runs import line_of

    echo(line_of(known))
    echo_pairs(
        {
            "started": _time(known.started),
            "model": known.model,
            "store": known.store,
            "result": known.result,
            "asked to stop by": known.stop_asked_by,
            "reasons": known.reasons,
        }
    )
    return 0


@command.command("cancel")
@click.argument("run_id")
@click.argument("store", required=False)
def cancel(run_id: str, store: str | None) -> int:
    """Ask a run to stop, wherever it goes on; what is done is kept."""
    from omero_hcs.tasks.runs import cancel as ask

    with _one(run_id, store) as (plates, run, settings):
        ask(plates, run, getpass.getuser(), settings)
    echo(f"run {run_id}: asked to stop, which it does within some seconds")
    echo("  What is done is kept: the same request goes on from there.")
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


@contextlib.contextmanager
def _runs_of(
    where: str | None, *, limit: int
) -> Iterator[tuple[PlateStore | None, Sequence[KnownRun], Settings]]:
    """Open what was named, and find the runs over it; without it, those of the ledger."""
    from omero_hcs.settings import load_settings
    from omero_hcs.stores.open import open_store
    from omero_hcs.tasks.driver import absolute
    from omero_hcs.tasks.runs import runs_here, runs_over

    settings = load_settings().values
    if where is None:
        yield None, runs_here(settings, limit=limit), settings
        return
    with contextlib.closing(open_store(absolute(where))) as store:
        yield store, runs_over(store, settings), settings


@contextlib.contextmanager
def _one(run_id: str, where: str | None) -> Iterator[tuple[PlateStore | None, KnownRun, Settings]]:
    from omero_hcs.settings import load_settings
    from omero_hcs.tasks.runs import pick, run_here

    if where is None:
        settings = load_settings().values
        yield None, run_here(run_id, settings), settings
        return
    with _runs_of(where, limit=0) as (store, runs, settings):
        yield store, pick(runs, run_id, where=where), settings


def _show_line(run: KnownRun) -> None:
    from omero_hcs.tasks.runs import line_of

    echo(f"{line_of(run)}{f'  {run.store}' if run.store else ''}")
    if run.result and run.state not in ("running", "stopping", "interrupted"):
        echo(f"    {run.result.splitlines()[0]}")


def _row(run: KnownRun) -> dict[str, Any]:
    return {
        **{name: value for name, value in dataclasses.asdict(run).items() if name != "state"},
        "status": run.state,
        "started": _time(run.started),
    }


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)) if seconds else ""

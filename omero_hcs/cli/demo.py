"""`omero-hcs demo`."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from omero_hcs.cli.serving import (
    OF_THE_SERVER,
    OF_THE_WEB,
    Running,
    check_packages,
    one_interruption,
)
from omero_hcs.cli.terminal import DONE, echo, echo_pairs, progress_bar
from omero_hcs.errors import InputError

if TYPE_CHECKING:
    from omero_hcs.sandbox.demo_run import ServerDemo
    from omero_hcs.sandbox.launch import Sandbox


@click.command("demo")
@click.option(
    "--output",
    default="demo",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the report; on disk, for the plate and all its results.",
)
@click.option("--serve", is_flag=True, help="Keep the server, and open OMERO.web to look at it.")
@click.option("--web-port", type=int, default=0, help="Port of OMERO.web; any free one.")
@click.option("--on-disk", is_flag=True, help="Without a server: the plate is a folder.")
def command(*, output: Path, serve: bool, web_port: int, on_disk: bool) -> int:
    """Simulate a plate, have 25 + 25 cells labelled, train, judge, and report.

    The plate is put into a small OMERO-compatible server on this machine. A second user draws
    regions around cells, and OMERO's own processor runs the scripts that train and judge.
    """
    if not on_disk:
        return _on_server(output, web_port if serve else None)
    if serve:
        msg = "A plate on disk is not served. Pass --serve or --on-disk, not both."
        raise InputError(msg)
    return _on_disk(output)


def _on_disk(output: Path) -> int:
    from omero_hcs.settings import load_settings
    from omero_hcs.tasks.demo import run_demo

    started = time.monotonic()
    with progress_bar() as progress:
        outcome = run_demo(output, load_settings().values, progress=progress)
    places = {"report": outcome.report, "plate": str(outcome.plate)}
    _tell(outcome.lines, places, started)
    return DONE


def _on_server(output: Path, web_port: int | None) -> int:
    from omero_hcs.sandbox.launch import check_port
    from omero_hcs.sandbox.web import start_web

    check_packages(OF_THE_SERVER + (() if web_port is None else OF_THE_WEB))
    if web_port is not None:
        check_port(web_port, "--web-port")
    started = time.monotonic()
    with one_interruption(), _started() as (sandbox, processor):
        outcome = _run(sandbox, processor, output)
        plate = f"{outcome.plate.plate_name} (Plate:{outcome.plate.plate})"
        where = plate if web_port is not None else f"{plate}; make demo SERVE=1 keeps it"
        _tell(outcome.lines, {"report": str(outcome.report), "in OMERO": where}, started)
        if web_port is not None:
            with start_web(sandbox, port=web_port) as web:
                _show(Running(sandbox, web), outcome)
    return DONE


@contextlib.contextmanager
def _started() -> Iterator[tuple[Sandbox, Path]]:
    """Start a server with our scripts, which do not see what else is installed for this user."""
    from omero_hcs.sandbox.launch import start
    from omero_hcs.scripting.folder import scripts_folder

    own = {name: "" for name in os.environ if name.startswith(("XDG_", "OMERO_HCS_"))}
    with tempfile.TemporaryDirectory(prefix="omero-hcs-demo-") as home:
        environment = {**own, "HOME": home}
        with start(scripts=scripts_folder(), environment=environment) as sandbox:
            yield sandbox, Path(home)


def _run(sandbox: Sandbox, processor: Path, output: Path) -> ServerDemo:
    from omero_hcs.sandbox.demo_run import run_on_server  # OMERO's client: a second to import

    output.mkdir(parents=True, exist_ok=True)
    with progress_bar() as progress:
        return run_on_server(sandbox, processor, output, progress=progress)


def _tell(lines: Sequence[str], places: dict[str, str], started: float) -> None:
    for line in lines:
        echo(line)
    for name, place in places.items():
        echo(f"{name}: {place}")
    echo(f"{time.monotonic() - started:.0f} s in all")


def _show(running: Running, outcome: ServerDemo) -> None:
    """Tell how to look at it, until somebody interrupts."""
    if running.web is None:
        return
    plate = f"{running.web.url}webclient/?show=plate-{outcome.plate.plate}"
    echo("OMERO.web is open; it is real, but the server behind it is a sandbox.")
    echo_pairs(
        {
            "plate": plate,
            "user": f"{outcome.plate.user}, or {outcome.colleague} who drew the regions",
            "password of both": running.sandbox.password,
        }
    )
    echo("Press Ctrl-C to stop it.")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        running.wait()
    echo(f"\nStopped. The report is in {outcome.report}; nothing else is left.", error=True)

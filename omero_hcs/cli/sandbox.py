"""`omero-hcs sandbox`."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from omero_hcs.cli.serving import (
    OF_THE_SERVER,
    OF_THE_WEB,
    Running,
    check_packages,
    one_interruption,
)
from omero_hcs.cli.terminal import DONE, STOPPED, echo, echo_json, echo_pairs, progress_bar
from omero_hcs.errors import InputError

if TYPE_CHECKING:
    from omero_hcs.sandbox.demo import Demo
    from omero_hcs.sandbox.sources import PlateSource, SimulatedSource, StoreSource, Wells

_FILE = click.Path(dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)
_WELLS: dict[str, Wells] = {"6": 6, "24": 24, "96": 96, "384": 384}


@click.command("sandbox")
@click.option("--web", "with_web", is_flag=True, help="Start OMERO.web, too.")
@click.option("--plate", type=_FOLDER, metavar="PLATE.zarr",
              help="Plate to put into it, instead of a simulated one.")  # fmt: skip
@click.option("--wells", type=click.Choice(list(_WELLS)), default="24", show_default=True,
              help="Format of the simulated plate.")  # fmt: skip
@click.option("--port", type=int, default=0, help="Port of the server; any free one by default.")
@click.option("--plain-port", type=int, default=0, help="Its port without TLS; any free one.")
@click.option("--web-port", type=int, default=0, help="Port of OMERO.web; any free one.")
@click.option("--snapshot", type=_FILE, help="File that keeps what is in it until the next start.")
@click.option("--scripts", type=_FOLDER, help="Folder of OMERO scripts to offer; ours by default.")
@click.option("--password-file", type=_FILE,
              help="File with the password of its users; a random one by default.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print how to reach it as JSON.")
def command(
    *, with_web: bool, plate: Path | None, wells: str, web_port: int,
    password_file: Path | None, as_json: bool, **server: Any,
) -> int:  # fmt: skip
    """Start an OMERO-compatible server with a plate in it, for trying things out.

    It listens on this machine alone, and stops with Ctrl-C.
    """
    from omero_hcs.sandbox.launch import check_port
    from omero_hcs.scripting.folder import scripts_folder

    check_packages(OF_THE_SERVER + (OF_THE_WEB if with_web else ()))
    server["password"] = None if password_file is None else _read_password(password_file)
    server["scripts"] = server["scripts"] or scripts_folder()
    check_port(web_port, "--web-port")
    kept: Path | None = server["snapshot"]
    is_new = kept is not None and not kept.exists()
    code = STOPPED
    with contextlib.closing(_open_source(plate, wells)) as source, one_interruption():
        try:
            with contextlib.ExitStack() as started:
                running = _start(started, server, web_port if with_web else None)
                demo = _fill(running, source, quiet=as_json)
                code = DONE
                _show(running, demo, server, as_json=as_json)
                running.wait()
        except KeyboardInterrupt:
            pass
        finally:
            if kept and is_new and code != DONE:  # half a plate would be taken for a whole one
                kept.unlink(missing_ok=True)
    left = f"It is kept in {kept}." if kept and kept.exists() else "Nothing of it is left."
    echo(f"\nStopped. {left}", error=True)
    return code


def _start(started: contextlib.ExitStack, server: dict[str, Any], web_port: int | None) -> Running:
    from omero_hcs.sandbox.launch import start
    from omero_hcs.sandbox.web import start_web

    sandbox = started.enter_context(start(**server))
    web = None if web_port is None else started.enter_context(start_web(sandbox, port=web_port))
    return Running(sandbox, web)


def _fill(running: Running, source: PlateSource, *, quiet: bool) -> Demo:
    from omero_hcs.sandbox.demo import fill  # OMERO's client: a second to import

    with progress_bar(quiet=quiet) as progress:
        return fill(running.sandbox, source, progress)


def _show(running: Running, demo: Demo, server: dict[str, Any], *, as_json: bool) -> None:
    sandbox, web, kept = running.sandbox, running.web, server["snapshot"]
    if as_json:
        facts = {
            "web": web.url if web else None,
            "host": sandbox.host,
            "port": sandbox.port,
            "plain_port": sandbox.plain_port,
            "user": demo.user,
            "administrator": sandbox.user,
            "password": sandbox.password,
            "plate": demo.plate,
            "data": str(sandbox.home),
            "pid": sandbox.pid,
        }
        echo_json(facts)
    else:
        echo("The sandbox is running. It is not OMERO, but OMERO's clients take it for one.")
        echo_pairs(
            {
                "OMERO.web": web.url if web else "not started; --web starts it",
                "server": f"{sandbox.host}, port {sandbox.port}",
                "port without TLS": str(sandbox.plain_port),
                "user": f"{demo.user}, in the group {demo.group}",
                "administrator": sandbox.user,
                "password of both": "as in your file" if server["password"] else sandbox.password,
                "plate": f"{demo.plate_name} (Plate:{demo.plate})" if demo.plate else None,
                "data, until the end": str(sandbox.home),
                "kept for next time": str(kept) if kept else None,
            }
        )
        echo("Press Ctrl-C to stop it.")
    sys.stdout.flush()


def _open_source(plate: Path | None, wells: str) -> SimulatedSource | StoreSource:
    """Find out whether there is a plate before anything is started."""
    from omero_hcs.sandbox.sources import SimulatedSource, StoreSource
    from omero_hcs.stores.open import open_store

    return SimulatedSource(_WELLS[wells]) if plate is None else StoreSource(open_store(plate))


def _read_password(path: Path) -> str:
    try:
        if path.stat().st_mode & 0o077:
            msg = f"Others may read {path}, which has a password. Run: chmod 600 {path}"
            raise InputError(msg)
        password = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        msg = f"The password cannot be read from {path}: {error.strerror}."
        raise InputError(msg) from error
    if not password:
        msg = f"{path} has no password in it. Write one into its first line."
        raise InputError(msg)
    return password

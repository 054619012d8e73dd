"""`omero-hcs scripts`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from omero_hcs.cli.terminal import DONE, FAILED, PARTIAL, echo, echo_json, progress_bar

if TYPE_CHECKING:
    from omero_hcs.scripting.deploy import Installed

_SERVER = click.argument("server", metavar="omero://[USER@]HOST")
_OFFICIAL = click.option(
    "--official",
    is_flag=True,
    help="The server's scripts, for all its users; needs an administrator. Without it: your own.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
_OWN_PROCESSOR = (
    "Nobody but you has them, they are not in OMERO.web's menu, and OMERO's own processors run "
    "official scripts alone. To run them, start a processor of your own: omero script serve user"
)


@click.group("scripts")
def command() -> None:
    """Put the scripts of OMERO.web's menu on a server, remove them, or try them here."""


@command.command("install")
@_SERVER
@_OFFICIAL
@click.option(
    "--edited/--keep-edited",
    "edited",
    default=False,
    help="Also replace scripts that somebody changed on the server.",
)
@click.option("--again", is_flag=True, help="Also send what is the same: its dialog is read anew.")
@_JSON
def install(server: str, *, official: bool, edited: bool, again: bool, as_json: bool) -> int:
    """Upload the scripts, or replace older ones, and see that the server can read each.

    What is missing is said before anything is changed. Exit code 3 if some do not work.
    """
    from omero_hcs.scripting.deploy import install_scripts, left_over, open_server

    with closing(open_server(server)) as session:
        with progress_bar(quiet=as_json) as progress:
            done = install_scripts(
                session, official=official, replace_edited=edited, again=again, progress=progress
            )
        old = left_over(session, official=official)
    if as_json:
        echo_json({"scripts": [asdict(item) for item in done], "left_over": old})
        return _code(done)
    _show(done)
    for path in old:
        echo(
            f"  {path} is of another release and no longer part of omero-hcs: `scripts uninstall` "
            "removes it with the rest."
        )
    if not official:
        echo(_OWN_PROCESSOR)
    return _code(done)


@command.command("uninstall")
@_SERVER
@_OFFICIAL
@click.option(
    "--edited/--keep-edited",
    "edited",
    default=False,
    help="Also remove scripts that somebody changed on the server.",
)
@_JSON
def uninstall(server: str, *, official: bool, edited: bool, as_json: bool) -> int:
    """Remove our scripts, of whichever release; other files in their folder stay.

    What runs wrote to OMERO stays, too; `omero-hcs undo` removes that.
    """
    from omero_hcs.scripting.deploy import open_server, uninstall_scripts

    with closing(open_server(server)) as session:
        done = uninstall_scripts(session, official=official, remove_edited=edited)
    if as_json:
        echo_json({"scripts": [asdict(item) for item in done]})
        return _code(done)
    _show(done)
    if not done:
        echo(f"No scripts of omero-hcs are {'official' if official else 'yours'} on {server}.")
    return _code(done)


@command.command("list")
@_SERVER
@_OFFICIAL
@_JSON
def list_scripts(server: str, *, official: bool, as_json: bool) -> int:
    """List our scripts on a server, and how they differ from those of this installation."""
    from omero_hcs.scripting.deploy import open_server
    from omero_hcs.scripting.on_server import placed_scripts

    with closing(open_server(server)) as session:
        placed = placed_scripts(session, official=official)
    rows = [
        {"path": item.path, "id": item.id, "version": item.version, "state": item.state}
        for item in placed
    ]
    if as_json:
        echo_json(rows)
        return DONE
    for row in rows:
        echo(f"{row['path']:32} {row['version'] or '-':10} {row['state']}")
    return DONE


@command.command("check")
@_JSON
def check(*, as_json: bool) -> int:
    """Read every script's dialog as a processor of this machine would, without a server.

    Exit code 1 if one cannot be read, or loads what makes dialogs slow to open.
    """
    from omero_hcs.scripting.parsing import parse_scripts

    found = []
    for item in parse_scripts():
        found.append(item)
        if as_json:
            continue
        told = f"{item.inputs} inputs" if not item.fault else f"cannot be read: {item.fault}"
        echo(f"{item.name:24} {item.seconds:5.1f} s  {told}")
        if item.heavy:
            echo(f"  loads {', '.join(item.heavy)}, which dialogs are not to")
    if as_json:
        echo_json([asdict(item) for item in found])
    well = found and not any(item.fault or item.heavy for item in found)
    return DONE if well else FAILED


def _show(done: Sequence[Installed]) -> None:
    for item in done:
        versions = {
            "replaced": f"{item.before or 'no version'} -> {item.after}",
            "removed": item.before,
        }.get(item.change, item.after or item.before)
        echo(f"{item.change:12} {item.path:32} {versions}")
    faults: dict[str, list[str]] = {}
    for item in done:
        if item.fault:
            faults.setdefault(item.fault, []).append(item.path.rpartition("/")[2])
    for fault, names in faults.items():
        echo(f"{', '.join(names)}: {fault}.", error=True)


def _code(done: Sequence[Installed]) -> int:
    return PARTIAL if any(item.fault for item in done) else DONE

"""`omero-hcs config`."""

from __future__ import annotations

import os

import click

from omero_hcs.cli.terminal import echo, echo_json


@click.group("config")
def command() -> None:
    """Show the settings of this installation."""


@command.command("show", short_help="Show every setting and where it comes from.")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
def show(*, as_json: bool) -> int:
    """Show every setting, its value and where that came from; secrets are masked."""
    from omero_hcs.settings import config_files, load_settings

    rows = list(load_settings().rows())
    if as_json:
        echo_json({name: {"value": value, "origin": origin} for name, value, origin in rows})
        return 0
    for name, value, origin in rows:
        echo(f"{name:14} {value:48} {origin}")
    echo("")
    echo("Files that are read, the last one counts most:")
    for path in config_files(os.environ):
        echo(f"  {path}{'' if path.is_file() else '  (not there)'}")
    return 0

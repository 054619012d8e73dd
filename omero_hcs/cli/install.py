"""`omero-hcs install`."""

from __future__ import annotations

from pathlib import Path

import click

from omero_hcs.cli.terminal import DONE, echo, progress_bar
from omero_hcs.errors import DataError


@click.command("install")
@click.option(
    "--bundle",
    required=True,
    type=click.Path(exists=True, path_type=Path),
    metavar="OUT.tar",
    help="A bundle, or the folder that it was unpacked to.",
)
@click.option(
    "--venv",
    default=Path("omero-hcs-venv"),
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the Python environment; made, or brought up to date.",
)
def command(bundle: Path, *, venv: Path) -> int:
    """Install omero-hcs from a bundle into a Python environment, without a network.

    Every file of the bundle is checked by its sha256 before it is used. Where there is no omero-hcs
    yet, unpack the bundle and start its install.py instead: it does the same.
    """
    from omero_hcs.tasks.bundled_setup import PIECE, BundleError, install

    with progress_bar() as bar:

        def progress(stage: str, done: int, total: int) -> None:
            unit = PIECE if total > PIECE else 1  # what is counted in bytes is shown in megabytes
            bar(stage, done // unit, total // unit)

        try:
            said = install(bundle, venv, progress)
        except BundleError as error:
            raise DataError(str(error)) from error
    echo(said.rstrip("\n"))
    return DONE

"""`omero-hcs qc transfer`."""

from __future__ import annotations

from typing import Any

import click

from omero_hcs.cli.measuring import measure, where_it_goes
from omero_hcs.cli.options import options_of
from omero_hcs.tasks.qc_choices import TransferParams


@click.command("transfer", help=TransferParams.__doc__)
@click.argument("source")
@click.argument("target", nargs=-1, required=True)
@options_of(TransferParams)
@where_it_goes
def command(source: str, target: tuple[str, ...], **given: Any) -> int:
    """Measure the transfer from one source to others."""
    entry = "omero_hcs.tasks.measure_transfer:measure_transfer"
    return measure("transfer", (source, *target), TransferParams, entry, given)

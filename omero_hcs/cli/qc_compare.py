"""`omero-hcs qc compare`."""

from __future__ import annotations

import click

from omero_hcs.cli.measuring import measure_command
from omero_hcs.tasks.qc_choices import CompareParams

_IN_LISTS = {"encoder", "weights", "weights_sha256", "head"}


def _command() -> click.Command:
    """Take encoders and heads as lists, not one by one."""
    made = measure_command(
        "compare", CompareParams, "omero_hcs.tasks.measure_compare:measure_compare"
    )
    made.params = [param for param in made.params if param.name not in _IN_LISTS]
    return made


command = _command()

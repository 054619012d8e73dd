"""`omero-hcs qc`: what comes before and after judging a plate."""

from __future__ import annotations

import click

from omero_hcs.cli.groups import LazyGroup, Verb

QC_VERBS: dict[str, Verb] = {
    "export": Verb(
        "omero_hcs.cli.qc_export:command",
        "Write what to leave out for CellProfiler, pycytominer and pandas.",
        "disk",
    ),
}


@click.group("qc", cls=LazyGroup, verbs=QC_VERBS)
def command() -> None:
    """Measure how well models judge, and hand verdicts on to other programs."""

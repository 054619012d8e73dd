"""`omero-hcs qc`: what comes before and after judging a plate."""

from __future__ import annotations

import click

from omero_hcs.cli.groups import LazyGroup, Verb

QC_VERBS: dict[str, Verb] = {}


@click.group("qc", cls=LazyGroup, verbs=QC_VERBS)
def command() -> None:
    """Measure how well models judge, and hand verdicts on to other programs."""

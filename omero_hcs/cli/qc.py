"""`omero-hcs qc`: what comes before and after judging a plate."""

from __future__ import annotations

import click

from omero_hcs.cli.groups import LazyGroup, Verb

QC_VERBS: dict[str, Verb] = {
    "evaluate": Verb(
        "omero_hcs.cli.qc_evaluate:command",
        "Measure how well labels are judged, by wells held out.",
        "all",
    ),
    "compare": Verb(
        "omero_hcs.cli.qc_compare:command", "Compare encoders and heads on the same labels.", "all"
    ),
    "learning-curve": Verb(
        "omero_hcs.cli.qc_learning_curve:command",
        "Measure how good a model gets with how many labels.",
        "all",
    ),
    "transfer": Verb(
        "omero_hcs.cli.qc_transfer:command", "Teach on one plate, and test on others.", "all"
    ),
    "export": Verb(
        "omero_hcs.cli.qc_export:command",
        "Write what to leave out for CellProfiler, pycytominer and pandas.",
        "disk",
    ),
}


@click.group("qc", cls=LazyGroup, verbs=QC_VERBS)
def command() -> None:
    """Measure how well models judge, and hand verdicts on to other programs."""

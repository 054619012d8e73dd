"""`omero-hcs qc evaluate`."""

from __future__ import annotations

from omero_hcs.cli.measuring import measure_command
from omero_hcs.tasks.qc_choices import EvaluateParams

command = measure_command(
    "evaluate", EvaluateParams, "omero_hcs.tasks.measure_evaluate:measure_evaluate"
)

"""`omero-hcs qc learning-curve`."""

from __future__ import annotations

from omero_hcs.cli.measuring import measure_command
from omero_hcs.tasks.qc_choices import CurveParams

command = measure_command(
    "learning-curve", CurveParams, "omero_hcs.tasks.measure_curve:measure_curve"
)

"""`omero-hcs apply-qc`."""

from __future__ import annotations

from omero_hcs.cli.options import task_command
from omero_hcs.tasks.apply_qc import Params

command = task_command("apply-qc", "apply_qc", Params)

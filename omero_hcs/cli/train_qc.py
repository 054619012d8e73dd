"""`omero-hcs train-qc`."""

from __future__ import annotations

from omero_hcs.cli.options import task_command
from omero_hcs.tasks.train_qc import Params

command = task_command("train-qc", "train_qc", Params)

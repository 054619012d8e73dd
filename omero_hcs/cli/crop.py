"""`omero-hcs crop`."""

from __future__ import annotations

from omero_hcs.cli.options import task_command
from omero_hcs.tasks.crop_cells import Params

command = task_command("crop", "crop_cells", Params)

"""`omero-hcs embed`."""

from __future__ import annotations

from omero_hcs.cli.options import task_command
from omero_hcs.tasks.embed_cells import Params

command = task_command("embed", "embed_cells", Params)

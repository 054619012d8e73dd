"""Turn every cell of a plate into an encoder's features: `omero-hcs embed`."""

from __future__ import annotations

from omero_hcs.tasks.base import CellParams


class Params(CellParams):
    """Embed every cell of a plate."""

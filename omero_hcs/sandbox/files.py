"""Where the bytes of pixels and files lie: in the sandbox's private data folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.objects.world import World

PIXELS, FILES = "Pixels", "Files"


class BinaryFolder:
    """The data folder: `Pixels/<id>` and `Files/<id>`, one file each.

    What a killed server left there is removed: its objects are gone.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in (PIXELS, FILES):
            shutil.rmtree(root / name, ignore_errors=True)
            (root / name).mkdir(parents=True, exist_ok=True, mode=0o700)

    def pixels(self, row: Row) -> Path:
        """Return where the planes of a Pixels row lie."""
        return self.root / PIXELS / str(row.id)

    def original(self, row: Row) -> Path:
        """Return where the bytes of an OriginalFile row lie."""
        return self.root / FILES / str(row.id)

    def follow(self, world: World) -> None:
        """Delete the bytes of what is deleted, once that is certain."""
        world.on_removed.append(self._delete)

    def _delete(self, row: Row) -> None:
        if row.entity.name == "Pixels":
            self.pixels(row).unlink(missing_ok=True)
        elif row.entity.name == "OriginalFile":
            self.original(row).unlink(missing_ok=True)

"""Where the bytes of pixels and files lie: in the sandbox's private data folder."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path
from typing import BinaryIO

from omero_hcs.errors import InputError
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.objects.world import World

PIXELS, FILES, THUMBNAILS = "Pixels", "Files", "Thumbnails"


class BinaryFolder:
    """The data folder: `Pixels/<id>` and `Files/<id>`, one file each, and `Thumbnails/<id>`.

    What a killed server left there is removed: its objects are gone.

    Raises
    ------
    InputError
        Another server has the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = hold(root)  # until the process ends, however it ends
        for name in (PIXELS, FILES, THUMBNAILS):
            shutil.rmtree(root / name, ignore_errors=True)
            (root / name).mkdir(parents=True, exist_ok=True, mode=0o700)

    def pixels(self, row: Row) -> Path:
        """Return where the planes of a Pixels row lie."""
        return self.root / PIXELS / str(row.id)

    def original(self, row: Row) -> Path:
        """Return where the bytes of an OriginalFile row lie."""
        return self.root / FILES / str(row.id)

    def thumbnails(self, row: Row) -> Path:
        """Return the folder of the thumbnails of a Pixels row, which may not be there yet."""
        return self.root / THUMBNAILS / str(row.id)

    def follow(self, world: World) -> None:
        """Delete the bytes of what is deleted, once that is certain."""
        world.on_removed.append(self._delete)

    def _delete(self, row: Row) -> None:
        if row.entity.name == "Pixels":
            self.pixels(row).unlink(missing_ok=True)
            shutil.rmtree(self.thumbnails(row), ignore_errors=True)
        elif row.entity.name == "OriginalFile":
            self.original(row).unlink(missing_ok=True)


def hold(root: Path) -> BinaryIO:
    """Keep other servers out of a data folder as long as the file that comes back is open.

    Raises
    ------
    InputError
        Another server has it.
    """
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = (root / "lock").open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        msg = f"Another sandbox uses the folder {root}. End it, or pass another --data."
        raise InputError(msg) from error
    return file

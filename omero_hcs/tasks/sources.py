"""What a run is over, where the user names several plates or folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from omero_hcs.stores.several import several


def joined(where: Sequence[str]) -> str:
    """URI that stands for all of some plates and folders, wherever a command is started.

    Parameters
    ----------
    where : sequence of str
        What `open_store` takes.
    """
    return several([str(Path(one).resolve()) if Path(one).exists() else one for one in where]).uri

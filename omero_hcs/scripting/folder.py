"""Where the files of the scripts are, in a checkout and in an installation."""

from __future__ import annotations

from pathlib import Path

import omero_hcs
from omero_hcs.scripting.catalog import FOLDER


def scripts_folder() -> Path:
    """Find the folder whose sub-folders are menus of scripts: it lies beside the package."""
    return Path(omero_hcs.__file__).parents[1] / "omero_scripts"


def script_files() -> tuple[Path, ...]:
    """List the files of our scripts, by name."""
    return tuple(sorted((scripts_folder() / FOLDER).glob("*.py")))

"""Scripts of OMERO: a task's parameters as a dialog, the task as what its button starts.

A script is a file of a few lines that calls `launch`. Importing this package loads nothing heavy:
a server reads a script's parameters each time that somebody opens its dialog.
"""

from __future__ import annotations

from omero_hcs.scripting.launcher import launch

__all__ = ["launch"]

"""The list of quality models where a task does without one, too."""

from __future__ import annotations

from typing import Any

from omero_hcs.scripting import models

NO_MODEL = "no model - use Encoder"
"""First value of the list."""


def choices(client: Any) -> list[str]:
    """List what a task takes as its model, none first; see `models.choices`."""
    there = [value for value in models.choices(client) if value != models.NONE_YET]
    return [NO_MODEL, *there]


def chosen(value: str) -> str | None:
    """Give the model that a value stands for, or None; see `models.chosen`.

    Raises
    ------
    InputError
        If there is no such model.
    """
    return None if value.strip() == NO_MODEL else models.chosen(value)

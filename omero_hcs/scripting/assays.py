"""The list of assays whose thresholds the facility has set."""

from __future__ import annotations

from typing import Any

from omero_hcs.errors import InputError
from omero_hcs.settings import load_settings

USUAL = "usual thresholds"
"""First value of the list: no assay."""


def choices(client: Any) -> list[str]:  # noqa: ARG001  (of lists: see `catalog.Script.choices`)
    """List the assays of the settings, after that there is none."""
    return [USUAL, *load_settings().values.assays]


def chosen(value: str) -> str | None:
    """Give the assay that a value of `choices` stands for, None for the first.

    Raises
    ------
    InputError
        If there is no such assay.
    """
    value = value.strip()
    if value == USUAL:
        return None
    if value not in (known := choices(None)):
        msg = f"There is no assay {value!r} here. Choose one of: {', '.join(known)}."
        raise InputError(msg)
    return value

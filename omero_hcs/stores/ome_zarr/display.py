"""How viewers show a plate's channels: one range a channel for the whole plate, and a colour."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SAMPLE_STEP = 4
_PERCENTILES = (1.0, 99.8)
_FALLBACK_COLORS = ("00FFFF", "FF00FF", "FFFF00", "FF8000", "FFFFFF", "FF0000")
_COLORS = {
    "0000FF": ("dapi", "hoechst", "dna", "nuclei", "nucleus", "nuclear", "blue", "draq5"),
    "00FF00": ("gfp", "egfp", "fitc", "488", "er", "green", "tubulin"),
    "FF0000": ("actin", "rfp", "mcherry", "cy5", "647", "mito", "red"),
    "FF8000": ("agp", "594", "568", "orange"),
    "FFFF00": ("cy3", "yfp", "yellow"),
    "FFFFFF": ("brightfield", "bright", "phase", "dic", "bf", "gray", "grey"),
}


class DisplayRanges:
    """Collects, field by field, the range in which each channel's pixels lie over the plate.

    One range for all wells keeps them comparable by eye; a range for each image would show an
    empty well as bright as a full one.
    """

    def __init__(self) -> None:
        self._lows: dict[str, list[float]] = {}
        self._highs: dict[str, list[float]] = {}
        self._whole_numbers = True

    def add(self, names: Sequence[str], stack: NDArray[Any]) -> None:
        """Take one field into account.

        Parameters
        ----------
        names : sequence of str
            Names of its channels.
        stack : array, shape (T, C, Z, Y, X)
            Its pixels; one in sixteen is looked at.
        """
        self._whole_numbers &= stack.dtype.kind in "ui"
        sample = stack[..., ::_SAMPLE_STEP, ::_SAMPLE_STEP]
        for index, name in enumerate(names):
            low, high = np.percentile(sample[:, index], _PERCENTILES)
            self._lows.setdefault(name, []).append(float(low))
            self._highs.setdefault(name, []).append(float(high))

    def range_of(self, name: str) -> tuple[float, float]:
        """Range of one channel: the lowest low and the 95th percentile of the fields' highs.

        A few fields with debris or saturation do not darken all others.
        """
        low = min(self._lows[name])
        high = float(np.percentile(self._highs[name], 95))
        if self._whole_numbers:
            return float(np.floor(low)), float(np.ceil(max(high, low + 1)))
        return low, max(high, float(np.nextafter(low, np.inf)))


def default_color(name: str, index: int) -> str:
    """Colour "RRGGBB" by a word in a channel's name ("FKHR-GFP" is green), else by its number."""
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    for color, known in _COLORS.items():
        if words.intersection(known):
            return color
    return _FALLBACK_COLORS[index % len(_FALLBACK_COLORS)]

"""Artefacts by name, and what a severity between 0 and 1 means in physical terms.

The ranges were fixed before any model was trained. Lengths grow with a square law and light with
an exponential one, because steps that look equal to the eye are closer to ratios than differences.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

ARTEFACTS = (
    "out_of_focus", "saturation", "debris", "noise", "autofluorescence", "dead", "floating",
    "clump",
)  # fmt: skip
"""What can be wrong with a cell; severity runs from 0 (invisible) to 1 (gross)."""

NORMAL, EMPTY = "normal", "empty"


@dataclass(frozen=True, slots=True)
class Scale:
    """How severity becomes a physical size: `first` at 0, `last` at 1, and the quantity's name."""

    first: float
    last: float
    quantity: str
    warp: Callable[[float], float]
    unwarp: Callable[[float], float]

    def physical(self, severity: float) -> float:
        """Physical size of a severity."""
        low, high = self.warp(self.first), self.warp(self.last)
        return float(self.unwarp(low + (high - low) * severity))

    def severity(self, physical: float) -> float:
        """Severity of a physical size, kept within 0 and 1."""
        if physical <= 0:
            return 0.0
        low, high = self.warp(self.first), self.warp(self.last)
        return float(np.clip((self.warp(physical) - low) / (high - low), 0, 1))


def _same(value: float) -> float:
    return value


SCALES = MappingProxyType(
    {
        "out_of_focus": Scale(0.5, 6.0, "defocus sigma in pixels", np.sqrt, np.square),
        "saturation": Scale(0.02, 0.60, "share of the nucleus at the ceiling", _same, _same),
        "debris": Scale(0.2, 3.0, "size in nuclear diameters", np.sqrt, np.square),
        "noise": Scale(0.7, 0.01, "share of the light that is left", np.log, np.exp),
        "autofluorescence": Scale(0.05, 3.0, "brightness in nuclear signals", np.log, np.exp),
        "dead": Scale(0.97, 0.45, "nuclear diameter over that of a living cell", _same, _same),
        "floating": Scale(0.5, 6.0, "defocus sigma in pixels", np.sqrt, np.square),
        "clump": Scale(1.10, 0.45, "distance of nuclei in diameters", _same, _same),
    }
)
"""Scale of each artefact."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One artefact of one cell or field: its name, severity, and physical size."""

    label: str = NORMAL
    severity: float = 0.0
    physical: float = 0.0


def fault(label: str, severity: float) -> Fault:
    """Fault of a severity."""
    return Fault(label, severity, SCALES[label].physical(severity))


def measured(label: str, physical: float) -> Fault:
    """Fault of a physical size."""
    return Fault(label, SCALES[label].severity(physical), physical)


def worse(first: Fault | None, second: Fault) -> Fault:
    """Pick the more severe of two faults; the later one where they are equal."""
    return first if first is not None and first.severity > second.severity else second

"""The protocol behind which units are worked off, and the names of their states."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

from omero_hcs.model import RunSpec, Unit
from omero_hcs.results import UnitResult

UnitStatus = Literal["waiting", "running", "done", "failed"]
RunStatus = Literal["planned", "running", "done", "partial", "failed", "cancelled", "undone"]

WORKER = "omero_hcs.worker:run_units"
"""The one entry that every engine calls: `run_units(spec, units) -> Iterator[UnitResult]`."""

ATTEMPTS = 3
"""How often a unit is tried before the run goes on without it."""


class Engine(Protocol):
    """Works units off, in this process, on this machine or on many.

    Engines yield results in any order and never raise for one bad unit: that unit is yielded as
    "failed" with its reason. Parts are in the run's `work_dir` before a result is yielded.
    """

    def run(self, spec: RunSpec, units: Sequence[Unit]) -> Iterator[UnitResult]:
        """Work units off; closing the iterator stops the work."""
        ...

    def cancel(self, run_id: str) -> None:
        """Ask the workers of a run to stop after the unit at hand."""
        ...

"""The local engine: units are worked off in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from omero_hcs import lazy
from omero_hcs.jobs.base import WORKER
from omero_hcs.model import RunSpec, Unit
from omero_hcs.results import UnitResult


class LocalEngine:
    """Runs the worker in the driver's own process: the default of command line and scripts.

    One process suits one machine: reading and cropping go on in threads while the encoder, which
    uses every core or the GPU, works on the batch before.

    Parameters
    ----------
    given : keyword arguments
        What the worker gets beside the run and its units, such as the opener of a script's stores.
    """

    def __init__(self, **given: Any) -> None:
        self._given = given
        self._cancelled: set[str] = set()

    def run(self, spec: RunSpec, units: Sequence[Unit]) -> Iterator[UnitResult]:
        """Work units off in order; see `Engine.run`."""
        self._cancelled.discard(spec.run_id)
        with closing(lazy.load(WORKER)(spec, units, **self._given)) as results:
            for result in results:
                yield result
                if spec.run_id in self._cancelled:
                    return

    def cancel(self, run_id: str) -> None:
        """Stop the run after the unit at hand."""
        self._cancelled.add(run_id)

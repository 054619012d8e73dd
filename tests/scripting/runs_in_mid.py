"""Runs by OMERO's processor that are looked at, stopped or killed while they go on."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from omero_hcs.jobs.hold import holder
from omero_hcs.jobs.ledger import Ledger, RunRecord
from omero_hcs.model import Channel, Field, Image, Plate, StoreSpec, Well
from omero_hcs.stores.memory import MemoryStore

FIELDS = 36
HANGS = 240
"""Seconds after which something hangs; no measure of speed."""


def plate_of_discs(name: str, fields: int = FIELDS, side: int = 200) -> MemoryStore:
    """A plate in memory, one field of some discs a well."""
    wells, pixels = [], {}
    y, x = np.mgrid[:side, :side]
    for number in range(fields):
        rng = np.random.default_rng(number)
        image = Image(f"i{number:03d}", f"i{number:03d}", side, side, (Channel(0, "DAPI"),))
        wells.append(Well(number // 24, number % 24, (Field(0, image),)))
        centers = rng.uniform(30, side - 30, (12, 2))
        signal = sum(np.hypot(y - cy, x - cx) < 12 for cy, cx in centers) > 0
        stack = rng.integers(90, 110, (side, side)) + 4000 * signal
        pixels[image.id] = stack.astype(np.uint16)[None, None, None]
    return MemoryStore.create(name, Plate(name, name, 16, 24, tuple(wells)), pixels)


@dataclass(frozen=True)
class Installation:
    """What the processor's machine knows: its ledger and locks."""

    state_dir: Path

    @contextlib.contextmanager
    def _ledger(self) -> Iterator[Ledger]:
        with contextlib.closing(Ledger(self.state_dir / "ledger.db")) as ledger:
            yield ledger

    def run_over(self, uri_end: str) -> RunRecord | None:
        """The latest run over a plate: ``run_over("plate/51")``."""
        with self._ledger() as ledger:
            found = [run for run in ledger.runs() if run.spec.store.uri.endswith(f"/{uri_end}")]
        return found[0] if found else None

    def done(self, run_id: str) -> int:
        """How many of its units are done."""
        with self._ledger() as ledger:
            return ledger.counts(run_id).get("done", 0)

    def process_of(self, run: RunRecord) -> int | None:
        """The process that works on it."""
        return holder(self.state_dir, run.spec.key)

    def wait_until_some_are_done(self, uri_end: str, some: int = 3) -> RunRecord:
        """Wait until a run over a plate has done some fields, and goes on."""
        wait_for(lambda: (run := self.run_over(uri_end)) and self.done(run.spec.run_id) >= some)
        run = self.run_over(uri_end)
        assert run is not None
        assert run.status == "running", "it was too quick to be stopped"
        return run


def wait_for(is_so: Callable[[], Any]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + HANGS
    while not is_so():
        assert time.monotonic() < deadline, "it never got there"
        time.sleep(0.02)


def open_as(server: Any, user: Any, place: str) -> Any:
    """A store of a user of the scripts' server; for the caller to close."""
    from omero_hcs.stores.omero.login import Login  # noqa: PLC0415
    from omero_hcs.stores.omero.session import Session  # noqa: PLC0415
    from omero_hcs.stores.omero.store import OmeroStore  # noqa: PLC0415

    login = Login(server.host, server.port, user.name, user.password)
    spec = StoreSpec(uri=f"omero://{server.host}:{server.port}/{place}")
    return OmeroStore(spec, session=Session(login))

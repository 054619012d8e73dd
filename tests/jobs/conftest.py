"""A spec and units as a driver would make them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from omero_hcs.jobs.parts import read_part
from omero_hcs.model import Channel, Image, ImageSet, ObjectRef, RunSpec, StoreSpec, Unit
from omero_hcs.settings import Settings
from omero_hcs.stores.memory import MemoryStore
from omero_hcs.tasks import crop_cells
from omero_hcs.tasks.base import Request

PLATE = ObjectRef(kind="plate", id="tiny")


@pytest.fixture
def units():
    """Four fields of one plate."""
    return [
        Unit(id=f"tiny/A0{n}/f0/z0/t0", target=PLATE, image=f"i{n}", well=f"A0{n}")
        for n in (1, 2, 3, 4)
    ]


@pytest.fixture
def spec_of(tmp_path):
    """Make the spec of a run by its id."""

    def make(run_id="20250101T120000Z-0000aaaa", *, key="k" * 64, uri="memory:tiny", **more):
        return RunSpec(
            run_id=run_id,
            key=key,
            task="crop_cells",
            store=StoreSpec(uri=uri),
            targets=(PLATE,),
            params={"seed": 3},
            context={"survey": {"channels": ["DNA"]}},
            package_version="0.1.0",
            work_dir=str(tmp_path / "runs" / run_id),
            **more,
        )

    return make


@dataclass(frozen=True)
class PlannedRun:
    """A run over four images in memory, planned by the real task; `store` keeps them alive."""

    spec: RunSpec
    units: tuple[Unit, ...]
    store: MemoryStore

    def parts(self) -> list[str]:
        """Units that have a part on disk."""
        work_dir = Path(self.spec.work_dir)
        return [unit.id for unit in self.units if read_part(work_dir, unit.id)]


@pytest.fixture
def run(tmp_path):
    """Crop a grid of tiles out of four small images."""
    images = tuple(
        Image(f"i{number}", f"i{number}", 48, 48, (Channel(0, "DNA"),)) for number in range(4)
    )
    rng = np.random.default_rng(0)
    pixels = {i.id: rng.integers(0, 999, (1, 1, 1, 48, 48), dtype=np.uint16) for i in images}
    store = MemoryStore.create(f"jobs {tmp_path.name}", ImageSet("set", "set", images), pixels)
    params = crop_cells.Params(centres="grid", crop_size="16px")
    request = Request(store.refs(), Settings(state_dir=tmp_path, models_dir=tmp_path))
    plan = crop_cells.plan(store, params, request)
    spec = RunSpec(
        run_id="20250101T120000Z-0000aaaa",
        key="k" * 64,
        task="crop_cells",
        store=store.spec,
        targets=request.targets,
        params=params.model_dump(mode="json"),
        context=dict(plan.context),
        package_version="0.1.0",
        work_dir=str(tmp_path / "runs" / "1"),
    )
    return PlannedRun(spec, plan.units, store)

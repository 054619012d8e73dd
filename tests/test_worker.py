"""What an engine gets from the worker, over a small image set in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from omero_hcs.errors import PlateNotFoundError, WriteError
from omero_hcs.jobs.parts import read_part
from omero_hcs.model import Channel, Image, ImageSet, RunSpec, StoreSpec
from omero_hcs.settings import Settings
from omero_hcs.stores.memory import MemoryStore
from omero_hcs.tasks import crop_cells
from omero_hcs.tasks.base import Request
from omero_hcs.worker import run_units

BROKEN = 1


@pytest.fixture
def planned(tmp_path):
    """Four images with three bright discs each; the second one loses its pixels after the plan."""
    images = tuple(
        Image(f"i{number}", f"i{number}.tif", 96, 96, (Channel(0, "DNA"),)) for number in range(4)
    )
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:96, :96]
    discs = sum((np.hypot(y - at, x - at) < 8) for at in (16, 48, 80)) * 4000
    pixels = {
        image.id: (rng.integers(90, 110, (96, 96)) + discs).astype(np.uint16)[None, None, None]
        for image in images
    }
    store = MemoryStore.create(f"worker {tmp_path.name}", ImageSet("set", "set", images), pixels)
    params = crop_cells.Params(crop_size="24px", save_masks=True)
    settings = Settings(state_dir=tmp_path, models_dir=tmp_path)
    request = Request(store.refs(), settings)
    plan = crop_cells.plan(store, params, request)
    store._memory.pixels.pop(images[BROKEN].id)
    spec = RunSpec(
        run_id="1", key="k", task="crop_cells", store=store.spec, targets=request.targets,
        params=params.model_dump(mode="json"), context=dict(plan.context),
        package_version="0", work_dir=str(tmp_path / "runs" / "1"),
    )  # fmt: skip
    return store, spec, plan.units


def test_one_unreadable_field_is_a_failed_result_and_the_others_go_on(planned):
    _store, spec, units = planned
    results = list(run_units(spec, units))
    assert [result.unit for result in results] == [unit.id for unit in units]
    assert [result.status for result in results] == ["done", "failed", "done", "done"]
    assert "i1.tif" in results[BROKEN].reason
    assert "no pixels" in results[BROKEN].reason


def test_every_unit_leaves_a_part_with_its_cells_and_masks_and_the_store_is_not_written(planned):
    store, spec, units = planned
    for result in run_units(spec, units):
        # An engine on another machine gives the driver nothing but the part.
        part = read_part(Path(spec.work_dir), result.unit)
        assert (part.status, part.reason) == (result.status, result.reason)
        assert len(part.cells) == len(result.cells) == (3 if part.status == "done" else 0)
        if part.status == "done":
            assert part.cells["pixels"].shape == (3, 24 * 24)
            assert part.labels["nuclei"].shape == (96, 96)
            assert part.labels["nuclei"].max() == 3
    assert store.results == {}


def test_results_do_not_depend_on_which_units_a_worker_gets(planned):
    _store, spec, units = planned
    whole = {result.unit: result for result in run_units(spec, units)}
    for unit in reversed(units):
        (alone,) = run_units(spec, [unit])
        assert alone.status == whole[unit.id].status
        for name, column in whole[unit.id].cells.columns.items():
            np.testing.assert_array_equal(alone.cells[name], column)


def test_a_disk_that_cannot_be_written_stops_the_whole_run(planned):
    _store, spec, units = planned
    Path(spec.work_dir).parent.mkdir()
    Path(spec.work_dir).write_text("a file where the run's folder should be")
    with pytest.raises(WriteError, match="OMERO_HCS_STATE_DIR"):
        next(run_units(spec, units))


def test_a_store_that_is_gone_stops_the_whole_run(planned):
    _store, spec, units = planned
    gone = spec.model_copy(update={"store": StoreSpec(uri="/no/such/plate.zarr")})
    with pytest.raises(PlateNotFoundError, match=r"/no/such/plate\.zarr"):
        next(run_units(gone, units))

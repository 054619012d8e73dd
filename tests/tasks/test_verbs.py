"""The verbs as Python functions do what the command line does."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import tifffile

from omero_hcs.errors import InputErrors, ModelNotFoundError, ParamsError, PlateNotFoundError
from omero_hcs.settings import Settings
from omero_hcs.tasks import verbs
from omero_hcs.tasks.base import TASKS


@pytest.fixture
def settings(tmp_path):
    return Settings(state_dir=tmp_path / "state", models_dir=tmp_path / "models")


@pytest.fixture
def images(tmp_path):
    """Two wells, one channel, four nuclei each."""
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:128, :128]
    for well in ("A01", "B02"):
        pixels = rng.normal(300, 15, (128, 128))
        for y, x in ((36, 36), (36, 92), (92, 36), (92, 92)):
            distance = ((rows - y) ** 2 + (columns - x) ** 2) / 64
            pixels += 3000 * np.exp(-(distance**2))
        tifffile.imwrite(folder / f"{well}.tif", pixels.astype(np.uint16))
    return folder


@pytest.fixture
def plate(images, tmp_path):
    out = tmp_path / "p.zarr"
    made = verbs.convert(images, out, pattern="{well}.tif", channels=["DNA"], pixel_size_um=0.5)
    assert [well.name for well in made.wells] == ["A01", "B02"]
    return out


def test_convert_reports_every_fault_at_once(images, tmp_path):
    for name in ("A01.tif", "B02.tif"):
        (images / name).write_bytes(b"no image")
    with pytest.raises(InputErrors) as raised:
        verbs.convert(images, tmp_path / "o.zarr", pattern="{well}.tif", channels=["DNA"])
    assert len(raised.value.faults) == 2
    assert not (tmp_path / "o.zarr").exists()


def test_crop_runs_are_recorded_and_answered(plate, settings):
    stages = []
    outcome = verbs.run_verb(
        "crop_cells",
        plate,
        settings=settings,
        progress=lambda stage, done, total: stages.append((stage, done, total)),
    )
    assert outcome.summary["cells"] == 8
    assert ("cropping fields", 2, 2) in stages
    (record,) = verbs.list_runs(settings=settings)
    assert record.spec.run_id == outcome.run_id
    assert verbs.crop_cells(plate, settings=settings).how == "answered"
    again = verbs.crop_cells(plate, settings=settings, again=True)
    assert again.how == "new"
    assert len(verbs.list_runs(settings=settings, limit=1)) == 1


def test_options_are_checked_by_name_before_anything_is_read(settings):
    with pytest.raises(ParamsError) as raised:
        verbs.crop_cells("/no/such/plate", settings=settings, seed=-1, nucleus="DNA")
    assert "seed: " in str(raised.value)
    assert "nucleus: " in str(raised.value)
    with pytest.raises(PlateNotFoundError):
        verbs.crop_cells("/no/such/plate", settings=settings)


def test_a_model_that_is_not_there(settings, plate):
    with pytest.raises(ModelNotFoundError, match="Models there: none yet"):
        verbs.show_model("nope", settings=settings)
    with pytest.raises(ModelNotFoundError):
        verbs.apply_qc(plate, settings=settings, model="nope")


def test_every_task_has_its_function():
    for task in TASKS:
        function = getattr(verbs, task)
        assert inspect.getdoc(function)

"""Which cells become ROIs, and how many."""

from __future__ import annotations

import numpy as np
import pytest

from omero_hcs.model import ObjectRef, RunSpec, StoreSpec, Unit
from omero_hcs.results import Table, UnitResult
from omero_hcs.tasks.apply_qc import unit_results

TARGET = ObjectRef(kind="plate", id="p")
UNIT = Unit(id="p/A01/f0/z3/t1", target=TARGET, image="7", well="A01", z=3, t=1)


def spec(rois, units_per_image):
    return RunSpec(
        run_id="r",
        key="k",
        task="apply_qc",
        store=StoreSpec(uri="memory:x"),
        targets=(TARGET,),
        params={"rois": rois},
        context={
            "classes": ["normal", "blurred"],
            "survey": {"scale": {"side_px": 10}},
            "units_per_image": units_per_image,
        },
        package_version="0",
        work_dir="none",
    )


@pytest.fixture
def part():
    """Forty cells, every other one abnormal, the later the more."""
    number = np.arange(40)
    cells = {
        "y": number * 2.0,
        "x": number * 3.0,
        "abnormal": (number / 40).astype(np.float32),
        "class": np.where(number % 2, "blurred", "normal"),
    }
    return UnitResult(UNIT.id, "done", cells=Table(cells))


def test_the_most_abnormal_cells_come_first(part):
    results = unit_results(spec(5, 1), UNIT, part)
    scores = [roi.score for roi in results.rois]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(39 / 40, abs=1e-4)
    assert {(roi.image, roi.text, roi.z, roi.t) for roi in results.rois} == {("7", "blurred", 3, 1)}


@pytest.mark.parametrize(
    ("rois", "units", "count"), [(200, 1, 20), (5, 1, 5), (20, 10, 2), (5, 10, 1), (0, 10, 0)]
)
def test_the_planes_and_times_of_an_image_share_its_budget(part, rois, units, count):
    results = unit_results(spec(rois, units), UNIT, part)
    assert (len(results.rois) if results else 0) == count

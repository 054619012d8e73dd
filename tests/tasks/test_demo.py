"""The demonstration on disk, on a plate of six wells."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the extra 'ml' is not installed")

from omero_hcs.settings import Settings
from omero_hcs.simulate.design import SimulationSettings
from omero_hcs.tasks.demo import run_demo

pytestmark = pytest.mark.slow


def test_it_leaves_a_plate_and_a_report_and_tells_what_came_out(tmp_path):
    settings = Settings(state_dir=tmp_path / "state", models_dir=tmp_path / "models", threads=1)
    plate = SimulationSettings(wells=6, fields=1, artefact_fraction=0.5)
    done = run_demo(tmp_path, settings, simulation=plate)
    assert [line.partition(":")[0] for line in done.lines] == [
        "model", "plate", "verdict", "against the truth", "worst wells",
    ]  # fmt: skip
    assert done.plate.is_dir()
    assert Path(done.report).is_file()

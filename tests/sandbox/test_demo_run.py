"""The demonstration on the sandbox, on a plate of six wells: regions, model, verdict, report."""

from __future__ import annotations

import contextlib
import os

import pytest

from omero_hcs.sandbox import launch
from omero_hcs.sandbox.demo import COLLEAGUE, connect
from omero_hcs.sandbox.demo_run import LABELS_EACH, run_on_server
from omero_hcs.scripting.folder import scripts_folder
from omero_hcs.simulate.design import SimulationSettings

pytestmark = pytest.mark.slow

PLATE = SimulationSettings(wells=6, fields=1, artefact_fraction=0.5)


def test_a_colleagues_regions_teach_a_model_that_judges_the_plate(tmp_path):
    seen = []
    empty = {name: "" for name in os.environ if name.startswith(("XDG_", "OMERO_HCS_"))}
    environment = {**empty, "HOME": str(tmp_path / "home")}
    (tmp_path / "home").mkdir()
    with launch.start(scripts=scripts_folder(), environment=environment) as box:
        done = run_on_server(
            box,
            tmp_path / "home",
            tmp_path,
            simulation=PLATE,
            progress=lambda stage, *_: seen.append(stage),
        )
        with contextlib.closing(connect(box, done.plate.user)) as conn:
            images = [well.getImage(0) for well in conn.getObject("Plate", 1).listChildren()]
            service = conn.getRoiService()
            rois = [
                roi for image in images for roi in service.findByImage(image.getId(), None).rois
            ]
            owners = [roi.details.owner.id.val for roi in rois]
            colleague = conn.getObject("Experimenter", attributes={"omeName": COLLEAGUE})
            assert owners.count(colleague.getId()) == 2 * LABELS_EACH
            assert set(owners) == {colleague.getId(), conn.getUserId()}
    assert [line.partition(":")[0] for line in done.lines] == [
        "model", "plate", "verdict", "against the truth", "worst wells",
    ]  # fmt: skip
    assert f"{2 * LABELS_EACH} labels" in done.lines[0] or "25 normal" in done.lines[0]
    assert "<html" in done.report.read_text()[:200]
    assert {"training", "judging fields"} <= set(seen)

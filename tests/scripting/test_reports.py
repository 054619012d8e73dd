"""Plate_Report: pressed over plates, screens and wells, in the words that it answers with."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'ml' is not installed")

import omero_hcs
from omero_hcs.sandbox.importer import import_plate
from omero_hcs.sandbox.sources import SimulatedSource
from omero_hcs.scripting.answers import LONGEST
from omero_hcs.scripting.places import outputs_of_places
from omero_hcs.scripting.reports import told
from omero_hcs.settings import Settings
from omero_hcs.simulate.design import SimulationSettings
from omero_hcs.tasks.make_report import MadeReport, PlateReport
from omero_hcs.tasks.truth import draw_labels
from tests.omero_fixtures import let_in
from tests.scripting.asking import ask

PLATE = SimulationSettings(wells=6, fields=1, size_y=192, size_x=192, seed=5, density=70)
TINY = {"encoder": "mobilenetv3_small_050", "weights": "random"}


@pytest.fixture(scope="module")
def judged(script_people, script_server, tmp_path_factory):
    """A plate with a quality run, in a screen, and one without, of a user who is connected."""
    folder = tmp_path_factory.mktemp("reports")
    user = script_people.make_user(script_people.make_group("read-annotate"))
    conn = script_people.connect(user)
    with SimulatedSource(settings=PLATE) as source:
        ids = import_plate(conn, source, screen="<b>Kinases</b>")
        labels = draw_labels(
            source.truth, plate=str(ids.plate), each=6, rng=np.random.default_rng(0), visible=0.3
        )
    with SimulatedSource(settings=PLATE) as source:
        other = import_plate(conn, source, screen="Other").plate
    (folder / "labels.csv").write_text(labels.to_csv())
    with pytest.MonkeyPatch.context() as patch, contextlib.closing(conn):
        let_in(patch, user, folder)
        uri = f"omero://{script_server.host}:{script_server.port}/plate/{ids.plate}"
        settings = Settings(state_dir=folder / "state", models_dir=folder / "models")
        model = str(folder / "m.safetensors")
        omero_hcs.train_qc(
            uri, labels=str(folder / "labels.csv"), output=model, settings=settings, **TINY
        )
        run = omero_hcs.apply_qc(uri, model=model, weights="random", settings=settings)
        well = ids.wells[0, 1]
        yield SimpleNamespace(
            conn=conn, plate=ids.plate, screen=ids.screen, well=well, other=other, run=run.run_id
        )


def test_the_processor_makes_the_report_of_a_plate_again(judged, click):
    said = click(judged.conn, "Plate_Report", Data_Type="Plate", IDs=[judged.plate])
    assert said.code == 0, (said.message, said.error)
    assert f"of run {judged.run}" in said.message
    assert "cells" in said.message
    assert {"Report", "Heat_Map", "Gallery", "Plate"} <= set(said.outputs)
    note = judged.conn.getObject("FileAnnotation", said.outputs["Report"].val.id.val)
    assert note.getFile().getName() == f"report-{judged.run}.html"


@pytest.mark.parametrize("kind", ["Plate", "Well"])
def test_a_part_of_a_plate_has_the_report_of_all_of_it(judged, kind):
    number = judged.plate if kind == "Plate" else judged.well
    said = ask(judged.conn, "make_report", Data_Type=kind, IDs=[number], Run_Id=judged.run)
    assert not said.failed
    assert said.outputs["Plate"].id == judged.plate
    assert f"run {judged.run}" in said.message


def test_a_screen_has_an_overview(judged):
    said = ask(judged.conn, "make_report", Data_Type="Screen", IDs=[judged.screen])
    assert "Screen '<b>Kinases</b>' has an overview" in said.message
    assert {"Overview", "Screen", "Report"} <= set(said.outputs)


def test_plates_that_were_not_judged_are_named_with_the_mend(judged):
    said = ask(judged.conn, "make_report", Data_Type="Plate", IDs=[judged.other])
    assert said.failed
    assert f"plate {judged.other} has no quality run yet" in said.message
    assert "Check_Plate_Quality" in said.message
    both = ask(judged.conn, "make_report", Data_Type="Plate", IDs=[judged.plate, judged.other])
    assert not both.failed
    assert "Run Check_Plate_Quality on it first" in both.message


def test_a_run_that_is_not_there_is_told_with_those_that_are(judged):
    said = ask(judged.conn, "make_report", Data_Type="Plate", IDs=[judged.plate], Run_Id="nope")
    assert said.failed
    assert f"no quality run 'nope'. It has: {judged.run}" in said.message


def test_a_message_about_many_plates_stays_short():
    plates = tuple(
        PlateReport(None, f"plate {number} " * 9, f"run {number}", 9, 1, 1234, 0.125)
        for number in range(50)
    )
    text = told(MadeReport("run 9", (), plates=plates, without=("<b>x</b>",) * 9))
    assert len(text) <= LONGEST
    assert "50 plates again, of 50 runs" in text
    assert "1,234 cells, 12.5 % abnormal, 1 of 9 fields failed" in text
    assert "and 47 more" in text
    assert "and 6 more" in text


def test_the_overview_of_many_plates_has_its_button():
    plates = [
        place
        for number in range(30)
        for place in (f"omero://a/plate/{number}", f"omero://a/annotation/9{number} report.html")
    ]
    overview = ["omero://a/screen/3", "omero://a/annotation/77 overview.html"]
    found = outputs_of_places([*plates, *overview])
    assert found["Overview"].id == 77
    assert found["Screen"].id == 3
    assert "Report_0" in found

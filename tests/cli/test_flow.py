"""Every verb in the order of its use, with its JSON, on one small plate."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from omero_hcs.cli.main import run
from omero_hcs.results import Table


@pytest.fixture(scope="module")
def judged(pristine, model, tmp_path_factory):
    """A plate that was judged once, with a ledger of its own."""
    folder = tmp_path_factory.mktemp("flow")
    plate = shutil.copytree(pristine[0], folder / "p.zarr")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMERO_HCS_STATE_DIR", str(folder / "state"))
        patch.setenv("OMERO_HCS_MODELS_DIR", str(model.parent))
        assert run(["apply-qc", str(plate)]) == 0
        yield SimpleNamespace(plate=plate, results=folder / "p.hcs")


@pytest.fixture
def ask(omero_hcs):
    """Run a verb for its JSON."""

    def call(*arguments):
        said = omero_hcs(*arguments, "--json")
        assert said.code == 0, said.err
        assert said.err == ""
        return json.loads(said.out)

    return call


def test_apply_qc_is_answered_from_its_record(ask, judged):
    said = ask("apply-qc", judged.plate)
    assert (said["task"], said["status"], said["how"]) == ("apply_qc", "done", "answered")
    assert said["failed"] == []
    assert all(Path(place).exists() for place in said["places"])
    (cells,) = (place for place in said["places"] if place.endswith("cells.parquet"))
    table = Table.from_parquet(Path(cells))
    abnormal = table["well"][table["class"] == "abnormal"]
    assert set(abnormal.tolist()) == {"B01", "B02", "B03"}


def test_runs_lists_it_and_apply_qc_says_where_it_comes_from(ask, omero_hcs, judged):
    (row,) = ask("runs")
    assert row["store"] == str(judged.plate)
    assert (row["status"], row["done"], row["total"], row["failed"]) == ("done", 6, 6, 0)
    assert row["run_id"] in omero_hcs("runs").out
    said = omero_hcs("apply-qc", judged.plate)
    assert said.code == 0
    assert "from the record of an earlier run; --again makes a new one" in said.out


def test_the_report_is_made_again_where_asked(ask, judged, tmp_path):
    made = ask("report", judged.plate, "--output", tmp_path / "report")
    assert {Path(place).suffix for place in made["places"]} == {".html", ".png"}
    assert all(Path(place).parent == tmp_path / "report" for place in made["places"])


def test_models_and_their_cards(ask, omero_hcs, judged, model):
    assert ask("models", "list") == ["qc"]
    assert omero_hcs("models", "list").out == "qc\n"
    card = ask("models", "show", "qc")
    assert card == ask("models", "show", model)
    assert card["channels"] == ["DNA", "GFP"]
    assert card["classes"] == ["normal", "abnormal"]
    assert "tf_efficientnet_lite0" in omero_hcs("models", "show", "qc").out


def test_an_undo_takes_what_the_run_wrote_and_nothing_else(ask, judged):
    (judged.results / "notes.txt").write_text("mine")
    made = ask("crop", judged.plate, "--save-masks")
    removed = ask("undo", made["run_id"])
    assert removed["run_id"] == made["run_id"]
    assert removed["removed"]["table"] > 0
    assert removed["kept"] == []
    left = [path.name for path in (judged.results / "runs").iterdir()]
    assert made["run_id"] not in left
    assert len(left) == 1
    assert (judged.results / "notes.txt").read_text() == "mine"
    again = ask("crop", judged.plate, "--save-masks")
    assert again["how"] == "new"
    assert ask("runs", "undo", again["run_id"])["removed"] == removed["removed"]
    assert ask("undo", judged.plate, ask("crop", judged.plate)["run_id"])["kept"] == []


def test_settings_and_where_they_come_from(ask, omero_hcs, monkeypatch):
    monkeypatch.setenv("OMERO_HCS_THREADS", "1")
    said = ask("config", "show")
    assert said["threads"] == {"value": "1", "origin": "environment OMERO_HCS_THREADS"}
    assert said["device"]["origin"] == "default"
    assert "environment OMERO_HCS_THREADS" in omero_hcs("config", "show").out


def test_simulate_and_convert_say_what_they_made(ask, tmp_path):
    (made,) = ask(
        "simulate", tmp_path / "s.zarr", "--wells", "6", "--fields", "1", "--artefacts", "0"
    )
    assert (made["wells"], made["fields"]) == (6, 6)
    assert Path(made["truth"]).is_file()


def test_work_answers_for_units_by_their_numbers(omero_hcs, judged, ask):
    made = ask("crop", judged.plate, "--crops", "none")
    (spec,) = judged.plate.parent.glob(f"state/runs/{made['run_id']}/spec.json")
    said = omero_hcs("work", "--spec", spec, "--units", "1-2")
    assert said.code == 0
    assert [line.split()[1] for line in said.out.splitlines()] == ["done", "done"]
    said = omero_hcs("work", "--spec", spec, "--units", "4-9")
    assert said.code == 2
    assert "--units '4-9' is no range of this run's units. They go from 0 to 5." in said.err

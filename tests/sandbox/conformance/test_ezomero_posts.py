"""ezomero writes: each object is there, where it should be, as the gateway sees it."""

from __future__ import annotations

from pathlib import Path

import ezomero
import numpy as np
import pytest
from ezomero import rois


def test_post_project_and_dataset(omero_conn):
    project = ezomero.post_project(omero_conn, "project", "about it")
    dataset = ezomero.post_dataset(omero_conn, "dataset", project, "inside")
    found = omero_conn.getObject("Project", project)
    assert (found.getName(), found.getDescription()) == ("project", "about it")
    assert [child.getId() for child in found.listChildren()] == [dataset]


def test_post_dataset_needs_no_project(omero_conn):
    dataset = ezomero.post_dataset(omero_conn, "orphan")
    assert omero_conn.getObject("Dataset", dataset).getParent() is None
    assert ezomero.post_dataset(omero_conn, "lost", project_id=2**40) is None


def test_post_screen(omero_conn):
    screen = ezomero.post_screen(omero_conn, "screen", "about it")
    assert omero_conn.getObject("Screen", screen).getName() == "screen"


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "uint32", "float32", "float64"])
def test_post_image_keeps_its_pixels_and_their_type(omero_conn, dtype):
    pixels = np.arange(4 * 5 * 2 * 3).reshape(4, 5, 2, 3, 1).astype(dtype)
    image = ezomero.post_image(omero_conn, pixels, "image")
    wrapper, read = ezomero.get_image(omero_conn, image, xyzct=True)
    kind = wrapper.getPixelsType()
    assert (wrapper.getSizeX(), wrapper.getSizeZ(), wrapper.getSizeC()) == (4, 2, 3)
    assert np.dtype({"float": "float32", "double": "float64"}.get(kind, kind)) == pixels.dtype
    assert np.array_equal(read, pixels)


def test_post_image_into_a_dataset_and_from_a_source(omero_conn):
    dataset = ezomero.post_dataset(omero_conn, "dataset")
    pixels = np.zeros((4, 4, 1, 2, 1), "uint8")
    source = ezomero.post_image(omero_conn, pixels, "source", dataset_id=dataset)
    copy = ezomero.post_image(
        omero_conn, pixels[:, :, :, :1], "copy", "of it", dataset, source, [1]
    )
    children = omero_conn.getObject("Dataset", dataset).listChildren()
    assert {child.getId() for child in children} == {source, copy}


@pytest.mark.parametrize("kind", ["Project", "Dataset", "Screen", "Image"])
def test_annotations_are_posted_and_found_by_object(omero_conn, new_image, named, kind, tmp_path):
    target = new_image().getId() if kind == "Image" else named(kind)
    pairs = {"treatment": "DMSO", "dose": ["1", "2"]}
    file = tmp_path / "note.txt"
    file.write_text("ten bytes.")
    keys = ezomero.post_map_annotation(omero_conn, kind, target, pairs, "ns/a")
    comment = ezomero.post_comment_annotation(omero_conn, kind, target, "well done", "ns/b")
    attached = ezomero.post_file_annotation(
        omero_conn, str(file), "ns/c", kind, target, "text/plain", "ten"
    )
    assert ezomero.get_map_annotation_ids(omero_conn, kind, target, ns="ns/a") == [keys]
    assert ezomero.get_map_annotation_ids(omero_conn, kind, target, ns="ns/b") == []
    assert ezomero.get_map_annotation(omero_conn, keys) == pairs
    assert ezomero.get_comment_annotation_ids(omero_conn, kind, target) == [comment]
    assert ezomero.get_comment_annotation(omero_conn, comment) == "well done"
    assert ezomero.get_file_annotation_ids(omero_conn, kind, target) == [attached]
    copy = ezomero.get_file_annotation(omero_conn, attached, str(tmp_path / "down"))
    assert Path(copy).read_text() == "ten bytes."


def test_put_map_annotation_replaces_pairs_and_namespace(omero_conn, named):
    target = named("Dataset")
    keys = ezomero.post_map_annotation(omero_conn, "Dataset", target, {"a": "1"}, "ns")
    ezomero.put_map_annotation(omero_conn, keys, {"b": "2", "c": "3"}, "other")
    assert ezomero.get_map_annotation(omero_conn, keys) == {"b": "2", "c": "3"}
    assert ezomero.get_map_annotation_ids(omero_conn, "Dataset", target, ns="other") == [keys]


@pytest.mark.parametrize("kind", ["Project", "Dataset", "Screen", "Image"])
def test_put_description(omero_conn, new_image, named, kind):
    target = new_image().getId() if kind == "Image" else named(kind)
    ezomero.put_description(omero_conn, kind, target, "new words")
    assert omero_conn.getObject(kind, target).getDescription() == "new words"


SHAPES = [
    rois.Point(1.5, 2.5, z=0, c=0, t=0, label="point", stroke_color=(255, 0, 0, 128)),
    rois.Line(0, 0, 3, 4, label="line", markerStart="Arrow", stroke_width=2.0),
    rois.Rectangle(1, 2, 3, 4, z=0, label="rectangle", fill_color=(0, 255, 0, 64)),
    rois.Ellipse(3, 3, 2, 1, label="ellipse"),
    rois.Polygon([(0, 0), (0, 2), (2.5, 2)], t=0, label="polygon"),
    rois.Polyline([(0, 0), (1, 1), (2, 0)], label="polyline"),
    rois.Label(1, 1, "text", 12),
]


def test_post_roi_keeps_every_shape(omero_conn, new_image):
    image = new_image().getId()
    roi = ezomero.post_roi(omero_conn, image, SHAPES, "cells", "all kinds")
    assert ezomero.get_roi_ids(omero_conn, image) == [roi]
    shapes = ezomero.get_shape_ids(omero_conn, roi)
    read = {shape.label: shape for shape in (ezomero.get_shape(omero_conn, s) for s in shapes)}
    assert len(shapes) == len(SHAPES)
    for shape in SHAPES:
        found = read[shape.label]
        assert type(found) is type(shape)
        assert {
            k: v for k, v in vars(found).items() if k in {"x", "y", "width", "points", "z"}
        } == {k: v for k, v in vars(shape).items() if k in {"x", "y", "width", "points", "z"}}


def test_tables_keep_columns_rows_and_types(omero_conn, named):
    pandas = pytest.importorskip("pandas")
    rows = [["id", "score", "name", "good"], [1, 0.5, "a", True], [2, 1.5, "bcd", False]]
    dataset = named("Dataset")
    table = ezomero.post_table(omero_conn, rows, "Dataset", dataset, "cells")
    read = ezomero.get_table(omero_conn, table)
    assert isinstance(read, pandas.DataFrame)
    assert list(read.columns) == rows[0]
    assert read.to_numpy().tolist() == rows[1:]
    assert ezomero.get_file_annotation_ids(omero_conn, "Dataset", dataset) == [table]

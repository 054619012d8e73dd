"""Tags, ratings, comments, key-values and datasets, read as labels."""

from __future__ import annotations

import math
from typing import Any

import pytest

# First, as in the sandbox's own tests: the Ice classes in a working order.
from omero_hcs.sandbox.ice import record  # noqa: F401  isort: skip

import ezomero
from omero.gateway import (
    BlitzGateway,
    CommentAnnotationWrapper,
    LongAnnotationWrapper,
    TagAnnotationWrapper,
)
from omero.model import DatasetI, DatasetImageLinkI, ImageI, NamedValue
from omero.rtypes import rstring

from omero_hcs.errors import LabelError
from omero_hcs.stores.base import LabelSource
from omero_hcs.stores.memory import MemoryStore
from omero_hcs.stores.omero.cropnote import CropNote
from omero_hcs.stores.omero.label_notes import RATING_NAMESPACE, TAG_SET_NAMESPACE
from omero_hcs.stores.omero.record import CROP_NAMESPACE, TAG_NAMESPACE, USER_PAIRS_NAMESPACE

TAGS = LabelSource(kind="tag")
PAIRS = LabelSource(kind="key-value")


def tag(conn: BlitzGateway, text: str, *objects: tuple[str, int], ns: str | None = None) -> int:
    """One tag on several objects, as OMERO.web's dialog makes it."""
    one = TagAnnotationWrapper(conn)
    one.setValue(text)
    if ns is not None:
        one.setNs(ns)
    one.save()
    for kind, number in objects:
        conn.getObject(kind, number).linkAnnotation(one)
    return int(one.getId())


def rate(conn: BlitzGateway, image: int, stars: int, ns: str = RATING_NAMESPACE) -> None:
    one = LongAnnotationWrapper(conn)
    one.setValue(stars)
    one.setNs(ns)
    conn.getObject("Image", image).linkAnnotation(one)


def comment(conn: BlitzGateway, kind: str, number: int, text: str) -> None:
    one = CommentAnnotationWrapper(conn)
    one.setValue(text)
    conn.getObject(kind, number).linkAnnotation(one)


def pairs(conn: BlitzGateway, kind: str, number: int, ns: str = USER_PAIRS_NAMESPACE, **told: str):
    return ezomero.post_map_annotation(conn, kind, number, told, ns=ns)


def dataset(conn: BlitzGateway, name: str, *images: int) -> int:
    """A dataset that holds images: OMERO.web's `copy link` and `paste link`."""
    made = DatasetI()
    made.name = rstring(name)
    number = conn.getUpdateService().saveAndReturnObject(made).id.val
    for image in images:
        link = DatasetImageLinkI()
        link.parent, link.child = DatasetI(number, False), ImageI(image, False)
        conn.getUpdateService().saveObject(link)
    return int(number)


@pytest.fixture
def put_set(omero_put, omero_user, tiny_set, pixels_of):
    """Two images in a dataset on the server, of `omero_user`: their ids there."""
    stacks = {
        image.id: stack for image, stack in zip(tiny_set.images, pixels_of(tiny_set), strict=True)
    }
    return omero_put(omero_user, MemoryStore.create("labels of a set", tiny_set, stacks))


@pytest.fixture
def labels_of(omero_open, omero_user):
    """Read labels of the one plate or image set that a place names: rows."""

    def read(place: str, source: LabelSource) -> list[dict[str, Any]]:
        store = omero_open(omero_user, place)
        (ref,) = store.refs()
        return list(store.labels(ref, source=source).rows())

    return read


@pytest.fixture
def labels(labels_of, put):
    """Read labels of the plate: rows."""
    return lambda source: labels_of(f"plate/{put.plate}", source)


def is_weak(row: dict[str, Any]) -> bool:
    return math.isnan(row["y"]) and math.isnan(row["x"])


class TestTags:
    def test_on_an_image_are_about_all_of_it(
        self, put, labels, omero_conn, omero_second_conn, omero_second_user
    ):
        """Who linked a tag says it, not who made it."""
        number = tag(omero_conn, "blurred")
        blurred = omero_second_conn.getObject("TagAnnotation", number)
        omero_second_conn.getObject("Image", put.images[3]).linkAnnotation(blurred)
        (row,) = labels(TAGS)
        assert is_weak(row)
        assert row["time"]
        assert math.isnan(row["reach_y"])
        nowhere = ("y", "x", "time", "reach_y", "reach_x")
        assert {key: row[key] for key in row if key not in nowhere} == {
            "plate": str(put.plate), "well": "B03", "field": 1, "image": str(put.images[3]),
            "z": 0, "t": 0, "label": "blurred", "user": omero_second_user.name,
            "source": "tag", "object_id": f"TagAnnotation:{number}",
        }  # fmt: skip

    def test_on_a_well_are_about_each_of_its_images(self, put, labels, omero_conn):
        tag(omero_conn, "abnormal", ("Well", put.wells[1, 2]))
        rows = labels(TAGS)
        assert [int(row["image"]) for row in rows] == list(put.images[2:6])
        assert {row["well"] for row in rows} == {"B03"}
        assert all(is_weak(row) for row in rows)

    def test_by_two_users_are_two_labels(self, put, labels, omero_conn, omero_second_conn):
        tag(omero_conn, "normal", ("Image", put.images[0]))
        tag(omero_second_conn, "abnormal", ("Image", put.images[0]))
        assert [row["label"] for row in labels(TAGS)] == ["normal", "abnormal"]

    def test_of_ours_and_sets_of_tags_are_none(self, put, labels, omero_conn):
        tag(omero_conn, "abnormal", ("Image", put.images[0]), ns=TAG_NAMESPACE)
        tag(omero_conn, "Quality", ("Image", put.images[0]), ns=TAG_SET_NAMESPACE)
        tag(omero_conn, "normal", ("Plate", put.plate))
        with pytest.raises(LabelError, match=r"looked for a tag\. Tag images or wells"):
            labels(TAGS)

    @pytest.mark.parametrize("text", ["\N{MICROSCOPE} odd", "<b>odd</b>"])
    def test_keep_their_text_whatever_it_is(self, put, labels, omero_conn, text):
        tag(omero_conn, text, ("Image", put.images[0]))
        assert [row["label"] for row in labels(TAGS)] == [text]

    def test_that_are_no_class_are_listed(self, put, labels, omero_conn):
        tag(omero_conn, "paper figure", ("Image", put.images[0]), ("Image", put.images[1]))
        with pytest.raises(LabelError, match=r"Texts there: 'paper figure' \(2\)"):
            labels(LabelSource(kind="tag", names=(("normal", "normal"),)))

    def test_of_a_well_alone_are_those_of_its_part_of_the_plate(self, put, labels_of, omero_conn):
        for image in put.images:
            tag(omero_conn, "normal", ("Image", image))
        rows = labels_of(f"well/{put.wells[0, 0]}", TAGS)
        assert [int(row["image"]) for row in rows] == list(put.images[:2])


class TestRatings:
    def test_are_labels_by_what_they_stand_for(self, put, labels, omero_conn, omero_second_conn):
        rate(omero_conn, put.images[0], 5)
        rate(omero_second_conn, put.images[1], 1)
        rate(omero_conn, put.images[2], 3)
        rate(omero_conn, put.images[3], 5, ns="somebody/counts")
        names = (("5", "normal"), ("1", "abnormal"))
        rows = labels(LabelSource(kind="rating", names=names))
        assert [(row["label"], row["source"]) for row in rows] == [
            ("normal", "rating"), ("abnormal", "rating"),
        ]  # fmt: skip


class TestComments:
    def test_on_images_and_wells_are_labels(self, put, labels, omero_conn):
        comment(omero_conn, "Image", put.images[0], "qc: normal")
        comment(omero_conn, "Image", put.images[1], "please look at this again")
        comment(omero_conn, "Well", put.wells[7, 11], "qc: abnormal")
        rows = labels(LabelSource(kind="comment", prefix="qc:"))
        assert [(row["well"], row["label"]) for row in rows] == [
            ("A01", "normal"), ("H12", "abnormal"), ("H12", "abnormal"),
        ]  # fmt: skip


class TestKeyValues:
    def test_of_the_key_in_any_case_are_labels(self, put, labels, omero_conn):
        pairs(omero_conn, "Image", put.images[0], Label="normal", Dose="3")
        pairs(omero_conn, "Image", put.images[1], label="abnormal")
        pairs(omero_conn, "Image", put.images[2], Labels="else")
        pairs(omero_conn, "Image", put.images[3], ns="omero-hcs/qc", Label="machine")
        pairs(omero_conn, "Well", put.wells[7, 11], ns="somebody", LABEL="normal")
        rows = labels(PAIRS)
        assert [(row["well"], row["label"]) for row in rows] == [
            ("A01", "normal"), ("A01", "abnormal"), ("H12", "normal"), ("H12", "normal"),
        ]  # fmt: skip

    def test_are_told_by_who_changed_them_last(
        self, put, labels, omero_conn, omero_root, omero_user
    ):
        number = pairs(omero_conn, "Image", put.images[0], Label="normal")
        omero_root.SERVICE_OPTS.setOmeroGroup(omero_user.groups[0].id)
        annotation = omero_root.getObject("MapAnnotation", number)._obj
        annotation.setMapValue([NamedValue("Label", "abnormal")])
        omero_root.getUpdateService().saveObject(annotation, omero_root.SERVICE_OPTS)
        (row,) = labels(PAIRS)
        assert (row["label"], row["user"]) == ("abnormal", omero_root.getUser().getName())

    def test_without_the_key_other_keys_are_listed(self, put, labels, omero_conn):
        pairs(omero_conn, "Image", put.images[0], Verdict="normal")
        pairs(omero_conn, "Well", put.wells[0, 0], Dose="3")
        pairs(omero_conn, "Well", put.wells[0, 0], ns="omero-hcs/qc", Ours="3")
        with pytest.raises(LabelError) as caught:
            labels(PAIRS)
        assert "the key 'Label'" in str(caught.value)
        assert "Keys there: 'Dose', 'Verdict'." in str(caught.value)
        assert [row["label"] for row in labels(LabelSource(kind="key-value", key="verdict"))]


class TestDatasets:
    def test_name_the_class_of_their_images(self, put_set, labels_of, omero_conn, omero_user):
        first, second = put_set.images
        dataset(omero_conn, "abnormal", second)
        names = (("abnormal", "abnormal"), ("normal", "normal"))
        rows = labels_of(f"dataset/{put_set.dataset}", LabelSource(kind="dataset", names=names))
        assert [(row["image"], row["label"], row["user"]) for row in rows] == [
            (str(second), "abnormal", omero_user.name)
        ]
        assert is_weak(rows[0])
        assert first != second


class TestCrops:
    """Crop images made by us lead back to the cells that they show."""

    @pytest.fixture
    def crops(self, put, put_set, omero_conn):
        """Two images that say they were cut from the plate."""
        notes = (
            CropNote(put.images[2], 12.5, 7.25, z=2, t=1, plate=put.plate, well="B03", field=0),
            CropNote(put.images[0], 20.0, 30.0, z=0, t=0, plate=put.plate, well="A01", field=0),
        )
        for image, note in zip(put_set.images, notes, strict=True):
            ezomero.post_map_annotation(
                omero_conn, "Image", image, dict(note.pairs()), ns=CROP_NAMESPACE
            )
        return put_set.images

    @pytest.mark.parametrize("kind", ["tag", "rating", "comment", "key-value", "dataset"])
    def test_are_labels_of_the_source_cell(
        self, put, put_set, crops, kind, labels_of, omero_conn, omero_user
    ):
        first = crops[0]
        if kind == "tag":
            tag(omero_conn, "abnormal", ("Image", first))
        elif kind == "rating":
            rate(omero_conn, first, 1)
        elif kind == "comment":
            comment(omero_conn, "Image", first, "abnormal")
        elif kind == "key-value":
            pairs(omero_conn, "Image", first, Label="abnormal")
        else:
            dataset(omero_conn, "abnormal", first)
        tag(omero_conn, "abnormal", ("Image", put.images[5]))  # on no crop
        names = (("abnormal", "abnormal"), ("1", "abnormal"))
        source = LabelSource(kind=kind, names=names)
        (row,) = labels_of(f"dataset/{put_set.dataset}", source)
        assert row.pop("time")
        assert row.pop("object_id")
        assert row == {
            "plate": str(put.plate), "well": "B03", "field": 0, "image": str(put.images[2]),
            "z": 2, "t": 1, "y": 12.5, "x": 7.25, "label": "abnormal",
            "user": omero_user.name, "source": kind, "reach_y": 0.0, "reach_x": 0.0,
        }  # fmt: skip

    def test_come_image_by_image_of_the_source(self, put_set, crops, labels_of, omero_conn):
        for number, text in zip(crops, ("abnormal", "normal"), strict=True):
            tag(omero_conn, text, ("Image", number))
        rows = labels_of(f"dataset/{put_set.dataset}", TAGS)
        assert [(row["well"], row["label"]) for row in rows] == [
            ("A01", "normal"), ("B03", "abnormal"),
        ]  # fmt: skip

    @pytest.mark.usefixtures("crops")
    def test_without_a_note_are_no_labels(self, put_set, labels_of):
        with pytest.raises(LabelError, match="no labels"):
            labels_of(f"dataset/{put_set.dataset}", TAGS)

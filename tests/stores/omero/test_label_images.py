"""Label images on a server: TIFF files of their image, read back by name, z and t."""

from __future__ import annotations

import io
from dataclasses import replace

import ezomero
import numpy as np
import pytest
import tifffile

from omero_hcs.errors import DataError, ImageNotFoundError
from omero_hcs.results import LabelImage
from omero_hcs.stores.omero.label_images import read_label_image, save_label_images
from omero_hcs.stores.omero.record import LABEL_IMAGE_NAMESPACE


@pytest.fixture
def image(context, tiny_image):
    return replace(tiny_image, id=str(min(context.images)), name="A01 0")


def label(image, name="nuclei", *, dtype="uint16", fill=300, z=1, t=0):
    pixels = np.zeros((image.size_y, image.size_x), dtype)
    pixels[4:9, 5:12], pixels[20:25, 20:30] = 1, fill
    return LabelImage(image.id, name, pixels, z=z, t=t)


def write_over(context, annotation, data):
    file_id = context.session.conn.getObject("FileAnnotation", annotation).getFile().getId()
    store = context.session.conn.c.sf.createRawFileStore()
    store.setFileId(file_id)
    store.truncate(len(data))
    store.write(data, 0, len(data))
    store.close()


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "uint32", "int64"])
def test_they_come_back_as_they_were(context, image, dtype):
    made = label(image, dtype=dtype, fill=100)
    save_label_images(context, [made])
    read = read_label_image(context.session, image, name="nuclei", z=1, t=0)
    assert read.dtype == made.pixels.dtype
    np.testing.assert_array_equal(read, made.pixels)


def test_people_can_download_and_open_one(context, image, tmp_path):
    made = save_label_images(context, [label(image, "cells 2.0")])
    conn = context.session.conn
    (number,) = ezomero.get_file_annotation_ids(
        conn, "Image", int(image.id), ns=LABEL_IMAGE_NAMESPACE
    )
    path = ezomero.get_file_annotation(conn, number, str(tmp_path))
    assert path.endswith("cells 2.0-z1-t0.tif")
    np.testing.assert_array_equal(tifffile.imread(path), label(image).pixels)
    assert [(item.kind, item.type) for item in made] == [
        ("label", "FileAnnotation"), ("link", "ImageAnnotationLink"),
    ]  # fmt: skip
    assert (made[0].id, made[0].mark != "") == (number, True)


def test_name_z_and_t_choose_one_of_several(context, image):
    labels = [
        label(image, name, z=z, t=t, fill=2 + place)
        for place, (name, z, t) in enumerate(
            (name, z, t)
            for name in ("nuclei", "cells-z1", "<b>\N{MICROSCOPE}</b>")
            for z in (0, 1)
            for t in (0, 1)
        )
    ]
    save_label_images(context, labels)
    for made in labels:
        read = read_label_image(context.session, image, name=made.name, z=made.z, t=made.t)
        np.testing.assert_array_equal(read, made.pixels)


def test_the_only_one_needs_no_name_and_several_are_listed(context, image):
    save_label_images(context, [label(image)])
    assert read_label_image(context.session, image, name=None, z=1, t=0).max() == 300
    save_label_images(context, [label(image, "cells")])
    with pytest.raises(ImageNotFoundError, match=r"A01 0.*nuclei, cells"):
        read_label_image(context.session, image, name=None, z=1, t=0)


def test_of_two_runs_the_last_one_counts(context, image):
    save_label_images(context, [label(image, fill=2)])
    save_label_images(replace(context, run_id="20250102T120000-0000bbbb"), [label(image, fill=3)])
    assert read_label_image(context.session, image, name=None, z=1, t=0).max() == 3


@pytest.mark.parametrize("place", [{"z": 2}, {"t": 1}, {"name": "other"}])
def test_one_that_is_not_there_is_told_with_those_that_are(context, image, place):
    save_label_images(context, [label(image)])
    with pytest.raises(ImageNotFoundError, match="A01 0"):
        read_label_image(context.session, image, **{"name": "nuclei", "z": 1, "t": 0} | place)


@pytest.mark.parametrize("image_id", ["987654321", "Z/99/7"])
def test_an_image_that_is_not_there_has_none(context, image, image_id):
    with pytest.raises(ImageNotFoundError, match="There are none"):
        read_label_image(context.session, replace(image, id=image_id), name=None, z=0, t=0)


def test_a_file_that_a_user_attached_under_another_name_is_no_label_image(context, image, tmp_path):
    path = tmp_path / "mask.tif"
    tifffile.imwrite(path, label(image).pixels)
    ezomero.post_file_annotation(
        context.session.conn, str(path), LABEL_IMAGE_NAMESPACE, "Image", int(image.id)
    )
    with pytest.raises(ImageNotFoundError, match="There are none"):
        read_label_image(context.session, image, name=None, z=1, t=0)


def tiff(pixels):
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"no TIFF at all", "no TIFF"),
        (tiff(np.zeros((5, 5), np.uint8)), r"shape \(5, 5\)"),
        (tiff(np.zeros((32, 40), np.float32)), "float32"),
        (tiff(np.zeros((32, 40), np.uint16))[:900], r"no TIFF|shape"),
        (b"", "no TIFF"),
    ],
)
def test_one_that_was_replaced_by_something_else_is_told(context, image, data, said):
    made = save_label_images(context, [label(image)])
    write_over(context, made[0].id, data)
    with pytest.raises(DataError, match=rf"A01 0.*{said}"):
        read_label_image(context.session, image, name="nuclei", z=1, t=0)


def test_a_unit_with_labels_of_several_images_is_written_at_once(context, image):
    images = [replace(image, id=str(number)) for number in sorted(context.images)]
    made = save_label_images(
        context, [label(one, fill=2 + place) for place, one in enumerate(images)]
    )
    assert len(made) == 2 * len(images)
    for place, one in enumerate(images):
        assert read_label_image(context.session, one, name=None, z=1, t=0).max() == 2 + place


def test_none_is_nothing(context):
    assert save_label_images(context, []) == []

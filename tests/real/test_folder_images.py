"""Folders of real images, as people have them: TIFF of 8 and 16 bits, PNG, JPEG."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from omero_hcs.stores.open import open_store

DATA = Path(
    os.environ.get("OMERO_HCS_TEST_DATA", Path(__file__).parents[3] / "shared" / "data")
).resolve()
RGB = ("red", "green", "blue")

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the real images are not at {DATA}")


@pytest.mark.parametrize(
    ("folder", "count", "size", "dtype", "channels"),
    [
        ("bbbc013/images", 192, (640, 640), "uint8", ("grey",)),
        ("bbbc006_focus/images", 24, (520, 696), "uint16", ("grey",)),
        ("nf1_cellpainting/images", 15, (904, 1224), "uint16", ("grey",)),
        ("cellpainting_pca/images", 6, (1080, 1080), "uint16", ("grey",)),
        ("bccd_blood/JPEGImages", 48, (480, 640), "uint8", RGB),
        ("ihc", 1, (512, 512), "uint8", RGB),
    ],
)
def test_a_folder_is_read_as_its_source_describes_it(folder, count, size, dtype, channels):
    store = open_store(DATA / folder)
    images = store.images(store.refs()[0].id).images
    assert len(images) == count
    assert {(image.size_y, image.size_x) for image in images} == {size}
    assert {image.dtype for image in images} == {dtype}
    assert {image.channel_names for image in images} == {channels}
    pixels = store.read(images[0], channels=range(len(channels)))
    assert pixels.shape == (len(channels), *size)
    assert pixels.dtype == dtype
    assert pixels.max() > pixels.min()

"""Pixels from a server: every plane as it was put in, whatever its type, size or place."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np
import pytest

from omero_hcs.imaging.focus import project
from omero_hcs.model import Channel, Image
from omero_hcs.stores.omero.login import Login
from omero_hcs.stores.omero.pixels import PixelReader
from omero_hcs.stores.omero.planes import PIXEL_DTYPES
from omero_hcs.stores.omero.session import Session


@pytest.fixture
def session(omero_server, omero_user):
    login = Login(omero_server.host, omero_server.port, omero_user.name, omero_user.password)
    with contextlib.closing(Session(login)) as session:
        yield session


@pytest.fixture
def reader(session):
    with contextlib.closing(PixelReader(session)) as reader:
        yield reader


@pytest.fixture
def tiny(omero_tiny):
    """The images of the tiny plate as a layout has them, each with its pixels, (T, C, Z, Y, X)."""
    images = [site.image for site in omero_tiny.truth.sites()]
    ids = omero_tiny.ids.images
    return [
        (replace(image, id=str(number)), stack)
        for image, number, stack in zip(images, ids, omero_tiny.pixels, strict=True)
    ]


def put_image(conn, stack, kind):
    """Make an image of (T, C, Z, Y, X), of any of OMERO's types; as a layout has it."""
    size_t, size_c, size_z, size_y, size_x = stack.shape
    found = conn.getQueryService().findByString("PixelsType", "value", kind)
    number = (
        conn.getPixelsService()
        .createImage(size_x, size_y, size_z, size_t, list(range(size_c)), found, "image", "")
        .val
    )
    channels = tuple(Channel(index, f"channel {index}") for index in range(size_c))
    image = Image(
        str(number), "image", size_y, size_x, channels, PIXEL_DTYPES[kind], size_z, size_t
    )
    store = conn.c.sf.createRawPixelsStore()
    store.setPixelsId(conn.getObject("Image", number).getPixelsId(), True)
    try:
        for t, c, z in np.ndindex(stack.shape[:3]):
            plane = stack[t, c, z]
            store.setPlane(plane.astype(plane.dtype.newbyteorder(">")).tobytes(), z, c, t)
    finally:
        store.close()
    return image


class TestPlanes:
    @pytest.mark.parametrize("z", [0, 1, 2, "middle", "focus", "max"])
    @pytest.mark.parametrize("t", [0, 1])
    def test_every_plane_is_the_one_that_was_put_in(self, reader, tiny, z, t):
        for image, stack in tiny:
            read = reader.read(image, channels=[1, 0], z=z, t=t)
            assert read.dtype == stack.dtype
            assert read.dtype.isnative
            np.testing.assert_array_equal(read, project(stack[t], z)[[1, 0]])

    @pytest.mark.parametrize("kind", PIXEL_DTYPES)
    def test_every_type_comes_in_its_own_dtype(self, reader, omero_conn, kind):
        values = np.random.default_rng(3).integers(0, 2, (1, 2, 1, 5, 7))
        stack = values.astype(PIXEL_DTYPES[kind]) * (1 if kind == "bit" else 100)
        if stack.dtype.kind in "if":
            stack -= 50
        read = reader.read(put_image(omero_conn, stack, kind), channels=[0, 1])
        assert read.dtype == stack.dtype
        np.testing.assert_array_equal(read, stack[0, :, 0])

    def test_an_image_of_one_pixel_is_an_image(self, reader, omero_conn):
        stack = np.full((1, 1, 1, 1, 1), 7, np.uint16)
        for z in (0, "middle", "focus", "max"):
            read = reader.read(put_image(omero_conn, stack, "uint16"), channels=[0], z=z)
            np.testing.assert_array_equal(read, stack[0, 0])

    def test_large_planes_come_in_parts_that_are_the_same(self, session, tiny):
        image, stack = tiny[0]
        for limit in (1, 80, 400, 1000):
            with contextlib.closing(PixelReader(session, whole_plane_bytes=limit)) as reader:
                read = reader.read(image, channels=[0, 1], z=1)
            np.testing.assert_array_equal(read, stack[0, :, 1])

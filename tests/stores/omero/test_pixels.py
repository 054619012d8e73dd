"""Pixels from a server: every plane as it was put in, whatever its type, size or place."""

from __future__ import annotations

import contextlib
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from omero.model import ImageI
from omero.rtypes import rstring

from omero_hcs.errors import (
    ChannelNotFoundError,
    DataError,
    ImageNotFoundError,
    InputError,
    ServerLostError,
)
from omero_hcs.imaging.focus import project
from omero_hcs.model import Channel, Image
from omero_hcs.stores.omero.login import Login
from omero_hcs.stores.omero.pixels import PixelReader
from omero_hcs.stores.omero.planes import PIXEL_DTYPES, fill_from_wire, gather
from omero_hcs.stores.omero.session import Session
from tests.stores.omero.relay import Relay


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


class Counted:
    """Planes of a stack, (C, Z, Y, X), that remember which of them were read."""

    def __init__(self, stack):
        self.stack, self.read = stack, []

    def fill(self, targets, channels, *, z, t):
        assert t == 0
        for target, channel in zip(targets, channels, strict=True):
            self.read.append((channel, z))
            target[...] = self.stack[channel, z]


@pytest.mark.parametrize(
    ("z", "read"),
    [
        (2, [(1, 2), (0, 2)]),
        ("middle", [(1, 2), (0, 2)]),
        ("max", [(1, 0), (1, 1), (1, 2), (1, 3), (0, 0), (0, 1), (0, 2), (0, 3)]),
        ("focus", [(0, 0), (0, 1), (0, 2), (0, 3), (1, 3), (0, 3)]),
    ],
)
def test_no_more_planes_are_read_than_are_needed(z, read):
    stack = np.random.default_rng(4).integers(0, 99, (3, 4, 40, 44)).astype(np.float32)
    stack[0, :3], stack[0, 3] = (
        7,
        50 * (np.indices((40, 44)) // 8 % 2).sum(axis=0),
    )  # one has detail
    channels = tuple(Channel(index, str(index)) for index in range(3))
    planes = Counted(stack)
    image = Image("1", "one", 40, 44, channels, "float32", 4)
    found = gather(planes, image, channels=[1, 0, 1], z=z, t=0)
    np.testing.assert_array_equal(found, project(stack, z)[[1, 0, 1]])
    assert planes.read == read


class TestFaults:
    @pytest.mark.parametrize("image_id", ["Z/99/7", "../secret.tif", "-1", "0", "99999999", "²"])
    def test_an_image_that_is_not_there_is_refused_by_its_id(self, reader, tiny, image_id):
        with pytest.raises(ImageNotFoundError, match=re.escape(image_id)):
            reader.read(replace(tiny[0][0], id=image_id), channels=[0])

    def test_a_request_that_does_not_fit_is_refused_before_the_server_is_asked(self, session, tiny):
        image = tiny[0][0]
        with contextlib.closing(PixelReader(session)) as reader:
            for error, place in [
                (ChannelNotFoundError, {"channels": [2]}),
                (InputError, {"channels": []}),
                (InputError, {"channels": [0], "z": 3}),
                (InputError, {"channels": [0], "t": -1}),
            ]:
                with pytest.raises(error):
                    reader.read(image, **place)
        assert not stores_of(session)

    @pytest.mark.parametrize("is_known", [False, True])
    def test_a_deleted_image_is_said_by_its_id(self, reader, tiny, omero_conn, is_known):
        image = tiny[0][0]
        if is_known:
            reader.read(image, channels=[0])
            reader.read(tiny[1][0], channels=[0])
        plates = [plate.getId() for plate in omero_conn.getObjects("Plate")]
        omero_conn.deleteObjects("Plate", plates, deleteChildren=True, wait=True)
        with pytest.raises(ImageNotFoundError, match=rf"\b{image.id}\b"):
            reader.read(image, channels=[0])

    def test_an_image_without_pixels_is_said(self, reader, omero_conn, tiny):
        made = ImageI()
        made.name = rstring("empty")
        number = omero_conn.getUpdateService().saveAndReturnObject(made).id.val
        with pytest.raises(DataError, match=r"has no pixels .* import"):
            reader.read(replace(tiny[0][0], id=str(number)), channels=[0])

    def test_planes_that_were_never_written_are_said(self, reader, omero_conn):
        kind = omero_conn.getQueryService().findByString("PixelsType", "value", "uint8")
        service = omero_conn.getPixelsService()
        number = service.createImage(8, 8, 1, 1, [0], kind, "half imported", "").val
        image = Image(str(number), "half imported", 8, 8, (Channel(0, "DNA"),), "uint8")
        with pytest.raises(DataError, match=rf"half imported .*{number}.* has no planes"):
            reader.read(image, channels=[0])

    def test_a_black_plane_is_a_plane(self, reader, omero_conn):
        stack = np.zeros((1, 1, 1, 6, 6), np.uint8)
        assert not reader.read(put_image(omero_conn, stack, "uint8"), channels=[0]).any()

    @pytest.mark.parametrize("change", [{"size_x": 41}, {"dtype": "int16"}, {"size_z": 2}])
    def test_an_image_that_changed_since_its_layout_was_read_is_said(self, reader, tiny, change):
        with pytest.raises(DataError, match="Read the layout again"):
            reader.read(replace(tiny[0][0], **change), channels=[0])

    @pytest.mark.parametrize("count", [0, 39, 41])
    def test_an_answer_of_another_length_is_no_plane(self, count):
        with pytest.raises(DataError, match=f"{count} bytes for 40"):
            fill_from_wire(np.empty((4, 5), np.uint16), bytes(count))

    def test_others_private_images_are_not_read(
        self, omero_make_group, omero_make_user, omero_connect, session
    ):
        owner = omero_make_user(omero_make_group("private"))
        image = put_image(omero_connect(owner), np.ones((1, 1, 1, 4, 4), np.uint8), "uint8")
        with (
            contextlib.closing(PixelReader(session)) as reader,
            pytest.raises(ImageNotFoundError, match=image.id),
        ):
            reader.read(image, channels=[0])


def stores_of(session):
    """Raw pixel stores that the server holds open for a session."""
    names = session.client.getSession().activeServices()
    return [name for name in names if "RawPixels" in name]


class TestConnections:
    def test_one_store_goes_from_image_to_image_and_is_closed(self, session, tiny):
        reader = PixelReader(session)
        for image, _ in tiny:
            reader.read(image, channels=[0, 1], z="max")
            assert len(stores_of(session)) == 1
        reader.close()
        assert not stores_of(session)
        reader.close()

    def test_threads_share_no_more_connections_than_there_are_readers(self, session, tiny):
        def read(number):
            image, stack = tiny[number % len(tiny)]
            return np.array_equal(
                reader.read(image, channels=[1, 0], z=1, t=1), stack[1, [1, 0], 1]
            )

        with contextlib.closing(PixelReader(session, readers=3)) as reader:
            with ThreadPoolExecutor(8) as pool:
                assert all(pool.map(read, range(200)))
            assert 1 <= len(stores_of(session)) <= 3
        assert not stores_of(session)
        assert session.project("select count(i.id) from Image i")  # the user's own is still open

    def test_an_error_in_one_image_does_not_hold_a_connection(self, session, tiny):
        with contextlib.closing(PixelReader(session, readers=1)) as reader:
            for _ in range(3):
                with pytest.raises(DataError):
                    reader.read(replace(tiny[0][0], size_x=9), channels=[0])
            np.testing.assert_array_equal(
                reader.read(tiny[0][0], channels=[0])[0], tiny[0][1][0, 0, 0]
            )

    def test_a_store_that_the_server_let_go_of_is_opened_again(self, session, reader, tiny):
        image, stack = tiny[0]
        reader.read(image, channels=[0])
        reader._idle.queue[-1]._store.close()
        np.testing.assert_array_equal(reader.read(image, channels=[1])[0], stack[0, 1, 0])
        assert session.generation == 0


class TestLostConnections:
    @pytest.fixture
    def relay(self, omero_server):
        with Relay(omero_server.host, omero_server.port) as relay:
            yield relay

    @pytest.fixture
    def far(self, relay, omero_user):
        login = Login("127.0.0.1", relay.port, omero_user.name, omero_user.password)
        with contextlib.closing(Session(login)) as session:
            yield session

    @pytest.fixture
    def large(self, omero_conn):
        stack = np.random.default_rng(6).integers(0, 60_000, (1, 2, 1, 700, 800))
        stack = stack.astype(np.uint16)
        return put_image(omero_conn, stack, "uint16"), stack[0, :, 0]

    @pytest.mark.parametrize("limit", [1 << 25, 1 << 17])
    def test_a_plane_cut_in_the_middle_is_read_again(self, relay, far, large, limit):
        image, stack = large
        with contextlib.closing(PixelReader(far, whole_plane_bytes=limit)) as reader:
            relay.cut_after(stack.nbytes * 3 // 4)
            np.testing.assert_array_equal(reader.read(image, channels=[0, 1]), stack)
            assert far.generation == 1
            relay.cut()
            np.testing.assert_array_equal(reader.read(image, channels=[1]), stack[1:])
        assert far.generation == 2

    def test_each_of_several_readers_comes_back(self, relay, far, large):
        image, stack = large
        with (
            contextlib.closing(PixelReader(far, readers=2)) as reader,
            ThreadPoolExecutor(4) as pool,
        ):
            for _ in range(2):
                found = list(pool.map(lambda _: reader.read(image, channels=[0, 1]), range(6)))
                assert all(np.array_equal(one, stack) for one in found)
                relay.cut()

    def test_a_server_that_stays_away_is_said_and_can_come_back(self, relay, far, large):
        image, stack = large
        with contextlib.closing(PixelReader(far)) as reader:
            reader.read(image, channels=[0])
            relay.refuse()
            with pytest.raises(ServerLostError):
                reader.read(image, channels=[0])
            relay.refuse(refuse=False)
            np.testing.assert_array_equal(reader.read(image, channels=[0])[0], stack[0])

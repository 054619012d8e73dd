"""RawPixelsStore: planes as big-endian bytes, bounds, rights, hashes."""

from __future__ import annotations

import contextlib
import hashlib
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import omero
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omero.cmd import Delete2

TYPES = {
    "bit": ">u1",
    "int8": ">i1",
    "uint8": ">u1",
    "int16": ">i2",
    "uint16": ">u2",
    "int32": ">i4",
    "uint32": ">u4",
    "float": ">f4",
    "double": ">f8",
    "complex": ">c8",
    "double-complex": ">c16",
}
SHAPE = (2, 3, 4, 5, 6)  # T, C, Z, Y, X


def new_pixels(conn, shape=SHAPE, kind="uint16"):
    """Make an image without planes: the id of its pixels."""
    size_t, size_c, size_z, size_y, size_x = shape
    query, service = conn.getQueryService(), conn.getPixelsService()
    found = query.findByString("PixelsType", "value", kind)
    image = service.createImage(
        size_x, size_y, size_z, size_t, list(range(size_c)), found, "image", ""
    ).val
    return conn.getObject("Image", image).getPixelsId()


@contextlib.contextmanager
def opened(conn, pixels_id):
    store = conn.c.sf.createRawPixelsStore()
    try:
        store.setPixelsId(pixels_id, True)
        yield store
    finally:
        store.close()


@pytest.fixture
def cube(omero_conn):
    """An image whose every value is another one: its pixels' id and the values, (T, C, Z, Y, X)."""
    values = np.arange(np.prod(SHAPE), dtype=">u2").reshape(SHAPE)
    pixels_id = new_pixels(omero_conn)
    with opened(omero_conn, pixels_id) as store:
        for t in range(SHAPE[0]):
            store.setTimepoint(values[t].tobytes(), t)
    return pixels_id, values


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_goes_there_and_back(omero_conn, kind):
    dtype = np.dtype(TYPES[kind])
    bits = np.random.default_rng(1).integers(0, 2, (7, 9)).astype(dtype)
    plane = bits if kind == "bit" else (bits * 100 - (50 if dtype.kind in "ifc" else 0))
    plane = plane.astype(dtype)
    pixels_id = new_pixels(omero_conn, (1, 1, 1, 7, 9), kind)
    with opened(omero_conn, pixels_id) as store:
        store.setPlane(plane.tobytes(), 0, 0, 0)
        assert store.getByteWidth() == dtype.itemsize
        assert store.isSigned() == (dtype.kind in "ifc")
        assert store.isFloat() == (dtype.kind in "fc")
    with opened(omero_conn, pixels_id) as store:
        assert store.getPlane(0, 0, 0) == plane.tobytes()


@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"]
)
def test_the_gateway_gets_back_what_it_sent(omero_conn, dtype):
    sent = [np.arange(35).reshape(5, 7).astype(dtype) - (3 if dtype[0] != "u" else 0) for _ in "ab"]
    image = omero_conn.createImageFromNumpySeq(iter(sent), "image", sizeC=2)
    pixels = omero_conn.getObject("Image", image.getId()).getPrimaryPixels()
    for channel, plane in enumerate(pixels.getPlanes([(0, 0, 0), (0, 1, 0)])):
        np.testing.assert_array_equal(plane, sent[channel])
        assert plane.dtype.name == dtype
    np.testing.assert_array_equal(pixels.getTile(0, 1, 0, (2, 1, 4, 3)), sent[1][1:4, 2:6])


def test_parts_are_what_numpy_cuts(omero_conn, cube):
    pixels_id, values = cube
    with opened(omero_conn, pixels_id) as store:
        assert store.getPlane(3, 2, 1) == values[1, 2, 3].tobytes()
        assert store.getRow(4, 3, 2, 1) == values[1, 2, 3, 4].tobytes()
        assert store.getCol(5, 3, 2, 1) == values[1, 2, 3, :, 5].tobytes()
        assert store.getStack(2, 1) == values[1, 2].tobytes()
        assert store.getTimepoint(1) == values[1].tobytes()
        assert store.getTile(3, 2, 1, 1, 2, 4, 3) == values[1, 2, 3, 2:5, 1:5].tobytes()
        assert store.getPlaneRegion(3, 2, 1, 7, 8) == values[1, 2, 3].ravel()[8:15].tobytes()
        assert store.getRegion(10, 3) == values.tobytes()[3:13]


def test_sizes_and_offsets(omero_conn, cube):
    pixels_id, values = cube
    with opened(omero_conn, pixels_id) as store:
        assert store.getPixelsId() == pixels_id
        assert store.getRowSize() == 12
        assert store.getPlaneSize() == 60
        assert store.getStackSize() == 240
        assert store.getTimepointSize() == 720
        assert store.getTotalSize() == values.nbytes
        assert store.getRowOffset(4, 3, 2, 1) == 720 + 2 * 240 + 3 * 60 + 4 * 12
        assert store.getPlaneOffset(3, 2, 1) == 720 + 2 * 240 + 3 * 60
        assert store.getStackOffset(2, 1) == 720 + 2 * 240
        assert store.getTimepointOffset(1) == 720
        assert store.getTileSize() == [6, 5]
        assert [(one.sizeX, one.sizeY) for one in store.getResolutionDescriptions()] == [(6, 5)]
        assert (store.getResolutionLevels(), store.getResolutionLevel()) == (1, 0)
        with pytest.raises(omero.InternalException):
            store.setResolutionLevel(0)  # OMERO can't either, where there is no pyramid


def test_any_hypercube_is_a_slice(omero_conn, cube):
    pixels_id, values = cube
    sizes = SHAPE[::-1]  # X, Y, Z, C, T
    starts = st.tuples(*(st.integers(0, size - 1) for size in sizes))

    with opened(omero_conn, pixels_id) as store:

        @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
        @given(start=starts, data=st.data())
        def check(start, data):
            pairs = list(zip(sizes, start, strict=True))
            lengths = [data.draw(st.integers(1, size - first)) for size, first in pairs]
            steps = [data.draw(st.integers(1, 3)) for _ in sizes]
            x, y, z, c, t = (
                slice(first, first + length, step)
                for first, length, step in zip(start, lengths, steps, strict=True)
            )
            got = store.getHypercube(list(start), lengths, steps)
            assert got == values[t, c, z, y, x].tobytes()

        check()


@pytest.mark.parametrize(
    ("operation", "arguments", "told"),
    [
        ("getPlane", (4, 0, 0), "Z '4' greater than sizeZ '4'."),
        ("getPlane", (0, 3, 0), "C '3' greater than sizeC '3'."),
        ("getPlane", (0, 0, -1), "T '-1' greater than sizeT '2'."),
        ("getRow", (5, 0, 0, 0), "Y '5' greater than sizeY '5'."),
        ("getCol", (6, 0, 0, 0), "X '6' greater than sizeX '6'."),
        ("getStack", (3, 0), "C '3' greater than sizeC '3'."),
        ("getTimepoint", (2,), "T '2' greater than sizeT '2'."),
        ("getTile", (0, 0, 0, 3, 0, 4, 5), "X '6' greater than sizeX '6'."),
        ("getTile", (0, 0, 0, 0, 0, 6, 6), "Y '5' greater than sizeY '5'."),
        ("getHypercube", ([0] * 5, [7, 1, 1, 1, 1], [1] * 5), "X '6' greater than sizeX '6'."),
        ("getHypercube", ([0] * 5, [1] * 5, [1, 1, 1, 1, 0]), "Invalid step size"),
        ("getHypercube", ([0] * 4, [1] * 4, [1] * 4), "Invalid List length"),
    ],
)
def test_what_is_outside_is_refused(omero_conn, cube, operation, arguments, told):
    with (
        opened(omero_conn, cube[0]) as store,
        pytest.raises(omero.ApiUsageException) as refused,
    ):
        getattr(store, operation)(*arguments)
    assert told in refused.value.message


def test_a_store_without_pixels_is_refused(omero_conn):
    store = omero_conn.c.sf.createRawPixelsStore()
    for operation, arguments in (
        ("getPlane", (0, 0, 0)),
        ("getByteWidth", ()),
        ("getTileSize", ()),
    ):
        with pytest.raises(omero.ApiUsageException) as refused:
            getattr(store, operation)(*arguments)
        assert "has not been properly initialized" in refused.value.message
    assert store.save() is None
    store.close()


@pytest.mark.parametrize(
    ("length", "told"), [(59, "Underflow"), (61, "Overflow"), (0, "Underflow")]
)
def test_a_buffer_of_the_wrong_size_is_refused(omero_conn, length, told):
    with opened(omero_conn, new_pixels(omero_conn)) as store:
        with pytest.raises(omero.ResourceError) as refused:
            store.setPlane(bytes(length), 0, 0, 0)
        assert told in refused.value.message
        assert store.save() is None


def test_whole_rows_may_be_written_and_other_tiles_not(omero_conn):
    with opened(omero_conn, new_pixels(omero_conn)) as store:
        store.setTile(b"\1" * 24, 0, 0, 0, 0, 2, 6, 2)
        store.setRow(b"\2" * 12, 4, 0, 0, 0)
        for x, width in ((1, 5), (0, 5)):
            with pytest.raises(omero.InternalException):
                store.setTile(bytes(width * 2), 0, 0, 0, x, 0, width, 1)
        assert store.getPlane(0, 0, 0) == bytes(24) + b"\1" * 24 + b"\2" * 12


def test_pixels_that_nobody_wrote_are_zero(omero_conn):
    with opened(omero_conn, new_pixels(omero_conn)) as store:
        assert store.getPlane(0, 0, 0) == bytes(60)


def test_planes_are_written_once(omero_conn, cube):
    with opened(omero_conn, cube[0]) as store:
        with pytest.raises(omero.ApiUsageException) as refused:
            store.setPlane(bytes(60), 0, 0, 0)
        assert refused.value.message == "Write-method not permitted."
        assert store.getPlane(0, 0, 0) == cube[1][0, 0, 0].tobytes()


def test_two_stores_that_opened_a_new_image_both_write_it(omero_conn):
    pixels_id = new_pixels(omero_conn)
    with opened(omero_conn, pixels_id) as one, opened(omero_conn, pixels_id) as other:
        one.setPlane(b"\1" * 60, 0, 0, 0)
        other.setPlane(b"\2" * 60, 1, 0, 0)
        assert one.getPlane(1, 0, 0) == b"\2" * 60
        assert other.getPlane(0, 0, 0) == b"\1" * 60


def test_many_clients_write_one_image(omero_conn):
    pixels_id = new_pixels(omero_conn, (1, 1, 16, 50, 60))
    plane = 50 * 60 * 2
    with contextlib.ExitStack() as stack:
        stores = [stack.enter_context(opened(omero_conn, pixels_id)) for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            jobs = [
                pool.submit(stores[z % 8].setPlane, bytes([z]) * plane, z, 0, 0) for z in range(16)
            ]
            for job in jobs:
                job.result(timeout=60)
    with opened(omero_conn, pixels_id) as store:
        assert store.getStack(0, 0) == b"".join(bytes([z]) * plane for z in range(16))


def sha1_of(conn, pixels_id):
    return conn.getQueryService().get("Pixels", pixels_id).sha1.val


def test_saving_hashes_all_planes(omero_conn):
    pixels_id = new_pixels(omero_conn)
    assert sha1_of(omero_conn, pixels_id) == "Pending..."
    with opened(omero_conn, pixels_id) as store:
        store.setPlane(b"\1" * 60, 3, 2, 1)
        expected = hashlib.sha1(bytes(1440 - 60) + b"\1" * 60)  # noqa: S324  (OMERO's hash)
        assert store.calculateMessageDigest() == expected.digest()
        saved = store.save()
        assert (saved.id.val, saved.sha1.val) == (pixels_id, expected.hexdigest())
        assert store.save() is None
    assert sha1_of(omero_conn, pixels_id) == expected.hexdigest()


def test_one_store_goes_through_many_images(omero_conn):
    ids = [new_pixels(omero_conn) for _ in range(3)]
    with opened(omero_conn, ids[0]) as store:
        for number, pixels_id in enumerate(ids):
            store.setPixelsId(pixels_id, True)
            store.setPlane(bytes([number]) * 60, 0, 0, 0)
            if number != 1:
                store.save()
    hashes = [sha1_of(omero_conn, pixels_id) for pixels_id in ids]
    assert hashes[1] == "Pending..."  # nobody saved it: so it is in OMERO, too
    assert len({*hashes}) == 3


def test_closing_saves(omero_conn):
    pixels_id = new_pixels(omero_conn)
    with opened(omero_conn, pixels_id) as store:
        store.setPlane(bytes(60), 0, 0, 0)
    assert sha1_of(omero_conn, pixels_id) == hashlib.sha1(bytes(1440)).hexdigest()  # noqa: S324


def test_the_end_of_a_session_saves(omero_user, omero_conn, omero_connect):
    leaving = omero_connect(omero_user)
    pixels_id = new_pixels(leaving)
    store = leaving.c.sf.createRawPixelsStore()
    store.setPixelsId(pixels_id, True)
    store.setPlane(bytes(60), 0, 0, 0)
    leaving.c.killSession()
    limit = time.monotonic() + 60
    while sha1_of(omero_conn, pixels_id) == "Pending..." and time.monotonic() < limit:
        time.sleep(0.02)
    assert sha1_of(omero_conn, pixels_id) == hashlib.sha1(bytes(1440)).hexdigest()  # noqa: S324


def test_members_of_a_group_read_and_do_not_write(omero_conn, omero_second_conn):
    pixels_id = new_pixels(omero_conn)
    with opened(omero_conn, pixels_id) as mine, opened(omero_second_conn, pixels_id) as theirs:
        mine.setPlane(b"\1" * 60, 0, 0, 0)
        assert theirs.getPlane(0, 0, 0) == b"\1" * 60
        with pytest.raises(omero.SecurityViolation):
            theirs.setPlane(bytes(60), 0, 0, 0)
        assert mine.getPlane(0, 0, 0) == b"\1" * 60


def test_going_on_to_the_pixels_of_others_changes_nothing_of_theirs(omero_conn, omero_second_conn):
    theirs, mine = new_pixels(omero_conn), new_pixels(omero_second_conn)
    with opened(omero_second_conn, mine) as store:
        store.setPlane(bytes(60), 0, 0, 0)
        store.setPixelsId(theirs, True)
        assert store.save() is None
    assert sha1_of(omero_conn, theirs) == "Pending..."


def test_private_pixels_and_missing_ones_do_not_exist(
    omero_make_group, omero_make_user, omero_connect
):
    group = omero_make_group("private")
    owner, other = (omero_connect(omero_make_user(group)) for _ in range(2))
    for pixels_id in (new_pixels(owner), 1 << 40):
        store = other.c.sf.createRawPixelsStore()
        with pytest.raises(omero.ValidationException) as refused:
            store.setPixelsId(pixels_id, True)
        assert f"Cannot read pixels id={pixels_id}" in refused.value.message
        store.close()


def test_an_image_is_deleted_while_somebody_reads_it(omero_conn, cube):
    pixels_id, values = cube
    image_id = omero_conn.getQueryService().get("Pixels", pixels_id).image.id.val
    with opened(omero_conn, pixels_id) as store:
        store.getPlane(0, 0, 0)
        request = Delete2(targetObjects={"Image": [image_id]})
        omero_conn.c.submit(request, loops=100, ms=100).close(True)
        assert store.getPlane(1, 0, 0) == values[0, 0, 1].tobytes()
    with pytest.raises(omero.ValidationException), opened(omero_conn, pixels_id):
        pass


def test_ranges_and_histograms(omero_conn):
    pixels_id = new_pixels(omero_conn, (1, 1, 1, 4, 8), "uint8")
    plane = np.arange(32, dtype="u1").reshape(4, 8)
    with opened(omero_conn, pixels_id) as store:
        store.setPlane(plane.tobytes(), 0, 0, 0)
        assert store.findMinMax([0]) == {0: [0.0, 31.0]}
        whole = omero.romio.PlaneDef(0)
        assert store.getHistogram([0], 4, False, whole) == {0: [8, 8, 8, 8]}
        part = omero.romio.PlaneDef(0, region=omero.romio.RegionDef(0, 0, 8, 1))
        assert store.getHistogram([0], 4, False, part) == {0: [8, 0, 0, 0]}
        assert [len(counts) for counts in store.getHistogram([0], 0, False, whole).values()] == [
            256
        ]


def test_large_images_take_any_tile(omero_conn):
    side = 3200  # OMERO makes a pyramid of what is larger than 3192 x 3192
    pixels_id = new_pixels(omero_conn, (1, 1, 1, side, side), "uint8")
    with opened(omero_conn, pixels_id) as store:
        store.setTile(b"\7" * 200, 0, 0, 0, 3000, 3190, 20, 10)
        assert store.getTile(0, 0, 0, 2999, 3190, 3, 1) == b"\0\7\7"
        assert store.getHypercube([3019, 3199, 0, 0, 0], [2, 1, 1, 1, 1], [1] * 5) == b"\7\0"

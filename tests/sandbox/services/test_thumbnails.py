"""ThumbnailStore: small pictures, whose settings they are made with, and the clock."""

from __future__ import annotations

import contextlib

import numpy as np
import omero
import pytest
from omero.model import RenderingDefI
from omero.rtypes import rdouble, rint
from omero.sys import ParametersI

from tests.sandbox.services.pictures import decoded, new_image, unwritten_image

DARK, BRIGHT = 40, 215


@contextlib.contextmanager
def opened(conn, image):
    store = conn.c.sf.createThumbnailStore()
    try:
        store.setPixelsId(image.getPixelsId())
        yield store
    finally:
        store.close()


def square():
    """A plane of 200 x 300 that is dark but for a bright square."""
    values = np.zeros((200, 300), "uint16")
    values[50:150, 100:200] = 1000
    return values


@pytest.fixture
def image(omero_conn):
    return new_image(omero_conn, [square()])


def test_a_bright_square_is_bright(image):
    small = decoded(image.getThumbnail((96,)))
    assert small.shape == (64, 96, 3)
    assert small[20:44, 36:60].min() > BRIGHT
    assert small[:, :28].max() < DARK
    assert small[:12].max() < DARK


@pytest.mark.parametrize(("asked", "shape"), [((48, 96), (96, 48)), ((150,), (100, 150))])
def test_thumbnails_have_the_size_that_was_asked_for(image, asked, shape):
    assert decoded(image.getThumbnail(asked)).shape[:2] == shape
    assert decoded(image.getThumbnail(asked, direct=True)).shape[:2] == shape


def test_the_size_is_48_unless_it_is_told(omero_conn, image):
    with opened(omero_conn, image) as store:
        store.resetDefaults()
        store.setPixelsId(image.getPixelsId())
        assert decoded(store.getThumbnail(None, None)).shape == (48, 48, 3)
        assert decoded(store.getThumbnailByLongestSide(None)).shape == (32, 48, 3)
        with pytest.raises(omero.ApiUsageException):
            store.getThumbnail(rint(-1), rint(10))


def test_any_plane_has_a_thumbnail(omero_conn):
    dark, bright = np.zeros((20, 20), "uint8"), np.full((20, 20), 200, "uint8")
    image = new_image(omero_conn, [np.stack([dark, bright, dark])])
    assert decoded(image.getThumbnail((20,), z=0, t=0)).max() < DARK
    assert decoded(image.getThumbnail((20,), z=1, t=0)).min() > BRIGHT
    assert decoded(image.getThumbnail((20,))).min() > BRIGHT  # the middle one is the default


def test_settings_are_missing_until_somebody_resets_them(omero_conn, image):
    pixels_id = image.getPixelsId()
    with opened(omero_conn, image) as store:
        assert not store.setPixelsId(pixels_id)
        with pytest.raises(omero.ApiUsageException):
            store.getRenderingDefId()
        with pytest.raises(omero.InternalException):
            store.getThumbnail(rint(10), rint(10))
        store.resetDefaults()
        assert store.setPixelsId(pixels_id)
        row = omero_conn.getPixelsService().retrieveRndSettings(pixels_id)
        assert store.getRenderingDefId() == row.id.val
        with pytest.raises(omero.ApiUsageException) as refused:
            store.resetDefaults()
        assert "only resets **empty** rendering settings" in refused.value.message


def test_an_image_without_planes_is_a_clock(omero_conn):
    image = unwritten_image(omero_conn)
    clock = decoded(image.getThumbnail((96,)))
    assert max(clock.shape) == 96
    assert clock.max() - clock.min() > 100
    assert image._thumbInProgress
    many = omero_conn.getThumbnailSet([image.getId()], 64)
    assert max(decoded(many[image.getId()]).shape) == 64


def test_a_store_without_pixels_is_refused(omero_conn):
    store = omero_conn.c.sf.createThumbnailStore()
    with pytest.raises(omero.ApiUsageException):
        store.getThumbnail(rint(10), rint(10))
    with pytest.raises(omero.ResourceError):
        store.setPixelsId(1 << 40)
    store.close()


def test_many_thumbnails_at_once(omero_conn, omero_second_conn):
    images = [new_image(omero_conn, [square()]) for _ in range(3)]
    ids = [image.getPixelsId() for image in images]
    store = omero_second_conn.c.sf.createThumbnailStore()
    found = store.getThumbnailByLongestSideSet(rint(60), [*ids, 1 << 40])
    assert sorted(found) == [*ids, 1 << 40]
    assert [decoded(found[one]).shape for one in ids] == [(40, 60, 3)] * 3
    assert found[1 << 40] == b""
    assert decoded(store.getThumbnailSet(rint(30), rint(30), ids)[ids[0]]).shape == (30, 30, 3)
    store.close()


def test_who_may_only_read_sees_the_owners_settings(
    omero_make_group, omero_make_user, omero_connect
):
    group = omero_make_group("read-only")
    owner, other = (omero_connect(omero_make_user(group)) for _ in range(2))
    image = new_image(owner, [square()])
    seen = other.getObject("Image", image.getId())
    store = other.c.sf.createThumbnailStore()
    assert not store.setPixelsId(image.getPixelsId())
    with pytest.raises(omero.ApiUsageException) as refused:
        store.resetDefaults()
    assert "read-only group" in refused.value.message
    found = store.getThumbnailByLongestSideSet(rint(60), [image.getPixelsId()])
    assert found == {image.getPixelsId(): b""}
    with pytest.raises(omero.ResourceError):
        store.getThumbnail(rint(60), rint(60))
    store.close()
    image.getThumbnail((96,))
    assert decoded(seen.getThumbnail((96,)))[32, 48].min() > BRIGHT


def version(conn, image):
    wanted = ParametersI().addId(image.getPixelsId())
    rows = conn.getQueryService().findAllByQuery(
        "select t from Thumbnail t where t.pixels.id = :id", wanted
    )
    assert len(rows) == 1
    return rows[0].version.val


def test_the_version_tells_when_a_thumbnail_changed(omero_conn, image):
    image.getThumbnail((96,), direct=False)
    first = version(omero_conn, image)
    image.getThumbnail((96,), direct=False)
    assert version(omero_conn, image) == first
    image.set_active_channels([1], [[0, 5000]], ["FFFFFF"])
    assert image.saveDefaults()
    again = omero_conn.getObject("Image", image.getId())
    assert decoded(again.getThumbnail((96,), direct=False))[32, 48].max() < BRIGHT
    assert version(omero_conn, image) > first


def test_settings_of_another_image_are_refused(omero_conn, image):
    other = new_image(omero_conn, [square(), square()])
    other.getThumbnail((10,))
    with opened(omero_conn, image) as store:
        with pytest.raises(omero.ValidationException):
            store.setRenderingDefId(other.getRenderingDefId())
        with pytest.raises(omero.ValidationException):
            store.setRenderingDefId(1 << 40)


def test_one_call_may_be_about_all_groups(omero_make_group, omero_make_user, omero_connect):
    groups = [omero_make_group("read-annotate") for _ in range(2)]
    user = omero_make_user(*groups)
    images = [new_image(omero_connect(user, group), [square()]) for group in groups]
    conn = omero_connect(user)
    conn.SERVICE_OPTS.setOmeroGroup("-1")
    found = conn.getThumbnailSet([image.getId() for image in images], 60)
    assert [decoded(jpeg).shape for jpeg in found.values()] == [(40, 60, 3)] * 2


def test_a_kept_thumbnail_follows_its_settings_and_its_user(omero_conn, omero_second_conn, image):
    def brightest(conn):
        seen = conn.getObject("Image", image.getId())
        return decoded(seen.getThumbnail((96,), direct=False))[32, 48].max()

    assert min(brightest(omero_conn), brightest(omero_conn)) > BRIGHT
    theirs = omero_second_conn.getObject("Image", image.getId())
    theirs.set_active_channels([1], [[0, 5000]], ["FFFFFF"])
    theirs.saveDefaults()
    assert brightest(omero_second_conn) < BRIGHT
    assert brightest(omero_conn) > BRIGHT
    # By its binding alone, as a client may: the settings themselves say nothing of a change.
    row = omero_conn.getPixelsService().retrieveRndSettings(image.getPixelsId())
    binding = row.getChannelBinding(0)
    binding.inputEnd = rdouble(9000)
    binding.renderingDef = RenderingDefI(row.id.val, False)
    omero_conn.getUpdateService().saveObject(binding)
    assert brightest(omero_conn) < BRIGHT

"""BlitzGateway writes and reads pixels: every type, planes, tiles, statistics; and renders them."""

from __future__ import annotations

import io

import numpy as np
import omero
import pytest
from omero.model import LengthI
from omero.model.enums import UnitsLength
from PIL import Image

TYPES = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"]


def extremes(dtype):
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return np.array([[-1.5, 0.0, 1e30], [1e-30, -0.0, 3.25]], dtype)
    info = np.iinfo(kind)
    return np.array([[info.min, 0, 1], [info.max, 2, info.max - 1]], dtype)


@pytest.mark.parametrize("dtype", TYPES)
def test_every_pixel_type_is_read_as_it_was_written(omero_conn, dtype):
    plane = extremes(dtype)
    image = omero_conn.createImageFromNumpySeq(iter([plane]), dtype)
    read = omero_conn.getObject("Image", image.getId()).getPrimaryPixels().getPlane(0, 0, 0)
    assert read.dtype == np.dtype(dtype)
    assert np.array_equal(read, plane)


def test_planes_come_in_the_order_asked_for(omero_conn, new_image):
    pixels = new_image(sizes=(2, 3, 2)).getPrimaryPixels()
    wanted = [(1, 2, 1), (0, 0, 0), (1, 0, 1)]
    first = np.arange(48).reshape(6, 8)
    for (z, c, t), plane in zip(wanted, pixels.getPlanes(wanted), strict=True):
        assert np.array_equal(plane, first + 100 * (z * 6 + c * 2 + t))


def test_tiles_are_parts_of_planes(omero_conn, new_image):
    pixels = new_image(sizes=(1, 2, 1)).getPrimaryPixels()
    whole = pixels.getPlane(0, 1, 0)
    tile = pixels.getTile(0, 1, 0, (2, 1, 3, 4))
    assert np.array_equal(tile, whole[1:5, 2:5])
    tiles = list(pixels.getTiles([(0, 0, 0, (0, 0, 2, 2)), (0, 1, 0, (7, 5, 1, 1))]))
    assert [part.shape for part in tiles] == [(2, 2), (1, 1)]
    assert tiles[1][0, 0] == whole[5, 7]


@pytest.mark.parametrize("place", [(1, 0, 0), (0, 5, 0), (0, 0, -1)])
def test_a_plane_that_is_not_there_is_an_error(omero_conn, new_image, place):
    with pytest.raises(omero.ServerError):
        new_image().getPrimaryPixels().getPlane(*place)


def test_a_tile_beyond_the_border_is_an_error(omero_conn, new_image):
    with pytest.raises(omero.ServerError):
        new_image().getPrimaryPixels().getTile(0, 0, 0, (6, 0, 4, 2))


def test_pixels_are_big_endian_on_the_wire(omero_conn, new_image):
    image = new_image()
    store = omero_conn.c.sf.createRawPixelsStore()
    try:
        store.setPixelsId(image.getPixelsId(), False)
        raw = store.getPlane(0, 0, 0)
        assert (store.getByteWidth(), store.isSigned(), store.isFloat()) == (2, False, False)
        assert (store.getRowSize(), store.getPlaneSize()) == (16, 96)
        assert np.array_equal(np.frombuffer(raw, ">u2").reshape(6, 8), np.arange(48).reshape(6, 8))
        assert np.array_equal(np.frombuffer(store.getRow(2, 0, 0, 0), ">u2"), np.arange(16, 24))
    finally:
        store.close()


def test_an_image_knows_its_sizes_channels_and_type(omero_conn, new_image):
    image = omero_conn.getObject("Image", new_image("sized", sizes=(2, 3, 4)).getId())
    sizes = [image.getSizeX(), image.getSizeY(), image.getSizeZ(), image.getSizeC()]
    assert [*sizes, image.getSizeT()] == [8, 6, 2, 3, 4]
    assert image.getPixelsType() == "uint16"
    assert len(image.getChannels()) == 3
    assert image.getPrimaryPixels().getPixelsType().getValue() == "uint16"


def test_channel_names_and_pixel_sizes_are_kept(omero_conn, new_image):
    image = new_image(sizes=(1, 2, 1))
    omero_conn.setChannelNames("Image", [image.getId()], {1: "DAPI", 2: "GFP"})
    pixels = omero_conn.getObject("Image", image.getId()).getPrimaryPixels()._obj
    pixels.setPhysicalSizeX(LengthI(0.65, UnitsLength.MICROMETER))
    omero_conn.getUpdateService().saveObject(pixels)
    again = omero_conn.getObject("Image", image.getId())
    assert again.getChannelLabels() == ["DAPI", "GFP"]
    assert again.getPixelSizeX() == 0.65
    assert again.getPixelSizeX(units="NANOMETER").getValue() == pytest.approx(650)


def test_the_range_of_each_channel_is_stored(omero_conn, new_image):
    image = omero_conn.getObject("Image", new_image(sizes=(1, 2, 1)).getId())
    ranges = [(c.getWindowMin(), c.getWindowMax()) for c in image.getChannels()]
    assert ranges == [(0, 47), (100, 147)]


def test_an_image_is_made_from_another(omero_conn, new_image):
    source = new_image("source", sizes=(1, 2, 1))
    omero_conn.setChannelNames("Image", [source.getId()], {1: "DAPI", 2: "GFP"})
    copy = omero_conn.createImageFromNumpySeq(
        iter([np.zeros((6, 8), "uint16")]),
        "copy",
        sizeC=1,
        sourceImageId=source.getId(),
        channelList=[1],
    )
    again = omero_conn.getObject("Image", copy.getId())
    assert again.getId() != source.getId()
    assert (again.getSizeC(), again.getPixelsType()) == (1, "uint16")


def test_a_thumbnail_is_a_jpeg_of_the_size_asked_for(omero_conn, new_image):
    image = omero_conn.getObject("Image", new_image().getId())
    with Image.open(io.BytesIO(image.getThumbnail(size=(32, 24)))) as picture:
        assert (picture.format, picture.size) == ("JPEG", (32, 24))
    with Image.open(io.BytesIO(image.getThumbnail(size=(64,)))) as picture:
        assert max(picture.size) == 64


def test_thumbnails_of_many_images_come_at_once(omero_conn, new_image):
    ids = [new_image().getId(), new_image().getId()]
    pictures = omero_conn.getThumbnailSet(ids, max_size=32)
    assert set(pictures) == set(ids)
    assert all(Image.open(io.BytesIO(data)).size == (32, 24) for data in pictures.values())


def test_a_rendered_plane_follows_the_window_and_the_colours(omero_conn, new_image):
    image = omero_conn.getObject("Image", new_image(sizes=(1, 2, 1)).getId())
    image.setActiveChannels([1], windows=[[0, 47]], colors=["FF0000"])
    image.setColorRenderingModel()
    picture = np.asarray(image.renderImage(0, 0, compression=1.0))
    assert picture.shape == (6, 8, 3)
    assert picture[0, 0].tolist() == pytest.approx([0, 0, 0], abs=24)
    assert picture[5, 7, 0] > 200
    assert picture[5, 7, 1] < 60
    image.setGreyscaleRenderingModel()
    grey = np.asarray(image.renderImage(0, 0, compression=1.0).convert("RGB")).astype(int)
    assert np.abs(grey[..., 0] - grey[..., 2]).max() < 24


def test_rendering_settings_are_saved(omero_conn, new_image):
    image = omero_conn.getObject("Image", new_image(sizes=(1, 2, 1)).getId())
    image.setActiveChannels([2], windows=[[10, 90]], colors=["00FF00"])
    assert image.saveDefaults()
    again = omero_conn.getObject("Image", image.getId())
    channels = again.getChannels()
    assert [channel.isActive() for channel in channels] == [False, True]
    assert (channels[1].getWindowStart(), channels[1].getWindowEnd()) == (10, 90)
    assert channels[1].getColor().getHtml() == "00FF00"

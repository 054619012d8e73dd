"""IPixels: images from their sizes, copies, descriptions, rendering settings of users."""

from __future__ import annotations

import omero
import pytest
from omero.rtypes import rint


@pytest.fixture
def make(omero_conn):
    def maker(conn=omero_conn, channels=(0, 1), kind="uint16", name="name", sizes=(6, 5, 4, 3)):
        found = conn.getQueryService().findByString("PixelsType", "value", kind)
        service = conn.getPixelsService()
        return service.createImage(*sizes, list(channels), found, name, "description").val

    return maker


def pixels_of(conn, image_id):
    return conn.getObject("Image", image_id).getPixelsId()


def test_a_new_image_has_what_omero_gives_it(omero_conn, make):
    image = omero_conn.getObject("Image", make())
    assert (image.getName(), image.getDescription()) == ("name", "description")
    row = omero_conn.getPixelsService().retrievePixDescription(image.getPixelsId())
    sizes = (row.sizeX, row.sizeY, row.sizeZ, row.sizeC, row.sizeT)
    assert [size.val for size in sizes] == [6, 5, 4, 2, 3]
    assert row.sha1.val == "Pending..."
    assert row.pixelsType.value.val == "uint16"
    assert row.physicalSizeX is None
    assert row.significantBits is None
    assert not row.image.loaded
    channels = row.copyChannels()
    assert len(channels) == 2
    assert all(one.logicalChannel.loaded and one.statsInfo is None for one in channels)
    query = omero_conn.getQueryService()
    order = query.get("DimensionOrder", row.dimensionOrder.id.val)
    assert order.value.val == "XYZCT"
    assert query.get("Image", image.getId()).acquisitionDate is None


def test_an_image_of_no_channel_is_refused(make):
    with pytest.raises(omero.ValidationException) as refused:
        make(channels=())
    assert "Channel list must be filled." in refused.value.message


def test_ranges_of_channels(omero_conn, omero_second_conn, make):
    service, pixels_id = omero_conn.getPixelsService(), pixels_of(omero_conn, make())
    for low, high in ((1.0, 2.0), (-3.0, 4.5)):
        service.setChannelGlobalMinMax(pixels_id, 1, low, high)
        stats = service.retrievePixDescription(pixels_id).getChannel(1).statsInfo
        assert (stats.globalMin.val, stats.globalMax.val) == (low, high)
    with pytest.raises(omero.InternalException):
        service.setChannelGlobalMinMax(pixels_id, 2, 0.0, 1.0)
    with pytest.raises(omero.SecurityViolation):
        omero_second_conn.getPixelsService().setChannelGlobalMinMax(pixels_id, 0, 0.0, 1.0)


def test_a_copy_has_other_sizes_and_some_of_the_channels(omero_conn, make):
    service, query = omero_conn.getPixelsService(), omero_conn.getQueryService()
    source = make(channels=(0, 1, 2))
    service.setChannelGlobalMinMax(pixels_of(omero_conn, source), 2, 5.0, 6.0)
    copied = service.copyAndResizeImage(
        source, rint(10), None, rint(1), None, [2, 0], "copy", True
    ).val
    assert omero_conn.getObject("Image", copied).getName() == "copy"
    old, new = (
        service.retrievePixDescription(pixels_of(omero_conn, one)) for one in (source, copied)
    )
    sizes = (new.sizeX, new.sizeY, new.sizeZ, new.sizeC, new.sizeT)
    assert [size.val for size in sizes] == [10, 5, 1, 2, 3]
    assert new.sha1.val == "Pending..."
    assert query.get("Pixels", new.id.val).relatedTo.id.val == old.id.val
    assert new.getChannel(0).logicalChannel.id.val == old.getChannel(2).logicalChannel.id.val
    assert new.getChannel(0).statsInfo.globalMax.val == 6.0
    assert new.getChannel(0).statsInfo.id.val != old.getChannel(2).statsInfo.id.val
    assert new.getChannel(1).statsInfo is None


@pytest.mark.parametrize(("sizes", "channels"), [((-1, None), [0]), ((None, None), [2])])
def test_copies_that_make_no_sense_are_refused(omero_conn, make, sizes, channels):
    x, y = (None if size is None else rint(size) for size in sizes)
    service = omero_conn.getPixelsService()
    with pytest.raises(omero.ValidationException):
        service.copyAndResizeImage(make(), x, y, None, None, channels, "copy", False)


def test_pixels_are_copied_within_their_image(omero_conn, make):
    image = make()
    first = pixels_of(omero_conn, image)
    second = omero_conn.getPixelsService().copyAndResizePixels(
        first, None, None, rint(1), rint(1), [0], "a method", False
    )
    row = omero_conn.getQueryService().get("Pixels", second.val)
    assert row.image.id.val == image
    assert (row.methodology.val, row.sizeZ.val, row.sizeX.val) == ("a method", 1, 6)


def test_enumerations(omero_conn):
    service = omero_conn.getPixelsService()
    kinds = {one.value.val: one for one in service.getAllEnumerations("omero.model.PixelsType")}
    assert {"uint8", "uint16", "float", "double"} <= set(kinds)
    assert service.getBitDepth(kinds["uint16"]) == 16
    assert service.getBitDepth(kinds["double"]) == 64
    found = service.getEnumeration("PixelsType", "uint16")
    assert found.id.val == kinds["uint16"].id.val
    assert service.getEnumeration("PixelsType", "uint13") is None


def test_what_cannot_be_read_has_no_description(omero_conn):
    assert omero_conn.getPixelsService().retrievePixDescription(1 << 40) is None


def test_each_user_has_settings_and_the_owners_serve_the_others(
    omero_conn, omero_second_conn, omero_user, omero_second_user, make
):
    image = make()
    pixels_id = pixels_of(omero_conn, image)
    mine, theirs = (one.getPixelsService() for one in (omero_conn, omero_second_conn))
    assert mine.retrieveRndSettings(pixels_id) is None
    omero_conn.getRenderingSettingsService().setOriginalSettingsInSet("Image", [image])
    first = mine.retrieveRndSettings(pixels_id)
    assert first.details.owner.omeName.val == omero_user.name
    assert first.model.value.val == "rgb"
    assert first.quantization.cdEnd.val == 255
    assert first.sizeOfWaveRendering() == 2
    assert first.getChannelBinding(0).family.value.val == "linear"
    assert first.getChannelBinding(0).sizeOfSpatialDomainEnhancement() == 0
    assert first.sizeOfProjections() == 0
    assert theirs.retrieveRndSettings(pixels_id).id.val == first.id.val
    assert theirs.retrieveRndSettingsFor(pixels_id, omero_second_user.id) is None
    omero_second_conn.getRenderingSettingsService().setOriginalSettingsInSet("Image", [image])
    own = theirs.retrieveRndSettings(pixels_id)
    assert own.id.val != first.id.val
    assert mine.retrieveRndSettings(pixels_id).id.val == first.id.val
    every = [one.id.val for one in mine.retrieveAllRndSettings(pixels_id, -1)]
    assert every == [own.id.val, first.id.val]
    assert mine.loadRndSettings(own.id.val).details.owner.id.val == omero_second_user.id


def test_settings_are_saved_by_their_owner_only(omero_conn, omero_second_conn, make):
    image = make()
    pixels_id = pixels_of(omero_conn, image)
    omero_conn.getRenderingSettingsService().setOriginalSettingsInSet("Image", [image])
    service = omero_conn.getPixelsService()
    row = service.retrieveRndSettings(pixels_id)
    row.getChannelBinding(1).inputEnd = omero.rtypes.rdouble(17.0)
    service.saveRndSettings(row)
    changed = service.retrieveRndSettings(pixels_id)
    assert changed.getChannelBinding(1).inputEnd.val == 17.0
    changed.getChannelBinding(1).inputEnd = omero.rtypes.rdouble(18.0)
    with pytest.raises(omero.SecurityViolation):
        omero_second_conn.getPixelsService().saveRndSettings(changed)

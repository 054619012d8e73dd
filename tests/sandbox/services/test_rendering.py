"""RenderingEngine: exact levels and colours, sections, projections, saving."""

from __future__ import annotations

import contextlib
import math

import numpy as np
import omero
import pytest
from omero.constants.projection import ProjectionType
from omero.model import FamilyI, RenderingModelI
from omero.rtypes import rstring

from tests.sandbox.services.pictures import decoded, new_image, plane, unpacked, unwritten_image

REVERSE = omero.romio.ReverseIntensityMapContext


@contextlib.contextmanager
def engine(conn, image, *, reset=True):
    made = conn.c.sf.createRenderingEngine()
    try:
        made.lookupPixels(image.getPixelsId())
        if not made.lookupRenderingDef(image.getPixelsId()) and reset:
            made.resetDefaultSettings(True)
            made.lookupRenderingDef(image.getPixelsId())
        made.load()
        yield made
    finally:
        made.close()


def model(value):
    made = RenderingModelI()
    made.value = rstring(value)
    return made


def family(value):
    made = FamilyI()
    made.value = rstring(value)
    return made


def half_up(value):
    return math.floor(value + 0.5)


def levels(values, start, end, curve=lambda value: value):
    """What OMERO's documentation of its quantisation says, value by value."""
    out = []
    for value in values:
        if value < start or value >= end:
            out.append(0 if value < start else 255)
        else:
            place = 255.0 / (end - start) * value - 255.0 / (end - start) * start
            low, high = curve(0.0), curve(255.0)
            out.append(half_up(255 / (high - low) * (curve(place) - low)))
    return out


def ramp(dtype, low=0):
    return (np.arange(256).reshape(8, 32) + low).astype(dtype)


@pytest.mark.parametrize(
    ("dtype", "low", "start", "end"),
    [
        ("uint8", 0, 0, 255),
        ("uint8", 0, 17, 100),
        ("uint16", 1000, 1010, 1203),
        ("int8", -128, -100, 99),
        ("int16", -120, -60, 77),
        ("int32", -120, -60.5, 77),
        ("uint32", 70_000, 70_011, 70_188),
        ("float32", -5, -1.25, 199.75),
        ("float64", 0, 0, 255),
    ],
)
def test_a_ramp_becomes_exactly_these_levels(omero_conn, dtype, low, start, end):
    values = ramp(dtype, low)
    with engine(omero_conn, new_image(omero_conn, [values])) as made:
        made.setChannelWindow(0, start, end)
        grey = unpacked(made.renderAsPackedInt(plane()))
    expected = levels(values.ravel().tolist(), start, end)
    assert grey[:, 1].tolist() == expected
    assert (grey[:, 1:] == grey[:, 1:2]).all()
    assert (grey[:, 0] == 255).all()


@pytest.mark.parametrize(
    ("name", "coefficient", "curve"),
    [
        ("polynomial", 2.0, lambda value: value**2.0),
        ("polynomial", 0.5, lambda value: value**0.5),
        ("logarithmic", 1.0, lambda value: math.log(value) if value > 0 else 0.0),
        ("exponential", 0.3, lambda value: math.exp(value**0.3)),
    ],
)
def test_curves_of_the_families(omero_conn, name, coefficient, curve):
    with engine(omero_conn, new_image(omero_conn, [ramp("uint8")])) as made:
        made.setQuantizationMap(0, family(name), coefficient, False)
        assert made.getChannelFamily(0).value.val == name
        assert made.getChannelCurveCoefficient(0) == coefficient
        assert not made.getChannelNoiseReduction(0)
        grey = unpacked(made.renderAsPackedInt(plane()))
    expected = np.array(levels(range(256), 0, 255, curve))
    np.testing.assert_allclose(grey[:, 1], expected, atol=0)


def test_fewer_levels(omero_conn):
    with engine(omero_conn, new_image(omero_conn, [ramp("uint8")])) as made:
        made.setQuantumStrategy(1)
        made.setCodomainInterval(10, 200)
        assert set(unpacked(made.renderAsPackedInt(plane()))[:, 1].tolist()) == {10, 200}
        quantum = made.getQuantumDef()
        told = quantum.bitResolution.val, quantum.cdStart.val, quantum.cdEnd.val
        assert told == (1, 10, 200)
        for wrong in (lambda: made.setQuantumStrategy(2), lambda: made.setCodomainInterval(9, 256)):
            with pytest.raises(omero.InternalException):
                wrong()


def test_reversed_levels(omero_conn):
    with engine(omero_conn, new_image(omero_conn, [ramp("uint8")])) as made:
        made.addCodomainMapToChannel(REVERSE(), 0)
        assert len(made.getCodomainMapContext(0)) == 1
        assert unpacked(made.renderAsPackedInt(plane()))[:, 1].tolist() == list(range(255, -1, -1))
        made.removeCodomainMapFromChannel(REVERSE(), 0)
        assert made.getCodomainMapContext(0) == []
        assert unpacked(made.renderAsPackedInt(plane()))[:, 1].tolist() == list(range(256))


@pytest.fixture
def colourful(omero_conn):
    """Channels of 100, 200 and 250 of 255: in red, green and blue."""
    planes = [np.full((4, 6), value, "uint8") for value in (100, 200, 250)]
    for values in planes:
        values[0, 0], values[0, 1] = 0, 255
    return new_image(omero_conn, planes)


def colour_at(made, x=3, y=3):
    return tuple(unpacked(made.renderAsPackedInt(plane()))[y * 6 + x].tolist())


def test_colours_add_up(omero_conn, colourful):
    with engine(omero_conn, colourful) as made:
        assert made.getModel().value.val == "rgb"
        assert [made.getRGBA(number)[:3] for number in range(3)] == [
            [255, 0, 0],
            [0, 255, 0],
            [0, 0, 255],
        ]
        assert colour_at(made) == (255, 100, 200, 250)
        made.setActive(2, False)
        assert (made.isActive(1), made.isActive(2)) == (True, False)
        assert colour_at(made) == (255, 100, 200, 0)
        made.setRGBA(1, 255, 128, 0, 255)
        # 100 + 200, cut at 255; 128 / 255 of 200 is 100.39, cut
        assert colour_at(made) == (255, 255, 100, 0)
        made.setRGBA(1, 0, 255, 0, 51)
        assert colour_at(made) == (255, 100, 40, 0)
        for number in (0, 1):
            made.setActive(number, False)
        assert colour_at(made) == (0, 0, 0, 0)


def test_grey_is_the_first_active_channel(omero_conn, colourful):
    with engine(omero_conn, colourful) as made:
        made.setModel(model("greyscale"))
        assert colour_at(made) == (255, 100, 100, 100)
        made.setActive(0, False)
        assert colour_at(made) == (255, 200, 200, 200)


def test_bands_and_jpegs_show_the_same(omero_conn, colourful):
    with engine(omero_conn, colourful) as made:
        bands = made.render(plane())
        assert (bands.sizeX1, bands.sizeX2) == (6, 4)
        assert [band[20] for band in bands.bands] == [100, 200, 250]
        jpeg = decoded(made.renderCompressed(plane()))
        assert jpeg.shape == (4, 6, 3)
        np.testing.assert_allclose(jpeg[3, 5].astype(int), (100, 200, 250), atol=12)


def test_quality_of_jpegs(omero_conn):
    noise = np.random.default_rng(3).integers(0, 255, (64, 64)).astype("uint8")
    with engine(omero_conn, new_image(omero_conn, [noise])) as made:
        assert made.getCompressionLevel() == pytest.approx(0.85)
        usual = len(made.renderCompressed(plane()))
        made.setCompressionLevel(0.1)
        assert len(made.renderCompressed(plane())) < usual / 2
        with pytest.raises(omero.InternalException):
            made.setCompressionLevel(1.5)


@pytest.fixture
def stack(omero_conn):
    """A stack (Z, Y, X) of 3 x 4 x 5 with a value for each place, and its image."""
    values = np.arange(60, dtype="uint8").reshape(3, 4, 5) * 4
    values[0, 0, 0], values[2, 3, 4] = 0, 255
    return values, new_image(omero_conn, [values])


def test_sections_of_any_orientation(omero_conn, stack):
    values, image = stack
    with engine(omero_conn, image) as made:
        for told, expected in (
            (plane(z=1), values[1]),
            (plane(slice=omero.romio.XZ, y=2), values[:, 2, :]),
            (plane(slice=omero.romio.ZY, x=3), values[:, :, 3].T),
            (plane(z=2, region=omero.romio.RegionDef(1, 2, 3, 2)), values[2, 2:4, 1:4]),
            (plane(z=2, region=omero.romio.RegionDef(3, 2, 30, 20)), values[2, 2:, 3:]),
            (plane(z=1, stride=1), values[1, ::2, :4:2]),
        ):
            grey = unpacked(made.renderAsPackedInt(told))[:, 1]
            assert grey.tolist() == expected.ravel().tolist()
        assert decoded(made.renderCompressed(plane(z=1, stride=1))).shape == (2, 2, 3)


@pytest.mark.parametrize("wrong", [{"z": 3}, {"t": 1}, {"z": -1}])
def test_planes_outside_of_the_image_are_refused(omero_conn, stack, wrong):
    with engine(omero_conn, stack[1]) as made, pytest.raises(omero.ApiUsageException):
        made.renderCompressed(plane(**wrong))


def test_projections(omero_conn, stack):
    values, image = stack
    with engine(omero_conn, image) as made:
        maximum, mean = ProjectionType.MAXIMUMINTENSITY, ProjectionType.MEANINTENSITY
        highest = unpacked(made.renderProjectedAsPackedInt(maximum, 0, 1, 0, 1))[:, 1]
        assert highest.tolist() == values[:2].max(axis=0).ravel().tolist()
        # OMERO leaves the last plane out of means.
        middle = unpacked(made.renderProjectedAsPackedInt(mean, 0, 1, 0, 2))[:, 1]
        assert middle.tolist() == values[:2].mean(axis=0).astype("uint8").ravel().tolist()
        assert decoded(made.renderProjectedCompressed(maximum, 0, 1, 0, 2)).shape == (4, 5, 3)
        for wrong in ((0, 1, 0, 3), (0, 1, -1, 1), (0, 0, 0, 1), (1, 1, 0, 1)):
            with pytest.raises(omero.ValidationException):
                made.renderProjectedCompressed(maximum, *wrong)


def test_an_engine_wants_pixels_then_settings_then_to_be_loaded(omero_conn, stack):
    made = omero_conn.c.sf.createRenderingEngine()
    pixels_id = stack[1].getPixelsId()
    with pytest.raises(omero.ApiUsageException) as refused:
        made.load()
    assert "Pixels object not set" in refused.value.message
    with pytest.raises(omero.ValidationException):
        made.lookupPixels(1 << 40)
    made.lookupPixels(pixels_id)
    assert not made.lookupRenderingDef(pixels_id)
    with pytest.raises(omero.ApiUsageException) as refused:
        made.load()
    assert "RenderingDef object not set" in refused.value.message
    made.resetDefaultSettings(True)
    assert made.lookupRenderingDef(pixels_id)
    with pytest.raises(omero.ApiUsageException) as refused:
        made.renderCompressed(plane())
    assert "renderer is null" in refused.value.message
    made.load()
    assert made.renderCompressed(plane())
    made.close()


def test_planes_that_nobody_wrote_are_in_progress(omero_conn):
    image = unwritten_image(omero_conn)
    made = omero_conn.c.sf.createRenderingEngine()
    made.lookupPixels(image.getPixelsId())
    with pytest.raises(omero.LockTimeout) as refused:
        made.resetDefaultSettings(True)
    assert refused.value.backOff == 15_000
    omero_conn.getRenderingSettingsService().setOriginalSettingsInSet("Image", [image.getId()])
    assert made.lookupRenderingDef(image.getPixelsId())
    with pytest.raises(omero.LockTimeout):
        made.load()
    made.close()


def test_channels_that_are_not_there_are_refused(omero_conn, stack):
    with engine(omero_conn, stack[1]) as made:
        for call in (lambda: made.isActive(1), lambda: made.setChannelWindow(-1, 0, 1)):
            with pytest.raises(omero.InternalException):
                call()
        with pytest.raises(omero.InternalException):
            made.setChannelWindow(0, 2, 1)
        with pytest.raises(omero.InternalException):
            made.setRGBA(0, 256, 0, 0, 0)


def test_what_an_engine_tells_of_an_image(omero_conn, colourful):
    with engine(omero_conn, colourful) as made:
        row = made.getPixels()
        assert [row.sizeX.val, row.sizeY.val, row.sizeOfChannels()] == [6, 4, 3]
        assert row.getChannel(0).logicalChannel.loaded
        assert made.getTileSize() == [6, 4]
        assert (made.getResolutionLevels(), made.requiresPixelsPyramid()) == (1, False)
        assert not made.isPixelsTypeSigned()
        assert (made.getPixelsTypeLowerBound(0), made.getPixelsTypeUpperBound(2)) == (0, 255)
        assert {one.value.val for one in made.getAvailableModels()} == {"rgb", "greyscale"}
        assert len(made.getAvailableFamilies()) == 4
        made.setChannelLookupTable(0, "cool.lut")
        assert made.getChannelLookupTable(0) == "cool.lut"
        made.setChannelLookupTable(0, None)
        assert made.getChannelLookupTable(0) == ""


def test_changes_are_the_engines_own_until_they_are_saved(omero_conn, colourful):
    with engine(omero_conn, colourful) as made:
        made.setChannelWindow(0, 3, 33)
        made.setDefaultZ(0)
        made.addCodomainMapToChannel(REVERSE(), 1)
        made.setChannelLookupTable(2, "cool.lut")
        with engine(omero_conn, colourful) as other:
            assert other.getChannelWindowEnd(0) == 255
        made.saveCurrentSettings()
        settings_id = made.getRenderingDefId()
    with engine(omero_conn, colourful) as again:
        assert again.getRenderingDefId() == settings_id
        assert (again.getChannelWindowStart(0), again.getChannelWindowEnd(0)) == (3, 33)
        assert [len(again.getCodomainMapContext(number)) for number in range(3)] == [0, 1, 0]
        assert again.getChannelLookupTable(2) == "cool.lut"
        again.removeCodomainMapFromChannel(REVERSE(), 1)
        again.saveCurrentSettings()
    with engine(omero_conn, colourful) as last:
        assert last.getCodomainMapContext(1) == []
        last.resetDefaultSettings(True)
        assert last.getChannelWindowEnd(0) == 255


def test_another_user_saves_settings_of_his_own(omero_conn, omero_second_conn, colourful):
    with engine(omero_conn, colourful) as made:
        first = made.getRenderingDefId()
    with engine(omero_second_conn, colourful) as theirs:
        assert theirs.getRenderingDefId() == first
        theirs.setChannelWindow(0, 7, 77)
        theirs.saveCurrentSettings()
        second = theirs.getRenderingDefId()
    assert second != first
    with engine(omero_second_conn, colourful) as theirs:
        assert (theirs.getRenderingDefId(), theirs.getChannelWindowEnd(0)) == (second, 77)
        theirs.loadRenderingDef(first)
        theirs.load()
        theirs.setChannelWindow(0, 8, 88)
        with pytest.raises(omero.SecurityViolation):
            theirs.saveCurrentSettings()  # those were asked for by name: they are not his
    with engine(omero_conn, colourful) as made:
        assert (made.getRenderingDefId(), made.getChannelWindowEnd(0)) == (first, 255)


def test_settings_are_saved_as_new_ones(omero_conn, colourful):
    with engine(omero_conn, colourful) as made:
        first = made.getRenderingDefId()
        made.setChannelWindow(1, 2, 22)
        second = made.saveAsNewSettings()
        assert made.getRenderingDefId() == second != first
    service = omero_conn.getPixelsService()
    every = service.retrieveAllRndSettings(colourful.getPixelsId(), -1)
    assert [row.id.val for row in every] == [second, first]


def test_settings_come_whole_from_the_client(omero_conn, colourful):
    row = None
    with engine(omero_conn, colourful) as made:
        row = omero_conn.getPixelsService().loadRndSettings(made.getRenderingDefId())
        row.getChannelBinding(0).inputEnd = omero.rtypes.rdouble(10)
        row.getChannelBinding(1).active = omero.rtypes.rbool(False)
        made.updateSettings(row)
        assert colour_at(made) == (255, 255, 0, 250)


def test_who_may_only_read_has_settings_of_his_own(
    omero_make_group, omero_make_user, omero_connect
):
    group = omero_make_group("read-only")
    owner, other = (omero_connect(omero_make_user(group)) for _ in range(2))
    image = new_image(owner, [ramp("uint8")])
    with engine(owner, image) as mine, engine(other, image) as theirs:
        theirs.setChannelWindow(0, 0, 10)
        theirs.saveCurrentSettings()
        assert theirs.getRenderingDefId() != mine.getRenderingDefId()
        assert mine.getChannelWindowEnd(0) == 255

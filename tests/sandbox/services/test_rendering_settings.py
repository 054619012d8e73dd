"""IRenderingSettings and IProjection: defaults, whole containers, new images from stacks."""

from __future__ import annotations

import numpy as np
import omero
import pytest
from omero.constants.projection import ProjectionType
from omero.model import DatasetI, ImageI, LengthI, PlateI, WellI, WellSampleI
from omero.model.enums import UnitsLength
from omero.rtypes import rint, rstring

from tests.sandbox.services.pictures import new_image, unwritten_image


@pytest.fixture
def service(omero_conn):
    return omero_conn.getRenderingSettingsService()


def flat(value=100, dtype="uint8"):
    values = np.full((4, 6), value, dtype)
    values[0, 0] = 0
    return values


def settings_of(conn, image):
    return conn.getPixelsService().retrieveRndSettings(image.getPixelsId())


def windows(row):
    return [(one.inputStart.val, one.inputEnd.val) for one in row.copyWaveRendering()]


def colours(row):
    return [(one.red.val, one.green.val, one.blue.val) for one in row.copyWaveRendering()]


RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


@pytest.mark.parametrize(
    ("channels", "model", "active"), [(1, "greyscale", 1), (4, "rgb", 3), (10, "greyscale", 3)]
)
def test_defaults(omero_conn, service, channels, model, active):
    image = new_image(omero_conn, [np.stack([flat()] * 5)] * channels)
    assert service.resetDefaultsInSet("Image", [image.getId()]) == [image.getId()]
    row = settings_of(omero_conn, image)
    assert row.model.value.val == model
    assert (row.defaultZ.val, row.defaultT.val) == (2, 0)
    assert windows(row) == [(0, 100)] * channels
    assert colours(row) == ([RED, GREEN, BLUE] * 4)[:channels]
    assert sum(one.active.val for one in row.copyWaveRendering()) == active


def test_windows_are_of_the_type_where_nobody_told_the_range(omero_conn, service):
    image = unwritten_image(omero_conn)
    service.setOriginalSettingsInImage(image.getId())
    assert windows(settings_of(omero_conn, image)) == [(0, 255)]
    constant = new_image(omero_conn, [np.full((4, 6), 7, "int16")])
    service.resetDefaultsInImage(constant.getId())
    assert windows(settings_of(omero_conn, constant)) == [(-32768, 32767)]


def test_colours_by_emission_excitation_and_channel(omero_conn, service):
    image = new_image(omero_conn, [flat()] * 5)
    query, update = omero_conn.getQueryService(), omero_conn.getUpdateService()
    row = omero_conn.getPixelsService().retrievePixDescription(image.getPixelsId())
    for number, (name, nanometres) in enumerate(
        [("emissionWave", 460), ("emissionWave", 525), ("emissionWave", 610)]
    ):
        # Alone: with its channels it would come with copies that the last save made old.
        logical = query.get("LogicalChannel", row.getChannel(number).logicalChannel.id.val)
        setattr(logical, name, LengthI(nanometres, UnitsLength.NANOMETER))
        update.saveObject(logical)
    own = query.get("Channel", row.getChannel(3).id.val)
    own.red, own.green, own.blue, own.alpha = (rint(one) for one in (1, 2, 3, 255))
    update.saveObject(own)
    service.resetDefaultsForPixels(image.getPixelsId())
    # The last has neither colour nor emission: next to those that have, it is light.
    expected = [BLUE, GREEN, RED, (1, 2, 3), WHITE]
    assert colours(settings_of(omero_conn, image)) == expected


def test_images_without_planes_are_left_out(omero_conn, service):
    images = [new_image(omero_conn, [flat()]), unwritten_image(omero_conn)]
    ids = [image.getId() for image in images]
    assert service.resetDefaultsInSet("Image", ids) == ids[:1]
    assert settings_of(omero_conn, images[1]) is None
    assert service.setOriginalSettingsInSet("Image", ids) == ids


def test_whole_plates_and_datasets(omero_conn, service):
    images = [new_image(omero_conn, [flat()]) for _ in range(3)]
    plate = PlateI()
    plate.name = rstring("plate")
    for column, image in enumerate(images[:2]):
        well, sample = WellI(), WellSampleI()
        well.row, well.column = rint(0), rint(column)
        sample.image = ImageI(image.getId(), False)
        well.addWellSample(sample)
        plate.addWell(well)
    dataset = DatasetI()
    dataset.name = rstring("dataset")
    dataset.linkImage(ImageI(images[2].getId(), False))
    update = omero_conn.getUpdateService()
    plate_id, dataset_id = (update.saveAndReturnObject(one).id.val for one in (plate, dataset))
    ids = [image.getId() for image in images]
    assert sorted(service.resetDefaultsInSet("Plate", [plate_id])) == ids[:2]
    assert service.resetDefaultsInDataset(dataset_id) == ids[2:]
    applied = service.applySettingsToSet(images[2].getPixelsId(), "Plate", [plate_id])
    assert {key: sorted(value) for key, value in applied.items()} == {True: ids[:2], False: []}
    with pytest.raises(omero.InternalException):
        service.resetDefaultsInSet("Roi", [1])


def test_settings_are_applied_where_they_fit(omero_conn, service):
    source, alike = (new_image(omero_conn, [flat(), flat(50)]) for _ in range(2))
    fewer = new_image(omero_conn, [flat()])
    wider = new_image(omero_conn, [flat(dtype="uint16"), flat(dtype="uint16")])
    targets = [image.getId() for image in (alike, fewer, wider)]
    pixels_id = source.getPixelsId()
    nothing = service.applySettingsToSet(pixels_id, "Image", targets)
    assert nothing == {True: [], False: targets}  # there are none to apply yet
    source.set_active_channels([1, -2], [[3, 30], [4, 40]], ["00FFFF", "FFFF00"], set_inactive=True)
    assert source.saveDefaults()
    done = service.applySettingsToImages(pixels_id, [source.getId(), *targets])
    assert done == {True: [source.getId(), alike.getId()], False: targets[1:]}
    row = settings_of(omero_conn, alike)
    assert windows(row) == [(3, 30), (4, 40)]
    assert colours(row) == [(0, 255, 255), (255, 255, 0)]
    assert [one.active.val for one in row.copyWaveRendering()] == [True, False]
    assert service.applySettingsToImage(pixels_id, alike.getId())
    assert not service.applySettingsToPixels(pixels_id, wider.getPixelsId())


def test_windows_and_owners_settings_are_restored(omero_conn, omero_second_conn, service):
    image = new_image(omero_conn, [flat()])
    image.set_active_channels([1], [[5, 6]], ["FF0000"])
    image.saveDefaults()
    theirs = omero_second_conn.getRenderingSettingsService()
    assert theirs.resetDefaultsByOwnerInSet("Image", [image.getId()]) == [image.getId()]
    copied = settings_of(omero_second_conn, image)
    assert windows(copied) == [(5, 6)]
    assert copied.id.val != settings_of(omero_conn, image).id.val
    assert service.resetMinMaxInSet("Image", [image.getId()]) == [image.getPixelsId()]
    assert windows(settings_of(omero_conn, image)) == [(0, 100)]
    assert windows(settings_of(omero_second_conn, image)) == [(5, 6)]


def test_settings_are_made_without_saving_them(omero_conn, service):
    image = new_image(omero_conn, [flat(), flat()])
    pixels = omero.model.PixelsI(image.getPixelsId(), False)
    empty = service.createNewRenderingDef(pixels)
    assert (empty.id, empty.sizeOfWaveRendering()) == (None, 2)
    filled = service.resetDefaultsNoSave(empty, pixels)
    assert windows(filled) == [(0, 100)] * 2
    assert settings_of(omero_conn, image) is None
    service.resetDefaults(empty, pixels)
    stored = settings_of(omero_conn, image)
    service.resetDefaults(stored, pixels)
    assert settings_of(omero_conn, image).id.val == stored.id.val
    assert service.getRenderingSettings(image.getPixelsId()).id.val == stored.id.val


MAXIMUM, MEAN, SUM = (
    ProjectionType.MAXIMUMINTENSITY,
    ProjectionType.MEANINTENSITY,
    ProjectionType.SUMINTENSITY,
)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (MAXIMUM, lambda stack: stack.max(axis=0)),
        (MEAN, lambda stack: stack[:-1].mean(axis=0)),  # OMERO leaves the last plane out
        (SUM, lambda stack: np.minimum(stack[:-1].sum(axis=0), 255)),
    ],
)
def test_stacks_are_projected(omero_conn, how, expected):
    stack = np.arange(60, dtype="uint8").reshape(3, 4, 5) * 3
    image = new_image(omero_conn, [stack, stack])
    service = omero_conn.c.sf.getProjectionService()
    got = service.projectStack(image.getPixelsId(), None, how, 0, 1, 1, 0, 2)
    plane = expected(stack.astype(float)).astype("uint8")
    assert got == plane.tobytes()
    made = service.projectPixels(image.getPixelsId(), None, how, 0, 0, [1], 1, 0, 2, "projected")
    projected = omero_conn.getObject("Image", made)
    assert (projected.getName(), projected.getSizeZ(), projected.getSizeC()) == ("projected", 1, 1)
    np.testing.assert_array_equal(projected.getPrimaryPixels().getPlane(), plane)
    stats = omero_conn.getPixelsService().retrievePixDescription(projected.getPixelsId())
    assert stats.getChannel(0).statsInfo.globalMax.val == plane.max()
    assert stats.sha1.val != "Pending..."


def test_projections_outside_of_the_stack_are_refused(omero_conn):
    image = new_image(omero_conn, [np.zeros((3, 4, 5), "uint8")])
    service = omero_conn.c.sf.getProjectionService()
    for channel, step, first, last in ((1, 1, 0, 2), (0, 0, 0, 2), (0, 1, 0, 3), (0, 1, -1, 2)):
        with pytest.raises(omero.ValidationException):
            service.projectStack(image.getPixelsId(), None, MAXIMUM, 0, channel, step, first, last)

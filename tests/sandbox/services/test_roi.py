"""What IRoi finds, how much of it comes loaded, and what it measures."""

from __future__ import annotations

import numpy as np
import omero
import pytest
from omero.gateway import BlitzGateway  # noqa: F401  (loads the modules in the order that works)
from omero.rtypes import rdouble, rint, rlong, rstring


@pytest.fixture
def regions(omero_conn):
    return omero_conn.getRoiService()


@pytest.fixture
def image(omero_conn):
    """An image of 10 x 8 pixels, 2 z, 2 channels: every value tells x, y, z and channel."""
    y, x = np.mgrid[:8, :10]
    planes = (x + 10 * y + 100 * z + 1000 * c for z in range(2) for c in range(2))
    made = omero_conn.createImageFromNumpySeq(
        (plane.astype("uint16") for plane in planes), "measured", 2, 2, 1
    )
    return omero.model.ImageI(made.getId(), False)


@pytest.fixture
def add(omero_conn, image):
    """Save a region with shapes: the loaded region."""

    def adder(*shapes, conn=omero_conn):
        roi = omero.model.RoiI()
        roi.image = image
        for shape in shapes:
            roi.addShape(shape)
        return conn.getUpdateService().saveAndReturnObject(roi, conn.SERVICE_OPTS)

    return adder


def shape(kind, **fields):
    made = getattr(omero.model, f"{kind}I")()
    for name, value in fields.items():
        wrap = rint if name.startswith("the") else rstring if name == "points" else rdouble
        setattr(made, name, wrap(value))
    return made


def box(x=1, y=2, width=3, height=2, **places):
    return shape("Rectangle", x=x, y=y, width=width, height=height, **places)


def ids(found):
    return [one.id.val for one in found]


def first_id(roi):
    return roi.copyShapes()[0].id.val


# -- finding


def test_regions_of_an_image_come_with_their_shapes(regions, image, add):
    first, second = add(box(), box(theZ=1)), add(box(theT=0))
    result = regions.findByImage(image.id.val, None)
    assert ids(result.rois) == ids([first, second])
    roi = result.rois[0]
    assert len(roi.copyShapes()) == 2
    assert all(one.loaded for one in roi.copyShapes())
    assert not roi.image.loaded
    assert not roi.annotationLinksLoaded
    assert sorted(result.byZ) == [-1, 1]
    assert (len(result.byZ[-1]), len(result.byZ[1])) == (2, 1)
    assert sorted(result.byT) == [-1, 0]


def test_a_region_without_shapes_is_not_found(regions, image, add):
    add()
    assert regions.findByImage(image.id.val, None).rois == []


def test_regions_are_found_page_by_page_and_by_their_owner(
    regions, image, add, omero_conn, omero_second_conn
):
    mine = [add(box()) for _ in range(3)]
    others = add(box(), conn=omero_second_conn)
    options = omero.api.RoiOptions(offset=rint(1), limit=rint(2))
    assert ids(regions.findByImage(image.id.val, options).rois) == ids(mine[1:])
    options = omero.api.RoiOptions(userId=rlong(omero_second_conn.getUserId()))
    assert ids(regions.findByImage(image.id.val, options).rois) == ids([others])
    options = omero.api.RoiOptions(groupId=rlong(-5))
    assert regions.findByImage(image.id.val, options).rois == []


def test_a_plane_has_the_shapes_on_it_and_those_on_all_planes(regions, image, add):
    add(box(theZ=0, theT=0), box(theZ=1, theT=0), box())
    (roi,) = regions.findByPlane(image.id.val, 1, 0, None).rois
    assert [one.theZ and one.theZ.val for one in roi.copyShapes()] == [1, None]


def test_one_region_is_found(regions, add):
    roi = add(box())
    (found,) = regions.findByRoi(roi.id.val, None).rois
    assert ids([found]) == ids([roi])
    assert regions.findByRoi(123456789, None).rois == []


# -- measuring


def test_a_rectangle_covers_its_pixels(regions, add):
    points = regions.getPoints(first_id(add(box(x=1, y=2, width=3, height=2))))
    assert sorted(zip(points.x, points.y, strict=True)) == [
        (x, y) for x in (1, 2, 3) for y in (2, 3)
    ]


@pytest.mark.parametrize(
    ("covering", "count"),
    [
        (shape("Ellipse", x=5, y=4, radiusX=2, radiusY=2), 11),
        (shape("Polygon", points="1,1 5,1 5,5 1,5"), 16),
        (shape("Polygon", points="points[0,0 4,0 0,4] points1[0,0] points2[0,0] mask[0]"), 10),
        (shape("Point", x=3.7, y=2.2), 1),
        (shape("Line", x1=0, y1=0, x2=4, y2=0), 5),
        (shape("Polyline", points="0,0 2,0 2,2"), 5),
        (shape("Mask", x=0, y=0, width=4, height=2), 8),
        (shape("Label", x=1, y=1), 1),
    ],
)
def test_shapes_cover_as_many_pixels_as_they_should(regions, add, covering, count):
    points = regions.getPoints(first_id(add(covering)))
    assert len(set(zip(points.x, points.y, strict=True))) == count


def test_a_moved_rectangle_covers_the_pixels_where_it_is(regions, add):
    moved, transform = box(x=0, y=0, width=2, height=1), omero.model.AffineTransformI()
    for name, value in zip(
        ("a00", "a10", "a01", "a11", "a02", "a12"), (1, 0, 0, 1, 3, 4), strict=True
    ):
        setattr(transform, name, rdouble(value))
    moved.transform = transform
    points = regions.getPoints(first_id(add(moved)))
    assert sorted(zip(points.x, points.y, strict=True)) == [(3, 4), (4, 4)]


def test_statistics_are_those_of_the_pixels(regions, add):
    roi = add(box(x=1, y=2, width=3, height=2, theZ=1, theT=0))
    stats = regions.getShapeStats(first_id(roi))
    values = np.array([[x + 10 * y + 100 for x in (1, 2, 3)] for y in (2, 3)], float)
    assert stats.shapeId == first_id(roi)
    assert stats.pointsCount == [6, 6]
    assert stats.min == [values.min(), values.min() + 1000]
    assert stats.max == [values.max(), values.max() + 1000]
    assert stats.sum == [values.sum(), values.sum() + 6000]
    assert stats.mean[0] == pytest.approx(values.mean())
    assert stats.stdDev[0] == pytest.approx(values.std(ddof=1))
    assert len(set(stats.channelIds)) == 2


def test_a_shape_on_all_planes_is_measured_on_all_or_on_the_one_asked_for(regions, add):
    shape_id = first_id(add(box(x=0, y=0, width=1, height=1)))
    assert regions.getShapeStats(shape_id).sum == [100.0, 2100.0]
    (stats,) = regions.getShapeStatsRestricted([shape_id], 1, 0, [1])
    assert (stats.pointsCount, stats.sum) == ([1], [1100.0])
    (stats,) = regions.getShapeStatsRestricted([shape_id], 0, 0, [])
    assert stats.sum == [0.0, 1000.0]


def test_pixels_outside_of_the_image_do_not_count(regions, add):
    stats = regions.getShapeStats(first_id(add(box(x=9, y=7, width=5, height=5, theZ=0, theT=0))))
    assert stats.pointsCount == [1, 1]
    assert stats.max[0] == 79


def test_a_shape_of_one_channel_is_measured_there(regions, add):
    shape_id = first_id(add(box(theC=1, theZ=0, theT=0)))
    assert regions.getShapeStats(shape_id).min == [1021.0]


def test_a_region_is_measured_shape_by_shape(regions, image, add):
    roi = add(box(theZ=0, theT=0), shape("Point", x=0, y=0, theZ=1, theT=0))
    stats = regions.getRoiStats(roi.id.val)
    assert (stats.roiId, stats.imageId) == (roi.id.val, image.id.val)
    assert [one.pointsCount[0] for one in stats.perShape] == [6, 1]


def test_statistics_of_no_shape_are_refused(regions, add):
    with pytest.raises(omero.ApiUsageException):
        regions.getShapeStats(123456789)
    with pytest.raises(omero.ApiUsageException, match="no shapes"):
        regions.getRoiStats(add().id.val)


# -- measurements


def test_measurements_of_a_plate_are_found_by_its_images(regions, image, add, omero_conn):
    update = omero_conn.getUpdateService()
    roi, note = add(box()), omero.model.FileAnnotationI()
    note.ns = rstring("openmicroscopy.org/omero/measurement")
    note = update.saveAndReturnObject(note)
    plate, well, sample = omero.model.PlateI(), omero.model.WellI(), omero.model.WellSampleI()
    plate.name = rstring("p")
    sample.image = image
    well.addWellSample(sample)
    plate.addWell(well)
    plate = update.saveAndReturnObject(plate)
    for parent, link in (
        (plate, omero.model.PlateAnnotationLinkI()),
        (roi, omero.model.RoiAnnotationLinkI()),
    ):
        link.parent = parent.__class__(parent.id.val, False)
        link.child = omero.model.FileAnnotationI(note.id.val, False)
        update.saveObject(link)
    key = note.id.val
    assert ids(regions.getRoiMeasurements(image.id.val, None)) == [key]
    assert ids(regions.getMeasuredRois(image.id.val, key, None).rois) == ids([roi])
    found = regions.getMeasuredRoisMap(image.id.val, [key, 123456], None)
    assert {one: ids(result.rois) for one, result in found.items()} == {
        key: ids([roi]),
        123456: [],
    }

"""ROIs of every shape: saved, found, moved, deleted, counted, in batches."""

from __future__ import annotations

import pytest
from omero.model import (
    EllipseI,
    ImageI,
    LabelI,
    LengthI,
    LineI,
    MaskI,
    PointI,
    PolygonI,
    PolylineI,
    RectangleI,
    RoiI,
)
from omero.model.enums import UnitsLength
from omero.rtypes import rdouble, rint, rstring

SHAPES = {
    PointI: {"x": 1.5, "y": 2.5},
    LineI: {"x1": 0.0, "y1": 1.0, "x2": 2.0, "y2": 3.5, "markerEnd": "Arrow"},
    RectangleI: {"x": 1.0, "y": 1.0, "width": 3.0, "height": 2.0},
    EllipseI: {"x": 3.0, "y": 3.0, "radiusX": 2.0, "radiusY": 1.0},
    PolygonI: {"points": "0,0 0,2 2.5,2"},
    PolylineI: {"points": "0,0 1,1 2,0"},
    LabelI: {"x": 1.0, "y": 1.0},
    MaskI: {"x": 0.0, "y": 0.0, "width": 8.0, "height": 2.0},
}


def shape(kind, **more):
    row = kind()
    for name, value in {**SHAPES[kind], **more}.items():
        wrap = {str: rstring, float: rdouble, int: rint}[type(value)]
        setattr(row, name, wrap(value))
    return row


def roi(image, *shapes, name=None):
    row = RoiI()
    row.image = ImageI(image.getId(), loaded=False)
    if name is not None:
        row.name = rstring(name)
    for part in shapes:
        row.addShape(part)
    return row


def found_shapes(conn, image):
    result = conn.getRoiService().findByImage(image.getId(), None, conn.SERVICE_OPTS)
    return [part for row in result.rois for part in row.copyShapes()]


@pytest.mark.parametrize("kind", SHAPES)
def test_a_shape_keeps_its_geometry_its_place_and_its_looks(omero_conn, new_image, save, kind):
    image = new_image()
    part = shape(kind, theZ=0, theT=0, theC=0, textValue="nucleus", fillColor=-16776961)
    part.strokeWidth = LengthI(2.0, UnitsLength.PIXEL)
    if kind is MaskI:
        part.bytes = b"\x0f\xf0"
    save(roi(image, part))
    (found,) = found_shapes(omero_conn, image)
    assert isinstance(found, kind)
    for name, value in SHAPES[kind].items():
        assert getattr(found, name).val == value
    assert (found.theZ.val, found.theT.val, found.theC.val) == (0, 0, 0)
    assert (found.textValue.val, found.fillColor.val) == ("nucleus", -16776961)
    assert (found.strokeWidth.getValue(), found.strokeWidth.getUnit()) == (2.0, UnitsLength.PIXEL)
    if kind is MaskI:
        assert found.bytes == b"\x0f\xf0"


def test_the_rois_of_an_image_are_listed_and_counted(omero_conn, new_image, save):
    image, other = new_image(), new_image()
    save(roi(image, shape(PointI), shape(RectangleI), name="two"))
    save(roi(image, shape(PointI), name="one"))
    save(roi(other, shape(PointI)))
    result = omero_conn.getRoiService().findByImage(image.getId(), None)
    assert sorted((row.name.val, row.sizeOfShapes()) for row in result.rois) == [
        ("one", 1),
        ("two", 2),
    ]
    assert omero_conn.getObject("Image", image.getId()).getROICount() == 2
    wrappers = list(omero_conn.getObjects("Roi", opts={"image": image.getId()}))
    assert {wrapper.getName() for wrapper in wrappers} == {"one", "two"}


def test_a_shape_is_edited_and_the_others_stay(omero_conn, new_image, save):
    image = new_image()
    saved = save(roi(image, shape(PointI, textValue="a"), shape(PointI, textValue="b")))
    first = next(part for part in saved.copyShapes() if part.textValue.val == "a")
    first.x = rdouble(7.5)
    save(first)
    places = {part.textValue.val: part.x.val for part in found_shapes(omero_conn, image)}
    assert places == {"a": 7.5, "b": 1.5}


def test_a_shape_is_added_to_a_roi_and_taken_from_it(omero_conn, new_image, save, delete):
    image = new_image()
    saved = save(roi(image, shape(PointI)))
    saved.addShape(shape(EllipseI))
    save(saved)
    parts = found_shapes(omero_conn, image)
    assert {type(part) for part in parts} == {PointI, EllipseI}
    (point,) = [part for part in parts if isinstance(part, PointI)]
    delete(omero_conn, Shape=[point.id.val])
    assert [type(part) for part in found_shapes(omero_conn, image)] == [EllipseI]


def test_a_deleted_image_takes_its_rois(omero_conn, new_image, save):
    image = new_image()
    number = save(roi(image, shape(PointI))).id.val
    omero_conn.deleteObjects("Image", [image.getId()], wait=True)
    assert omero_conn.getQueryService().find("Roi", number) is None


def test_a_deleted_roi_leaves_its_image(omero_conn, new_image, save):
    image = new_image()
    number = save(roi(image, shape(PointI))).id.val
    omero_conn.deleteObjects("Roi", [number], wait=True)
    assert found_shapes(omero_conn, image) == []
    assert omero_conn.getObject("Image", image.getId()) is not None


def test_many_are_saved_at_once(omero_conn, new_image):
    image = new_image()
    rows = [roi(image, shape(PointI, textValue=str(number))) for number in range(50)]
    omero_conn.getUpdateService().saveArray(rows)
    texts = {part.textValue.val for part in found_shapes(omero_conn, image)}
    assert texts == {str(number) for number in range(50)}
    more = omero_conn.getUpdateService().saveAndReturnIds(
        [roi(image, shape(PointI)) for _ in range(3)]
    )
    assert len(set(more)) == 3
    assert omero_conn.getObject("Image", image.getId()).getROICount() == 53

"""Where the middle of a drawn shape is, and what counts as a change of it."""

from __future__ import annotations

import math

import numpy as np
import pytest

# First, as in conftest.py: the Ice classes in a working order.
from omero_hcs.sandbox.ice import record  # noqa: F401  isort: skip

import omero.model as om
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from omero.rtypes import rdouble, rint, rstring

from omero_hcs.stores.omero.shapes import (
    ShapeFacts,
    centre,
    is_untouched,
    mark_line,
    reach,
    roi_mark,
    shape_facts,
    shape_mark,
    written_mark,
)


def drawn(kind, text="abnormal", *, z=1, t=0, transform=None, **places):
    """A shape as a viewer draws it."""
    shape = getattr(om, f"{kind}I")()
    wrap = {str: rstring, float: rdouble, int: rdouble}
    for name, value in places.items():
        setattr(shape, name, wrap.get(type(value), bytes)(value))
    shape.textValue, shape.theZ, shape.theT = rstring(text), rint(z), rint(t)
    if transform is not None:
        matrix = om.AffineTransformI()
        for name, value in zip(("a00", "a10", "a01", "a11", "a02", "a12"), transform, strict=True):
            setattr(matrix, name, rdouble(value))
        shape.transform = matrix
    return shape


def disc_bits():
    """A mask of 10 x 6 pixels, of which a block of 3 x 2 is set."""
    pixels = np.zeros((6, 10), bool)
    pixels[1:3, 5:8] = True
    return np.packbits(pixels).tobytes()


SHAPES = {
    "point": (drawn("Point", x=7.5, y=3.25), (3.25, 7.5)),
    "label": (drawn("Label", x=7.0, y=3.0), (3.0, 7.0)),
    "ellipse": (drawn("Ellipse", x=20.0, y=10.0, radiusX=4.0, radiusY=2.0), (10.0, 20.0)),
    "rectangle": (drawn("Rectangle", x=10.0, y=20.0, width=4.0, height=6.0), (23.0, 12.0)),
    "line": (drawn("Line", x1=0.0, y1=2.0, x2=10.0, y2=4.0), (3.0, 5.0)),
    "polyline": (drawn("Polyline", points="0,0 8,0 8,0 8,2"), (0.2, 4.8)),
    "polygon": (drawn("Polygon", points="0,0 6,0 0,3"), (1.0, 2.0)),
    "concave polygon": (drawn("Polygon", points="0,0 4,0 4,4 3,4 3,1 0,1"), (9.5 / 7, 18.5 / 7)),
    "flat polygon": (drawn("Polygon", points="0,0 4,0 8,0"), (0.0, 4.0)),
    "polygon of old": (
        drawn("Polygon", points="points[0,0, 6,0, 0,3] points1[9,9] mask[0,0]"),
        (1.0, 2.0),
    ),
    "mask": (
        drawn("Mask", x=100.0, y=50.0, width=10.0, height=6.0, bytes=disc_bits()),
        (52.0, 106.5),
    ),
    "mask without bits": (drawn("Mask", x=100.0, y=50.0, width=10.0, height=6.0), (53.0, 105.0)),
}


class TestCentre:
    @pytest.mark.parametrize("name", SHAPES)
    def test_is_the_middle_of_each_kind_of_shape(self, name):
        shape, expected = SHAPES[name]
        assert centre(shape_facts(shape)) == pytest.approx(expected)

    @pytest.mark.parametrize("name", SHAPES)
    def test_follows_the_transform_of_a_shape(self, name):
        """A quarter turn about the origin, then a shift, as rotating in iviewer makes it."""
        shape, (y, x) = SHAPES[name]
        shape.transform = drawn("Point", transform=(0, 1, -1, 0, 30, 40)).transform
        try:
            assert centre(shape_facts(shape)) == pytest.approx((x + 40, -y + 30))
        finally:
            shape.transform = None

    def test_of_a_mask_of_one_byte_a_pixel_is_that_of_its_bits(self):
        pixels = np.zeros((6, 10), np.uint8)
        pixels[1:3, 5:8] = 255
        places = {"x": 100.0, "y": 50.0, "width": 10.0, "height": 6.0}
        shape = drawn("Mask", **places, bytes=pixels.tobytes())
        assert centre(shape_facts(shape)) == (52.0, 106.5)

    def test_of_a_polygon_is_exact_far_from_the_origin(self):
        shape = drawn("Polygon", points="1e6,1e6 1000006,1e6 1e6,1000003")
        assert centre(shape_facts(shape)) == pytest.approx((1e6 + 1, 1e6 + 2), abs=1e-6)

    @pytest.mark.parametrize(
        "shape",
        [
            drawn("Point", x=1.0),
            drawn("Polygon", points=""),
            drawn("Polygon"),
            drawn("Point", x=math.nan, y=1.0),
        ],
    )
    def test_of_a_shape_without_a_place_is_none(self, shape):
        assert centre(shape_facts(shape)) is None

    @settings(max_examples=50, deadline=None)
    @given(
        st.floats(-1e4, 1e4), st.floats(-1e4, 1e4), st.floats(0.1, 500), st.floats(0.1, 500),
        st.tuples(*[st.floats(-3, 3)] * 4, st.floats(-500, 500), st.floats(-500, 500)),
    )  # fmt: skip
    def test_of_a_polygon_is_that_of_its_rectangle_however_transformed(
        self, x, y, width, height, transform
    ):
        a00, a10, a01, a11, *_ = transform
        assume(abs(a00 * a11 - a10 * a01) > 0.05)
        corners = (x, y, x + width, y, x + width, y + height, x, y + height)
        box = centre(ShapeFacts("Rectangle", geometry=(x, y, width, height), transform=transform))
        polygon = centre(ShapeFacts("Polygon", geometry=corners, transform=transform))
        assert polygon == pytest.approx(box, abs=1e-3, rel=1e-6)


class TestMark:
    def test_is_of_what_a_person_sees(self):
        before = shape_mark(shape_facts(drawn("Rectangle", x=10.0, y=20.0, width=4.0, height=6.0)))
        same = drawn("Rectangle", x=10.001, y=20.0, width=4.0, height=6.0)
        same.strokeColor, same.locked = rint(-1), None
        assert shape_mark(shape_facts(same)) == before

    @pytest.mark.parametrize(
        "changes",
        [{"x": 10.5}, {"text": "normal"}, {"z": 0}, {"t": 1}, {"transform": (1, 0, 0, 1, 5, 0)}],
        ids=lambda changes: next(iter(changes)),
    )
    def test_changes_with_place_text_and_plane(self, changes):
        place = {"x": 10.0, "y": 20.0, "width": 4.0, "height": 6.0}
        before = shape_facts(drawn("Rectangle", **place))
        after = shape_facts(drawn("Rectangle", **place | changes))
        assert shape_mark(before) != shape_mark(after)

    def test_of_a_transform_that_changes_nothing_is_that_of_none(self):
        plain = shape_facts(drawn("Point", x=1.0, y=2.0))
        same = shape_facts(drawn("Point", x=1.0, y=2.0, transform=(1, 0, 0, 1, 0, 0)))
        assert shape_mark(plain) == shape_mark(same)

    def test_of_a_mask_changes_with_its_bits(self):
        place = {"x": 0.0, "y": 0.0, "width": 10.0, "height": 6.0}
        before = shape_facts(drawn("Mask", **place, bytes=disc_bits()))
        after = shape_facts(drawn("Mask", **place, bytes=bytes(8)))
        assert shape_mark(before) != shape_mark(after)


class TestUntouched:
    @staticmethod
    def written(*shapes):
        """A machine region as a run writes it."""
        roi = om.RoiI()
        for shape in shapes:
            roi.addShape(shape)
        mark = roi_mark(shape_facts(shape) for shape in shapes)
        roi.description = rstring(f"unit=A01/0\n{mark_line(mark)}")
        return roi

    def test_is_what_we_wrote(self):
        assert is_untouched(self.written(drawn("Point", x=1.0, y=2.0)))

    def test_does_not_mind_the_order_of_shapes(self):
        shapes = [drawn("Point", x=1.0, y=2.0), drawn("Point", x=1.0, y=2.0, z=0)]
        roi = self.written(*shapes)
        roi.clearShapes()
        for shape in reversed(shapes):
            roi.addShape(shape)
        assert is_untouched(roi)

    @pytest.mark.parametrize("text", ["normal", "", "abnormal \N{MICROSCOPE}"])
    def test_is_not_what_has_another_text(self, text):
        roi = self.written(drawn("Point", x=1.0, y=2.0))
        roi.getShape(0).textValue = rstring(text)
        assert not is_untouched(roi)

    def test_is_not_what_has_another_shape(self):
        roi = self.written(drawn("Point", x=1.0, y=2.0))
        roi.addShape(drawn("Point", x=1.0, y=2.0, z=2))
        assert not is_untouched(roi)

    def test_is_not_what_has_lost_a_shape(self):
        roi = self.written(drawn("Point", x=1.0, y=2.0), drawn("Point", x=1.0, y=2.0, z=2))
        roi.setShape(0, None)
        assert not is_untouched(roi)

    @pytest.mark.parametrize("description", [None, "", "a cell that I like"])
    def test_is_not_what_has_lost_its_mark(self, description):
        roi = self.written(drawn("Point", x=1.0, y=2.0))
        roi.description = description if description is None else rstring(description)
        assert not is_untouched(roi)
        assert written_mark(description) is None


@pytest.mark.parametrize(
    ("kind", "geometry", "expected"),
    [
        ("Rectangle", (10, 20, 6, 8), (4, 3)),
        ("Ellipse", (10, 20, 3, 4), (4, 3)),
        ("Polygon", (0, 0, 6, 0, 6, 8, 0, 8), (4, 3)),
        ("Mask", (10, 20, 6, 8), (4, 3)),
        ("Point", (10, 20), None),
        ("Line", (0, 0, 5, 5), None),
        ("Rectangle", (), None),
    ],
)
def test_an_area_goes_so_far_from_its_middle_and_a_point_is_none(kind, geometry, expected):
    facts = ShapeFacts(kind, geometry=tuple(map(float, geometry)))
    found = reach(facts)
    assert found == (None if expected is None else pytest.approx(expected, abs=0.05))


def test_a_turned_rectangle_goes_as_far_as_its_corners():
    turned = ShapeFacts("Rectangle", geometry=(-3, -4, 6, 8), transform=(0, 1, -1, 0, 50, 60))
    assert reach(turned) == pytest.approx((3, 4))

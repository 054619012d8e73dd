"""Regions that people draw in the image viewer, read as labels."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest

# First, as in the sandbox's own tests: the Ice classes in a working order.
from omero_hcs.sandbox.ice import record  # noqa: F401  isort: skip

import omero_marshal
from omero.gateway import BlitzGateway
from omero.model import ImageI, MaskI, RoiI
from omero.rtypes import rdouble, rint, rstring, unwrap

from omero_hcs.errors import LabelError
from omero_hcs.results import LABEL_COLUMNS, REACH_COLUMNS, Results, Roi
from omero_hcs.stores.base import LabelSource
from omero_hcs.stores.memory import MemoryStore
from omero_hcs.stores.omero.shapes import mark_line, roi_mark, shape_facts

SCHEMA = "http://www.openmicroscopy.org/Schemas/OME/2016-06#"
ROIS = LabelSource(kind="roi")
RUN = "omero-hcs/run/20250101T120000-0000aaaa"


def shape(kind: str, text: str | None = "abnormal", *, z: Any = 1, t: Any = 0, **places: Any):
    """One shape in the JSON that iviewer posts."""
    told = {"@type": f"{SCHEMA}{kind}", "TheZ": z, "TheT": t, "Text": text, **places}
    style = {
        "StrokeColor": -65281,
        "FillColor": 0,
        "StrokeWidth": {"@type": "TBD#LengthI", "Unit": "PIXEL", "Symbol": "pixel", "Value": 1},
        "FontSize": {"@type": "TBD#LengthI", "Unit": "POINT", "Symbol": "pt", "Value": 10},
    }
    return {name: value for name, value in (told | style).items() if value is not None}


def point(x: float, y: float, text: str | None = "abnormal", **more: Any):
    return shape("Point", text, X=x, Y=y, **more)


def draw(conn: BlitzGateway, image: int, *shapes: Any, one_region: bool = False) -> list[Any]:
    """Save shapes as iviewer's `persist_rois` does: a region each."""
    decode = omero_marshal.get_decoder(f"{SCHEMA}ROI").decode
    groups = [list(shapes)] if one_region else [[one] for one in shapes]
    rois = [decode({"@type": f"{SCHEMA}ROI", "shapes": group}) for group in groups]
    for roi in rois:
        roi.setImage(ImageI(image, False))
    return conn.getUpdateService().saveAndReturnArray(rois, conn.SERVICE_OPTS)


def edit(conn: BlitzGateway, roi: int, change: Any) -> None:
    """Change a region's first shape: ``change`` gets it, loaded."""
    loaded = region(conn, roi)
    change(loaded.getShape(0))
    conn.getUpdateService().saveObject(loaded, conn.SERVICE_OPTS)


def region(conn: BlitzGateway, roi: int) -> Any:
    return conn.getRoiService().findByRoi(roi, None, conn.SERVICE_OPTS).rois[0]


def machine(conn: BlitzGateway, image: int, *shapes: Any) -> list[int]:
    """Save regions as a run does: named after it, with the mark of what they show."""
    decode = omero_marshal.get_decoder(f"{SCHEMA}ROI").decode
    rois = []
    for one in shapes:
        roi = decode({"@type": f"{SCHEMA}ROI", "shapes": [one]})
        roi.setImage(ImageI(image, False))
        mark = roi_mark(shape_facts(each) for each in roi.copyShapes())
        roi.name, roi.description = rstring(RUN), rstring(f"unit=A01\n{mark_line(mark)}")
        rois.append(roi)
    return list(conn.getUpdateService().saveAndReturnIds(rois, conn.SERVICE_OPTS))


@pytest.fixture
def labels(omero_open, omero_user, put):
    """Read labels of the plate: rows, as its owner unless somebody else."""

    def read(source: LabelSource = ROIS, user: Any = omero_user) -> list[dict[str, Any]]:
        store = omero_open(user, f"plate/{put.plate}")
        (ref,) = store.refs()
        table = store.labels(ref, source=source)
        assert tuple(table.columns) == (*LABEL_COLUMNS, *REACH_COLUMNS)
        return list(table.rows())

    return read


def places(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(row["label"], row["y"], row["x"], row["z"], row["t"]) for row in rows]


class TestDrawn:
    def test_say_what_and_where_who_and_when(
        self, put, labels, omero_second_conn, omero_second_user
    ):
        """A second user draws, another one reads; and the row leads back to the shape."""
        image = put.images[2]
        (roi,) = draw(
            omero_second_conn, image, shape("Rectangle", X=4, Y=6, Width=10, Height=8, z=2, t=1)
        )
        (row,) = labels()
        drawn = roi.getShape(0)
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row.pop("time"))
        assert row == {
            "plate": str(put.plate), "well": "B03", "field": 0, "image": str(image),
            "z": 2, "t": 1, "y": 10.0, "x": 9.0, "label": "abnormal",
            "user": omero_second_user.name, "source": "roi", "object_id": f"Shape:{drawn.id.val}",
            "reach_y": 4.0, "reach_x": 5.0,
        }  # fmt: skip

    def test_of_every_kind_are_labels_of_their_middle(self, put, labels, omero_conn):
        turned = {
            "@type": f"{SCHEMA}AffineTransform",
            "A00": 0.0, "A10": 1.0, "A01": -1.0, "A11": 0.0, "A02": 30.0, "A12": 0.0,
        }  # fmt: skip
        draw(
            omero_conn,
            put.images[0],
            point(7.5, 3.25, "point"),
            shape("Label", "label", X=7, Y=3),
            shape("Ellipse", "ellipse", X=20, Y=10, RadiusX=4, RadiusY=2),
            shape("Rectangle", "rectangle", X=10, Y=20, Width=4, Height=6),
            shape("Rectangle", "turned", X=4, Y=2, Width=4, Height=4, Transform=turned),
            shape("Line", "line", X1=0, Y1=2, X2=10, Y2=4),
            shape("Polyline", "polyline", Points="0,0 8,0"),
            shape("Polygon", "polygon", Points="0,0 6,0 0,3"),
        )
        mask(omero_conn, put.images[0])
        assert {row["label"]: (row["y"], row["x"]) for row in labels()} == {
            "point": (3.25, 7.5), "label": (3, 7), "ellipse": (10, 20), "rectangle": (23, 12),
            "turned": (6, 26), "line": (3, 5), "polyline": (0, 4), "polygon": (1, 2),
            "mask": (12, 16.5),
        }  # fmt: skip

    @pytest.mark.parametrize("text", ["\N{MICROSCOPE} odd", "<b>odd</b>", "50 % 'odd' \\ _"])
    def test_keep_their_text_whatever_it_is(self, put, labels, omero_conn, text):
        draw(omero_conn, put.images[0], point(1, 2, f"  {text} "))
        assert [row["label"] for row in labels()] == [text]

    def test_by_two_users_at_one_place_are_two_labels(
        self, put, labels, omero_conn, omero_second_conn, omero_user, omero_second_user
    ):
        draw(omero_conn, put.images[0], point(5, 6, "normal"))
        draw(omero_second_conn, put.images[0], point(5, 6, "abnormal"))
        rows = labels()
        said = [(row["label"], row["user"]) for row in rows]
        assert said == [("normal", omero_user.name), ("abnormal", omero_second_user.name)]
        assert rows[0]["time"] < rows[1]["time"]

    def test_of_one_region_each_speak_for_themselves(self, put, labels, omero_conn):
        shapes = [point(5, 6, "normal", z=0), point(5, 6, "abnormal", z=1), point(9, 9, None, z=2)]
        draw(omero_conn, put.images[0], *shapes, one_region=True)
        assert places(labels()) == [("normal", 6, 5, 0, 0), ("abnormal", 6, 5, 1, 0)]

    def test_are_none_once_taken_out_of_their_region(self, put, labels, omero_conn):
        """So iviewer deletes one of several shapes."""
        shapes = [point(5, 6, "normal", z=0), point(5, 6, "abnormal", z=1)]
        (roi,) = draw(omero_conn, put.images[0], *shapes, one_region=True)
        roi.removeShape(roi.getShape(0))
        omero_conn.getUpdateService().saveArray([roi], omero_conn.SERVICE_OPTS)
        assert places(labels()) == [("abnormal", 6, 5, 1, 0)]

    @pytest.mark.parametrize("every", [None, -1])
    def test_on_every_plane_are_in_the_middle_one(self, put, labels, omero_conn, every):
        draw(omero_conn, put.images[0], point(5, 6, z=every, t=every))
        assert places(labels()) == [("abnormal", 6, 5, 1, 0)]

    def test_come_in_the_order_of_the_images(self, put, labels, omero_conn):
        for image in reversed(put.images):
            draw(omero_conn, image, point(5, 6))
        assert [int(row["image"]) for row in labels()] == list(put.images)

    def test_of_another_plate_are_left_out(
        self, labels, omero_conn, omero_put, omero_user, tiny_set, pixels_of
    ):
        stacks = {
            image.id: stack
            for image, stack in zip(tiny_set.images, pixels_of(tiny_set), strict=True)
        }
        other = omero_put(omero_user, MemoryStore.create("others", tiny_set, stacks))
        draw(omero_conn, other.images[0], point(5, 6))
        with pytest.raises(LabelError, match="no labels"):
            labels()

    def test_are_told_by_who_changed_them_last(
        self, put, labels, omero_conn, omero_root, omero_user
    ):
        """A group's members may not edit each other's regions; an administrator may."""
        (roi,) = draw(omero_conn, put.images[0], point(5, 6, "normal"))
        omero_root.SERVICE_OPTS.setOmeroGroup(omero_user.groups[0].id)
        edit(omero_root, roi.id.val, lambda one: setattr(one, "textValue", rstring("abnormal")))
        (row,) = labels()
        assert (row["label"], row["user"]) == ("abnormal", omero_root.getUser().getName())

    def test_without_a_place_are_none(self, put, labels, omero_conn, caplog):
        draw(omero_conn, put.images[0], shape("Polygon", Points=""), point(5, 6))
        assert len(labels()) == 1
        assert "1 shapes with a text have no place" in caplog.text

    def test_two_thousand_of_them_are_read(self, put, labels, omero_conn):
        """More than a viewer shows on a page; the names of all are different."""
        texts = itertools.cycle(("normal", "abnormal"))
        shapes = [point(n % 40, n // 40, text) for n, text in zip(range(2000), texts, strict=False)]
        for start in range(0, 2000, 500):
            draw(omero_conn, put.images[start // 500], *shapes[start : start + 500])
        rows = labels()
        assert len({row["object_id"] for row in rows}) == 2000
        assert sum(row["label"] == "normal" for row in rows) == 1000


def mask(conn: BlitzGateway, image: int) -> None:
    """A mask as QuPath or a script writes it: iviewer draws none."""
    pixels = np.zeros((6, 10), bool)
    pixels[1:3, 5:8] = True
    one, roi = MaskI(), RoiI()
    values = {"x": 10.0, "y": 10.0, "width": 10.0, "height": 6.0}
    for name, value in values.items():
        setattr(one, name, rdouble(value))
    one.bytes, one.textValue, one.theZ = np.packbits(pixels).tobytes(), rstring("mask"), rint(0)
    roi.addShape(one)
    roi.setImage(ImageI(image, False))
    conn.getUpdateService().saveObject(roi, conn.SERVICE_OPTS)


class TestOfMachines:
    def test_are_none_until_somebody_edits_them(self, put, labels, omero_conn):
        machine(omero_conn, put.images[0], point(5, 6, "abnormal 0.97"), point(8, 9))
        with pytest.raises(LabelError, match="no labels"):
            labels()

    def test_are_of_whoever_moves_or_renames_them(self, put, labels, omero_conn, omero_user):
        shapes = [point(5, 6, "abnormal 0.97"), point(8, 9, "abnormal 0.61"), point(1, 2)]
        moved, named, _ = machine(omero_conn, put.images[0], *shapes)
        edit(omero_conn, moved, lambda one: setattr(one, "x", rdouble(7.0)))
        edit(omero_conn, named, lambda one: setattr(one, "textValue", rstring("normal")))
        rows = labels()
        assert places(rows) == [("abnormal", 6, 7, 1, 0), ("normal", 9, 8, 1, 0)]
        assert {row["user"] for row in rows} == {omero_user.name}

    def test_are_none_with_another_colour_or_put_back(self, put, labels, omero_conn):
        painted, returned = machine(omero_conn, put.images[0], point(5, 6), point(8, 9))
        edit(omero_conn, painted, lambda one: setattr(one, "strokeColor", rint(255)))
        edit(omero_conn, returned, lambda one: setattr(one, "x", rdouble(1.0)))
        edit(omero_conn, returned, lambda one: setattr(one, "x", rdouble(8.0)))
        with pytest.raises(LabelError, match="no labels"):
            labels()

    def test_are_none_when_only_the_region_has_another_name(self, put, labels, omero_conn):
        same, moved = machine(omero_conn, put.images[0], point(5, 6), point(8, 9, "abnormal 0.97"))
        for number in (same, moved):
            loaded = region(omero_conn, number)
            loaded.name = rstring("checked")
            omero_conn.getUpdateService().saveObject(loaded, omero_conn.SERVICE_OPTS)
        edit(omero_conn, moved, lambda one: setattr(one, "x", rdouble(7.0)))
        assert places(labels()) == [("abnormal", 9, 7, 1, 0)]

    def test_are_none_when_somebody_deletes_one_or_its_text(self, put, labels, omero_conn):
        gone, mute, _ = machine(omero_conn, put.images[0], point(5, 6), point(8, 9), point(1, 2))
        omero_conn.deleteObjects("Roi", [gone], wait=True)
        edit(omero_conn, mute, lambda one: setattr(one, "textValue", rstring("")))
        with pytest.raises(LabelError, match="no labels"):
            labels()

    def test_are_of_a_user_who_adds_a_shape(self, put, labels, omero_conn):
        (roi,) = machine(omero_conn, put.images[0], point(5, 6, "abnormal 0.97"))
        loaded = region(omero_conn, roi)
        decode = omero_marshal.get_decoder(f"{SCHEMA}Point").decode
        loaded.addShape(decode(point(20, 21, "normal")))
        omero_conn.getUpdateService().saveObject(loaded, omero_conn.SERVICE_OPTS)
        assert places(labels()) == [("abnormal", 6, 5, 1, 0), ("normal", 21, 20, 1, 0)]

    def test_edited_in_iviewer_are_of_the_editor(self, put, labels, omero_conn):
        """It saves a changed shape alone, made anew from its JSON, with its id."""
        (roi,) = machine(omero_conn, put.images[0], point(5, 6, "abnormal 0.97"))
        drawn = region(omero_conn, roi).getShape(0)
        changed = point(5, 6, "normal") | {"@id": unwrap(drawn.id)}
        decode = omero_marshal.get_decoder(f"{SCHEMA}Point").decode
        omero_conn.getUpdateService().saveArray([decode(changed)], omero_conn.SERVICE_OPTS)
        assert places(labels()) == [("normal", 6, 5, 1, 0)]


class TestOfRuns:
    """The regions that a run itself wrote, not ones made alike."""

    @pytest.fixture
    def _written(self, put, omero_open, omero_user):
        """Two regions of a run on the first image."""
        store = omero_open(omero_user, f"plate/{put.plate}")
        image = str(put.images[0])
        rois = (
            Roi(image, "rectangle", ((2.0, 3.0), (9.0, 11.0)), "abnormal", z=1, score=0.97),
            Roi(image, "polygon", ((2.0, 3.0), (9.0, 11.0), (9.0, 3.0)), "abnormal", score=0.5),
        )
        (ref,) = store.refs()
        store.write(Results("20250101T120000-0000aaaa", "k" * 64, "apply_qc", ref, rois=rois))

    @pytest.mark.usefixtures("_written")
    def test_are_labels_once_somebody_edited_them(self, put, labels, omero_conn):
        with pytest.raises(LabelError, match="no labels"):
            labels()
        rois = omero_conn.getRoiService().findByImage(put.images[0], None).rois
        edit(omero_conn, rois[0].id.val, lambda one: setattr(one, "theZ", rint(2)))
        assert places(labels()) == [("abnormal", 5.5, 7.0, 2, 0)]


class TestWords:
    def test_of_a_list_alone_are_labels(self, put, labels, omero_conn):
        texts = ("qc: bad", "qc: good", "qc:bad", "bad", "good", "qc: odd")
        draw(omero_conn, put.images[0], *(point(n, n, text) for n, text in enumerate(texts)))
        names = (("bad", "abnormal"), ("good", "normal"))
        rows = labels(LabelSource(kind="roi", prefix="qc:", names=names))
        assert [row["label"] for row in rows] == ["abnormal", "normal", "abnormal"]

    def test_that_mean_nothing_are_listed(self, put, labels, omero_conn):
        texts = ["Mitosis"] * 3 + ["debris", "<i>odd</i>", "x" * 100]
        draw(omero_conn, put.images[0], *(point(n, n, text) for n, text in enumerate(texts)))
        with pytest.raises(LabelError) as caught:
            labels(LabelSource(kind="roi", names=(("normal", "normal"), ("bad", "bad"))))
        message = str(caught.value)
        assert "'Mitosis' (3), 'debris' (1), '<i>odd</i>' (1)" in message
        assert "'normal' or 'bad'" in message
        assert "--classes" in message
        assert "x" * 41 not in message

    def test_where_there_are_none_how_to_make_some_is_told(self, put, labels):
        with pytest.raises(LabelError) as caught:
            labels()
        message = str(caught.value)
        assert f"8 images of plate tiny ({put.plate})" in message
        assert "image viewer" in message
        assert "Comment" in message

"""ROIs of a run as people see them in OMERO's viewer, and what becomes of those they change."""

from __future__ import annotations

import ezomero
import pytest
from omero.model import PointI, RoiI
from omero.rtypes import rdouble, rint, rstring, unwrap

from omero_hcs.errors import InputErrors
from omero_hcs.results import Roi
from omero_hcs.stores.omero.rois import color_of

RUN, LATER = "20250101T120000-0000aaaa", "20250102T120000-0000bbbb"
UNIT = "A01 field 1"


@pytest.fixture
def home(omero_home):
    return omero_home


@pytest.fixture
def write(home):
    """Write nothing but ROIs of one unit."""

    def save(*rois, run_id=RUN, unit=UNIT):
        nothing = {"tables": {}, "tags": (), "key_values": (), "files": ()}
        return home.store.write(home.results(run_id, unit=unit, rois=rois, **nothing))

    return save


@pytest.fixture
def roi(home):
    """Make a ROI on the first image."""
    image = home.first_image().id

    def make(left=3.0, *, text="abnormal", score=0.97, kind="rectangle", points=None, **plane):
        corners = ((2.0, left), (9.0, left + 8.0)) if points is None else points
        return Roi(image, kind, corners, text, score=score, **plane)

    return make


@pytest.fixture
def drawn(rows, home):
    """ROIs on the first image: their text by id."""

    def ask():
        hql = (
            "select r.id, s.textValue from Roi r left outer join r.shapes s "
            "where r.image.id = :image"
        )
        return dict(rows(hql, image=int(home.first_image().id)))

    return ask


@pytest.fixture
def edit(omero_conn):
    """Change a ROI as the viewer does: load it, change its shape, save it."""

    def change(number, **values):
        service = omero_conn.getUpdateService()
        (region,) = omero_conn.getRoiService().findByRoi(number, None).rois
        shape = region.getShape(0)
        for name, value in values.items():
            setattr(shape, name, value)
        service.saveObject(region)

    return change


class TestWhatPeopleSee:
    def test_place_text_plane_and_name_are_those_that_were_given(
        self, home, write, roi, omero_conn
    ):
        write(roi(z=2, t=1))
        image = int(home.first_image().id)
        (number,) = ezomero.get_roi_ids(omero_conn, image)
        (shape_id,) = ezomero.get_shape_ids(omero_conn, number)
        shape = ezomero.get_shape(omero_conn, shape_id)
        assert (shape.x, shape.y, shape.width, shape.height) == (3.0, 2.0, 8.0, 7.0)
        assert (shape.label, shape.z, shape.t) == ("abnormal 0.97", 2, 1)
        region = omero_conn.getObject("Roi", number)
        assert region.getName() == f"omero-hcs/run/{RUN}"
        assert region.getDescription().startswith(f"unit={UNIT}\n")

    def test_polygons_and_points_are_drawn_as_such(self, write, roi, rows):
        corners = ((1.0, 2.0), (1.0, 9.5), (8.25, 5.0))
        write(roi(kind="polygon", points=corners), roi(kind="point", points=((4.0, 7.0),)))
        assert rows("select s.points from Polygon s where s.roi.name like :n", n=f"%{RUN}") == [
            ("2.0,1.0 9.5,1.0 5.0,8.25",)
        ]
        assert rows("select s.x, s.y from Point s where s.roi.name like :n", n=f"%{RUN}") == [
            (7.0, 4.0)
        ]

    def test_a_class_has_its_colour_and_a_filling_that_is_not_seen(self, write, roi, rows):
        write(roi(text="abnormal"), roi(20.0, text="normal"))
        hql = "select s.strokeColor, s.fillColor, s.textValue from Shape s where s.roi.name like :n"
        colors = {text: (line, filling) for line, filling, text in rows(hql, n=f"%{RUN}")}
        # Of alpha 1: where it is 0, OMERO.web's own viewer fills the shape with black.
        assert colors["abnormal 0.97"] == (color_of("abnormal"), 1)
        assert colors["normal 0.97"] == (color_of("normal"), 1)

    @pytest.mark.parametrize("text", ["abnormal", "normal", "", "\N{MICROSCOPE}"])
    def test_colours_are_opaque_and_fit_into_the_integer_of_omero(self, text):
        assert -(2**31) <= color_of(text) < 2**31
        assert color_of(text) & 255 == 255
        assert color_of(text) == color_of(f" {text.upper()} ")

    def test_the_two_usual_classes_differ(self):
        assert color_of("normal") != color_of("abnormal")

    @pytest.mark.parametrize("text", ["<b>&amp;</b>", "\N{MICROSCOPE} blurred", "x" * 300, ""])
    def test_any_text_comes_back_and_is_known_again(self, write, roi, drawn, text):
        write(roi(text=text, score=None))
        before = drawn()
        assert list(before.values()) == [text]
        assert write(roi(text=text, score=None)).kept == ()
        assert drawn() == before

    def test_two_thousand_on_an_image_are_drawn_and_the_number_is_told(
        self, home, write, roi, drawn
    ):
        many = [roi(x / 100, score=None) for x in range(2000)]
        report = write(*many)
        assert report.counts == {"roi": 2000}
        assert len(drawn()) == 2000
        assert report.kept == ()
        (note,) = report.notes
        assert f"image/{home.first_image().id} has 2000 ROIs" in note
        assert home.store.undo(RUN).counts == {"roi": 2000}
        assert drawn() == {}


class TestFaults:
    def test_what_cannot_be_drawn_is_refused_all_at_once_and_before_anything(
        self, home, write, roi, drawn
    ):
        bad = roi(kind="polygon", points=((1.0, 2.0), (3.0, 4.0)))
        nowhere = roi(kind="point", points=((float("nan"), 1.0),))
        elsewhere = Roi("999999", "point", ((1.0, 1.0),), "abnormal")
        with pytest.raises(InputErrors, match=r"(?s)999999.*2 points.*nan") as caught:
            write(roi(), bad, nowhere, elsewhere, Roi("../1", "point", ((1.0, 1.0),), "x"))
        assert len(caught.value.faults) == 4
        assert drawn() == {}
        assert home.store.runs(home.ref) == ()


class TestAgain:
    def test_what_is_there_already_is_not_drawn_again(self, write, roi, drawn):
        write(roi(), roi(20.0))
        before = drawn()
        write(roi(), roi(20.0), roi(25.0))
        assert before.items() < drawn().items()
        assert len(drawn()) == 3

    def test_what_is_not_wanted_any_longer_goes(self, write, roi, drawn):
        write(roi(), roi(20.0, text="debris"))
        write(roi())
        assert list(drawn().values()) == ["abnormal 0.97"]

    def test_units_and_runs_leave_each_other_alone(self, home, write, roi, drawn):
        write(roi())
        write(roi(), unit="A01 field 2")
        write(roi(), run_id=LATER)
        write(unit="A01 field 2")
        assert len(drawn()) == 2
        assert home.store.undo(LATER).counts == {"roi": 1}
        assert len(drawn()) == 1

    def test_equal_ones_are_one(self, write, roi, drawn):
        assert write(roi(), roi()).counts == {"roi": 1}
        assert len(drawn()) == 1


class TestUsers:
    @pytest.mark.parametrize(
        "change",
        [
            {"textValue": rstring("normal")},
            {"x": rdouble(4.5)},
            {"theZ": rint(2)},
        ],
        ids=["text", "place", "plane"],
    )
    def test_what_they_change_is_theirs(self, home, write, roi, drawn, edit, change):
        write(roi(), roi(20.0))
        number = min(drawn())
        edit(number, **change)
        changed = drawn()
        again = write(roi(), roi(20.0))
        assert drawn() == changed
        assert again.counts == {"roi": 1}
        (kept,) = again.kept
        assert f"image/{home.first_image().id} ROI {number} ({changed[number]})" in kept
        report = home.store.undo(RUN)
        assert report.kept == again.kept
        assert drawn() == {number: changed[number]}

    def test_saving_one_without_a_change_leaves_it_ours(self, home, write, roi, drawn, edit):
        write(roi())
        edit(min(drawn()), strokeColor=rint(255))
        assert write(roi()).kept == ()
        assert home.store.undo(RUN).kept == ()
        assert drawn() == {}

    def test_a_shape_that_they_add_makes_it_theirs(self, home, write, roi, drawn, omero_conn):
        write(roi())
        number = min(drawn())
        (region,) = omero_conn.getRoiService().findByRoi(number, None).rois
        point = PointI()
        point.x, point.y, point.textValue = rdouble(1), rdouble(1), rstring("here")
        region.addShape(point)
        omero_conn.getUpdateService().saveObject(region)
        assert len(write(roi()).kept) == 1
        assert len(home.store.undo(RUN).kept) == 1
        assert list(drawn()) == [number]

    def test_what_they_delete_stays_deleted(self, home, write, roi, drawn, omero_conn):
        write(roi(), roi(20.0))
        number = min(drawn())
        omero_conn.deleteObjects("Roi", [number], wait=True)
        again = write(roi(), roi(20.0))
        assert number not in drawn()
        assert len(drawn()) == 1
        (kept,) = again.kept
        assert kept.startswith("deleted by a user: ")
        assert f"ROI {number}" in kept
        assert home.store.undo(RUN).kept == ()
        assert drawn() == {}

    def test_their_own_are_never_touched(self, home, write, roi, drawn, omero_conn):
        own, point = RoiI(), PointI()
        own.image = omero_conn.getObject("Image", int(home.first_image().id))._obj.proxy()
        point.x, point.y, point.textValue = rdouble(4), rdouble(5), rstring("abnormal 0.97")
        own.addShape(point)
        number = unwrap(omero_conn.getUpdateService().saveAndReturnObject(own).id)
        write(roi())
        write()
        home.store.undo(RUN)
        assert drawn() == {number: "abnormal 0.97"}

"""Screens as something that files are kept with: attached, found, undone; and pages of the web."""

from __future__ import annotations

import pytest
from omero.model import PermissionsI, PlateI, ScreenI, ScreenPlateLinkI

from omero_hcs.errors import InputErrors, NotAllowedError, RunNotFoundError
from omero_hcs.model import ObjectRef
from omero_hcs.results import ResultFile, Results, Tag
from omero_hcs.stores.omero import unlisted
from omero_hcs.stores.omero.record import unit_label
from tests.stores.omero.objects import Maker, named

RUN = "20250101T120000-0000aaaa"
PAGE = ResultFile("overview.html", "text/html", b"<p>2 plates</p>")
WELL = (((0, 0), ()),)


@pytest.fixture
def screen(omero_conn):
    """A screen of two plates: its id, and those of the plates."""
    make = Maker(omero_conn)
    number = make.save(named(ScreenI(), "<b>screen</b>"))
    plates = [make.plate(WELL, name=name) for name in ("plate 10", "plate 2")]
    for plate in plates:
        link = ScreenPlateLinkI()
        link.parent, link.child = ScreenI(number, False), PlateI(plate, False)
        make.save(link)
    return number, plates[1], plates[0]


def results(kind, number, **given):
    return Results(RUN, "key", "apply_qc", ObjectRef(kind=kind, id=str(number)), **given)


@pytest.fixture
def judged(screen, omero_user, omero_open):
    """A store over the screen, of which both plates and the screen have results of one run."""
    store = omero_open(omero_user, f"screen/{screen[0]}")
    for plate in screen[1:]:
        store.write(results("plate", plate, files=(ResultFile("a.txt", "text/plain", b"a"),)))
    store.write(results("screen", screen[0], files=(PAGE,)))
    return store


@pytest.fixture
def attached(rows):
    """Names of the files attached to the screen."""
    hql = "select f.name from ScreenAnnotationLink l join l.child a, FileAnnotation x join x.file f"
    return lambda number: sorted(
        name for (name,) in rows(f"{hql} where x.id = a.id and l.parent.id = :id", id=number)
    )


def test_a_screen_is_told_with_its_plates(judged, screen):
    (told,) = judged.screens()
    assert (told.id, told.name) == (str(screen[0]), "<b>screen</b>")
    assert told.plates == tuple(str(plate) for plate in screen[1:])
    assert all(ref.kind == "plate" for ref in judged.refs())


def test_a_file_is_attached_to_it_once_and_found(judged, screen, attached):
    report = judged.write(results("screen", screen[0], files=(PAGE,)))
    assert report.places[0].endswith(f"/screen/{screen[0]}")
    names = [f"omero-hcs-run-{RUN}.jsonl", f"overview-{RUN}.html"]
    assert attached(screen[0]) == names
    (ref,) = (item.ref for item in judged.screens())
    assert [run["run_id"] for run in judged.runs(ref)] == [RUN]
    assert judged.fetch(RUN, "overview.html", target=ref) == PAGE.content
    with pytest.raises(RunNotFoundError, match="has: a"):
        judged.fetch(RUN, "overview.html", target=judged.refs()[0])


def test_nothing_but_files_goes_to_it(judged, screen):
    with pytest.raises(InputErrors, match="does not have"):
        judged.write(results("screen", screen[0], tags=(Tag("plate", str(screen[0]), "x"),)))


def test_it_goes_with_the_run(judged, screen, attached):
    judged.undo(RUN)
    assert attached(screen[0]) == []
    assert judged.runs(judged.screens()[0].ref) == ()


def test_who_undoes_plate_by_plate_takes_it_along_with_the_last(
    judged, screen, attached, omero_user, omero_open
):
    for plate, left in zip(screen[1:], (2, 0), strict=True):
        omero_open(omero_user, f"plate/{plate}").undo(RUN)
        assert len(attached(screen[0])) == left


def test_a_screen_that_may_not_be_annotated_is_told_with_the_way_around(
    judged, screen, omero_root, omero_user, omero_second_user, omero_open
):
    admin = omero_root.getAdminService()
    admin.changePermissions(admin.getGroup(omero_user.groups[0].id), PermissionsI("rwr---"))
    store = omero_open(omero_second_user, f"screen/{screen[0]}")
    (ref,) = (item.ref for item in store.screens())
    (fault,) = store.write_faults(ref)
    assert f"may not annotate 1 screen, such as Screen {screen[0]} '<b>screen</b>'" in fault
    assert "select the plates instead of the screen" in fault
    with pytest.raises(NotAllowedError):
        store.write(results("screen", screen[0], files=(PAGE,)))


def test_runs_tell_whose_they_are(judged, screen, omero_second_user, omero_open):
    other = omero_open(omero_second_user, f"screen/{screen[0]}")
    ref = judged.refs()[0]
    assert [store.runs(ref)[0]["mine"] for store in (judged, other)] == [True, False]


class TestPages:
    @pytest.fixture
    def link(self, screen, omero_user, omero_open):
        def ask(web, kind, number):
            store = omero_open(omero_user, f"screen/{screen[0]}", omero_web=web)
            return store.link(kind, number)

        return ask

    @pytest.mark.parametrize("web", ["https://a.org", "https://a.org/", "https://a.org/webclient/"])
    def test_an_object_has_its_page(self, link, web):
        assert link(web, "image", "5") == "https://a.org/webclient/?show=image-5"
        assert link(web, "file", "7") == "https://a.org/webclient/annotation/7/"

    def test_a_well_is_found_by_its_name(self, link, screen, rows):
        ((well,),) = rows("select w.id from Well w where w.plate.id = :id", id=screen[1])
        page = f"https://a.org/x/webclient/?show=well-{well}"
        assert link("https://a.org/x", "well", f"{screen[1]}/A01") == page
        assert link("https://a.org/x", "well", f"{screen[1]}/H12") == ""

    @pytest.mark.parametrize("web", [None, "", "javascript:alert(1)//", "a.org"])
    def test_without_an_address_of_the_web_there_is_none(self, link, web):
        assert link(web, "image", "5") == ""


def test_what_a_file_is_for_people_stands_before_whose_it_is(judged, screen, omero_user, rows):
    about = ResultFile("overview.html", "text/html", b"<p>2</p>", "Overview of % screen_1")
    judged.write(results("screen", screen[0], files=(about,)))
    hql = "select a.description from ScreenAnnotationLink l join l.child a where a.ns = :ns"
    ((told,),) = rows(f"{hql} and l.parent.id = :id", ns="omero-hcs/file", id=screen[0])
    assert told == f"Overview of % screen_1 (run={RUN} unit=)"
    session = judged._session
    found = [unlisted._files(session, unit_label(RUN, u), session.user_id) for u in (None, "A01")]
    assert [len(one) for one in found] == [3, 0]  # those of the plates, too

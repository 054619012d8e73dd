"""Undo and crashes: nothing of a run stays, nothing of anybody else goes."""

from __future__ import annotations

import pytest
from omero.model import DatasetI, ImageAnnotationLinkI, ImageI, RoiI, TagAnnotationI
from omero.rtypes import rstring

from omero_hcs.errors import NotAllowedError, RunNotFoundError
from omero_hcs.results import KeyValues, ResultFile, Roi, Tag
from omero_hcs.stores.omero import removal, tables, undo
from omero_hcs.stores.omero.changes import delete
from omero_hcs.stores.omero.journal import Pen
from omero_hcs.stores.omero.journal_lines import Group, MadeLine, written

RUN, LATER = "20250101T120000-0000aaaa", "20250102T120000-0000bbbb"


@pytest.fixture
def home(omero_home):
    return omero_home


@pytest.fixture
def results(home):
    """Some of everything but tables, on two images, a well and the plate."""
    first, second = [site.image.id for site in home.layout().sites()][:2]

    def make(run_id=RUN, **changes):
        changes = {
            "tables": {},
            "rois": tuple(
                Roi(image, "rectangle", ((1.0, x), (9.0, x + 8)), "abnormal", z=1, score=0.9)
                for image in (first, second)
                for x in (2.0, 20.0)
            ),
            "tags": (Tag("image", first, "QC: fail"), Tag("well", "A01", "QC: fail")),
            "key_values": (
                KeyValues("image", first, "omero-hcs/qc", (("cells", "5"), ("verdict", "fail"))),
                KeyValues("plate", home.ref.id, "omero-hcs/qc", (("run", run_id),)),
            ),
            "files": (ResultFile("report.html", "text/html", b"<p>5 cells</p>"),),
            **changes,
        }
        return home.results(run_id, **changes)

    return make


def _dataset():
    dataset = DatasetI()
    dataset.name = rstring("elsewhere")
    return dataset


class _CrashError(Exception):
    """The process ends here."""


@pytest.fixture
def crash(monkeypatch, home):
    """End a write before each line of its journal in turn: ``for _ in crash(results): ...``."""
    whole = Pen.write

    def write_until(line, results):
        left = iter(range(line, -1, -1))

        def write(pen, *lines):
            if next(left) == 0:
                raise _CrashError
            return whole(pen, *lines)

        with monkeypatch.context() as patch:
            patch.setattr(Pen, "write", write)
            home.store.write(results)

    def each(results, *, lines):
        for line in range(lines):
            with pytest.raises(_CrashError):
                write_until(line, results)
            yield line
        write_until(lines, results)

    return each


class TestCrash:
    def test_undo_finds_what_the_journal_does_not_list(self, home, results, crash):
        before = home.snapshot()
        for _ in crash(results(), lines=6):
            home.store.undo(RUN)
            assert home.snapshot() == before
        home.store.undo(RUN)
        assert home.snapshot() == before

    def test_the_same_write_completes_what_was_begun(self, home, results, crash):
        before = home.snapshot()
        report, complete = home.store.write(results()), home.snapshot()
        home.store.undo(RUN)
        for _ in crash(results(), lines=6):
            again = home.store.write(results())
            assert home.snapshot() == complete
            assert (again.counts, again.kept) == (report.counts, ())
            home.store.undo(RUN)
            assert home.snapshot() == before

    def test_what_was_to_be_replaced_is_replaced_by_the_next_write(self, home, results, crash):
        pairs = (KeyValues("plate", home.ref.id, "omero-hcs/qc", (("cells", "6"),)),)
        other = results(rois=(), tags=(), key_values=pairs)
        home.store.write(other)
        complete = home.snapshot()
        home.store.write(results())
        for _ in crash(other, lines=5):
            home.store.write(other)
            assert home.snapshot() == complete
            home.store.write(results())
        assert home.snapshot() == complete

    def test_an_undo_that_was_cut_short_goes_on(self, home, results, monkeypatch):
        before = home.snapshot()
        for fails in range(3):
            home.store.write(results())
            left = iter(range(fails, -1, -1))

            def delete_some(*given, left=left, **named):
                if next(left) == 0:
                    raise _CrashError
                return delete(*given, **named)

            with monkeypatch.context() as patch:
                patch.setattr(removal, "delete", delete_some)
                patch.setattr(undo, "delete", delete_some)
                with pytest.raises(_CrashError):
                    home.store.undo(RUN)
            if fails == 1:
                assert home.store.write(results()).kept == ()
            home.store.undo(RUN)
            assert home.snapshot() == before

    def test_a_table_that_was_begun_goes_as_well(self, home, monkeypatch):
        before = home.snapshot()

        def crash(*_):
            raise _CrashError

        with monkeypatch.context() as patch:
            patch.setattr(tables, "_attach", crash)
            with pytest.raises(_CrashError):
                home.store.write(home.results(RUN))
        home.store.undo(RUN)
        assert home.snapshot() == before

    def test_a_line_that_was_cut_short_does_not_count(self, home, results, omero_conn, rows):
        before = home.snapshot()
        home.store.write(results())
        ((number,),) = rows("select f.id from OriginalFile f where f.name like 'omero-hcs-run-%'")
        store = omero_conn.createRawFileStore()
        store.setFileId(number)
        torn = b'{"type":"made","unit":null,"objects":[{"kind":"roi","ty'
        store.write(torn, store.size(), len(torn))
        store.close()
        home.store.write(results(rois=()))
        assert home.store.undo(RUN).kept == ()
        assert home.snapshot() == before


class TestUsers:
    def test_what_they_changed_is_left_and_told(self, home, results, omero_conn):
        """Rename a file and a tag, change key-values, and write and undo again."""
        home.store.write(results())
        service = omero_conn.getUpdateService()
        (file,) = omero_conn.getObjects("OriginalFile", attributes={"name": f"report-{RUN}.html"})
        file._obj.name = rstring("for my boss.html")
        service.saveObject(file._obj)
        (tag,) = omero_conn.getObjects("TagAnnotation", attributes={"textValue": "QC: fail"})
        tag._obj.textValue = rstring("look at this")
        service.saveObject(tag._obj)
        (note,) = omero_conn.getObject("Image", home.first_image().id).listAnnotations(
            "omero-hcs/qc"
        )
        note.setValue([["cells", "5"], ["verdict", "fine, I looked"]])
        note.save()
        changed = home.snapshot()

        again = home.store.write(results())
        assert home.snapshot() == changed
        told = "\n".join(again.kept)
        assert "report.html" in told
        assert told.count("tag 'look at this'") == 2
        assert f"omero-hcs/qc on Image {home.first_image().id}" in told

        report = home.store.undo(RUN)
        assert set(again.kept) <= set(report.kept)
        assert report.counts == {"roi": 4, "key-values": 1}
        left = {str(key) for key in home.snapshot()}
        assert any("look at this" in key for key in left)
        assert home.store.runs(home.ref) == ()

    def test_what_they_took_off_is_not_put_back(self, home, results, omero_conn):
        before = home.snapshot()
        home.store.write(results())
        image = omero_conn.getObject("Image", home.first_image().id)
        links = [link.link.getId() for link in image.listAnnotations() if link.link is not None]
        omero_conn.deleteObjects("ImageAnnotationLink", links, wait=True)
        plate = omero_conn.getObject("Plate", int(home.ref.id))
        (report,) = plate.listAnnotations("omero-hcs/file")
        omero_conn.deleteObjects("PlateAnnotationLink", [report.link.getId()], wait=True)
        changed = home.snapshot()
        again = home.store.write(results())
        assert home.snapshot() == changed
        assert len(again.kept) == len(links) + 1
        assert all(text.startswith("deleted by a user: ") for text in again.kept)
        assert home.store.undo(RUN).kept == ()
        assert home.snapshot() == before

    def test_a_file_that_they_attached_to_something_else_stays(self, home, results, omero_conn):
        home.store.write(results())
        image = omero_conn.getObject("Image", home.first_image().id)
        (report,) = omero_conn.getObjects("FileAnnotation", attributes={"ns": "omero-hcs/file"})
        image.linkAnnotation(report)
        (kept,) = home.store.undo(RUN).kept
        assert kept.endswith("report.html")
        assert [one.getId() for one in image.listAnnotations()] == [report.getId()]

    def test_a_tag_that_another_user_put_on_stays_there(
        self, home, results, omero_second_user, omero_connect, rows
    ):
        home.store.write(results())
        other = omero_connect(omero_second_user)
        (tag,) = other.getObjects("TagAnnotation", attributes={"textValue": "QC: fail"})
        last = list(home.layout().sites())[-1].image.id
        other.getObject("Image", last).linkAnnotation(tag, sameOwner=False)
        report = home.store.undo(RUN)
        assert report.kept == ()
        assert rows(
            "select l.parent.id from ImageAnnotationLink l where l.child.id = :tag", tag=tag.getId()
        ) == [(int(last),)]

    def test_a_tag_that_was_on_before_stays_on(self, home, results, omero_conn):
        first = home.first_image().id
        tag = TagAnnotationI()
        tag.ns, tag.textValue = rstring("omero-hcs/tag"), rstring("QC: fail")
        link = ImageAnnotationLinkI()
        link.parent, link.child = ImageI(int(first), False), tag
        omero_conn.getUpdateService().saveObject(link)
        before = home.snapshot()
        report = home.store.write(results())
        assert report.counts["tag"] == 1
        home.store.undo(RUN)
        assert home.snapshot() == before

    def test_a_moved_image_and_a_deleted_one_keep_nothing_of_the_run(
        self, omero_set_home, omero_conn, omero_open, omero_user
    ):
        home = omero_set_home
        moved, deleted = (site.image.id for site in home.layout().sites())
        for image in (moved, deleted):
            point = Roi(image, "point", ((1.0, 1.0),), "abnormal")
            home.store.write(home.results(RUN, unit=image, tables={}, rois=(point,)))
        (link,) = omero_conn.getObject("Image", int(moved)).getParentLinks()
        link._obj.parent = omero_conn.getUpdateService().saveAndReturnObject(_dataset())
        omero_conn.getUpdateService().saveObject(link._obj)
        omero_conn.deleteObjects("Image", [int(deleted)], wait=True)
        place = home.store.spec.uri.partition("/dataset")[2]
        report = omero_open(omero_user, f"dataset{place}").undo(RUN)
        assert report.kept == ()
        assert report.counts["roi"] == 1
        image = omero_conn.getObject("Image", int(moved))
        assert image.getROICount() == 0
        assert list(image.listAnnotations()) == []


class TestWhoMay:
    def test_another_member_may_not_undo_it_and_nothing_is_removed(
        self, home, results, omero_open, omero_second_user
    ):
        home.store.write(results())
        before = home.snapshot()
        store = omero_open(omero_second_user, f"plate/{home.ref.id}")
        assert [run["run_id"] for run in store.runs(home.ref)] == [RUN]
        with pytest.raises(NotAllowedError, match=rf"(?s){RUN}.*Ask .*administrator"):
            store.undo(RUN)
        assert home.snapshot() == before

    def test_a_group_owner_may(self, home, results, omero_open, omero_make_user, omero_user):
        before = home.snapshot()
        home.store.write(results())
        (group,) = omero_user.groups
        leader = omero_make_user(group, owns=[group])
        omero_open(leader, f"plate/{home.ref.id}").undo(RUN)
        assert home.snapshot() == before

    def test_runs_of_two_members_stand_side_by_side(
        self, home, results, omero_open, omero_second_user
    ):
        store = omero_open(omero_second_user, f"plate/{home.ref.id}")
        before = home.snapshot()
        store.write(results(LATER))
        theirs = home.snapshot()
        home.store.write(results())
        home.store.undo(RUN)
        assert home.snapshot() == theirs
        store.undo(LATER)
        assert home.snapshot() == before

    def test_a_journal_that_was_tampered_with_deletes_nothing_of_others(
        self, home, results, rows, omero_conn, omero_second_conn
    ):
        """An administrator who undoes a run is not to be tricked into more than that."""
        own = RoiI()
        own.image = ImageI(int(home.first_image().id), loaded=False)
        number = omero_second_conn.getUpdateService().saveAndReturnObject(own).id.val
        home.store.write(results())
        ((file,),) = rows("select f.id from OriginalFile f where f.name like 'omero-hcs-run-%'")
        roi = Group(kind="roi", type="Roi", name=home.first_image().id, ids=(number,))
        line = written([MadeLine(unit=None, objects=(roi,), complete=True)])
        store = omero_conn.createRawFileStore()
        store.setFileId(file)
        store.write(line, store.size(), len(line))
        store.close()
        home.store.undo(RUN)
        assert rows("select r.id from Roi r") == [(number,)]

    def test_a_run_that_is_not_there_is_refused_with_those_that_are(self, home, results):
        home.store.write(results())
        with pytest.raises(RunNotFoundError, match=f"plate/{home.ref.id} .*{LATER}.*{RUN}"):
            home.store.undo(LATER)

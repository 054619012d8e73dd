"""Crops as images of a dataset: what they are like, written again, undone, after a crash."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from omero.gateway import TagAnnotationWrapper
from omero.model import DatasetI, DatasetImageLinkI, ImageI, PointI, RoiI
from omero.rtypes import rdouble, rint, rstring, unwrap

from omero_hcs.errors import DataError, InputErrors
from omero_hcs.results import CropImages, Table
from omero_hcs.stores.omero import crop_images, undo
from omero_hcs.stores.omero.cropnote import CropNote
from omero_hcs.stores.omero.journal import Pen
from omero_hcs.stores.omero.journal_lines import Group, MadeLine, read_lines, written
from omero_hcs.stores.omero.record import CROP_NAMESPACE

RUN, LATER = "20250101T120000-0000aaaa", "20250102T120000-0000bbbb"
SIDE = 6


@pytest.fixture
def home(omero_home):
    return omero_home


@pytest.fixture
def crops(home):
    """Results of one field with so many crops: ``crops(3)``."""

    def make(count, run_id=RUN, *, field=0, **changes):
        site = list(home.layout().sites())[field]
        unit = f"{home.ref.id}/{site.well.name}/f{site.field}/z1/t0"
        cells = Table(
            {
                "cell": np.array([f"{unit}/c{number:05d}" for number in range(count)]),
                "t": np.zeros(count, dtype=np.int32),
                "y": np.arange(count) + 0.123456,
                "x": np.arange(count) * 2.0,
            }
        )
        rng = np.random.default_rng(field)
        pixels = rng.integers(0, 4000, (count, 2, SIDE, SIDE)).astype(site.image.dtype)
        made = CropImages(
            site.image.id, cells, pixels, ("GFP", "DNA"), ((100.0, 900.0), (200.0, 3000.0)), 1
        )
        more = {"tables": {}, "rois": (), "tags": (), "key_values": (), "files": ()}
        return home.results(run_id, unit=unit, crops=replace(made, **changes), **more)

    return make


@pytest.fixture
def images(omero_conn, rows):
    """Crop images there are, by name."""

    def ask():
        found = rows("select l.child.id, l.child.name from DatasetImageLink l")
        return {name: omero_conn.getObject("Image", number) for number, name in found}

    return ask


def link(conn, dataset, image):
    made = DatasetImageLinkI()
    made.parent, made.child = DatasetI(dataset, False), ImageI(image, False)
    conn.getUpdateService().saveObject(made)


def new_dataset(conn, name="mine"):
    made = DatasetI()
    made.name = rstring(name)
    return conn.getUpdateService().saveAndReturnObject(made).id.val


class _CrashError(Exception):
    """The process ends here."""


def _raise(*_):
    raise _CrashError


class TestImages:
    def test_they_are_what_was_cut(self, home, crops, images):
        results = crops(3)
        report = home.store.write(results)
        assert report.counts == {"crop": 3, "dataset": 1}
        made = images()
        assert list(made) == [
            "A01 f1 z2 t1 cell 001",
            "A01 f1 z2 t1 cell 002",
            "A01 f1 z2 t1 cell 003",
        ]
        source = home.first_image()
        for image, pixels in zip(made.values(), results.crops.pixels, strict=True):
            assert [channel.getLabel() for channel in image.getChannels()] == ["GFP", "DNA"]
            planes = list(image.getPrimaryPixels().getPlanes([(0, 0, 0), (0, 1, 0)]))
            np.testing.assert_array_equal(planes, pixels)
            assert image.getPixelsType() == source.dtype
            assert (image.getPixelSizeY(), image.getPixelSizeX()) == source.pixel_size_um
            (parent,) = image.listParents()
            assert parent.getName() == f"Crops of {home.layout().name} {RUN}"
            assert f"run={RUN}" in parent.getDescription()

    def test_all_are_shown_between_the_same_grey_values(self, home, crops, images):
        home.store.write(crops(2))
        for image in images().values():
            shown = [(c.getWindowStart(), c.getWindowEnd()) for c in image.getChannels()]
            assert shown == [(100.0, 900.0), (200.0, 3000.0)]
            picture = np.asarray(image.renderImage(0, 0))
            assert picture.shape == (SIDE, SIDE, 3)
            assert image.getThumbnail()

    def test_each_leads_back_to_its_cell(self, home, crops, images, omero_open, omero_user):
        home.store.write(crops(2))
        (note,) = images()["A01 f1 z2 t1 cell 002"].listAnnotations(ns=CROP_NAMESPACE)
        plate, source = int(home.ref.id), int(home.first_image().id)
        told = CropNote(
            source, 1.12, 2.0, 1, 0, plate, "A01", 0, RUN, f"{plate}/A01/f0/z1/t0/c00001"
        )
        assert CropNote.from_pairs(note.getValue()) == told
        assert dict(note.getValue())["Field"] == "1"
        (dataset,) = images()["A01 f1 z2 t1 cell 002"].listParents()
        store = omero_open(omero_user, f"dataset/{dataset.getId()}")
        assert store.refs() == (home.ref,)

    def test_a_choice_of_planes_leads_back_to_the_plane_that_was_taken(self, home, crops, images):
        home.store.write(crops(1, z="middle"))
        (image,) = images().values()
        (note,) = image.listAnnotations(ns=CROP_NAMESPACE)
        assert CropNote.from_pairs(note.getValue()).z == home.first_image().size_z // 2

    def test_a_field_without_cells_makes_no_dataset(self, home, crops, images):
        before = home.snapshot()
        assert home.store.write(crops(0)).counts == {}
        assert images() == {}
        home.store.undo(RUN)
        assert home.snapshot() == before

    def test_of_an_image_that_is_not_of_the_plate_they_are_refused(self, home, crops):
        with pytest.raises(InputErrors, match="image '987654'"):
            home.store.write(crops(1, image="987654"))


class TestAgain:
    def test_the_same_unit_is_there_once_and_all_units_share_a_dataset(self, home, crops, rows):
        for results in (crops(2), crops(3, field=1), crops(2)):
            home.store.write(results)
        assert len(rows("select d.id from Dataset d")) == 1
        assert len(rows("select l.id from DatasetImageLink l")) == 5

    def test_a_unit_that_wants_more_or_less_gets_it(self, home, crops, images):
        home.store.write(crops(2))
        kept = {image.getId() for image in images().values()}
        home.store.write(crops(4))
        assert kept < {image.getId() for image in images().values()}
        home.store.write(crops(1))
        assert list(images()) == ["A01 f1 z2 t1 cell 001"]

    def test_the_finishing_step_says_where_they_are(self, home, crops, rows):
        home.store.write(crops(2))
        report = home.store.write(home.results(RUN))
        ((number,),) = rows("select d.id from Dataset d")
        assert any(place.endswith(f"/dataset/{number}") for place in report.places)


class TestUndo:
    def test_nothing_stays_of_it_and_all_of_the_others(self, home, crops):
        before = home.snapshot()
        home.store.write(crops(2, LATER))
        one = home.snapshot()
        home.store.write(crops(3))
        home.store.write(crops(2, field=1))
        assert home.store.undo(RUN).counts == {"crop": 5, "dataset": 1}
        assert home.snapshot() == one
        home.store.undo(LATER)
        assert home.snapshot() == before

    @pytest.fixture
    def used(self, omero_conn):
        """What people do with a crop; each leaves it theirs."""

        def tag(image):
            said = TagAnnotationWrapper(omero_conn)
            said.setValue("blurred")
            said.save()
            image.linkAnnotation(said)

        def rename(image):
            image._obj.name = rstring("look!")
            omero_conn.getUpdateService().saveObject(image._obj)

        def draw(image):
            roi, point = RoiI(), PointI()
            point.x, point.y, point.theZ, point.theT = rdouble(1), rdouble(1), rint(0), rint(0)
            roi.setImage(ImageI(image.getId(), False))
            roi.addShape(point)
            omero_conn.getUpdateService().saveObject(roi)

        def move(image):
            (old,) = [parent.getId() for parent in image.listParents()]
            query = "select l.id from DatasetImageLink l where l.parent.id = %d and l.child.id = %d"
            context = {"omero.group": "-1"}
            ((found,),) = omero_conn.getQueryService().projection(
                query % (old, image.getId()), None, context
            )
            omero_conn.deleteObjects("DatasetImageLink", [unwrap(found)], wait=True)
            link(omero_conn, new_dataset(omero_conn), image.getId())

        def change_note(image):
            (note,) = image.listAnnotations(ns=CROP_NAMESPACE)
            note.setValue([*note.getValue(), ["Verdict", "fine"]])
            note.save()

        return {
            "tagged": tag,
            "renamed": rename,
            "drawn on": draw,
            "moved": move,
            "noted": change_note,
        }

    @pytest.mark.parametrize("how", ["tagged", "renamed", "drawn on", "moved", "noted"])
    def test_what_somebody_used_stays_with_its_note_and_is_told(
        self, home, crops, images, used, how
    ):
        home.store.write(crops(3))
        mine = images()["A01 f1 z2 t1 cell 002"]
        used[how](mine)
        report = home.store.undo(RUN)
        assert report.counts["crop"] == 2
        assert sum(f"/image/{mine.getId()} " in place for place in report.kept) == 1
        (left,) = images().values()
        assert left.getId() == mine.getId()
        assert left.listAnnotations(ns=CROP_NAMESPACE)
        datasets = [place for place in report.kept if "/dataset/" in place]
        assert bool(datasets) == (how != "moved")

    def test_an_image_of_somebodys_in_the_dataset_stays_with_it(
        self, home, crops, rows, omero_conn
    ):
        home.store.write(crops(1))
        ((dataset,),) = rows("select d.id from Dataset d")
        source = int(home.first_image().id)
        link(omero_conn, dataset, source)
        report = home.store.undo(RUN)
        assert report.counts == {"crop": 1}
        assert [place for place in report.kept if f"/dataset/{dataset} " in place]
        assert rows("select l.child.id from DatasetImageLink l") == [(source,)]

    def test_a_crop_taken_off_the_dataset_goes_and_one_deleted_is_not_made_again(
        self, home, crops, images, omero_conn, rows
    ):
        before = home.snapshot()
        home.store.write(crops(3))
        first, second, _ = images().values()
        omero_conn.deleteObjects("Image", [first.getId()], wait=True)
        hql = "select l.id from DatasetImageLink l where l.child.id = :id"
        taken = [row[0] for row in rows(hql, id=second.getId())]
        omero_conn.deleteObjects("DatasetImageLink", taken, wait=True)
        again = home.store.write(crops(3))
        assert len(again.kept) == 2
        assert len(images()) == 1
        home.store.undo(RUN)
        assert home.snapshot() == before

    def test_a_journal_that_lists_other_images_removes_none(self, home, crops, omero_conn):
        """Somebody may have written into the journal which images were 'made'."""
        home.store.write(crops(1))
        name = f"omero-hcs-run-{RUN}.jsonl"
        (file,) = omero_conn.getObjects("OriginalFile", attributes={"name": name})
        source = home.first_image().id
        objects = (Group(kind="crop", type="Image", ids=(int(source),)),)
        line = written([MadeLine(unit="x", objects=objects, complete=True)])
        store = omero_conn.createRawFileStore()
        store.setFileId(file.getId())
        store.write(line, store.size(), len(line))
        store.save()
        store.close()
        report = home.store.undo(RUN)
        assert any(f"/image/{source} " in place for place in report.kept)
        assert omero_conn.getObject("Image", source) is not None


class TestCrash:
    @pytest.fixture
    def crash(self, monkeypatch):
        """End a call before some line of its journal: ``crash(2, call)``."""
        whole = Pen.write

        def run(line, call):
            left = iter(range(line, -1, -1))

            def write(pen, *lines):
                if next(left) == 0:
                    raise _CrashError
                return whole(pen, *lines)

            with monkeypatch.context() as patch:
                patch.setattr(Pen, "write", write)
                with pytest.raises(_CrashError):
                    call()

        return run

    @pytest.mark.parametrize("line", range(3))
    def test_before_a_line_of_the_journal(self, home, crops, crash, line):
        before = home.snapshot()
        crash(line, lambda: home.store.write(crops(2)))
        home.store.undo(RUN)
        assert home.snapshot() == before
        home.store.write(crops(2))
        complete = home.snapshot()
        home.store.undo(RUN)
        crash(line, lambda: home.store.write(crops(2)))
        assert home.store.write(crops(2)).kept == ()
        assert home.snapshot() == complete

    def test_while_it_is_undone(self, home, crops):
        before = home.snapshot()
        home.store.write(crops(2))
        home.store.write(crops(1, field=1))
        complete = home.snapshot()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(undo, "remove_datasets", _raise)
            with pytest.raises(_CrashError):
                home.store.undo(RUN)
        home.store.write(crops(2))
        home.store.write(crops(1, field=1))
        assert home.snapshot() == complete
        home.store.undo(RUN)
        assert home.snapshot() == before

    def test_between_the_image_and_its_pixels(self, home, crops, images, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(crop_images, "_send", _raise)
            with pytest.raises(_CrashError):
                home.store.write(crops(2))
        results = crops(2)
        home.store.write(results)
        made = images()
        assert len(made) == 2
        for image, pixels in zip(made.values(), results.crops.pixels, strict=True):
            planes = image.getPrimaryPixels().getPlanes([(0, 0, 0), (0, 1, 0)])
            np.testing.assert_array_equal(list(planes), pixels)


def test_an_older_kind_of_object_is_no_part_of_a_journal():
    line = b'{"type":"made","unit":"x","objects":[{"kind":"crop","type":"Plate","ids":[1]}]}\n'
    header = (
        b'{"type":"run","schema_version":1,"run_id":"r","key":"k","task":"t","target":'
        b'{"kind":"plate","id":"1"},"started":"2025-01-01T00:00:00Z","package_version":"0"}\n'
    )
    with pytest.raises(DataError, match="damaged in line 2"):
        read_lines(header + line, "it")

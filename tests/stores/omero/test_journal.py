"""Journals of runs: what they say, what an interrupted or foreign one means, how they are found."""

from __future__ import annotations

from pathlib import Path

import pytest
from omero.rtypes import rstring

from omero_hcs.errors import DataError, FormatVersionError
from omero_hcs.model import ObjectRef
from omero_hcs.results import Roi
from omero_hcs.stores.omero.journal import Journal, Place
from omero_hcs.stores.omero.journal_lines import (
    Group,
    IntentLine,
    MadeLine,
    RemovedLine,
    RemovingLine,
    UndoingLine,
    groups_of,
    read_lines,
    written,
)
from omero_hcs.stores.omero.record import Made

RUN, LATER = "20250101T120000-0000aaaa", "20250102T120000-0000bbbb"
SAMPLE = Path(__file__).parents[1] / "samples" / "journal-1.jsonl"
UNIT = "B03 field 1"
PLATE = b'{"type":"made","unit":null,"objects":[{"kind":"file","type":"Plate","ids":[1]}]}\n'


@pytest.fixture
def sample():
    return SAMPLE.read_bytes()


@pytest.fixture
def journal():
    """A journal that was told some lines."""

    def read(*lines):
        made = Journal(Place(1, 2, "omero-hcs-run-x.jsonl", 0, 3, 4, None))
        made.take(lines)
        return made

    return read


class TestLines:
    def test_one_of_the_first_version_is_read(self, sample, journal):
        lines, good = read_lines(sample, "it")
        assert good == len(sample)
        read = journal(*lines)
        assert read.header.run_id == RUN
        assert read.header.target == ObjectRef(kind="plate", id="51")
        assert [(one.type, one.id, one.mark) for one in read.units[UNIT].made()] == [
            ("Roi", 701, "00000000000000a1"),
            ("Roi", 702, "00000000000000a2"),
        ]
        assert [one.name for one in read.units[None].made() if one.kind == "file"] == [
            "report.html"
        ]
        assert read.units["B03 field 2"].open_intents[0].images == (18,)

    def test_what_is_written_is_what_was_stored(self, sample):
        lines, _ = read_lines(sample, "it")
        assert written(lines) == sample

    @pytest.mark.parametrize("cut", [1, 10, 60])
    def test_an_end_that_was_cut_off_does_not_count(self, sample, cut):
        whole, _ = read_lines(sample, "it")
        lines, good = read_lines(sample[:-cut], "it")
        assert lines == whole[:-1]
        assert sample[:good].endswith(b"\n")

    @pytest.mark.parametrize("data", [b"", b'{"type":"run","schema_v'])
    def test_one_that_was_only_begun_is_empty(self, data):
        assert read_lines(data, "it") == ([], 0)

    def test_one_of_a_newer_release_is_refused_by_its_version(self):
        data = b'{"type":"run","schema_version":2,"what":"else"}\n{"type":"news"}\n'
        with pytest.raises(FormatVersionError, match=r"it has schema version 2.*pip install"):
            read_lines(data, "it")

    @pytest.mark.parametrize(
        "damage",
        [b"{}\n", b"no json\n", b'{"type":"made","unit":1}\n', b"\xff\xfe\n", b"[1]\n", PLATE],
    )
    def test_a_damaged_one_is_refused_with_the_line(self, sample, damage):
        first, rest = sample.split(b"\n", 1)
        with pytest.raises(DataError, match=r"it is damaged in line 2"):
            read_lines(first + b"\n" + damage + rest, "it")
        with pytest.raises(DataError, match="does not say which run"):
            read_lines(rest, "it")

    def test_many_objects_take_few_bytes(self):
        made = [Made("roi", "Roi", 1_000_000 + n, f"{n:016x}", "17") for n in range(200)]
        line = MadeLine(unit=UNIT, objects=groups_of(made), complete=True)
        assert len(written([line])) < 200 * 30
        assert [one for group in line.objects for one in group.each()] == made


class TestState:
    def group(self, *ids, kind="roi", cls="Roi"):
        return (Group(kind=kind, type=cls, ids=ids),)

    def test_what_was_removed_is_no_longer_there(self, journal):
        read = journal(
            MadeLine(unit=UNIT, objects=self.group(1, 2, 3), complete=True),
            RemovingLine(unit=UNIT, objects=self.group(1, 2)),
            RemovedLine(unit=UNIT, objects=self.group(1)),
        )
        assert [one.id for one in read.units[UNIT].made()] == [3]
        assert [one.id for one in read.units[UNIT].pending()] == [2]

    def test_an_intent_is_open_until_all_is_made(self, journal):
        read = journal(
            IntentLine(unit=UNIT, counts={"roi": 2}, images=(17,)),
            MadeLine(unit=UNIT, objects=self.group(1)),
        )
        assert len(read.units[UNIT].open_intents) == 1
        read.take([MadeLine(unit=UNIT, objects=self.group(2), complete=True)])
        assert read.units[UNIT].open_intents == []

    def test_an_undo_that_was_begun_leaves_all_to_be_removed(self, journal):
        read = journal(
            MadeLine(unit=UNIT, objects=self.group(1), complete=True),
            UndoingLine(),
            MadeLine(unit=UNIT, objects=self.group(2), complete=True),
        )
        assert [one.id for one in read.units[UNIT].made()] == [2]
        assert [one.id for one in read.units[UNIT].pending()] == [1]


class TestOnTheServer:
    @pytest.fixture
    def write(self, omero_home):
        """Write one point of one unit."""
        nothing = {"tables": {}, "tags": (), "key_values": (), "files": ()}
        point = Roi(omero_home.first_image().id, "point", ((1.0, 1.0),), "abnormal")

        def save(run_id=RUN, unit=UNIT, store=omero_home.store):
            results = omero_home.results(run_id, unit=unit, rois=(point,), **nothing)
            return store.write(results)

        return save

    @pytest.fixture
    def content(self, rows, omero_conn):
        """Content of the only journal, or put another one there."""

        def ask(new=None):
            hql = "select f.id from FileAnnotation a join a.file f where a.ns = 'omero-hcs/run'"
            ((number,),) = rows(hql)
            store = omero_conn.createRawFileStore()
            store.setFileId(number)
            if new is not None:
                store.truncate(0)
                store.write(new, 0, len(new))
            data = store.read(0, store.size())
            store.close()
            return data

        return ask

    def test_it_is_attached_to_the_plate_and_only_grows(self, omero_home, write, content, rows):
        write()
        first = content()
        write(unit="B03 field 2")
        assert content().startswith(first)
        hql = (
            "select f.name, f.mimetype, f.size from PlateAnnotationLink l join l.child a "
            "join a.file f where l.parent.id = :plate and a.ns = 'omero-hcs/run'"
        )
        assert rows(hql, plate=int(omero_home.ref.id)) == [
            (f"omero-hcs-run-{RUN}.jsonl", "application/x-ndjson", len(content()))
        ]

    def test_equal_results_again_add_nothing(self, write, content):
        write()
        before = content()
        write()
        assert content() == before

    def test_two_processes_may_write_units_of_one_run_in_turn(
        self, omero_home, write, omero_open, omero_user
    ):
        other = omero_open(omero_user, f"plate/{omero_home.ref.id}")
        for number, store in enumerate([omero_home.store, other, omero_home.store, other]):
            assert write(unit=f"unit {number}", store=store).counts == {"roi": 1}
        assert omero_home.store.undo(RUN).counts == {"roi": 4}

    def test_a_renamed_one_is_still_found(self, omero_home, write, omero_conn):
        write()
        (file,) = omero_conn.getObjects(
            "OriginalFile", attributes={"name": f"omero-hcs-run-{RUN}.jsonl"}
        )
        file._obj.name = rstring("what is this.txt")
        omero_conn.getUpdateService().saveObject(file._obj)
        write(unit="B03 field 2")
        assert omero_home.store.undo(RUN).counts == {"roi": 2}

    def test_one_of_a_newer_release_stops_what_would_need_it(self, omero_home, write, content):
        write()
        content(new=content().replace(b'"schema_version":1', b'"schema_version":9'))
        again = omero_home.store
        again._runs._journals._headers.clear()
        for call in (
            lambda: again.runs(omero_home.ref),
            lambda: again.undo(RUN),
            lambda: again.fetch(RUN, "x"),
            write,
        ):
            with pytest.raises(FormatVersionError, match="schema version 9"):
                call()

    def test_a_run_whose_journal_a_user_deleted_is_not_there(self, omero_home, write, omero_conn):
        write()
        journals = omero_conn.getObjects("FileAnnotation", attributes={"ns": "omero-hcs/run"})
        ids = [one.getId() for one in journals]
        omero_conn.deleteObjects("FileAnnotation", ids, wait=True)
        assert omero_home.store.runs(omero_home.ref) == ()
        write(LATER)
        assert omero_home.store.undo(LATER).counts == {"roi": 1}

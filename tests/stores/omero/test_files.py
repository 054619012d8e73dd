"""Files of a run on a server: attached so that people find them, read back as they were."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import ezomero
import numpy as np
import pytest

from omero_hcs.errors import DataError, RunNotFoundError, WriteError
from omero_hcs.results import Table
from omero_hcs.stores.contents import Content
from omero_hcs.stores.omero import attachments, files
from omero_hcs.stores.omero.files import file_content, file_marks, save_files
from omero_hcs.stores.omero.record import FILE_NAMESPACE

MINE = b"<p>mine</p>"
HTML = "<p>5 cells &amp; \N{MICROSCOPE}</p>".encode()
CELLS = Table({"cell": np.arange(5), "abnormal": np.array([0.5, np.nan, 0, 1, 1], np.float32)})


def content(name, data=HTML, kind="file"):
    return Content(kind, name, 1, len(data), partial(Path.write_bytes, data=data))


def table(name, rows=CELLS):
    return Content("table", f"{name}.parquet", 1, 100, rows.to_parquet)


def of_kind(made, kind):
    return {item.name: item for item in made if item.kind == kind}


def attached(context, place=None, namespace=FILE_NAMESPACE):
    """File annotations that a user sees on the plate: by the name of their file."""
    kind, number = place or context.anchors[0]
    conn = context.session.conn
    ids = ezomero.get_file_annotation_ids(conn, kind, number, ns=namespace)
    return {conn.getObject("Annotation", one).getFile().getName(): one for one in ids}


def overwrite(session, annotation, data):
    """Do what a user's program does that writes into a file that is there."""
    file_id = session.conn.getObject("FileAnnotation", annotation).getFile().getId()
    store = session.conn.c.sf.createRawFileStore()
    store.setFileId(file_id)
    store.truncate(len(data))
    store.write(data, 0, len(data))
    store.close()


class TestSaveFiles:
    def test_a_report_is_attached_by_itself_with_its_run_in_its_name(self, context):
        save_files(context, [content("report.html"), content("heatmap.png", b"\x89PNG")])
        seen = attached(context)
        assert set(seen) == {f"report-{context.run_id}.html", f"heatmap-{context.run_id}.png"}
        note = context.session.conn.getObject(
            "FileAnnotation", seen[f"report-{context.run_id}.html"]
        )
        assert note.getFile().getMimetype() == "text/html"
        assert note.getDescription() == context.label
        assert note.getDetails().getGroup().getId() == context.group

    def test_tables_and_records_are_one_attachment(self, context, tmp_path):
        made = save_files(context, [table("cells"), table("fields"), content("run.json", b"{}")])
        (number,) = attached(context).values()
        path = ezomero.get_file_annotation(context.session.conn, number, str(tmp_path))
        assert Path(path).name == f"omero-hcs-{context.run_id}.zip"
        with zipfile.ZipFile(path) as archive:
            assert archive.namelist() == ["cells.parquet", "fields.parquet", "run.json"]
            cells = Table.from_parquet(archive.read("cells.parquet"))
        np.testing.assert_array_equal(cells["abnormal"], CELLS["abnormal"])
        assert set(of_kind(made, "table")) == {"cells.parquet", "fields.parquet"}
        assert set(of_kind(made, "file")) == {"run.json"}
        assert {item.id for item in made if item.kind != "link"} == {number}

    def test_units_have_names_of_their_own(self, context):
        save_files(replace(context, unit="B03/field 1"), [content("report.html"), table("crops")])
        save_files(replace(context, unit="B03/field 2"), [content("report.html"), table("crops")])
        assert len(attached(context)) == 4

    def test_every_object_of_a_set_has_the_same_file(self, context):
        images = sorted(context.images)[:3]
        places = tuple(("Image", number) for number in images)
        made = save_files(replace(context, anchors=places), [content("report.html")])
        report = of_kind(made, "file")["report.html"].id
        for place in places:
            assert list(attached(context, place).values()) == [report]
        links = [item for item in made if item.kind == "link"]
        assert {item.type for item in links} == {"ImageAnnotationLink"}
        assert len({item.id for item in links}) == 3

    def test_the_server_has_the_hash_of_the_content(self, context, monkeypatch):
        monkeypatch.setattr(attachments, "CHUNK", 1000)
        data = np.random.default_rng(0).bytes(5_500)
        made = save_files(context, [content("large.bin", data), content("empty.txt", b"")])
        notes = context.session.conn.getObjects("FileAnnotation", [made[0].id, made[2].id])
        told = {note.getFile().getSize(): note.getFile().getHash() for note in notes}
        assert told == {
            len(part): hashlib.sha1(part, usedforsecurity=False).hexdigest() for part in (data, b"")
        }
        assert file_content(context.session, made[0]) == data
        assert file_content(context.session, made[2]) == b""

    def test_equal_content_is_an_equal_archive(self, context):
        first = save_files(context, [table("cells")])
        again = save_files(context, [table("cells")])
        assert first[0].mark == again[0].mark
        assert first[0].id != again[0].id

    def test_one_that_fails_half_way_leaves_nothing(self, context, monkeypatch):
        before = counted(context)

        def fail(*_):
            raise OSError(5, "the cable was pulled")

        monkeypatch.setattr(attachments, "_upload", fail)
        with pytest.raises(OSError, match="cable"):
            save_files(context, [content("report.html"), table("cells")])
        assert counted(context) == before

    def test_a_full_disk_is_told_before_anything_is_attached(self, context):
        def full(path):
            raise OSError(28, "No space left on device")

        with pytest.raises(WriteError, match="Make room"):
            save_files(context, [content("report.html"), Content("file", "b.png", 1, 9, full)])
        assert attached(context) == {}

    def test_nothing_is_nothing(self, context):
        assert save_files(context, []) == []


def counted(context):
    names = ("FileAnnotation", "PlateAnnotationLink", "OriginalFile")
    ask = "select count(o.id) from {} o where o.details.group.id = :group"
    return {
        name: context.session.project(ask.format(name), {"group": context.group})[0][0]
        for name in names
    }


class TestFileContent:
    @pytest.mark.parametrize("chunk", [64, 1 << 22])
    def test_each_file_comes_back_by_its_name(self, context, chunk, monkeypatch):
        monkeypatch.setattr(attachments, "CHUNK", chunk)
        made = save_files(context, [content("report.html"), table("cells"), content("a.json")])
        files_made = {item.name: item for item in made}
        assert file_content(context.session, files_made["report.html"]) == HTML
        assert file_content(context.session, files_made["a.json"]) == HTML
        read = Table.from_parquet(file_content(context.session, files_made["cells.parquet"]))
        np.testing.assert_array_equal(read["cell"], CELLS["cell"])

    def test_another_member_of_the_group_reads_it(self, context, omero_second_user, session_of):
        made = save_files(context, [content("report.html")])
        assert file_content(session_of(omero_second_user), made[0]) == HTML

    @pytest.mark.parametrize("name", ["report.html", "cells.parquet"])
    def test_one_that_was_deleted_is_told_by_its_name(self, context, name):
        made = save_files(context, [content("report.html"), table("cells")])
        found = {item.name: item for item in made}[name]
        context.session.conn.deleteObjects("FileAnnotation", [found.id], wait=True)
        with pytest.raises(RunNotFoundError, match=name):
            file_content(context.session, found)

    def test_an_archive_that_is_none_any_more_is_told(self, context):
        made = save_files(context, [table("cells")])
        overwrite(context.session, made[0].id, b"no archive")
        with pytest.raises(DataError, match=r"damaged.*cells\.parquet"):
            file_content(context.session, made[0])

    def test_an_archive_that_lost_a_file_is_told(self, context):
        made = save_files(context, [table("cells")])
        other = io.BytesIO()
        with zipfile.ZipFile(other, "w") as archive:
            archive.writestr("mine.txt", "mine")
        overwrite(context.session, made[0].id, other.getvalue())
        with pytest.raises(RunNotFoundError, match=r"cells\.parquet"):
            file_content(context.session, made[0])

    @pytest.mark.parametrize("name", ["report.html", "a.json"])
    def test_one_that_grew_beyond_reason_is_refused(self, context, name, monkeypatch):
        made = save_files(context, [content(name)])
        monkeypatch.setattr(files, "LARGEST_FILE", 10)
        with pytest.raises(DataError, match="larger than"):
            file_content(context.session, made[0])


class TestFileMarks:
    def test_they_are_those_that_were_told(self, context):
        made = save_files(context, [content("report.html"), table("cells")])
        told = {item.id: item.mark for item in made if item.kind != "link"}
        assert file_marks(context.session, list(told)) == told
        assert all(told.values())

    def test_one_that_is_gone_is_left_out(self, context):
        made = save_files(context, [content("report.html")])
        assert file_marks(context.session, [made[0].id, 987_654_321]) == {made[0].id: made[0].mark}
        assert file_marks(context.session, []) == {}

    def test_other_content_is_another_mark(self, context):
        made = save_files(context, [content("report.html")])
        overwrite(context.session, made[0].id, MINE)
        assert file_marks(context.session, [made[0].id])[made[0].id] != made[0].mark
        assert file_content(context.session, made[0]) == MINE

    def test_another_name_is_another_mark(self, context):
        made = save_files(context, [content("report.html")])
        file = context.session.conn.getObject("FileAnnotation", made[0].id).getFile()
        file.setName("mine.html")
        file.save()
        assert file_marks(context.session, [made[0].id])[made[0].id] != made[0].mark

"""Embeddings on a server: one OMERO.table, read back as the table that was written."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace

import ezomero
import numpy as np
import pytest
from omero import grid
from omero.rtypes import rstring

from omero_hcs.errors import DataError, FormatVersionError, RunNotFoundError
from omero_hcs.results import Results, Table
from omero_hcs.stores.omero import columns as columns_module
from omero_hcs.stores.omero import table_content as content_module
from omero_hcs.stores.omero.columns import table_columns
from omero_hcs.stores.omero.record import FILE_NAMESPACE, TABLE_NAMESPACE
from omero_hcs.stores.omero.table_note import NOTE_KEY, is_kept_exactly, note_of, read_note

RUN = "20250101T120000-0000aaaa"
OMEGA = "c\N{GREEK SMALL LETTER OMEGA}"


@pytest.fixture
def home(omero_home):
    return omero_home


def embeddings(home, rows=7, dim=5):
    rng = np.random.default_rng(0)
    image = home.first_image().id
    features = rng.standard_normal((rows, dim)).astype(np.float32)
    features[0, 0] = np.nan
    return Table(
        {
            "cell": np.array([f"{OMEGA}{number:05d}" for number in range(rows)]),
            "plate": np.full(rows, home.ref.id),
            "well": np.full(rows, "A01"),
            "field": np.arange(rows, dtype=np.int32),
            "image": np.full(rows, image),
            "y": rng.random(rows),
            "at_border": rng.random(rows) > 0.5,
            "nucleus_area": rng.random(rows).astype(np.float32),
            "features": features,
        }
    )


def results(home, table, **more):
    return Results(RUN, "k" * 64, "embed_cells", home.ref, tables={"embeddings": table}, **more)


def same(found, table):
    assert list(found.columns) == list(table.columns)
    for name, values in table.columns.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)


def attached(home, conn, namespace):
    ids = ezomero.get_file_annotation_ids(conn, "Plate", int(home.ref.id), ns=namespace)
    return [conn.getObject("FileAnnotation", number) for number in ids]


def test_they_are_there_once_and_come_back_as_they_were(home, omero_conn):
    table = embeddings(home)
    report = home.store.write(results(home, table))
    assert report.counts == {"omero-table": 1}
    (note,) = attached(home, omero_conn, TABLE_NAMESPACE)
    assert note.getFile().getName() == f"omero-hcs-embeddings-{RUN}.h5"
    assert attached(home, omero_conn, FILE_NAMESPACE) == []
    same(Table.from_parquet(home.store.fetch(RUN, "embeddings.parquet")), table)
    opened = omero_conn.c.sf.sharedResources().openTable(note.getFile()._obj, {"omero.group": "-1"})
    heads = {head.name: head for head in opened.getHeaders()}
    opened.close()
    assert isinstance(heads["features"], grid.FloatArrayColumn)
    assert heads["features"].size == 5
    assert isinstance(heads["Image"], grid.ImageColumn)


def test_other_tables_of_the_run_stay_in_its_archive(home, omero_conn, tmp_path):
    table, fields = embeddings(home), Table({"nuclei": np.arange(3)})
    made = results(home, table)
    home.store.write(replace(made, tables={**made.tables, "fields": fields}))
    (note,) = attached(home, omero_conn, FILE_NAMESPACE)
    path = tmp_path / "archive.zip"
    path.write_bytes(b"".join(note.getFileInChunks()))
    assert zipfile.ZipFile(path).namelist() == ["fields.parquet"]
    same(Table.from_parquet(home.store.fetch(RUN, "fields.parquet")), fields)
    with pytest.raises(RunNotFoundError, match=r"It has: embeddings\.parquet, fields\.parquet"):
        home.store.fetch(RUN, "cells.parquet")


def test_writing_again_changes_nothing_and_undo_leaves_nothing(home):
    before = home.snapshot()
    home.store.write(results(home, embeddings(home)))
    first = home.snapshot()
    home.store.write(results(home, embeddings(home)))
    assert home.snapshot() == first
    assert home.store.undo(RUN).counts == {"omero-table": 1}
    assert home.snapshot() == before


def test_many_rows_are_written_and_read_in_parts(home, monkeypatch):
    for module in (columns_module, content_module):
        monkeypatch.setattr(module, "_BYTES_AT_ONCE", 2000)
    table = embeddings(home, rows=101)
    home.store.write(results(home, table))
    same(Table.from_parquet(home.store.fetch(RUN, "embeddings.parquet")), table)


def test_without_a_table_service_they_are_in_a_file(home, monkeypatch, omero_conn):
    monkeypatch.setattr("omero_hcs.stores.omero.tables._is_enabled", lambda _: False)
    table = embeddings(home)
    report = home.store.write(results(home, table))
    (told,) = report.notes
    assert "embeddings are in the attached file only" in told
    (note,) = attached(home, omero_conn, FILE_NAMESPACE)
    assert note.getFile().getName() == f"omero-hcs-embeddings-{RUN}.zip"
    same(Table.from_parquet(home.store.fetch(RUN, "embeddings.parquet")), table)
    assert home.store.undo(RUN).counts == {"table": 1}


def test_what_a_table_cannot_keep_is_in_the_archive_too(home, omero_conn):
    table = embeddings(home).with_columns(weight=np.full(7, 2**64 - 1, np.uint64))
    home.store.write(results(home, table))
    assert len(attached(home, omero_conn, FILE_NAMESPACE)) == 1
    same(Table.from_parquet(home.store.fetch(RUN, "embeddings.parquet")), table)


def test_a_table_that_a_user_deleted_is_no_file_of_the_run(home, omero_conn):
    home.store.write(results(home, embeddings(home)))
    (note,) = attached(home, omero_conn, TABLE_NAMESPACE)
    omero_conn.deleteObjects("FileAnnotation", [note.getId()], wait=True)
    with pytest.raises(RunNotFoundError, match="It has none yet"):
        home.store.fetch(RUN, "embeddings.parquet")


@pytest.mark.parametrize(
    ("written", "error", "said"),
    [
        ("{}", DataError, "damaged note"),
        ('{"schema_version": 2, "columns": []}', FormatVersionError, "newer release"),
    ],
)
def test_a_note_that_is_none_of_ours_is_told(home, omero_conn, written, error, said):
    home.store.write(results(home, embeddings(home)))
    (note,) = attached(home, omero_conn, TABLE_NAMESPACE)
    opened = omero_conn.c.sf.sharedResources().openTable(note.getFile()._obj, {"omero.group": "-1"})
    opened.setMetadata(NOTE_KEY, rstring(written))
    opened.close()
    with pytest.raises(error, match=said):
        home.store.fetch(RUN, "embeddings.parquet")


class TestExactly:
    @pytest.mark.parametrize(
        "values",
        [
            np.array([True]),
            np.array([-(2**63)]),
            np.array([7], np.uint32),
            np.array([np.nan, 1e-300]),
            np.array([0.1], np.float16),
            np.ones((2, 3), np.float16),
            np.ones((2, 3, 2), np.float32),
            np.ones((2, 1), np.float32),
            np.ones((2, 3), ">f4"),
            np.array([[True, False]]),
            np.array(["", "B03 \N{MICRO SIGN}"]),
        ],
        ids=str,
    )
    def test_these_are_kept_with_their_types(self, values):
        table = Table({"x": values})
        assert is_kept_exactly(table)
        (kept,) = read_note(note_of(table, table_columns(table, {})), "it").columns
        assert (kept.name, kept.dtype, kept.shape) == ("x", values.dtype.str, values.shape[1:])

    @pytest.mark.parametrize(
        "values",
        [
            np.array([1], np.uint64),
            np.array([1], np.longdouble),
            np.array([1j]),
            np.array(["2025-01-01"], "datetime64[D]"),
            np.array(["a\0b"]),
            np.zeros((3, 0)),
        ],
        ids=str,
    )
    def test_these_are_not(self, values):
        assert not is_kept_exactly(Table({"x": values}))

    def test_ids_that_look_like_numbers_and_are_none(self):
        assert is_kept_exactly(Table({"image": np.array(["7", "70"])}))
        assert not is_kept_exactly(Table({"image": np.array(["7", "070"])}))
        assert is_kept_exactly(Table({"image": np.array(["a7", "070"])}))

    def test_more_columns_than_a_table_has_need_a_file(self):
        table = Table({f"x{number}": np.zeros(1) for number in range(600)})
        assert not is_kept_exactly(table)
        assert note_of(table, table_columns(table, {})) is None

    def test_a_column_renamed_for_queries_gets_its_own_name_back(self):
        table = Table({"class": np.array(["a"]), "p (a)": np.ones(1), "well": np.array(["A01"])})
        note = json.loads(note_of(table, table_columns(table, {"A01": 5})))
        assert {item["name"]: item["column"] for item in note["columns"]} == {
            "class": "c_class",
            "p (a)": "p_a",
            "well": "Well_Name",
        }

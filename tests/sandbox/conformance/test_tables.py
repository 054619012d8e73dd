"""OMERO.tables: columns of every type, queries, slices, pages, and a table found as a file."""

from __future__ import annotations

import contextlib

import Ice
import omero
import pytest
from omero import grid
from omero.rtypes import rint, rstring


@pytest.fixture
def tables(omero_conn):
    """The shared resources, where the server has a tables service."""
    resources = omero_conn.c.sf.sharedResources()
    if not resources.areTablesEnabled():
        pytest.skip("this server has no tables service")
    return resources


@pytest.fixture
def table(tables, omero_conn):
    """An open, empty table, closed afterwards."""
    repository = tables.repositories().descriptions[0].id.val
    opened = tables.newTable(repository, "cells.h5")
    yield opened
    with contextlib.suppress(Ice.ObjectNotExistException):  # closed by the test
        opened.close()


def columns(rows=3):
    count = range(rows)
    return [
        grid.LongColumn("long", "a number", [2**40 + n for n in count]),
        grid.DoubleColumn("double", "", [n / 2 for n in count]),
        grid.BoolColumn("bool", "", [n % 2 == 0 for n in count]),
        grid.StringColumn("string", "", 8, [f"s{n}" for n in count]),
        grid.WellColumn("Well", "", list(count)),
        grid.ImageColumn("image", "", list(count)),
        grid.PlateColumn("plate", "", list(count)),
        grid.RoiColumn("roi", "", list(count)),
        grid.FileColumn("file", "", list(count)),
        grid.DatasetColumn("dataset", "", list(count)),
        grid.FloatArrayColumn("floats", "", 2, [[n, n + 0.5] for n in count]),
        grid.LongArrayColumn("longs", "", 2, [[n, -n] for n in count]),
        grid.DoubleArrayColumn("doubles", "", 3, [[n, n, n] for n in count]),
    ]


def test_every_kind_of_column_keeps_its_values(table):
    table.initialize(columns(0))
    table.addData(columns())
    assert table.getNumberOfRows() == 3
    headers = table.getHeaders()
    assert [(type(h), h.name) for h in headers] == [(type(c), c.name) for c in columns()]
    read = table.readCoordinates([2, 0]).columns
    for column, expected in zip(read, columns(), strict=True):
        assert list(column.values) == [expected.values[2], expected.values[0]]


def test_rows_are_found_by_a_condition(table):
    table.initialize(columns(0))
    table.addData(columns(10))
    assert table.getWhereList("(double >= 1) & (double < 2)", None, 0, 10, 0) == [2, 3]
    assert table.getWhereList("Well == number", {"number": rint(4)}, 0, 10, 1) == [4]
    assert table.getWhereList("string == 's7'", None, 0, 10, 0) == [7]
    assert table.getWhereList("long < 0", None, 0, 10, 0) == []


def test_a_condition_that_makes_no_sense_is_an_error(table):
    table.initialize(columns(0))
    table.addData(columns())
    with pytest.raises(omero.ApiUsageException):
        table.getWhereList("no_such_column == 1", None, 0, 3, 0)


def test_parts_are_read_by_columns_and_rows(table):
    table.initialize(columns(0))
    table.addData(columns(10))
    data = table.read([1, 3], 4, 6)
    assert [(c.name, list(c.values)) for c in data.columns] == [
        ("double", [2.0, 2.5]),
        ("string", ["s4", "s5"]),
    ]
    sliced = table.slice([0], [9, 1])
    assert list(sliced.columns[0].values) == [2**40 + 9, 2**40 + 1]
    assert list(sliced.rowNumbers) == [9, 1]


def test_values_are_updated_in_place(table):
    table.initialize(columns(0))
    table.addData(columns())
    data = table.readCoordinates([1])
    data.columns[3].values = ["new"]
    table.update(data)
    assert table.getWhereList("string == 'new'", None, 0, 3, 0) == [1]


def test_metadata_is_kept(table):
    table.initialize(columns(0))
    table.setMetadata("run", rstring("2026"))
    assert table.getMetadata("run").val == "2026"
    assert "run" in table.getAllMetadata()


def test_a_table_is_a_file_that_is_annotated_and_opened_again(
    tables, table, omero_conn, omero_second_conn, named
):
    table.initialize(columns(0))
    table.addData(columns())
    file = table.getOriginalFile()
    table.close()
    row = omero.model.FileAnnotationI()
    row.file = omero.model.OriginalFileI(file.id.val, loaded=False)
    row.ns = rstring("openmicroscopy.org/omero/bulk_annotations")
    project = omero_conn.getObject("Project", named("Project"))
    link = omero.model.ProjectAnnotationLinkI()
    link.parent, link.child = omero.model.ProjectI(project.getId(), loaded=False), row
    omero_conn.getUpdateService().saveObject(link)
    (found,) = project.listAnnotations()
    assert (found.getFile().getMimetype(), found.getFileName()) == ("OMERO.tables", "cells.h5")
    other = omero_second_conn.c.sf.sharedResources().openTable(found.getFile()._obj)
    try:
        assert other.getNumberOfRows() == 3
        with pytest.raises(omero.SecurityViolation):
            other.addData(columns())
    finally:
        other.close()


def test_masks_are_kept(table):
    masks = grid.MaskColumn("mask", "desc")
    masks.imageId, masks.theZ, masks.theT = [1, 2], [3, 4], [5, 6]
    masks.x, masks.y, masks.w, masks.h = [7.0, 8.0], [9.0, 10.0], [11.0, 12.0], [13.0, 14.0]
    masks.bytes = [[15], [16, 17, 18]]
    table.initialize([masks])
    table.addData([masks])
    (read,) = table.readCoordinates([1, 0]).columns
    assert (list(read.imageId), list(read.w)) == ([2, 1], [12.0, 11.0])
    assert [list(bytearray(data)) for data in read.bytes] == [[16, 17, 18], [15]]


def test_a_text_that_is_too_long_is_refused(table):
    texts = grid.StringColumn("text", "", 3, [])
    table.initialize([texts])
    texts.values = ["abc"]
    table.addData([texts])
    texts.values = ["abcd"]
    with pytest.raises(omero.ValidationException):
        table.addData([texts])
    assert table.getNumberOfRows() == 1


def test_the_file_of_a_closed_table_is_the_one_that_is_downloaded(table, omero_conn, tmp_path):
    table.initialize(columns(0))
    table.addData(columns())
    file = table.getOriginalFile()
    table.close()
    file = omero_conn.getQueryService().get("OriginalFile", file.id.val)
    path = tmp_path / "down.h5"
    omero_conn.c.download(file, str(path))
    assert path.stat().st_size == file.size.val
    assert path.read_bytes().startswith(b"\x89HDF")


def test_a_table_of_another_group_is_opened_by_naming_it(
    omero_make_group, omero_make_user, omero_connect
):
    first, second = omero_make_group(), omero_make_group()
    conn = omero_connect(omero_make_user(first, second))
    stranger = omero_connect(omero_make_user(second))
    resources = conn.c.sf.sharedResources()
    made = resources.newTable(resources.repositories().descriptions[0].id.val, "/test.h5")
    file = made.getOriginalFile()
    made.close()
    conn.c.sf.setSecurityContext(omero.model.ExperimenterGroupI(second.id, loaded=False))
    for group in ("-1", str(first.id)):
        opened = resources.openTable(file, {"omero.group": group})
        assert opened.getOriginalFile().id.val == file.id.val
        opened.close()
    with pytest.raises(omero.SecurityViolation):
        stranger.c.sf.sharedResources().openTable(file)

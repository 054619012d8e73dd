"""Tables: what the real tables servant and the server agree on. `conformance` has the columns."""

from __future__ import annotations

import contextlib

import Ice
import numpy as np
import omero
import pytest
from omero import grid
from omero.rtypes import rstring

READABLE = {"private": False, "read-only": True, "read-annotate": True, "read-write": True}


def resources(conn):
    return conn.c.sf.sharedResources()


def new_table(conn, rows=3):
    """Make a table with some rows: its file's id."""
    table = resources(conn).newTable(1, "numbers.h5")
    table.initialize([grid.LongColumn("id", "", []), grid.DoubleColumn("area", "", [])])
    numbers = list(range(rows))
    table.addData([grid.LongColumn("id", "", numbers), grid.DoubleColumn("area", "", numbers)])
    file = table.getOriginalFile().id.val
    table.close()
    return file


def opened(conn, file):
    return contextlib.closing(
        resources(conn).openTable(omero.model.OriginalFileI(file, False), {"omero.group": "-1"})
    )


def file_of(conn, file):
    return conn.getQueryService().get("OriginalFile", file)


def test_a_table_is_a_file_with_the_size_that_it_has_on_disk(omero_conn, omero_user):
    file = file_of(omero_conn, new_table(omero_conn))
    assert (file.name.val, file.path.val) == ("numbers.h5", "numbers.h5")
    assert file.mimetype.val == "OMERO.tables"
    assert file.details.owner.id.val == omero_user.id
    store = omero_conn.c.sf.createRawFileStore()
    store.setFileId(file.id.val)
    assert store.size() == file.size.val > 0
    assert store.read(0, 8) == b"\x89HDF\r\n\x1a\n"
    store.close()


def test_more_rows_make_the_file_larger_and_reading_does_not(omero_conn):
    file = new_table(omero_conn)
    size, version = file_of(omero_conn, file).size.val, file_of(omero_conn, file).version.val
    with opened(omero_conn, file) as table:
        assert table.getNumberOfRows() == 3
    assert file_of(omero_conn, file).version.val == version
    with opened(omero_conn, file) as table:
        numbers = list(range(50_000))
        table.addData([grid.LongColumn("id", "", numbers), grid.DoubleColumn("area", "", numbers)])
    assert file_of(omero_conn, file).size.val > size
    assert file_of(omero_conn, file).version.val > version


def test_masks_are_kept(omero_conn):
    table = resources(omero_conn).newTable(1, "masks.h5")
    table.initialize([mask_column()])
    table.addData([mask_column(rows=2)])
    (read,) = table.read([0], 0, 2).columns
    assert (list(read.imageId), list(read.theT), list(read.w)) == ([0, 1], [0, 0], [4.0, 4.0])
    assert [bytes(one) for one in read.bytes] == [b"\x01\x02", b"\x01\x02"]
    table.close()


def mask_column(rows=0):
    count = list(range(rows))
    zeros, sizes = [0] * rows, [4.0] * rows
    return grid.MaskColumn(
        "mask", "", count, zeros, zeros, sizes, sizes, sizes, sizes, [b"\x01\x02"] * rows
    )


def test_a_large_table_comes_back_as_it_was(omero_conn):
    values = np.random.default_rng(0).normal(size=100_000)
    table = resources(omero_conn).newTable(1, "large.h5")
    table.initialize([grid.DoubleColumn("x", "", [])])
    table.addData([grid.DoubleColumn("x", "", values.tolist())])
    assert table.read([0], 0, len(values)).columns[0].values == values.tolist()
    found = table.getWhereList("x > limit", {"limit": omero.rtypes.rdouble(2.0)}, 0, 0, 1)
    assert found == np.flatnonzero(values > 2).tolist()
    table.close()


def test_who_may_read_a_table_depends_on_the_groups_level(
    omero_group, omero_make_user, omero_connect
):
    owner, other = omero_make_user(omero_group), omero_make_user(omero_group)
    file = new_table(omero_connect(owner))
    conn = omero_connect(other)
    if not READABLE[omero_group.level]:
        with pytest.raises(omero.SecurityViolation):
            resources(conn).openTable(omero.model.OriginalFileI(file, False))
        return
    with opened(conn, file) as table:
        assert table.getNumberOfRows() == 3
        write = pytest.raises(omero.SecurityViolation)
        with contextlib.nullcontext() if omero_group.level == "read-write" else write:
            table.setMetadata("by", rstring("another"))


def test_a_table_of_another_group_is_hidden(
    omero_conn, omero_make_user, omero_make_group, omero_connect
):
    file = new_table(omero_conn)
    stranger = omero_connect(omero_make_user(omero_make_group("read-write")))
    with pytest.raises(omero.SecurityViolation):
        resources(stranger).openTable(omero.model.OriginalFileI(file, False), {"omero.group": "-1"})


def test_no_table_of_a_file_that_is_not_there(omero_conn):
    with pytest.raises(omero.ValidationException):
        resources(omero_conn).openTable(omero.model.OriginalFileI(10**9, False))
    with pytest.raises(omero.ValidationException):
        resources(omero_conn).openTable(None)


def test_a_table_that_was_not_closed_is_closed_with_its_session(
    omero_user, omero_people, omero_conn
):
    conn = omero_people.connect(omero_user)
    table = resources(conn).newTable(1, "left.h5")
    table.initialize([grid.LongColumn("id", "", [])])
    table.addData([grid.LongColumn("id", "", [1, 2])])
    file = table.getOriginalFile().id.val
    conn.close()
    assert file_of(omero_conn, file).size.val > 0
    with opened(omero_conn, file) as again:
        assert again.getNumberOfRows() == 2


def test_two_who_have_a_table_open_see_each_others_rows(omero_conn, omero_second_conn):
    file = new_table(omero_conn)
    with opened(omero_conn, file) as mine, opened(omero_second_conn, file) as theirs:
        mine.addData([grid.LongColumn("id", "", [9]), grid.DoubleColumn("area", "", [9.0])])
        assert theirs.getNumberOfRows() == 4


def test_a_closed_table_is_gone(omero_conn):
    table = resources(omero_conn).newTable(1, "closed.h5")
    table.initialize([grid.LongColumn("id", "", [])])
    table.close()
    with pytest.raises(Ice.ObjectNotExistException):
        table.getNumberOfRows()


def test_a_table_deletes_its_file(omero_conn):
    file = new_table(omero_conn)
    resources(omero_conn).openTable(omero.model.OriginalFileI(file, False)).delete()
    assert omero_conn.getQueryService().find("OriginalFile", file) is None


def test_metadata_of_a_table_is_replaced_whole(omero_conn):
    table = resources(omero_conn).newTable(1, "told.h5")
    table.initialize([grid.LongColumn("id", "", [])])
    table.setMetadata("one", rstring("1"))
    table.setAllMetadata({"two": rstring("2"), "three": omero.rtypes.rlong(3)})
    told = {key: value.val for key, value in table.getAllMetadata().items() if key[0] != "_"}
    assert told == {"two": "2", "three": 3}
    table.close()


def test_a_table_that_nobody_initialised_says_so(omero_conn):
    table = resources(omero_conn).newTable(1, "blank.h5")
    with pytest.raises(omero.ApiUsageException):
        table.getNumberOfRows()
    table.close()


@pytest.fixture
def without_tables(omero_root, omero_server):
    if not omero_server.is_sandbox:
        pytest.skip("a real server reads its list of services only when it starts")
    config = omero_root.c.sf.getConfigService()
    config.setConfigValue("omero.server.nodedescriptors", "master:Blitz-0,Indexer-0,Processor-0")
    yield
    config.setConfigValue("omero.server.nodedescriptors", "")


def test_a_server_without_the_service_gives_no_table_and_leaves_its_file(
    omero_conn, without_tables
):
    assert not resources(omero_conn).areTablesEnabled()
    assert resources(omero_conn).newTable(1, "none.h5") is None
    hql = "select f from OriginalFile f where f.name = 'none.h5' and f.details.owner.id = :id"
    owner = omero.sys.ParametersI().addId(omero_conn.getUserId())
    (file,) = omero_conn.getQueryService().findAllByQuery(hql, owner)
    assert file.size is None
    assert resources(omero_conn).openTable(file) is None

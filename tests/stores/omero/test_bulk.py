"""Which table is a plate's own: the latest run's, one at most, and never in a user's place."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import ezomero
import numpy as np
import pytest
from omero import grid
from omero.gateway import FileAnnotationWrapper, OriginalFileWrapper

from omero_hcs.results import Results, Table
from omero_hcs.stores.omero.changes import delete
from omero_hcs.stores.omero.record import BULK_NAMESPACE, TABLE_NAMESPACE
from omero_hcs.stores.omero.tables import restore_bulk_table, save_tables

FIRST, SECOND, THIRD = (f"2025010{day}T120000-0000aaaa" for day in (1, 2, 3))
WELLS = ["A01", "B03", "H12"]


def wells(verdict="pass"):
    return Table({"well": np.array(WELLS), "verdict": np.array([verdict] * 3)})


def write(context, run_id, verdict="pass"):
    """Write a run's well table: what it made, and what it told."""
    return save_tables(replace(context, run_id=run_id), {"wells": wells(verdict)})


def undo(context, made):
    delete(context.session, context.group, {"FileAnnotation": [made[0].id]})
    return restore_bulk_table(context.session, context.group, context.anchors)


def notes(context, namespace, place=None):
    kind, number = place or context.anchors[0]
    found = ezomero.get_file_annotation_ids(context.session.conn, kind, number, ns=namespace)
    return sorted(found)


def shown(context):
    """Names of the files that are the plate's bulk tables."""
    conn = context.session.conn
    return [
        conn.getObject("FileAnnotation", number).getFile().getName()
        for number in notes(context, BULK_NAMESPACE)
    ]


def verdicts(context):
    """Verdicts that the plate's one bulk table tells."""
    (number,) = notes(context, BULK_NAMESPACE)
    return set(ezomero.get_table(context.session.conn, number)["verdict"])


def files(context):
    hql = "select count(f.id) from OriginalFile f where f.details.group.id = :group"
    return context.session.project(hql, {"group": context.group})[0][0]


def put_table(conn, place, namespace, column="Well", group=None):
    """Attach a table as a user does; the annotation's id."""
    if group is not None:
        conn.SERVICE_OPTS.setOmeroGroup(group)
    table = conn.c.sf.sharedResources().newTable(1, "mine.h5")
    table.initialize([grid.LongColumn(column, "", [])])
    table.addData([grid.LongColumn(column, "", [1, 2])])
    file = table.getOriginalFile()
    table.close()
    note = FileAnnotationWrapper(conn)
    note.setFile(OriginalFileWrapper(conn, conn.getQueryService().get("OriginalFile", file.id.val)))
    if namespace:
        note.setNs(namespace)
    return conn.getObject(*place).linkAnnotation(note).getId()


class TestRuns:
    def test_a_run_shows_its_table_and_keeps_one_under_our_namespace(self, context):
        made, told = write(context, FIRST)
        assert told == ()
        assert shown(context) == [f"omero-hcs-wells-{FIRST}.h5"]
        assert notes(context, TABLE_NAMESPACE) == [made[0].id]
        assert notes(context, BULK_NAMESPACE) != [made[0].id]

    def test_the_latest_run_takes_the_place_of_the_one_before(self, context):
        first, _ = write(context, FIRST, "pass")
        second, _ = write(context, SECOND, "fail")
        assert verdicts(context) == {"fail"}
        assert notes(context, TABLE_NAMESPACE) == [first[0].id, second[0].id]
        earlier = ezomero.get_table(context.session.conn, first[0].id)
        assert set(earlier["verdict"]) == {"pass"}

    def test_a_run_that_writes_again_shows_its_new_table(self, context):
        first, _ = write(context, FIRST, "pass")
        write(context, FIRST, "warn")
        delete(context.session, context.group, {"FileAnnotation": [first[0].id]})
        assert verdicts(context) == {"warn"}

    def test_undo_of_the_latest_shows_the_one_before_again(self, context):
        write(context, FIRST, "pass")
        before = files(context)
        latest, _ = write(context, SECOND, "fail")
        assert undo(context, latest) == ()
        assert verdicts(context) == {"pass"}
        assert files(context) == before

    def test_undo_of_an_earlier_one_changes_nothing_that_is_shown(self, context):
        earlier, _ = write(context, FIRST)
        write(context, SECOND, "fail")
        one = notes(context, BULK_NAMESPACE)
        undo(context, earlier)
        assert notes(context, BULK_NAMESPACE) == one

    def test_undo_of_the_only_one_leaves_none_and_no_file(self, context):
        before = files(context)
        made, _ = write(context, FIRST)
        undo(context, made)
        assert shown(context) == []
        assert files(context) == before

    def test_it_may_be_settled_as_often_as_one_likes(self, context):
        write(context, FIRST)
        one = notes(context, BULK_NAMESPACE)
        for _ in range(2):
            assert restore_bulk_table(context.session, context.group, context.anchors) == ()
        assert notes(context, BULK_NAMESPACE) == one

    def test_what_a_crash_left_doubled_is_one_again(self, context):
        write(context, FIRST, "pass")
        made, _ = write(context, SECOND, "fail")
        note = FileAnnotationWrapper(context.session.conn)
        note.setFile(context.session.conn.getObject("FileAnnotation", made[0].id).getFile())
        note.setNs(BULK_NAMESPACE)
        note.setDescription(f"Well table of omero-hcs run {SECOND}")
        context.session.conn.getObject(*context.anchors[0]).linkAnnotation(note)
        assert len(shown(context)) == 2
        restore_bulk_table(context.session, context.group, context.anchors)
        assert verdicts(context) == {"fail"}

    def test_a_run_written_again_without_wells_shows_none(self, context, omero_tiny, omero_open):
        store = omero_open(omero_tiny.owner, f"plate/{context.target.id}")
        (target,) = store.refs()
        results = Results(FIRST, "k" * 64, "apply_qc", target, tables={"wells": wells()})
        before = files(context)
        store.write(results)
        assert verdicts(context) == {"pass"}
        store.write(replace(results, tables={}))
        assert shown(context) == []
        store.undo(FIRST)
        assert files(context) == before

    def test_other_plates_have_their_own(self, context, omero_import, tiny_plate, omero_tiny):
        other = omero_import(omero_tiny.owner, tiny_plate).ids
        there = replace(
            context,
            anchors=(("Plate", other.plate),),
            wells=dict(zip(WELLS, other.wells.values(), strict=True)),
        )
        write(context, FIRST, "pass")
        write(there, SECOND, "fail")
        assert (verdicts(context), verdicts(there)) == ({"pass"}, {"fail"})


class TestTablesOfUsers:
    @pytest.fixture(params=["plate", "screen"])
    def place(self, request, context, omero_tiny):
        screen = ("Screen", omero_tiny.ids.screen)
        return context.anchors[0] if request.param == "plate" else screen

    @pytest.mark.parametrize("namespace", [BULK_NAMESPACE, "mine", None])
    def test_one_in_the_way_stays_and_is_told(self, context, omero_tiny, place, namespace):
        mine = put_table(context.session.conn, place, namespace)
        made, (said,) = write(context, FIRST)
        for word in (omero_tiny.owner.name, "mine.h5", str(mine), place[0].lower()):
            assert word in said
        assert [name for name in shown(context) if name.startswith("omero-hcs")] == []
        assert notes(context, TABLE_NAMESPACE) == [made[0].id]
        undo(context, made)
        assert mine in notes(context, namespace, place) if namespace else True

    def test_one_that_comes_later_takes_the_place_at_the_next_run(self, context):
        write(context, FIRST)
        mine = put_table(context.session.conn, context.anchors[0], BULK_NAMESPACE)
        _, (said,) = write(context, SECOND)
        assert "mine.h5" in said
        assert notes(context, BULK_NAMESPACE) == [mine]

    def test_one_that_is_gone_makes_room_for_the_latest_run(self, context):
        mine = put_table(context.session.conn, context.anchors[0], BULK_NAMESPACE)
        write(context, FIRST, "warn")
        delete(context.session, context.group, {"FileAnnotation": [mine]})
        assert restore_bulk_table(context.session, context.group, context.anchors) == ()
        assert verdicts(context) == {"warn"}

    def test_a_table_that_tells_of_no_wells_is_not_in_the_way(self, context):
        put_table(context.session.conn, context.anchors[0], "mine", column="Roi")
        assert write(context, FIRST)[1] == ()
        assert len(shown(context)) == 1

    def test_one_of_ours_that_a_user_renamed_is_theirs(self, context):
        write(context, FIRST)
        conn = context.session.conn
        (number,) = notes(context, BULK_NAMESPACE)
        file = conn.getObject("FileAnnotation", number).getFile()
        file.setName("mine.h5")
        file.save()
        _, (said,) = write(context, SECOND)
        assert "mine.h5" in said
        assert notes(context, BULK_NAMESPACE) == [number]


class TestOtherPeople:
    def test_a_table_of_anothers_run_stays_where_one_may_not_remove_it(
        self, context, omero_second_user, session_of
    ):
        write(context, FIRST)
        theirs = replace(context, session=session_of(omero_second_user))
        _, (said,) = write(theirs, SECOND, "fail")
        assert FIRST in said
        assert shown(context) == [f"omero-hcs-wells-{FIRST}.h5"]
        assert len(notes(context, TABLE_NAMESPACE)) == 2

    def test_it_is_replaced_where_one_may(self, context, omero_tiny, omero_make_user, session_of):
        write(context, FIRST)
        group = omero_tiny.owner.groups[0]
        leader = session_of(omero_make_user(group, owns=[group]))
        assert write(replace(context, session=leader), SECOND, "fail")[1] == ()
        assert verdicts(context) == {"fail"}

    def test_an_undo_by_its_owner_shows_the_run_of_another_again(
        self, context, omero_second_user, session_of
    ):
        theirs = replace(context, session=session_of(omero_second_user))
        write(theirs, FIRST, "pass")
        made, (said,) = write(context, SECOND, "fail")
        assert "does not let" in said
        assert undo(context, made) == ()
        assert verdicts(context) == {"pass"}

    def test_an_undo_by_one_who_may_not_attach_is_no_failure(
        self, session_of, omero_server, omero_make_group, omero_make_user, omero_import,
        tiny_plate, make_context,
    ):  # fmt: skip
        """In a private group an administrator may delete, and attach nothing."""
        owner = omero_make_user(omero_make_group("private"))
        mine = make_context(omero_import(owner, tiny_plate), session_of(owner))
        root = SimpleNamespace(name=omero_server.user, password=omero_server.password)
        write(mine, FIRST, "pass")
        made, _ = write(mine, SECOND, "fail")
        (said,) = undo(replace(mine, session=session_of(root)), made)
        assert "does not show the well table" in said
        assert shown(mine) == []
        assert restore_bulk_table(mine.session, mine.group, mine.anchors) == ()
        assert verdicts(mine) == {"pass"}

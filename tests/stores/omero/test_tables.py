"""OMERO.tables of a run: every value as it was, by names that OMERO's programs look up."""

from __future__ import annotations

from dataclasses import replace

import ezomero
import Ice
import numpy as np
import pytest

from omero_hcs.results import Table
from omero_hcs.stores.omero import columns as columns_module
from omero_hcs.stores.omero import tables as tables_module
from omero_hcs.stores.omero.attachments import file_marks
from omero_hcs.stores.omero.changes import delete
from omero_hcs.stores.omero.columns import table_columns
from omero_hcs.stores.omero.record import TABLE_NAMESPACE
from omero_hcs.stores.omero.tables import save_tables

DEBRIS = "d\N{LATIN SMALL LETTER E WITH ACUTE}bris"
MU = "\N{MICRO SIGN}m"
WELLS = ["A01", "A01", "B03", "B03", "H12"]


def cells(context, **more):
    images = sorted(context.images)[:5]
    return Table(
        {
            "cell": np.arange(5),
            "plate": np.array([context.target.id] * 5),
            "well": np.array(WELLS),
            "field": np.array([0, 1, 0, 1, 0]),
            "image": np.array([str(number) for number in images]),
            "y": np.array([1.5, 2.5, 3, 4, np.nan]),
            "abnormal": np.linspace(0, 1, 5, dtype=np.float32),
            "touches border": np.array([True, False, False, True, True]),
            "class": np.array(["normal", "abnormal", DEBRIS, "", "normal"]),
            "embedding": np.arange(20, dtype=np.float32).reshape(5, 4) / 7,
        }
        | more
    )  # fmt: skip


def wells():
    return Table(
        {
            "plate": np.array(["1"] * 3),
            "well": np.array(["A01", "B03", "H12"]),
            "treatment": np.array(["DMSO", "Wortmannin", "Wortmannin"]),
            "dose": np.array([np.nan, 15.6, 150]),
            "abnormal": np.array([0.1, 0.2, 0.3]),
            "cells": np.array([30, 40, 50]),
        }
    )


def read(context, made):
    """The table of a run, as ezomero reads it: a pandas DataFrame."""
    return ezomero.get_table(context.session.conn, made.id)


def file_of(context, made):
    return context.session.conn.getObject("FileAnnotation", made.id).getFile()


def counted(context):
    ask = "select count(o.id) from {} o where o.details.group.id = :group"
    kinds = ("FileAnnotation", "PlateAnnotationLink", "OriginalFile")
    return [context.session.project(ask.format(k), {"group": context.group})[0][0] for k in kinds]


class TestCells:
    def test_every_value_comes_back(self, context):
        table = cells(context)
        made, told = save_tables(context, {"cells": table})
        assert told == ()
        found = read(context, made[0])
        renamed = {"class": "c_class", "touches border": "touches_border"}
        for name in ("cell", "field", "y", "abnormal", "class", "touches border"):
            np.testing.assert_array_equal(found[renamed.get(name, name)].to_numpy(), table[name])
        np.testing.assert_array_equal(np.stack(found["embedding"]), table["embedding"])

    def test_wells_images_and_plates_are_ids(self, context):
        made, _ = save_tables(context, {"cells": cells(context)})
        found = read(context, made[0])
        assert found["Well"].tolist() == [context.wells[name] for name in WELLS]
        assert found["Well_Name"].tolist() == WELLS
        assert found["Image"].tolist() == sorted(context.images)[:5]
        assert set(found["Plate"]) == {int(context.target.id)}
        table = context.session.conn.c.sf.sharedResources().openTable(
            file_of(context, made[0])._obj, {"omero.group": "-1"}
        )
        types = {head.name: type(head).__name__.removesuffix("I") for head in table.getHeaders()}
        rows = table.getWhereList(f"Well=={context.wells['B03']}", None, 0, 5, 1)
        table.close()
        assert (types["Well"], types["Image"], types["Plate"]) == (
            "WellColumn", "ImageColumn", "PlateColumn",
        )  # fmt: skip
        assert rows == [2, 3]

    def test_it_is_attached_to_the_plate_and_told(self, context):
        made, _ = save_tables(context, {"cells": cells(context)})
        conn = context.session.conn
        (number,) = ezomero.get_file_annotation_ids(conn, *context.anchors[0], ns=TABLE_NAMESPACE)
        note = conn.getObject("FileAnnotation", number)
        assert note.getDescription() == context.label
        assert note.getFile().getName() == f"omero-hcs-cells-{context.run_id}.h5"
        assert note.getDetails().getGroup().getId() == context.group
        assert (made[0].type, made[0].id) == ("FileAnnotation", number)
        assert [item.kind for item in made[1:]] == ["link"]
        assert file_marks(context.session, [number]) == {number: made[0].mark}

    def test_many_rows_go_in_parts(self, context, monkeypatch):
        monkeypatch.setattr(columns_module, "_BYTES_AT_ONCE", 1000)
        number = np.arange(257)
        made, _ = save_tables(context, {"cells": Table({"cell": number, "x": number / 3})})
        found = read(context, made[0])
        np.testing.assert_array_equal(found["cell"], number)
        np.testing.assert_array_equal(found["x"], number / 3)

    def test_a_change_of_a_value_is_another_mark(self, context):
        made, _ = save_tables(context, {"cells": cells(context)})
        resources = context.session.conn.c.sf.sharedResources()
        table = resources.openTable(file_of(context, made[0])._obj, {"omero.group": "-1"})
        data = table.slice([0], [2])
        data.columns[0].values = [77]
        table.update(data)
        table.close()
        assert file_marks(context.session, [made[0].id])[made[0].id] != made[0].mark

    def test_an_image_set_has_them_too(self, context):
        places = tuple(("Image", number) for number in sorted(context.images)[:2])
        there = replace(context, anchors=places, wells={})
        table = cells(context, well=np.array([""] * 5))
        made, told = save_tables(there, {"cells": table, "wells": wells()})
        assert told == ()
        assert [item.type for item in made[1:3]] == ["ImageAnnotationLink"] * 2
        found = read(context, made[0])
        assert "Well" not in found
        assert found["Well_Name"].tolist() == [""] * 5

    def test_those_of_units_and_empty_ones_stay_in_files(self, context):
        before = counted(context)
        unit = replace(context, unit="B03/field 1")
        assert save_tables(unit, {"cells": cells(context)}) == ([], ())
        empty = cells(context).where(np.zeros(5, bool))
        assert save_tables(context, {"cells": empty, "fields": cells(context)}) == ([], ())
        assert counted(context) == before


class TestWells:
    def test_a_gap_is_an_empty_text_that_no_program_stumbles_over(self, context):
        made, _ = save_tables(context, {"wells": wells()})
        found = read(context, made[0])
        assert found["dose"].tolist() == ["", "15.6", "150.0"]
        assert found["abnormal"].tolist() == [0.1, 0.2, 0.3]
        assert found["cells"].tolist() == [30, 40, 50]
        assert found["Well"].tolist() == [context.wells[name] for name in ("A01", "B03", "H12")]


class TestColumns:
    def test_names_are_such_that_queries_take_them(self):
        given = ("a b", "a-b", "_x", "2nd", "class", MU, "___", "p(abnormal)")
        table = Table({name: np.zeros(1) for name in given})
        names = [column.name for column in table_columns(table, {}).columns]
        assert names == ["a_b", "a_b_2", "x", "c_2nd", "c_class", "m", "column", "p_abnormal"]

    def test_a_column_of_the_tasks_own_does_not_take_the_place_of_ids(self):
        table = Table({"Well": np.array([5.0]), "well": np.array(["A01"])})
        made = {
            column.name: column.values.tolist()
            for column in table_columns(table, {"A01": 7}).columns
        }
        assert made == {"Well": [7], "Well_Name": ["A01"], "Well_2": [5.0]}

    def test_wells_that_are_not_there_are_none(self):
        table = Table({"well": np.array(["A01", "Z99"])})
        made = table_columns(table, {"A01": 7}).columns[0]
        assert made.values.tolist() == [7, -1]

    @pytest.mark.parametrize(
        ("values", "kind"),
        [
            (np.array([1, 2], np.uint8), "LongColumn"),
            (np.array([1, 2], np.uint64), "LongColumn"),
            (np.array([1, 2**64 - 1], np.uint64), "StringColumn"),
            (np.array([True, False]), "BoolColumn"),
            (np.array([1, np.nan], np.float16), "DoubleColumn"),
            (np.array(["a", None], object), "StringColumn"),
            (np.array(["2025-01-01"], "datetime64[D]"), "StringColumn"),
            (np.ones((2, 3), np.float16), "FloatArrayColumn"),
            (np.ones((2, 3), np.float64), "DoubleArrayColumn"),
            (np.ones((2, 3), np.int8), "LongArrayColumn"),
            (np.ones((2, 1), np.float32), "DoubleColumn"),
        ],
    )
    def test_each_type_has_the_column_that_keeps_it(self, values, kind):
        (column,) = table_columns(Table({"x": values}), {}).columns
        assert type(column.make([])).__name__ == kind

    def test_values_of_odd_types_are_told_as_text(self):
        values = np.array(["a", None, 2.5, np.nan], object)
        (column,) = table_columns(Table({"x": values}), {}).columns
        assert column.values.tolist() == ["a", "", "2.5", ""]

    def test_the_width_of_text_counts_its_bytes(self):
        (column,) = table_columns(Table({"x": np.array([MU + "\0", "a"], object)}), {}).columns
        assert column.make([]).size == 3
        assert column.values.tolist() == [MU, "a"]

    def test_a_table_as_wide_as_may_be_is_taken_by_the_server(self, context):
        wide = {f"{'feature of the nucleus ' * 4}{n}": np.full(2, n / 3) for n in range(600)}
        made, (said,) = save_tables(context, {"cells": Table({"cell": np.arange(2), **wide})})
        assert "89 of the table of cells" in said
        assert read(context, made[0]).shape == (2, 512)

    def test_an_array_without_values_is_left_out(self):
        table = Table({"x": np.zeros((3, 0)), "y": np.zeros(3)})
        assert [column.name for column in table_columns(table, {}).columns] == ["y"]


class TestNoService:
    @pytest.fixture
    def without_tables(self, omero_root, omero_server):
        if not omero_server.is_sandbox:
            pytest.skip("a real server reads its list of services only when it starts")
        config = omero_root.c.sf.getConfigService()
        config.setConfigValue("omero.server.nodedescriptors", "master:Blitz-0,Processor-0")
        yield
        config.setConfigValue("omero.server.nodedescriptors", "")

    @pytest.mark.usefixtures("without_tables")
    def test_it_is_told_and_nothing_is_left(self, context):
        before = counted(context)
        made, (said,) = save_tables(context, {"cells": cells(context), "wells": wells()})
        assert made == []
        assert "table service" in said
        assert "cells and wells are in the attached file only" in said
        assert counted(context) == before

    @pytest.mark.usefixtures("without_tables")
    def test_one_that_goes_meanwhile_leaves_no_empty_file(self, context, monkeypatch):
        monkeypatch.setattr(tables_module, "_is_enabled", lambda _: True)
        before = counted(context)
        made, said = save_tables(context, {"cells": cells(context), "wells": wells()})
        assert made == []
        assert all("table service" in text for text in said)
        assert counted(context) == before

    def test_a_table_that_is_refused_half_way_is_told_and_goes(self, context, monkeypatch):
        wrong = table_columns(cells(context), context.wells)
        short = replace(wrong.columns[-1], values=np.ones((5, 9), np.float32))
        monkeypatch.setattr(
            tables_module,
            "table_columns",
            lambda *_, **__: replace(wrong, columns=(*wrong.columns[:-1], short)),
        )
        before = counted(context)
        made, (said,) = save_tables(context, {"cells": cells(context)})
        assert made == []
        assert "could not write the table of cells" in said
        assert counted(context) == before

    def test_what_a_crash_left_without_annotation_goes_with_the_next_write(self, context):
        name = f"omero-hcs-cells-{context.run_id}.h5"
        context.session.conn.c.sf.sharedResources().newTable(
            1, name, {"omero.group": str(context.group)}
        ).close()
        save_tables(context, {"cells": cells(context)})
        rows = context.session.project(
            "select f.id from OriginalFile f where f.name = :name and f.details.group.id = :group",
            {"name": name, "group": context.group},
        )
        assert len(rows) == 1

    def test_a_lost_connection_is_no_missing_service(self, context, monkeypatch):
        def lost(*_):
            raise Ice.ConnectionLostException

        monkeypatch.setattr(tables_module, "_new_table", lost)
        with pytest.raises(Ice.ConnectionLostException):
            save_tables(context, {"cells": cells(context)})


def test_removing_the_annotation_removes_the_table(context):
    before = counted(context)
    made, _ = save_tables(context, {"cells": cells(context)})
    delete(context.session, context.group, {"FileAnnotation": [made[0].id]})
    assert counted(context) == before

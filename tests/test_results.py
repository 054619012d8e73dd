"""Tables and labels: what a run produces, before any store has seen it."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np
from pyarrow import parquet

from omero_hcs.errors import InputError, LabelError
from omero_hcs.results import CELL_COLUMNS, LABEL_COLUMNS, Table, labels_from_csv

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=8)


@st.composite
def columns_of(draw, rows, name):
    """One column of the kinds that tasks make; no NaN payloads, which parquet does not promise."""
    kind = draw(st.sampled_from(["f4", "f8", "i4", "i8", "u2", "bool", "text", "embedding"]))
    if kind == "text":
        return np.array(draw(st.lists(TEXT, min_size=rows, max_size=rows)), dtype=str)
    if kind == "embedding":
        return draw(st_np.arrays("f4", (rows, draw(st.integers(1, 4)))))
    return draw(st_np.arrays(kind, rows))


@st.composite
def tables(draw):
    rows = draw(st.integers(0, 5))
    names = draw(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=5, unique=True))
    return Table({name: draw(columns_of(rows, name)) for name in names})


def assert_same(found, expected):
    assert list(found.columns) == list(expected.columns)
    for name, column in expected.columns.items():
        np.testing.assert_array_equal(found[name], column)
        if column.dtype.kind == "U":
            assert found[name].dtype.kind == "U"
        else:
            assert found[name].dtype == column.dtype


class TestTable:
    @given(tables())
    @settings(deadline=None, max_examples=40)
    def test_parquet_gives_back_values_and_dtypes(self, tmp_path_factory, table):
        path = tmp_path_factory.getbasetemp() / "table.parquet"
        table.to_parquet(path)
        assert_same(Table.from_parquet(path), table)
        assert_same(Table.from_parquet(path.read_bytes()), table)

    def test_wide_rows_are_written_a_few_at_a_time(self, tmp_path, monkeypatch):
        """All of a group is in memory while it is written."""
        monkeypatch.setattr("omero_hcs.results._BYTES_AT_ONCE", 4000)
        table = Table({"cell": np.arange(95), "features": np.ones((95, 100), np.float32)})
        table.to_parquet(tmp_path / "table.parquet")
        assert parquet.ParquetFile(tmp_path / "table.parquet").num_row_groups == 11
        assert_same(Table.from_parquet(tmp_path / "table.parquet"), table)

    @given(tables(), st.integers(0, 5))
    @settings(deadline=None, max_examples=40)
    def test_parts_of_a_table_stack_to_the_table(self, table, at):
        rows = np.arange(len(table))
        parts = [table.where(rows[:at]), table.where(rows[at:])]
        assert_same(Table.concat(parts), table)

    @given(tables())
    def test_a_mask_and_its_indices_choose_the_same_rows(self, table):
        mask = np.arange(len(table)) % 2 == 0
        assert_same(table.where(mask), table.where(np.flatnonzero(mask)))

    def test_stacking_keeps_the_longer_text(self):
        parts = [Table({"well": np.array(["A1"])}), Table({"well": np.array(["AF48"])})]
        assert Table.concat(parts)["well"].tolist() == ["A1", "AF48"]

    def test_stacking_takes_columns_by_name(self):
        first = Table({"a": np.array([1]), "b": np.array([2])})
        second = Table({"b": np.array([4]), "a": np.array([3])})
        assert Table.concat([first, second])["a"].tolist() == [1, 3]

    def test_fields_without_cells_do_not_change_the_others(self):
        empty = Table.from_rows([], CELL_COLUMNS)
        full = Table({"cell": np.array([1, 2])})
        assert_same(Table.concat([empty, full, Table({})]), full)

    def test_nothing_at_all_stacks_to_nothing(self):
        assert len(Table.concat([])) == 0
        assert list(Table.concat([Table.from_rows([], ["a"])]).columns) == ["a"]

    def test_stacking_other_columns_is_refused_with_both(self):
        with pytest.raises(InputError, match=r"'a'.*'b'"):
            Table.concat([Table({"a": np.array([1])}), Table({"b": np.array([1])})])

    def test_columns_of_other_lengths_are_refused_by_name(self):
        with pytest.raises(InputError, match=r"'a': 2.*'b': 3"):
            Table({"a": np.arange(2), "b": np.arange(3)})

    def test_a_column_that_is_not_there_is_refused_with_those_that_are(self):
        with pytest.raises(InputError, match=r"no column 'x'.*a, b"):
            Table({"a": np.arange(2), "b": np.arange(2)})["x"]

    def test_rows_are_plain_values(self):
        table = Table({"cell": np.array([1]), "e": np.ones((1, 2), "f4"), "well": np.array(["A1"])})
        assert list(table.rows()) == [{"cell": 1, "e": [1.0, 1.0], "well": "A1"}]

    def test_pandas_gets_a_column_a_feature(self):
        frame = Table({"cell": np.arange(2), "e": np.ones((2, 2), "f4")}).to_pandas()
        assert list(frame.columns) == ["cell", "e_0", "e_1"]
        assert frame["e_1"].dtype == np.float32

    def test_csv_keeps_commas_quotes_and_lines(self):
        texts = ["a,b", 'say "no"', "two\nlines"]
        text = Table({"n": np.arange(3), "text": np.array(texts)}).to_csv()
        assert [row["text"] for row in csv.DictReader(io.StringIO(text))] == texts


HEADER = ",".join(LABEL_COLUMNS)


class TestLabels:
    def test_a_table_comes_back_from_its_csv(self):
        row = dict.fromkeys(LABEL_COLUMNS, "x") | {"field": 1, "z": 2, "t": 0, "y": 1.5, "x": 2.5}
        table = Table.from_rows([row, row])
        assert_same(labels_from_csv(table.to_csv(), name="labels.csv"), table)

    def test_the_fewest_columns_are_enough(self):
        table = labels_from_csv("image,y,x,label\nB/03/0,1,2.5,blurred\n", name="labels.csv")
        assert tuple(table.columns) == LABEL_COLUMNS
        assert next(table.rows()) == dict.fromkeys(LABEL_COLUMNS, "") | {
            "image": "B/03/0", "field": 0, "z": 0, "t": 0, "y": 1.0, "x": 2.5, "label": "blurred",
        }  # fmt: skip

    def test_well_and_field_do_in_place_of_an_image(self):
        table = labels_from_csv("well,field,y,x,label\nB03,1,1,2,normal\n", name="labels.csv")
        assert (table["well"][0], table["field"][0]) == ("B03", 1)

    @pytest.mark.parametrize(
        ("text", "lacks"),
        [
            ("", "label, x, y"),
            ("image,y,x\n", "label"),
            ("image,y,x\na,1,2\n", "label"),
            ("y,x,label\n1,2,a\n", "image"),
            ("image;y;x;label\na;1;2;b\n", "label, x, y"),
        ],
    )
    def test_what_is_no_label_table_is_refused_with_what_it_lacks(self, text, lacks):
        with pytest.raises(LabelError, match=rf"labels\.csv.*lacks {lacks}.*object_id"):
            labels_from_csv(text, name="labels.csv")

    def test_a_table_without_a_row_is_told_as_that(self):
        with pytest.raises(LabelError, match=r"labels\.csv has no labels"):
            labels_from_csv(f"{HEADER}\n", name="labels.csv")

    def test_every_bad_row_is_named_at_once(self):
        text = "image,y,x,label\na,1,2,ok\na,one,2,ok\na,1,,ok\na,1,2,\na,nan,2,ok\na,1,inf,ok\n"
        with pytest.raises(LabelError) as caught:
            labels_from_csv(text, name="labels.csv")
        message = str(caught.value)
        for said in ("line 3: y is 'one'", "line 4: x is ''", "line 5: the label is empty",
                     "line 6: y is 'nan'", "line 7: x is 'inf'"):  # fmt: skip
            assert said in message
        assert "line 2" not in message

    def test_a_place_before_the_first_pixel_is_refused(self):
        with pytest.raises(LabelError, match="line 2: field is '-1'"):
            labels_from_csv("well,field,y,x,label\nB03,-1,1,2,a\n", name="labels.csv")

    def test_a_row_that_names_neither_image_nor_well_is_refused(self):
        with pytest.raises(LabelError, match="line 2: neither image nor well"):
            labels_from_csv("image,well,y,x,label\n,,1,2,a\n", name="labels.csv")

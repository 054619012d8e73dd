from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omero_hcs.results import Table
from omero_hcs.tasks.verdicts import field_row, verdict_of, well_rows

CLASSES = ("normal", "blurred")
LIMITS = {"warn": 0.2, "fail": 0.5}
ORDER = ("pass", "warn", "fail")


def cells(normal=0, blurred=0, tiles=0):
    kinds = ["nucleus"] * (normal + blurred) + ["tile"] * tiles
    classes = ["normal"] * normal + ["blurred"] * (blurred + tiles)
    return Table({"centre": np.array(kinds, dtype=str), "class": np.array(classes, dtype=str)})


def field(table, *, few_nuclei=2.0):
    row = field_row(table, CLASSES, few_nuclei=few_nuclei, **LIMITS)
    return {"plate": "p", "well": "A01", "status": "done", **row}


def unread():
    return {**field(cells()), "status": "failed", "finding": "", "verdict": ""}


def well(*fields):
    (row,) = well_rows(Table.from_rows(fields), CLASSES, {("p", "A01"): {"dose": 1.5}}, **LIMITS)
    return row


class TestVerdict:
    @pytest.mark.parametrize(
        ("fraction", "verdict"),
        [(0.0, "pass"), (0.19, "pass"), (0.2, "warn"), (0.49, "warn"), (0.5, "fail"), (1.0, "fail"),
         (float("nan"), "unknown")],
    )  # fmt: skip
    def test_limits_belong_to_the_worse_side(self, fraction, verdict):
        assert verdict_of(fraction, **LIMITS) == verdict

    @given(st.floats(0, 1), st.floats(0, 1))
    def test_more_abnormal_cells_never_make_a_better_verdict(self, one, other):
        low, high = (ORDER.index(verdict_of(f, **LIMITS)) for f in sorted((one, other)))
        assert low <= high


class TestField:
    def test_it_counts_its_cells_by_class(self):
        row = field(cells(normal=6, blurred=2))
        assert (row["cells"], row["n_normal"], row["n_blurred"]) == (8, 6, 2)
        assert (row["abnormal_fraction"], row["verdict"], row["finding"]) == (0.25, "warn", "")

    def test_tiles_are_no_cells_and_do_not_sway_a_field_that_has_nuclei(self):
        row = field(cells(normal=8, tiles=20))
        assert (row["cells"], row["tiles"], row["verdict"]) == (8, 20, "pass")

    @pytest.mark.parametrize(
        ("table", "finding"),
        [(cells(), "no nuclei"), (cells(tiles=9), "no nuclei"), (cells(normal=1), "few nuclei")],
    )
    def test_one_without_nuclei_is_never_a_pass(self, table, finding):
        row = field(table)
        assert (row["verdict"], row["finding"]) == ("fail", finding)

    def test_where_no_nuclei_are_expected_tiles_are_judged_as_cells(self):
        row = field(cells(tiles=4), few_nuclei=0.0)
        assert (row["cells"], row["tiles"], row["n_blurred"]) == (4, 0, 4)
        assert (row["verdict"], row["finding"]) == ("fail", "")

    def test_nothing_judged_is_unknown(self):
        row = field(cells(), few_nuclei=0.0)
        assert row["verdict"] == "unknown"
        assert np.isnan(row["abnormal_fraction"])


class TestWell:
    def test_it_is_judged_by_all_its_cells_and_keeps_its_facts(self):
        row = well(field(cells(normal=30)), field(cells(normal=2, blurred=8)))
        assert (row["fields"], row["cells"], row["n_blurred"]) == (2, 40, 8)
        assert (row["abnormal_fraction"], row["verdict"], row["dose"]) == (0.2, "warn", 1.5)

    def test_a_field_without_nuclei_makes_a_good_well_warn_and_half_of_them_make_it_fail(self):
        good, empty = field(cells(normal=30)), field(cells(tiles=9))
        assert well(good)["verdict"] == "pass"
        assert well(*[good] * 9, empty)["verdict"] == "warn"
        assert well(good, empty)["verdict"] == "fail"
        assert well(empty)["verdict"] == "fail"

    def test_cells_of_fields_with_few_nuclei_do_not_dilute_the_fraction(self):
        row = well(field(cells(normal=10, blurred=10)), *[field(cells(normal=1))] * 3)
        assert row["abnormal_fraction"] == 0.5

    def test_one_that_could_not_be_read_is_unknown_and_no_pass(self):
        row = well(unread(), unread())
        assert (row["verdict"], row["fields_failed"]) == ("unknown", 2)

    def test_fields_that_could_not_be_read_do_not_count_as_empty(self):
        row = well(field(cells(normal=30)), unread())
        assert (row["verdict"], row["fields_failed"], row["fields_without_nuclei"]) == (
            "pass", 1, 0,
        )  # fmt: skip

    def test_one_of_which_nothing_was_judged_is_unknown_and_no_pass(self):
        assert well(field(cells(), few_nuclei=0.0))["verdict"] == "unknown"

    def test_wells_without_fields_in_the_run_have_no_row(self):
        facts = {("p", "A01"): {}, ("p", "H12"): {}, ("q", "A01"): {}}
        rows = well_rows(Table.from_rows([field(cells(normal=3))]), CLASSES, facts, **LIMITS)
        assert [(row["plate"], row["well"]) for row in rows] == [("p", "A01")]

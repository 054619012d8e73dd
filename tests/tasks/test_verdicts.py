from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omero_hcs.results import Table
from omero_hcs.settings import Thresholds
from omero_hcs.tasks.verdicts import field_row, kept_cells, plate_verdict, verdict_of, well_rows

CLASSES = ("normal", "blurred")
LIMITS = {"warn": 0.2, "fail": 0.5}
ORDER = ("pass", "warn", "fail")


def cells(normal=0, blurred=0, tiles=0):
    kinds = ["nucleus"] * (normal + blurred) + ["tile"] * tiles
    classes = ["normal"] * normal + ["blurred"] * (blurred + tiles)
    return Table({"centre": np.array(kinds, dtype=str), "class": np.array(classes, dtype=str)})


def field(table, *, few_nuclei=2.0, classes=CLASSES, **limits):
    row = field_row(table, classes, few_nuclei=few_nuclei, limits=Thresholds(**limits))
    return {"plate": "p", "well": "A01", "status": "done", **row}


def unread():
    return {**field(cells()), "status": "failed", "finding": "", "verdict": ""}


def well(*fields, classes=CLASSES, **limits):
    facts = {("p", "A01"): {"dose": 1.5}}
    (row,) = well_rows(Table.from_rows(fields), classes, facts, limits=Thresholds(**limits))
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

    def test_it_needs_as_many_nuclei_as_the_assay_says(self):
        row = field(cells(normal=19), min_cells=20)
        assert (row["verdict"], row["finding"]) == ("fail", "few nuclei")
        assert row["why"] == "few nuclei: 19, where 20 are the least"
        assert field(cells(normal=20), min_cells=20)["verdict"] == "pass"
        assert field(cells(tiles=4), few_nuclei=0.0, min_cells=20)["finding"] == ""

    def test_one_that_warns_keeps_its_good_cells_and_one_that_fails_keeps_none(self):
        assert field(cells(normal=7, blurred=3))["cells_kept"] == 7
        assert field(cells(normal=4, blurred=6))["cells_kept"] == 0
        assert field(cells(normal=1))["cells_kept"] == 0

    def test_a_class_that_is_no_artefact_does_not_fail_it_and_is_kept(self):
        table = Table({"centre": np.full(10, "nucleus"), "class": np.full(10, "mitotic")})
        classes = ("normal", "blurred", "mitotic")
        row = field(table, classes=classes, artefacts=("blurred",))
        assert (row["abnormal_fraction"], row["verdict"], row["cells_kept"]) == (0.0, "pass", 10)
        assert field(table, classes=classes)["verdict"] == "fail"

    def test_it_says_why_in_words(self):
        names = ["normal"] * 4 + ["debris"] * 5 + ["dead"]
        table = Table({"centre": np.full(10, "nucleus"), "class": np.array(names)})
        row = field(table, classes=("normal", "dead", "debris"))
        assert row["why"] == "60 % abnormal, mostly debris"
        assert field(cells(normal=4, blurred=1))["why"] == "20 % abnormal"
        assert field(cells(normal=9))["why"] == ""
        assert field(cells(tiles=9))["why"] == "no nuclei; 100 % abnormal"

    def test_nothing_judged_is_unknown(self):
        row = field(cells(), few_nuclei=0.0)
        assert row["verdict"] == "unknown"
        assert np.isnan(row["abnormal_fraction"])


class TestWell:
    def test_it_is_judged_by_all_its_cells_and_keeps_its_facts(self):
        good = [field(cells(normal=15))] * 2
        row = well(*good, field(cells(normal=2, blurred=8)))
        assert (row["fields"], row["cells"], row["n_blurred"]) == (3, 40, 8)
        assert (row["abnormal_fraction"], row["verdict"], row["dose"]) == (0.2, "warn", 1.5)

    def test_a_field_without_nuclei_makes_a_good_well_warn_and_half_of_them_make_it_fail(self):
        good, empty = field(cells(normal=30)), field(cells(tiles=9))
        assert well(good)["verdict"] == "pass"
        assert well(*[good] * 9, empty)["verdict"] == "warn"
        assert well(good, empty)["verdict"] == "fail"
        assert well(empty)["verdict"] == "fail"

    def test_fields_that_fail_make_it_warn_and_as_many_as_the_limit_make_it_fail(self):
        good, bad = field(cells(normal=30)), field(cells(normal=1, blurred=2))
        row = well(good, good, good, bad)
        assert (row["verdict"], row["why"]) == ("warn", "1 of 4 fields failed (25 %)")
        assert (row["fields_kept"], row["cells_kept"]) == (3, 90)
        assert well(good, good, good, bad, well_fail=0.25)["verdict"] == "fail"

    def test_several_reasons_are_joined(self):
        row = well(field(cells(normal=8, blurred=2)), field(cells()), unread())
        assert row["verdict"] == "fail"
        assert row["why"] == (
            "20 % abnormal; 1 of 2 fields failed (50 %); 1 of 3 fields could not be read (33 %)"
        )

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
        rows = well_rows(
            Table.from_rows([field(cells(normal=3))]), CLASSES, facts, limits=Thresholds()
        )
        assert [(row["plate"], row["well"]) for row in rows] == [("p", "A01")]


class TestPlate:
    def verdict(self, *, failed, good=0, unknown=0, **limits):
        names = ["fail"] * failed + ["pass"] * good + ["unknown"] * unknown
        found = plate_verdict(Table({"verdict": np.array(names)}), Thresholds(**limits))
        return found["verdict"], found["why"]

    def test_it_is_judged_by_the_share_of_wells_that_fail(self):
        assert self.verdict(failed=0, good=96) == ("pass", "0 of 96 wells failed (0 %)")
        assert self.verdict(failed=9, good=87)[0] == "pass"
        assert self.verdict(failed=10, good=86) == ("warn", "10 of 96 wells failed (10 %)")
        assert self.verdict(failed=24, good=72)[0] == "fail"
        assert self.verdict(failed=10, good=86, plate_fail=0.1)[0] == "fail"

    def test_a_well_of_which_nothing_is_known_is_no_reason_to_pass(self):
        assert self.verdict(failed=0, good=2, unknown=1)[0] == "warn"
        assert self.verdict(failed=0, unknown=3) == (
            "unknown", "3 of 3 wells could not be judged (100 %)",
        )  # fmt: skip


def test_cells_that_are_kept_are_good_ones_of_fields_that_did_not_fail():
    fields = Table.from_rows(
        [
            {"unit": "p/A01/f0", "verdict": "warn", "tiles": 0},
            {"unit": "p/A01/f1", "verdict": "fail", "tiles": 9},
        ]
    )
    table = Table(
        {
            "cell": np.array(["p/A01/f0/c0", "p/A01/f0/c1", "p/A01/f1/c0", "p/A01/f1/c1"]),
            "centre": np.array(["nucleus", "nucleus", "nucleus", "tile"]),
            "class": np.array(["normal", "blurred", "normal", "normal"]),
        }
    )
    assert kept_cells(table, fields, ["blurred"]).tolist() == [True, False, False, False]

from __future__ import annotations

import numpy as np
import pytest

from omero_hcs.report.columns import NO_VALUE, show_table, verdict_style
from omero_hcs.results import Table


def _column(table, header):
    shown = show_table(table)
    index = [column.header for column in shown.columns].index(header)
    return [row[index] for row in shown.rows]


def test_fractions_are_percent_and_missing_values_a_dash():
    table = Table({"abnormal_fraction": np.array([0.1234, np.nan])})
    assert [cell.text for cell in _column(table, "Abnormal (%)")] == ["12.3", NO_VALUE]


def test_a_dose_has_its_unit_and_sorts_by_number():
    table = Table({
        "dose": np.array([0.98, 250.0, np.nan]),
        "dose_unit": np.array(["nM", "nM", ""]),
    })  # fmt: skip
    shown = show_table(table)
    assert [column.header for column in shown.columns] == ["Dose"]
    assert [row[0].text for row in shown.rows] == ["0.98 nM", "250 nM", NO_VALUE]
    assert [row[0].sort for row in shown.rows] == [0.98, 250.0, None]


def test_micro_is_written_as_such_and_fields_count_from_one():
    table = Table({"dose": np.array([2.5]), "dose_unit": np.array(["uM"]), "field": np.array([0])})
    assert [cell.text for cell in show_table(table).rows[0]] == ["2.5 µM", "1"]


def test_wells_sort_as_on_the_plate():
    cells = _column(Table({"well": np.array(["AA01", "B01", "A10", "A02"])}), "Well")
    order = sorted(cells, key=lambda cell: cell.sort)
    assert [cell.text for cell in order] == ["A02", "A10", "B01", "AA01"]


def test_embeddings_are_not_shown():
    table = Table({"cells": np.array([1]), "embedding": np.zeros((1, 8))})
    assert [column.header for column in show_table(table).columns] == ["Cells"]


@pytest.mark.parametrize(
    ("verdict", "style"), [("Pass", "good"), ("review", "check"), ("fail", "bad"), ("odd", "plain")]
)
def test_verdicts_have_a_look(verdict, style):
    assert verdict_style(verdict) == style

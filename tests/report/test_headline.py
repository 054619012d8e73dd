from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from omero_hcs.report.data import FailedField, ReportData
from omero_hcs.report.headline import headline, totals
from omero_hcs.results import Table


def _data(cells: list[int], fraction: list[float], **more: Any) -> ReportData:
    fields = Table({"cells": np.array(cells), "abnormal_fraction": np.array(fraction)})
    return ReportData("T", "r", "apply_qc", "P1", "now", fields=fields, **more)


@pytest.mark.parametrize(
    ("cells", "fraction", "sentence"),
    [
        ([100, 300], [0.1, 0.0], "10 of 400 cells (2.5 %) look abnormal."),
        ([100, 300], [0.0, 0.0], "None of the 400 judged cells looks abnormal."),
        ([1], [1.0], "1 of 1 cell (100.0 %) looks abnormal."),
        ([100, 0], [0.5, float("nan")], "50 of 100 cells (50.0 %) look abnormal."),
        ([20000, 300], [0.0, 0.01], "3 of 20,300 cells (less than 0.1 %) look abnormal."),
        ([0, 0], [0.0, 0.0], "No cell could be judged: no nuclei were found. This is not a pass."),
    ],
)
def test_the_first_sentence_is_the_result(cells, fraction, sentence):
    assert headline(_data(cells, fraction))[0] == sentence


def test_a_run_in_which_all_failed_is_never_a_pass():
    failed = tuple(FailedField(f"A{n:02d}", "truncated") for n in range(1, 97))
    assert headline(_data([], [], failed=failed)) == (
        "No field could be judged: all 96 failed.",
        "The reasons are listed below.",
    )


def test_verdicts_are_counted_over_wells():
    wells = Table({
        "well": np.array(["A01", "A02", "A03", "A04"]),
        "cells": np.array([10, 10, 10, 0]),
        "abnormal_fraction": np.array([0.0, 0.0, 0.5, np.nan]),
        "verdict": np.array(["pass", "pass", "review", ""]),
    })  # fmt: skip
    data = _data([10, 10, 10], [0.0, 0.0, 0.5], wells=wells)
    assert headline(data)[1] == "Wells: 2 pass, 1 review, 1 without a verdict."
    assert totals(data).abnormal == 5

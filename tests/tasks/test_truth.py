"""Labels drawn from a truth, and found cells held against it."""

from __future__ import annotations

import numpy as np

from omero_hcs.results import LABEL_COLUMNS, Table
from omero_hcs.tasks.truth import draw_labels, match_truth


def truth_of(count: int) -> Table:
    rng = np.random.default_rng(0)
    severity = np.where(np.arange(count) % 2, rng.random(count), 0.0)
    return Table(
        {
            "well": np.array(["A01", "A02"])[np.arange(count) % 2],
            "field": np.zeros(count),
            "t": np.zeros(count),
            "y": 20.0 * np.arange(count),
            "x": 20.0 * np.arange(count),
            "label": np.where(severity > 0, "debris", "normal"),
            "severity": severity,
        }
    )


def test_only_what_a_person_would_see_is_labelled_abnormal():
    truth = truth_of(200)
    labels = draw_labels(truth, plate="p", each=20, rng=np.random.default_rng(1))
    assert tuple(labels.columns) == LABEL_COLUMNS
    assert (labels["label"] == "normal").sum() == (labels["label"] == "abnormal").sum() == 20
    rows = match_truth(labels, truth, radius=1.0)
    abnormal = labels["label"] == "abnormal"
    assert (truth["severity"][rows[abnormal]] >= 1 / 3).all()
    assert (truth["severity"][rows[~abnormal]] == 0).all()


def test_a_cell_matches_the_nearest_true_one_of_its_own_field():
    truth = truth_of(10)
    cells = Table(
        {
            "well": np.array(["A01", "A02", "A01"]),
            "field": np.zeros(3),
            "y": np.array([41.0, 42.0, 500.0]),
            "x": np.array([41.0, 42.0, 500.0]),
        }
    )
    # (40, 40) is in A01; in A02 the nearest are (20, 20) and (60, 60), too far off.
    assert match_truth(cells, truth, radius=5.0).tolist() == [2, -1, -1]

"""Scores by the number of labels, and the labels that picking saves."""

import numpy as np
import pytest

from omero_hcs.errors import LabelError
from omero_hcs.learning.learners import FrozenLearner
from omero_hcs.tasks.qc_learning_curve import Curve, learning_curve, worth_of_picking
from tests.tasks.labelled_fixtures import make_labelled, make_learner


class Watched(FrozenLearner):
    """A learner that remembers what it learnt from and was tested on."""

    def judge(self, train, test, *, seed):
        self.__dict__.setdefault("seen", []).append((train, test))
        return super().judge(train, test, seed=seed)


def watched(labelled, **options):
    made = make_learner(labelled, **options)
    return Watched(made.make_head, made.features, made.labels, made.classes)


def test_wells_of_the_test_are_never_learnt_from_and_stay_the_same():
    labelled = make_labelled()
    learner = watched(labelled)
    learning_curve(labelled, learner, counts=(40, 10), seeds=3)
    tests = {tuple(test) for _, test in learner.seen}
    assert len(tests) == 1
    wells = labelled.table["well"]
    held = set(wells[list(*tests)])
    assert all(not held & set(wells[train]) for train, _ in learner.seen)


def test_counts_are_all_labels_and_balanced():
    labelled = make_labelled()
    learner = watched(labelled)
    learning_curve(labelled, learner, counts=(25, 10), seeds=2)
    drawn = [np.bincount(labelled.numbers[train], minlength=2) for train, _ in learner.seen]
    assert [int(count.sum()) for count in drawn] == [10, 25, 10, 25]
    assert all(abs(count[0] - count[1]) <= 1 for count in drawn)


def test_more_labels_teach_more_and_the_spread_is_told():
    labelled = make_labelled(wells=48)
    curve = learning_curve(labelled, make_learner(labelled, apart=2), counts=(150, 10), seeds=4)
    rows = curve.rows()
    assert [row["count"] for row in rows] == [10, 150]
    assert rows[1]["f1"] > rows[0]["f1"]
    assert rows[0]["f1_low"] <= rows[0]["f1"] <= rows[0]["f1_high"]
    assert rows[0]["f1_sd"] > 0
    assert rows[0]["draws"] == 4


def test_counts_that_cannot_be_drawn_are_told():
    labelled = make_labelled()
    curve = learning_curve(labelled, make_learner(labelled), counts=(350, 20, 3), seeds=1)
    assert [row["count"] for row in curve.rows()] == [20]
    assert "350 labels were not drawn: 54 are left" in curve.warnings[-2]
    assert "3 labels are too few for 2 classes" in curve.warnings[-1]


def test_no_count_that_can_be_drawn_is_refused():
    labelled = make_labelled()
    with pytest.raises(LabelError, match="Pass other --counts"):
        learning_curve(labelled, make_learner(labelled), counts=(350,))


def test_ways_of_picking_start_alike_and_uncertain_ones_learn_faster():
    labelled = make_labelled(wells=48)
    learner = watched(labelled, apart=1.5, kind="linear")
    picks = ("random", "uncertain", "diverse")
    curve = learning_curve(labelled, learner, counts=(40, 10), seeds=1, picks=picks)
    assert {point["pick"] for point in curve.points} == set(picks)
    first = [point for point in curve.points if point["count"] == 10]
    trained = [sorted(train) for train, _ in learner.seen if len(train) == 10]
    assert all(rows == trained[0] for rows in trained)
    assert len(first) == 3


def test_the_worth_of_picking_is_in_labels_by_chance():
    def point(pick, count, f1):
        return {"pick": pick, "count": count, "seed": 0, "accuracy": f1, "f1": f1, "auc": f1}

    points = [point("random", 10, 0.6), point("random", 100, 0.8), point("uncertain", 10, 0.6)]
    points += [point("uncertain", 50, 0.8), point("uncertain", 100, 0.9)]
    worth = worth_of_picking(Curve(tuple(points), 10, "well", ()))
    assert [row["count"] for row in worth] == [10, 50, 100]
    assert worth[0]["random"] == pytest.approx(10)
    assert worth[1]["random"] == pytest.approx(100)
    assert np.isnan(worth[2]["random"])

"""Encoders and heads compared on the same cells."""

import pytest

from omero_hcs.errors import LabelError
from omero_hcs.tasks.qc_compare import compare
from tests.tasks.labelled_fixtures import make_labelled, make_learner


@pytest.fixture(scope="module")
def compared():
    labelled = make_labelled()
    ways = {
        ("good", "knn"): make_learner(labelled, apart=4),
        ("good", "linear"): make_learner(labelled, apart=4, kind="linear"),
        ("poor", "knn"): make_learner(labelled, apart=0.5, seed=1),
        ("lucky", "knn"): make_learner(labelled, apart=20),
    }
    return compare(labelled, ways.items(), random=["lucky"])


def test_the_best_is_never_an_untrained_encoder(compared):
    assert compared.found["lucky", "knn"].metrics["f1"] == 1.0
    assert compared.best[0] == "good"
    assert compared.random == {"lucky"}


def test_a_clear_loss_has_an_interval_below_nothing(compared):
    gain = compared.gains["poor", "knn"]
    assert gain["f1"] < -0.2
    assert gain["f1_low"] < gain["f1"] < gain["f1_high"] < 0
    assert compared.best not in compared.gains


def test_heads_of_one_encoder_are_told_apart_on_the_same_folds(compared):
    (other,) = {("good", "knn"), ("good", "linear")} - {compared.best}
    gain = compared.gains[other]
    difference = compared.found[other].metrics["f1"] - compared.found[compared.best].metrics["f1"]
    assert gain["f1"] == pytest.approx(difference)
    assert gain["f1_low"] <= gain["f1"] <= gain["f1_high"]


def test_labels_that_cannot_be_tested_are_refused_before_anything_is_taught():
    labelled = make_labelled(wells=1, each=20)

    def never():
        pytest.fail("a learner was made")
        yield

    labelled.table.columns["unit"][:] = "one"
    with pytest.raises(LabelError, match="--each-crop-alone"):
        compare(labelled, never())

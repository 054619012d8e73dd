"""Labels tested by wells and fields, in what is told of them, and where they cannot be."""

import numpy as np
import pytest

from omero_hcs.errors import LabelError
from omero_hcs.tasks.qc_evaluate import doubtful, evaluate
from tests.tasks.labelled_fixtures import make_labelled, make_learner


def test_scores_and_the_classes_of_held_out_wells():
    labelled = make_labelled()
    found = evaluate(labelled, make_learner(labelled, apart=6))
    assert found.apart == "well"
    assert found.metrics["f1"] == 1.0
    assert (found.metrics["labels"], found.metrics["groups"]) == (72, 12)
    assert [one["judged"] for one in found.by_class] == [
        {"normal": 36, "blurred": 0},
        {"normal": 0, "blurred": 36},
    ]
    assert found.calibration.labels == 72
    assert found.warnings == ()


def test_features_that_give_only_the_well_away_are_worth_nothing():
    labels = np.repeat(np.random.default_rng(1).permutation(np.repeat(["normal", "blurred"], 6)), 6)
    labelled = make_labelled(label=labels)
    learner = make_learner(labelled)
    of_well = np.random.default_rng(0).normal(size=(12, 8)).repeat(6, axis=0).astype(np.float32)
    learner = type(learner)(learner.make_head, of_well, labelled.numbers, 2)
    assert evaluate(labelled, learner).metrics["accuracy"] < 0.75


def test_a_class_in_one_well_is_tested_by_field_and_told():
    labels = np.full(72, "normal", dtype="U8")
    labels[:6] = "blurred"
    found = evaluate(labelled := make_labelled(label=labels), make_learner(labelled))
    assert found.apart == "field"
    assert "1 of 2 classes sit in one well only; whole fields" in found.warnings[0]
    assert found.metrics["groups"] == 24


def test_a_class_in_one_field_is_refused_with_the_mend():
    labels = np.full(72, "normal", dtype="U8")
    labels[[0, 2, 4]] = "blurred"
    labelled = make_labelled(label=labels)
    with pytest.raises(LabelError, match=r"all 'blurred' are from plate/A01/f0.*--pattern"):
        evaluate(labelled, make_learner(labelled))
    found = evaluate(labelled, make_learner(labelled), crops_alone=True)
    assert found.apart == "crop"
    assert "could not keep wells apart" in found.warnings[0]


def test_three_labels_are_too_few():
    labelled = make_labelled(wells=3, each=1, label=np.array(["normal", "normal", "blurred"]))
    with pytest.raises(LabelError, match="the rarest with 1"):
        evaluate(labelled, make_learner(labelled))


def test_few_labels_are_not_calibrated_and_few_wells_are_told():
    labelled = make_labelled(wells=4, each=6)
    found = evaluate(labelled, make_learner(labelled))
    assert found.calibration is None
    assert sum(count for count, _, _ in found.bins) == 24
    assert "rest on 4 wells only" in found.warnings[0]


def test_whole_fields_are_scored_beside_cells_with_a_label_of_their_own():
    weak = np.arange(72) >= 36
    found = evaluate(labelled := make_labelled(weak=weak), make_learner(labelled, apart=6))
    assert found.metrics["labels"] == 36
    assert 0 <= found.metrics["field_accuracy"] <= 1


def test_a_wrong_label_is_the_first_to_be_looked_at_again():
    right = make_labelled()
    labels = right.table["label"].copy()
    labels[7] = "blurred" if labels[7] == "normal" else "normal"
    learner = make_learner(right, apart=6)
    wrong = make_labelled(label=labels)
    learner = type(learner)(learner.make_head, learner.features, wrong.numbers, 2)
    table = doubtful(evaluate(wrong, learner))
    assert table["row"].tolist() == [7]
    assert (table["label"][0], table["well"][0], table["user"][0]) == (labels[7], "A02", "ann")
    assert table["p_label"][0] < 0.2


def test_the_same_seed_gives_the_same_scores():
    labelled = make_labelled()
    first, second = (evaluate(labelled, make_learner(labelled), seed=3) for _ in range(2))
    assert first.metrics == second.metrics

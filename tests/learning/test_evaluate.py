import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from omero_hcs.errors import InputError
from omero_hcs.learning.evaluate import class_scores, field_scores, score_gains, scores

CLASSES = ("normal", "blur", "debris")


@pytest.fixture
def judged():
    """60 cells in 12 wells, judged well but not perfectly, with ties."""
    rng = np.random.default_rng(4)
    true = np.tile([0, 0, 1, 2, 1], 12)
    proba = rng.random((60, 3)) + 1.2 * np.eye(3)[true]
    proba = np.round(proba / proba.sum(axis=1, keepdims=True), 1) + 0.01
    return true, proba / proba.sum(axis=1, keepdims=True), np.repeat(np.arange(12), 5)


def libraries(true, proba):
    said = proba.argmax(axis=1)
    each = [roc_auc_score(true == one, proba[:, one]) for one in np.unique(true)]
    return {
        "accuracy": accuracy_score(true, said),
        "f1": f1_score(true, said, average="weighted"),
        "auc": np.average(each, weights=np.unique(true, return_counts=True)[1]),
    }


def test_scores_are_those_of_scikit_learn(judged):
    true, proba, wells = judged
    found = scores(true, proba, CLASSES, wells, rng=np.random.default_rng(0), draws=50)
    for name, value in libraries(true, proba).items():
        assert found[name] == pytest.approx(value)
        assert found[f"{name}_low"] <= value <= found[f"{name}_high"]
    assert (found["labels"], found["groups"]) == (60, 12)


def test_intervals_are_those_of_drawing_wells_one_by_one(judged):
    true, proba, wells = judged
    found = scores(true, proba, CLASSES, wells, rng=np.random.default_rng(0), draws=200)
    draws = np.random.default_rng(0).multinomial(12, np.full(12, 1 / 12), size=200)
    rows = [np.repeat(np.arange(60), draw[wells]) for draw in draws]
    slow = [libraries(true[row], proba[row]) for row in rows]
    for name in ("accuracy", "f1", "auc"):
        low, high = np.percentile([one[name] for one in slow], (2.5, 97.5))
        assert found[f"{name}_low"] == pytest.approx(low)
        assert found[f"{name}_high"] == pytest.approx(high)


def test_wells_that_differ_widen_the_interval():
    rng = np.random.default_rng(1)
    wells = np.repeat(np.arange(10), 20)
    true = np.tile([0, 1], 100)
    right = np.repeat(rng.random(10) < 0.6, 20)
    proba = np.eye(2)[np.where(right, true, 1 - true)]
    by_well = scores(true, proba, ("a", "b"), wells, rng=np.random.default_rng(0))
    by_cell = scores(true, proba, ("a", "b"), rng=np.random.default_rng(0))
    width = [one["accuracy_high"] - one["accuracy_low"] for one in (by_well, by_cell)]
    assert width[0] > 2 * width[1]


def test_one_class_alone_has_no_auc():
    found = scores(
        np.zeros(4, dtype=int), np.eye(2)[[0, 0, 1, 0]], ("a", "b"), rng=np.random.default_rng(0)
    )
    assert found["accuracy"] == 0.75
    assert np.isnan(found["auc"])
    assert np.isnan(found["auc_low"])


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="do not fit together for 3 classes"):
        scores(np.zeros(4, dtype=int), np.ones((4, 2)), CLASSES, rng=np.random.default_rng(0))


class TestFields:
    def test_the_verdict_of_a_field_is_that_of_most_of_its_cells(self):
        proba = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6], [0.1, 0.9], [0.7, 0.3]])
        fields = np.array(["a", "a", "a", "b", "b", "c"])
        found = field_scores(
            np.array([0, 0, 0, 1, 1, 1]), proba, fields, fields, rng=np.random.default_rng(0)
        )
        assert found["fields"] == 3
        assert found["field_accuracy"] == pytest.approx(2 / 3)
        assert found["field_accuracy_low"] <= 2 / 3 <= found["field_accuracy_high"]

    def test_a_tie_goes_to_the_class_that_is_more_probable(self):
        proba = np.array([[0.51, 0.49], [0.1, 0.9]])
        args = np.array([1, 1]), proba, np.array(["a", "a"]), np.array(["w", "w"])
        assert field_scores(*args, rng=np.random.default_rng(0))["field_accuracy"] == 1.0


class TestGains:
    def test_judgements_gain_nothing_on_themselves(self, judged):
        true, proba, wells = judged
        found = score_gains(true, proba, proba, wells, rng=np.random.default_rng(0))
        assert set(found.values()) == {0.0}

    def test_the_same_draws_make_a_small_steady_gain_sure(self):
        """Each well gets one more cell right: unsure by itself, sure when paired."""
        rng = np.random.default_rng(0)
        true, wells = np.tile([0, 1], 200), np.repeat(np.arange(20), 20)
        hard = rng.random(20)[wells] > rng.random(400)
        better = hard.copy()
        better[np.arange(0, 400, 20)] = True
        worse = hard.copy()
        worse[np.arange(0, 400, 20)] = False
        ways = [np.eye(2)[np.where(right, true, 1 - true)] for right in (better, worse)]
        gain = score_gains(true, *ways, wells, rng=rng)
        assert gain["accuracy_low"] > 0.04
        alone = scores(true, ways[0], ("a", "b"), wells, rng=rng)
        assert alone["accuracy_high"] - alone["accuracy_low"] > 0.1


def test_classes_are_told_one_by_one():
    proba = np.eye(3)[[0, 0, 1, 1, 0]]
    normal, blur, debris = class_scores(np.array([0, 0, 1, 1, 1]), proba, CLASSES)
    assert (normal["precision"], normal["recall"]) == (pytest.approx(2 / 3), 1.0)
    assert (blur["labels"], blur["recall"]) == (3, pytest.approx(2 / 3))
    assert blur["judged"] == {"normal": 1, "blur": 2, "debris": 0}
    assert debris["labels"] == 0
    assert np.isnan(debris["recall"])

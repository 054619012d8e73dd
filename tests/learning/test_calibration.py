import numpy as np
import pytest

from omero_hcs.learning.calibration import (
    MIN_LABELS,
    calibrate,
    calibrated,
    calibrated_by,
    calibration_error,
    fit_calibration,
)


@pytest.fixture
def too_sure():
    """400 cells judged at 0.97 or so, of which 80 % are what they are called."""
    rng = np.random.default_rng(5)
    said = rng.integers(0, 2, 400)
    labels = np.where(rng.random(400) < 0.8, said, 1 - said)
    top = rng.uniform(0.95, 0.99, 400)
    proba = np.where(np.arange(2) == said[:, None], top[:, None], 1 - top[:, None])
    return proba.astype(np.float32), labels


def test_probabilities_come_to_mean_what_they_say(too_sure):
    proba, labels = too_sure
    folds = tuple(np.arange(400)[start::5] for start in range(5))
    card = calibrate(proba, labels, folds)
    assert card.temperature > 1.5
    assert card.error_before > 0.12
    assert card.error_after < 0.05
    assert sum(count for count, _, _ in card.bins) == 400


def test_no_verdict_changes(too_sure):
    proba, labels = too_sure
    after = calibrated(proba, *fit_calibration(proba, labels))
    assert np.array_equal(after.argmax(axis=1), proba.argmax(axis=1))
    assert np.allclose(after.sum(axis=1), 1, atol=1e-6)
    assert calibrated(proba[:0], 2.0).shape == (0, 2)


def test_votes_of_neighbours_stay_finite():
    votes = np.array([[1.0, 0.0], [0.0, 1.0]] * 30, dtype=np.float32)
    after = calibrated(votes, *fit_calibration(votes, np.array([0, 1] * 29 + [1, 0])))
    assert np.isfinite(after).all()
    assert 0 < after.min() < after.max() < 1


def test_few_labels_leave_a_head_uncalibrated(too_sure):
    proba, labels = too_sure
    few = MIN_LABELS - 1
    assert calibrate(proba[:few], labels[:few], (np.arange(few),)) is None


def test_the_error_is_nothing_where_shares_are_as_said():
    proba = np.tile([[0.75, 0.25]], (8, 1))
    assert calibration_error(proba, np.array([0, 0, 0, 1] * 2)) == pytest.approx(0)


def test_votes_that_all_agree_leave_the_others_their_say():
    """Five that agree are right in 9 of 10 cases, three of five in 6 of 10: both can be told."""
    rng = np.random.default_rng(1)
    top = np.repeat([1.0, 0.6], 500)
    labels = (rng.random(1000) > np.repeat([0.9, 0.6], 500)).astype(int)
    votes = np.stack([top, 1 - top], axis=1)
    card = calibrate(votes, labels, tuple(np.arange(1000)[start::5] for start in range(5)))
    assert card.floor == 0.1
    after = calibrated_by(card, votes)[:, 0]
    assert after[0] == pytest.approx(0.9, abs=0.04)
    assert after[-1] == pytest.approx(0.6, abs=0.05)
    assert card.error_after < 0.03


def test_what_helps_some_wells_and_harms_others_is_left():
    """One half is right whenever it is sure, the other only as often as not."""
    proba = np.tile([[0.95, 0.05]], (120, 1)).astype(np.float32)
    labels = np.concatenate([np.zeros(60, dtype=int), np.tile([0, 1], 30)])
    card = calibrate(proba, labels, (np.arange(60), np.arange(60, 120)))
    assert card.temperature == 1.0
    assert card.error_after == pytest.approx(card.error_before, abs=0.01)
    np.testing.assert_allclose(calibrated_by(card, proba), proba, atol=2e-3)


def test_classes_keep_their_order_however_many_there_are():
    proba = np.random.default_rng(2).dirichlet(np.full(20, 0.1), size=300)
    for floor in (1e-3, 1e-2, 0.1):
        after = calibrated(proba.astype(np.float32), 3.0, floor)
        assert np.array_equal(after.argmax(axis=1), proba.argmax(axis=1))


def test_an_uncalibrated_head_is_left_alone(too_sure):
    assert calibrated_by(None, too_sure[0]) is too_sure[0]

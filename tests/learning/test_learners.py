import numpy as np

from omero_hcs.learning.folds import choose_folds
from omero_hcs.learning.heads import make_head
from omero_hcs.learning.learners import FrozenLearner, cross_validate


def rng():
    return np.random.default_rng(0)


def test_a_head_never_sees_the_well_it_judges():
    """A feature that gives the well away, and nothing else, is worth nothing out of fold."""
    wells = np.repeat(np.arange(20), 6)
    labels = np.random.default_rng(3).permutation(np.repeat([0, 1], 10))[wells]
    features = np.random.default_rng(2).normal(size=(20, 16))[wells].astype(np.float32)
    learner = FrozenLearner(lambda: make_head("knn"), features, labels, 2)
    held_out, leaking = (
        cross_validate(learner, choose_folds(labels, groups, rng=rng()).held_out, rng=rng())
        for groups in (wells, None)
    )
    assert (leaking.argmax(axis=1) == labels).mean() > 0.95
    assert (held_out.argmax(axis=1) == labels).mean() < 0.8


def test_the_same_generator_gives_the_same_probabilities():
    labels, wells = np.tile([0, 0, 1, 2, 1], 12), np.repeat(np.arange(12), 5)
    features = np.random.default_rng(4).normal(size=(60, 3)).astype(np.float32)
    learner = FrozenLearner(lambda: make_head("linear", epochs=20), features, labels, 3)
    folds = choose_folds(labels, wells, rng=rng())
    first, second = (cross_validate(learner, folds.held_out, rng=rng()) for _ in range(2))
    assert np.array_equal(first, second)
    assert np.allclose(first.sum(axis=1), 1, atol=1e-5)

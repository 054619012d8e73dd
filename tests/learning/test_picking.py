"""What to label next: the uncertain, spread over what there is, and never what is labelled."""

from __future__ import annotations

import numpy as np
import pytest

from omero_hcs.errors import InputError
from omero_hcs.learning.picking import STRATEGIES, margin, pick


def pool(cells=300, kinds=6, seed=0):
    """Cells of several kinds; those of the first kind are the least certain by a little."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(kinds, size=cells)
    features = np.eye(kinds)[kind] * 5 + rng.normal(0, 0.05, (cells, kinds))
    certain = 0.5 + 0.02 * kind + 0.01 * rng.random(cells)
    certain[::3] = 0.99
    return np.stack([certain, 1 - certain], axis=1), features, kind


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_cell_twice_and_none_that_is_labelled(strategy):
    proba, features, _ = pool()
    already = np.arange(0, 300, 2)
    rows = pick(strategy, proba, features, already, 20, np.random.default_rng(1))
    assert len(set(rows.tolist())) == 20
    assert not set(rows.tolist()) & set(already.tolist())


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_small_pool_gives_what_it_has(strategy):
    proba, features, _ = pool(8)
    rows = pick(strategy, proba, features, [0, 1], 20, np.random.default_rng(1))
    assert sorted(rows.tolist()) == [2, 3, 4, 5, 6, 7]
    assert not len(pick(strategy, proba, features, range(8), 5, np.random.default_rng(1)))


def test_the_same_seed_picks_the_same():
    proba, features, _ = pool()
    first, second = (
        pick("diverse", proba, features, [], 6, np.random.default_rng(3)) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_uncertain_ones_come_in_the_order_of_their_margins():
    proba, _, kind = pool()
    rows = pick("uncertain", proba, None, [], 20, np.random.default_rng(1))
    assert (np.diff(margin(proba)[rows]) >= 0).all()
    assert set(kind[rows]) == {0}


def test_diverse_ones_are_uncertain_and_of_every_kind():
    proba, features, kind = pool()
    rows = pick("diverse", proba, features, [], 20, np.random.default_rng(1))
    assert set(kind[rows]) == set(range(6))
    assert proba[rows].max() < 0.9


def test_cells_that_are_all_alike_are_picked_all_the_same():
    proba, features, _ = pool()
    rows = pick("diverse", proba, np.ones_like(features), [], 7, np.random.default_rng(1))
    assert len(set(rows.tolist())) == 7


def test_the_margin_is_between_the_two_most_probable_of_many_classes():
    np.testing.assert_allclose(margin(np.array([[0.5, 0.2, 0.3], [1.0, 0.0, 0.0]])), [0.2, 1.0])


def test_an_unknown_strategy_and_missing_features_are_told():
    proba, _, _ = pool()
    rng = np.random.default_rng(1)
    with pytest.raises(InputError, match="random, uncertain, diverse"):
        pick("best", proba, None, [], 5, rng)
    with pytest.raises(InputError, match="features"):
        pick("diverse", proba, None, [], 5, rng)

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from omero_hcs.tasks.rank_tests import cliffs_delta, holm, mean_slope, pair_slope, rank_test

ONE = np.zeros(60, dtype=np.intp)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def levels(numbers):
    return (numbers[:, None] == np.unique(numbers)[None, :]).astype(float)


class TestOneGroup:
    """Without groups it is the test that everybody knows."""

    def test_a_trend_is_spearmans(self, rng):
        x = np.repeat(np.arange(10.0), 6)
        values = rng.normal(size=60) + 0.08 * x
        found = rank_test(values, x, ONE)
        rho = stats.spearmanr(values, x).statistic
        assert found.effect == pytest.approx(rho)
        assert found.p == pytest.approx(2 * stats.norm.sf(abs(rho) * np.sqrt(59)), rel=1e-6)
        assert (found.wells, found.kept) == (60, 1.0)

    def test_two_kinds_are_wilcoxons(self, rng):
        x = np.repeat([0.0, 1.0], [40, 20])
        values = rng.normal(size=60) + 0.7 * x
        p = stats.mannwhitneyu(
            values[x > 0], values[x == 0], use_continuity=False, method="asymptotic"
        ).pvalue
        assert rank_test(values, x, ONE).p == pytest.approx(p, rel=1e-6)

    def test_levels_are_kruskals(self, rng):
        x = np.repeat(np.arange(6), 10)
        values = rng.normal(size=60) + (x == 2)
        p = stats.kruskal(*(values[x == level] for level in range(6))).pvalue
        assert rank_test(values, levels(x), ONE).p == pytest.approx(p, rel=1e-6)


class TestGroups:
    def test_differences_between_groups_do_not_count(self, rng):
        groups = np.repeat(np.arange(10), 6)
        x = np.tile(np.arange(6.0), 10)
        values = 100.0 * groups + rng.normal(size=60) + 0.8 * x
        found = rank_test(values, x, groups)
        assert found.p < 0.001
        assert pair_slope(values, x, groups) == pytest.approx(0.8, abs=0.25)
        assert mean_slope(values, x, groups) == pytest.approx(0.8, abs=0.25)

    def test_what_goes_with_the_groups_cannot_be_told_from_them(self, rng):
        groups = np.repeat(np.arange(10), 6)
        found = rank_test(rng.normal(size=60), groups.astype(float), groups)
        assert np.isnan(found.p)
        assert (found.kept, found.wells) == (0.0, 0)

    @pytest.mark.parametrize("size", [2, 3, 6])
    def test_chance_is_chance_in_small_groups_too(self, size):
        """Ranks of residuals, taken as if they were free of each other, would reject too often."""
        rng = np.random.default_rng(size)
        groups = np.repeat(np.arange(60 // size), size)
        x = np.tile(np.arange(float(size)), 60 // size)
        p = [rank_test(rng.normal(size=60), x, groups).p for _ in range(400)]
        assert 0.025 < np.mean(np.array(p) < 0.05) < 0.08

    def test_constant_values_say_nothing(self):
        assert np.isnan(rank_test(np.ones(60), np.arange(60.0), ONE).p)

    def test_cliffs_delta_compares_within_groups(self):
        groups = np.array([0, 0, 0, 1, 1, 1])
        values = np.array([3.0, 1.0, 1.0, 30.0, 10.0, 40.0])
        first = np.array([True, False, False, True, False, False])
        assert cliffs_delta(values, first, groups) == pytest.approx((2 + 0) / 4)


def test_holm_is_stricter_the_more_is_tried():
    found = holm(np.array([0.01, np.nan, 0.04, 0.03]))
    np.testing.assert_allclose(found, [0.03, np.nan, 0.06, 0.06])
    assert len(holm(np.array([]))) == 0

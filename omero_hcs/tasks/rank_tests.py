"""Rank tests within groups of like wells: whether a measure goes with a place on the plate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Values = NDArray[np.float64]
Groups = NDArray[np.intp]


@dataclass(frozen=True)
class RankTest:
    """What a test came to.

    Parameters
    ----------
    p : float
        Of two sides; NaN where the groups leave nothing to test.
    effect : float
        One predictor: the correlation of ranks within groups, -1 to 1. Several: the share of the
        ranks' variance within groups that they explain, 0 to 1.
    wells : int
        Wells of groups in which the predictor varies.
    kept : float
        Share of the predictor's variance that is within groups, 0 to 1: near 0, groups and places
        cannot be told apart.
    """

    p: float
    effect: float
    wells: int
    kept: float


def rank_test(values: Values, predictor: Values, groups: Groups) -> RankTest:
    """Test whether values rise or fall with a predictor, or differ between the levels of several.

    Values are aligned by their group's median and ranked over all groups; the statistic is that of
    all permutations within groups, by its normal (chi-squared) limit. With one group this is the
    test of Spearman, Wilcoxon (a predictor of 0 and 1) or Kruskal (one column a level).

    Parameters
    ----------
    values : array, shape (N,)
        Finite.
    predictor : array, shape (N,) or (N, K)
        Place of each well; or K columns of 0 and 1, one a level.
    groups : array, shape (N,), int from 0
        Wells that would be alike but for their places: of one treatment and dose.

    References
    ----------
    Hodges & Lehmann, "Rank methods for combination of independent experiments in analysis of
    variance", Ann. Math. Statist. 33 (1962).
    """
    design = predictor.reshape(len(predictor), -1).astype(np.float64)
    within = _centred(design, groups)
    varies = np.bincount(groups, (within**2).sum(axis=1))[groups] > 1e-9
    whole = float(((design - design.mean(axis=0)) ** 2).sum()) if len(design) else 0.0
    kept = float((within**2).sum()) / whole if whole else 0.0
    if varies.sum() < 3:
        return RankTest(np.nan, 0.0, int(varies.sum()), kept)
    _, own = np.unique(groups[varies], return_inverse=True)
    ranks = _centred(_aligned_ranks(values[varies], own)[:, None], own)[:, 0]
    within = within[varies]
    spread = np.bincount(own, ranks**2) / (np.bincount(own) - 1)
    score = within.T @ ranks
    covariance = (within * spread[own][:, None]).T @ within
    degrees = int(np.linalg.matrix_rank(covariance))
    if not degrees:
        return RankTest(np.nan, 0.0, int(varies.sum()), kept)
    chi = float(score @ np.linalg.pinv(covariance) @ score)
    if design.shape[1] == 1:
        effect = float(score[0] / np.sqrt((within**2).sum() * (ranks**2).sum()))
    else:
        effect = min(1.0, chi / (len(own) - own.max() - 1))
    return RankTest(float(stats.chi2.sf(chi, degrees)), effect, int(varies.sum()), kept)


def cliffs_delta(values: Values, first: NDArray[np.bool_], groups: Groups) -> float:
    """How much oftener wells of one kind are above those of the other than below, -1 to 1.

    Only pairs within a group count.
    """
    above = pairs = 0.0
    for group in np.unique(groups):
        own = groups == group
        one, other = values[own & first], values[own & ~first]
        above += float(np.sign(one[:, None] - other[None, :]).sum())
        pairs += one.size * other.size
    return above / pairs if pairs else 0.0


def pair_slope(values: Values, predictor: Values, groups: Groups) -> float:
    """Median slope over all pairs of wells within a group (Theil, Sen)."""
    slopes: list[Values] = []
    for group in np.unique(groups):
        own = groups == group
        v, x = values[own], predictor[own]
        upper = np.triu_indices(len(v), 1)
        run = (x[:, None] - x[None, :])[upper]
        rise = (v[:, None] - v[None, :])[upper]
        slopes.append(rise[run != 0] / run[run != 0])
    every = np.concatenate(slopes) if slopes else np.empty(0)
    return float(np.median(every)) if every.size else 0.0


def mean_slope(values: Values, predictor: Values, groups: Groups) -> float:
    """Slope by least squares within groups, where most values may be alike (shares of 0)."""
    within = _centred(predictor[:, None].astype(np.float64), groups)[:, 0]
    whole = float((within**2).sum())
    return float(within @ values) / whole if whole else 0.0


def holm(p: Values) -> Values:
    """Correct p values for their number (Holm); NaN stay, and do not count."""
    corrected = np.full(len(p), np.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = p[order] * (len(order) - np.arange(len(order)))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if len(order) else steps
    return corrected


def _centred(columns: NDArray[Any], groups: Groups) -> Values:
    count = np.bincount(groups)
    sums = np.stack([np.bincount(groups, column) for column in columns.T], axis=1)
    centred: Values = columns - (sums / np.maximum(count, 1)[:, None])[groups]
    return centred


def _aligned_ranks(values: Values, groups: Groups) -> Values:
    aligned = values.astype(np.float64)
    for group in range(int(groups.max()) + 1):
        own = groups == group
        aligned[own] -= np.median(aligned[own])
    # Differences of sums that are equal on paper are not to be ranked.
    ranks: Values = stats.rankdata(np.round(aligned, 9))
    return ranks

"""Whether cells are like those that a model learnt from: how far the known ones are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.stats import betabinom
from sklearn.decomposition import PCA
from sklearn.neighbors import LocalOutlierFactor

from omero_hcs.learning.lessons import Features, Tensors
from omero_hcs.learning.modelcard import NoveltyCard

PART = "novelty"
"""Of the model file."""

DIMS, MOST_CELLS = 64, 1000
FALSE_ALARM = 0.05
"""Share of the training plates' own wells that would be beyond the threshold."""

MIN_WELLS = 8
"""Fewer wells say nothing of their 95th percentile."""

QUARTILE = 0.25
"""Of a well's cells, that is the well's score."""

_NEIGHBOURS, _FOLDS = 10, 10

Scores = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Novelty:
    """Known cells, and how far from them others are.

    A cell's score is its local outlier factor: its distance to the ten nearest known cells, over
    the distances that those have to theirs. About 1 is like them; a rare kind of artefact, whose
    known cells lie far apart, is no more novel for that.

    Parameters
    ----------
    mean : array, shape (D,), float32
        Of the known cells' features.
    axes : array, shape (K, D), float16
        Their principal components, each divided by its spread.
    reference : array, shape (N, K), float16
        The known cells along them.

    Notes
    -----
    Measured on two simulated plates of one design (Lite0), 48 wells of 20 cells and 350 labels,
    mean of five draws, as the share of the other plate's wells beyond the threshold: as it is 1 %
    (never warned of), with 60 % artefacts in each well 0 %; blurred by 1 px 90 %, half as bright
    42 %, on a brighter background 100 %, enlarged 1.4 x 80 %, with more noise 56 %. With medians of
    wells 3, 2, 80, 36, 99, 73 and 54 %. Found before, with medians and other features: the distance
    to the nearest cell alone tells wells of known gross artefacts from known cells more often (42
    to 34 %), Mahalanobis distance much more often (76 %), and neither finds more of the others.
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float16]
    reference: NDArray[np.float16]

    @classmethod
    def fit(cls, features: Features, *, seed: int) -> Self:
        """Learn from known cells, shape (N, D); four of them or more."""
        count = max(1, min(DIMS, len(features) // 4, features.shape[1]))
        found = PCA(count, svd_solver="randomized", random_state=seed).fit(features)
        spread = np.sqrt(np.maximum(found.explained_variance_, 1e-12))
        axes = found.components_ / np.maximum(spread, spread[0] * 1e-3)[:, None]
        mean, half = found.mean_.astype(np.float32), _half(axes)
        return cls(mean, half, _half((features - mean) @ half.T.astype(np.float32)))

    def scores(self, features: Features) -> Scores:
        """How unlike the known cells each cell (N, D) is, shape (N,)."""
        if not len(features):
            return np.empty(0, dtype=np.float32)
        factor = self._search.score_samples(self.along_axes(features))
        return np.asarray(-factor, dtype=np.float32)

    def along_axes(self, features: Features) -> NDArray[np.float32]:
        """Give few numbers for the features of a cell, shape (N, K)."""
        turned = (features - self.mean) @ self.axes.T.astype(np.float32)
        return np.asarray(turned, dtype=np.float32)

    def tensors(self) -> Tensors:
        """Give what was learnt, by name."""
        return {"mean": self.mean, "axes": self.axes, "reference": self.reference}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> Self:
        """Read what `tensors` gave."""
        return cls(tensors["mean"], tensors["axes"], tensors["reference"])

    @cached_property
    def _search(self) -> LocalOutlierFactor:
        count = min(_NEIGHBOURS, len(self.reference) - 1)
        search = LocalOutlierFactor(n_neighbors=count, algorithm="brute", novelty=True)
        return search.fit(self.reference.astype(np.float32))


def _half(values: NDArray[Any]) -> NDArray[np.float16]:
    """Store in half the bytes; nothing here is near the largest number that fits."""
    return np.asarray(np.clip(values, -6e4, 6e4), dtype=np.float16)


def learn_novelty(
    features: Features, wells: NDArray[Any], sampled: NDArray[np.bool_], *, rng: Generator
) -> tuple[Novelty, NoveltyCard] | None:
    """Learn from cells of the training plates, and find from where on a well is unlike them.

    Each well is scored by cells of other wells alone, so that the threshold tells of new wells.

    Parameters
    ----------
    features : array, shape (N, D), float32
        Of known cells: labelled ones, and ones drawn from the plates.
    wells : array, shape (N,)
        What is held out together.
    sampled : array, shape (N,), bool
        Cells that were drawn from the plates without regard to what they look like. They alone
        stand for a well; of labelled cells, most would be abnormal.
    rng : Generator
        Leaves out what is too much, and makes the folds.

    Returns
    -------
    Novelty and NoveltyCard, or None
        None with fewer than `MIN_WELLS` wells.
    """
    names = np.unique(wells[sampled])
    if len(names) < MIN_WELLS:
        return None
    kept = np.sort(rng.permutation(len(features))[:MOST_CELLS])
    seed = int(rng.integers(2**31))
    found: list[float] = []
    for fold in np.array_split(rng.permutation(names), min(_FOLDS, len(names))):
        own = np.isin(wells, fold)
        known = Novelty.fit(features[kept[~own[kept]]], seed=seed)
        tested = own & sampled
        _, scores = group_scores(known.scores(features[tested]), wells[tested])
        found += scores.tolist()
    threshold = float(np.sort(found)[_place(len(names)) - 1])
    card = NoveltyCard(
        threshold=threshold,
        false_alarm=float((np.array(found) > threshold).mean()),
        wells=len(names),
        cells=len(kept),
    )
    return Novelty.fit(features[kept], seed=seed), card


def group_scores(scores: Scores, groups: NDArray[Any]) -> tuple[NDArray[Any], Scores]:
    """Names of groups, sorted, and the score of each: three in four of its cells are above it.

    A field full of artefacts, which many a training plate has, says less in it than in a median.
    """
    names, number = np.unique(groups, return_inverse=True)
    found = [np.quantile(scores[number == one], QUARTILE) for one in range(len(names))]
    return names, np.array(found, dtype=np.float32)


def are_too_many(beyond: int, groups: int, *, known: int) -> bool:
    """Whether more wells of a plate are beyond the threshold than chance explains, at 5 %.

    Parameters
    ----------
    beyond : int
        Wells beyond the threshold.
    groups : int
        Wells of the plate.
    known : int
        Wells that the threshold was found on.

    Notes
    -----
    The threshold is one of few wells' scores, and may be low or high by chance. If the plate's
    wells are like those, the count beyond the r-th smallest of n scores is beta-binomial with
    n + 1 - r and r: with 48 known wells, 2 of 6 or 11 of 96 are too many; with 12, 3 or 23.
    """
    place = _place(known)
    chance = betabinom.sf(beyond - 1, groups, known + 1 - place, place)
    return bool(beyond > 0 and chance <= FALSE_ALARM)


def _place(wells: int) -> int:
    """Which of the sorted scores of wells, from 1, a new one exceeds in 5 % of cases at most."""
    return min(wells, int(np.ceil((wells + 1) * (1 - FALSE_ALARM))))

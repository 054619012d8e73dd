"""Encoders and heads on the same labels, held out alike: the paper's Table 1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from omero_hcs.learning.evaluate import score_gains
from omero_hcs.learning.learners import Learner
from omero_hcs.tasks.labelled import Labelled
from omero_hcs.tasks.qc_evaluate import (
    Evaluation,
    folds_of,
    groups_of,
    held_out_probabilities,
    judged,
    own_rows,
)

Way = tuple[str, str]
"""Names of an encoder and of a head."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """How well each encoder and head judged the same crops.

    Parameters
    ----------
    found : mapping of (encoder, head) to Evaluation
        In the order in which they were asked for.
    best : (encoder, head)
        That of the highest F1; untrained encoders are not considered.
    gains : mapping of (encoder, head) to dict
        How much better than the best each is, as `learning.evaluate.score_gains` gives it.
    random : frozenset of str
        Encoders that are untrained.
    """

    found: Mapping[Way, Evaluation]
    best: Way
    gains: Mapping[Way, Mapping[str, float]]
    random: frozenset[str] = frozenset()


def compare(
    labelled: Labelled,
    learners: Iterable[tuple[Way, Learner]],
    *,
    folds: int = 5,
    seed: int = 0,
    crops_alone: bool = False,
    random: Iterable[str] = (),
) -> Comparison:
    """Test several encoders and heads on the same folds.

    Parameters
    ----------
    labelled : Labelled
        The crops.
    learners : iterable of ((encoder, head), Learner)
        What learns from them, made one after the other, so that features of one encoder are in
        memory at a time.
    folds, seed, crops_alone
        See `qc_evaluate.evaluate`.
    random : iterable of str
        Encoders that are untrained.

    Raises
    ------
    LabelError
        If the labels cannot be tested.
    """
    split = folds_of(labelled, folds=folds, seed=seed, crops_alone=crops_alone)
    found = {}
    for way, learner in learners:
        proba, calibration = held_out_probabilities(labelled, learner, split, seed=seed)
        found[way] = judged(labelled, proba, split, calibration=calibration, seed=seed)
    untrained = frozenset(random)
    trained = [way for way in found if way[0] not in untrained] or list(found)
    best = max(trained, key=lambda way: found[way].metrics["f1"])
    own, groups = own_rows(labelled), groups_of(labelled, split)
    gains = {
        way: score_gains(
            labelled.numbers[own],
            one.proba[own],
            found[best].proba[own],
            groups[own],
            rng=np.random.default_rng(seed),
        )
        for way, one in found.items()
        if way != best
    }
    return Comparison(found, best, gains, untrained)

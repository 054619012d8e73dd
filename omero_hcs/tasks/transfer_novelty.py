"""Whether a test set looks unlike what was learnt from, by the good cells of both."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from omero_hcs.learning.novelty import are_too_many, group_scores, learn_novelty
from omero_hcs.tasks.labelled import Labelled
from omero_hcs.tasks.novelty_told import PlateNovelty

Features = NDArray[np.float32]


def novelty_between(
    source: tuple[Labelled, Features], target: tuple[Labelled, Features], *, seed: int = 0
) -> PlateNovelty | None:
    """Judge how new the wells of a target are to what learnt from a source.

    A run samples cells of its plates as they come. Of labelled ones most may be abnormal, so wells
    are compared by their good cells alone.

    Parameters
    ----------
    source, target : tuple of Labelled and array, shape (N, D)
        Crops, and their features by the same encoder.
    seed : int
        Of folds and samples.

    Returns
    -------
    PlateNovelty or None
        None if the source has too few wells with good cells to tell.
    """
    (learnt, known), (tested, found) = source, target
    rng = np.random.default_rng(seed)
    good = learnt.table["label"] == learnt.classes[0]
    learned = learn_novelty(known, learnt.table["group"], good, rng=rng)
    own = tested.table["label"] == learnt.classes[0]
    if learned is None or not own.any():
        return None
    novelty, card = learned
    _, medians = group_scores(novelty.scores(found[own]), tested.table["group"][own])
    beyond = int((medians > card.threshold).sum())
    warns = are_too_many(beyond, len(medians), known=card.wells)
    return PlateNovelty("wells", len(medians), beyond, card.threshold, warns)

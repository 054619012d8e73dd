"""Plates unlike those that a model learnt from are noticed, and those of the same kind are not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omero_hcs.learning.novelty import (
    MIN_WELLS,
    MOST_CELLS,
    Novelty,
    are_too_many,
    group_scores,
    learn_novelty,
)

DIM = 12


def plate(seed, wells=24, cells=20, shift=0.0, artefacts=0.2):
    """Features of cells of two kinds, normal and artefact, each well with an offset of its own."""
    rng = np.random.default_rng(seed)
    well = np.repeat(np.arange(wells), cells)
    offset = rng.normal(0, 0.2, (wells, DIM))[well]
    kind = rng.random(len(well)) < artefacts
    features = rng.normal(0, 1, (len(well), DIM)) + offset
    features[:, 0] += 8 * kind
    features[:, 1:4] += shift
    return features.astype(np.float32), np.array([f"w{number:02d}" for number in well])


def learnt(seed=0, **options):
    features, wells = plate(seed, **options)
    found = learn_novelty(
        features, wells, np.ones(len(wells), dtype=bool), rng=np.random.default_rng(seed)
    )
    assert found is not None
    return found


def warns(known, card, features, wells):
    _, medians = group_scores(known.scores(features), wells)
    beyond = int((medians > card.threshold).sum())
    return are_too_many(beyond, len(medians), known=card.wells)


def test_plates_of_the_same_kind_are_noticed_in_one_of_twenty_at_most():
    alarms = [warns(*learnt(seed), *plate(1000 + seed, wells=48)) for seed in range(30)]
    assert np.mean(alarms) <= 0.1


@pytest.mark.parametrize("wells", [4, 48])
def test_a_plate_that_looks_different_is_noticed(wells):
    known, card = learnt()
    assert warns(known, card, *plate(7, wells=wells, shift=3.0))


def test_more_of_the_artefacts_that_were_there_are_nothing_new():
    known, card = learnt(wells=48)
    assert not warns(known, card, *plate(7, wells=48, artefacts=0.7))


def test_what_is_far_from_all_that_is_known_scores_higher():
    features, _ = plate(3)
    known, _ = learnt(3)
    scores = known.scores(features)
    assert 0.8 < np.median(scores) < 1.2
    assert known.scores(features + 20).min() > scores.max()


def test_the_threshold_is_found_on_wells_that_the_others_score():
    """A well is not scored by its own cells: if it were, the threshold would be next to nothing."""
    known, card = learnt()
    features, wells = plate(99)
    _, medians = group_scores(known.scores(features), wells)
    assert 0.5 < card.threshold / np.quantile(medians, 0.95) < 2
    assert card.false_alarm <= 0.1
    assert card.wells == 24


def test_what_is_kept_is_small_and_gives_the_same_scores():
    features, wells = plate(1, wells=96)
    known, card = learn_novelty(
        features, wells, np.ones(len(wells), dtype=bool), rng=np.random.default_rng(0)
    )
    assert card.cells == len(known.reference) == MOST_CELLS
    again = Novelty.from_tensors(known.tensors())
    np.testing.assert_array_equal(again.scores(features), known.scores(features))


def test_too_few_wells_say_nothing():
    features, wells = plate(0, wells=MIN_WELLS - 1)
    assert learn_novelty(features, wells, wells != "", rng=np.random.default_rng(0)) is None


def test_cells_that_are_all_alike_are_no_fault():
    features, wells = plate(0)
    found = learn_novelty(np.ones_like(features), wells, wells != "", rng=np.random.default_rng(0))
    assert found is not None
    assert np.isfinite(found[0].scores(features)).all()


def test_no_cells_have_no_scores():
    known, _ = learnt()
    assert known.scores(np.empty((0, DIM), dtype=np.float32)).shape == (0,)


@settings(max_examples=40, deadline=None)
@given(st.integers(8, 96), st.integers(1, 384))
def test_wells_that_are_like_the_known_ones_are_too_many_in_five_percent_at_most(known, groups):
    """Whatever the scores are distributed like, by their order alone."""
    least = next((n for n in range(groups + 1) if are_too_many(n, groups, known=known)), None)
    if least is None:
        return
    rng = np.random.default_rng([known, groups])
    place = min(known, int(np.ceil((known + 1) * 0.95)))
    threshold = np.sort(rng.random((4000, known)), axis=1)[:, place - 1]
    beyond = rng.binomial(groups, 1 - threshold)
    assert (beyond >= least).mean() <= 0.05 + 0.015

from __future__ import annotations

import numpy as np

from omero_hcs.tasks.weak import choose_cells, uncovered

CENTERS = np.array([[10.0, 10.0], [10.0, 30.0], [30.0, 30.0]])


def test_cells_with_a_label_of_their_own_are_left_out():
    own = [np.array([[11.0, 29.0]]), np.empty((0, 2)), np.array([[30.0, 30.0]])]
    assert uncovered(CENTERS, own, radius=5).tolist() == [0]


def test_without_labels_or_without_cells_all_is_as_it_is():
    assert uncovered(CENTERS, [], radius=5).tolist() == [0, 1, 2]
    assert uncovered(CENTERS, [np.empty((0, 2))], radius=5).tolist() == [0, 1, 2]
    assert uncovered(np.empty((0, 2)), [CENTERS], radius=5).tolist() == []


def test_a_crowded_field_gives_so_many_by_chance_and_the_same_by_the_same_seed():
    rows = np.arange(100)
    taken = choose_cells(rows, 10, np.random.default_rng(1))
    assert len(set(taken.tolist())) == 10
    assert (np.diff(taken) > 0).all()
    assert taken.tolist() == choose_cells(rows, 10, np.random.default_rng(1)).tolist()
    assert taken.tolist() != choose_cells(rows, 10, np.random.default_rng(2)).tolist()
    assert choose_cells(rows[:10], 10, np.random.default_rng(1)).tolist() == rows[:10].tolist()

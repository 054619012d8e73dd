import numpy as np
import pytest

from omero_hcs.errors import LabelError
from omero_hcs.learning.folds import choose_folds


def rng():
    return np.random.default_rng(0)


def test_no_well_is_on_both_sides():
    true, wells = np.tile([0, 0, 1, 2, 1], 12), np.repeat(np.arange(12), 5)
    folds = choose_folds(true, wells, folds=5, rng=rng())
    assert folds.reason is None
    assert sorted(np.concatenate(folds.held_out)) == list(range(60))
    for held in folds.held_out:
        assert not set(wells[held]) & set(np.delete(wells, held))


def test_a_class_in_one_well_only_is_told():
    labels = np.repeat([0, 1], 10)
    wells = np.repeat(["A01", "A02", "B01"], [5, 5, 10])
    folds = choose_folds(labels, wells, rng=rng())
    assert "1 of 2 classes sit in one well only" in folds.reason
    assert sorted(np.concatenate(folds.held_out)) == list(range(20))


def test_one_label_of_a_class_is_too_few():
    with pytest.raises(LabelError, match="the rarest with 1"):
        choose_folds(np.array([0, 0, 0, 1]), None, rng=rng())

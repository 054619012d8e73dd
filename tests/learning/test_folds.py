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


def test_a_class_in_one_well_is_kept_apart_by_field_where_fields_are_known():
    labels = np.repeat([0, 1], 12)
    wells = np.repeat(["A01", "A02", "B01"], [6, 6, 12])
    fields = np.char.add(wells, np.tile(["a", "b", "c"], 8))
    folds = choose_folds(labels, wells, fields=fields, rng=rng())
    assert folds.apart == "field"
    assert "whole fields were kept apart instead" in folds.reason
    for held in folds.held_out:
        assert not set(fields[held]) & set(np.delete(fields, held))
        assert set(np.delete(labels, held)) == {0, 1}


def test_two_wells_a_class_are_enough_to_keep_wells_apart():
    labels, wells = np.repeat([0, 0, 1, 1], 8), np.repeat(["A01", "A02", "B01", "B02"], 8)
    folds = choose_folds(labels, wells, fields=wells, rng=rng())
    assert folds.apart == "well"
    assert all(set(np.delete(labels, held)) == {0, 1} for held in folds.held_out)

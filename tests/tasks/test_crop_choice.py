"""Which crops are kept: a limit divided evenly over fields, a sample that only grows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from omero_hcs.results import Table
from omero_hcs.tasks.crop_choice import cells_by_unit, chosen_rows, shares


@given(st.lists(st.integers(0, 50), max_size=20), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_the_limit_is_used_up_and_divided_evenly(cells, limit, seed):
    kept = shares(cells, limit, seed=seed)
    assert sum(kept) == min(limit, sum(cells))
    assert all(mine <= there for mine, there in zip(kept, cells, strict=True))
    cut = [mine for mine, there in zip(kept, cells, strict=True) if mine < there]
    if cut:
        assert max(kept) - min(cut) <= 1
    assert kept == shares(cells, limit, seed=seed)
    # What each field is given before all are done is never taken back.
    equal = limit // max(1, len(cells))
    assert all(mine >= min(there, equal) for mine, there in zip(kept, cells, strict=True))


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_more_rows_include_the_fewer_in_the_order_of_cells(cells, few, more):
    few, more = sorted((few, more))
    first = chosen_rows("p/B03/f0/z0/t0", cells, few, seed=1)
    then = chosen_rows("p/B03/f0/z0/t0", cells, more, seed=1)
    assert len(then) == min(cells, more)
    assert set(first) <= set(then)
    assert list(then) == sorted(set(then))


def test_fields_and_seeds_draw_differently():
    drawn = {tuple(chosen_rows(unit, 100, 5, seed=seed)) for unit in ("a", "b") for seed in (0, 1)}
    assert len(drawn) == 4


def test_cells_are_counted_by_their_units():
    names = np.array(["p/A01/f0/z0/t0/c00000", "p/A01/f0/z0/t0/c00001", "p/A02/f0/z0/t0/c00000"])
    assert cells_by_unit(Table({"cell": names})) == {"p/A01/f0/z0/t0": 2, "p/A02/f0/z0/t0": 1}
    assert cells_by_unit(Table({})) == {}

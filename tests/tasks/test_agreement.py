"""How far labellers agree, in numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from omero_hcs.tasks.agreement import Agreement, LabelledCell, alpha_of
from omero_hcs.tasks.conflicts import Said


def cell(*said, place="A01 field 1"):
    """A cell of which (user, label) or (user, label, time) was said."""
    labels = tuple(Said(label, user, *time) for user, label, *time in said)
    return LabelledCell(place, tuple(range(len(labels))), labels)


def two(pairs):
    """Cells that ann and bob labelled."""
    return Agreement(tuple(cell(("ann", a), ("bob", b)) for a, b in pairs))


def test_kappa_is_that_of_a_library():
    metrics = pytest.importorskip("sklearn.metrics", reason="the extra 'ml' is not installed")
    rng = np.random.default_rng(0)
    for trial in range(5):
        ann = rng.choice(["normal", "debris", "dead"], 40)
        bob = np.where(rng.random(40) < trial / 5, ann, rng.choice(["normal", "debris"], 40))
        (pair,) = two(zip(ann.tolist(), bob.tolist(), strict=True)).pairs
        assert pair.users == ("ann", "bob")
        assert pair.kappa == pytest.approx(metrics.cohen_kappa_score(ann, bob))
        assert pair.agreement == pytest.approx(metrics.accuracy_score(ann, bob))
        counts = metrics.confusion_matrix(ann, bob, labels=list(pair.classes))
        assert pair.counts.tolist() == counts.tolist()


def test_alpha_is_that_of_the_paper():
    """Krippendorff (2011), section C: four observers, twelve units, values missing."""
    units = (
        "111", "2232", "3333", "3333", "2222", "1234", "4444", "1121", "2222", "555", "11", "3",
    )  # fmt: skip
    assert alpha_of([list(unit) for unit in units]) == pytest.approx(0.743, abs=5e-4)


def test_all_the_same_says_nothing_beyond_chance():
    same = two([("normal", "normal")] * 3)
    assert same.pairs[0].agreement == 1.0
    assert math.isnan(same.pairs[0].kappa)
    assert math.isnan(same.alpha)
    assert same.disputed == ()
    assert math.isnan(alpha_of([]))
    apart = two([("normal", "debris"), ("debris", "normal")])
    assert apart.pairs[0].kappa == pytest.approx(-1.0)


def test_only_cells_that_both_labelled_are_compared():
    cells = (
        cell(("ann", "normal"), ("bob", "normal")),
        cell(("ann", "debris")),
        cell(("cem", "debris"), ("bob", "normal")),
    )
    found = Agreement(cells)
    assert found.labellers == {"ann": 2, "bob": 2, "cem": 1}
    assert [(pair.users, pair.cells) for pair in found.pairs] == [
        (("ann", "bob"), 1),
        (("bob", "cem"), 1),
    ]
    assert found.shared == (cells[0], cells[2])
    assert found.disputed == (cells[2],)


def test_the_latest_label_of_a_user_counts_and_a_change_of_mind_is_told():
    twice = cell(("ann", "normal"), ("bob", "normal"), ("ann", "debris"))
    again = cell(("ann", "normal"), ("ann", "normal"))
    found = Agreement((twice, again))
    assert twice.by_user == {"ann": "debris", "bob": "normal"}
    assert found.disputed == (twice,)
    assert found.changed == (twice,)
    (own,) = found.selves
    assert (own.user, own.cells, own.changed) == ("ann", 2, 1)


def test_the_most_disputed_come_first():
    mild = cell(("ann", "a"), ("bob", "a"), ("cem", "b"), place="mild")
    wild = cell(("ann", "a"), ("bob", "b"), ("cem", "c"), place="wild")
    none = cell(("ann", "a"), ("bob", "a"), place="none")
    both = cell(("ann", "a"), ("bob", "b"), place="both")
    found = Agreement((none, mild, both, wild))
    assert [one.place for one in found.disputed] == ["wild", "both", "mild"]
    assert [one.dispute for one in found.disputed] == [1.0, 1.0, pytest.approx(2 / 3)]


def test_labels_of_nobody_are_of_one_unknown():
    found = Agreement((cell(("", "normal"), ("", "debris")),))
    assert found.labellers == {"unknown": 1}
    assert found.pairs == ()
    assert found.changed[0].changed_by == ("unknown",)


def test_the_interval_of_kappa_narrows_with_the_cells():
    few = [("a", "a")] * 6 + [("b", "b")] * 6 + [("a", "b")] * 4
    (small,) = two(few).pairs
    (large,) = two(few * 20).pairs
    for pair in (small, large):
        low, high = pair.kappa_interval
        assert low < pair.kappa < high
    width = [pair.kappa_interval[1] - pair.kappa_interval[0] for pair in (small, large)]
    # Of twenty times as many cells, the interval is as narrow as the root of twenty tells.
    assert width[0] / width[1] == pytest.approx(20**0.5, rel=0.25)
    (same,) = two([("a", "a")] * 3).pairs
    assert np.isnan(same.kappa_interval).all()

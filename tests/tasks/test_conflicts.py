from __future__ import annotations

import pytest

from omero_hcs.results import Table
from omero_hcs.tasks.conflicts import conflict_faults, conflict_warnings, settle


def said(*labels):
    """Labels (class, user, hour) of one cell, as a table."""
    names = ("label", "user", "time", "object_id")
    rows = [
        (label, user, f"2026-01-02T{hour:02d}:00:00Z" if hour else "", f"Shape:{number}")
        for number, (label, user, hour) in enumerate(labels)
    ]
    return Table.from_rows([dict(zip(names, row, strict=True)) for row in rows], names)


def verdict(rule, *labels, owner=""):
    table = said(*labels)
    names = ["The cell"] * len(labels)
    settled = settle(table, [0] * len(labels), names, rule=rule, owner=owner)
    (row,) = settled.rows.tolist()
    return row, settled


@pytest.mark.parametrize(
    ("rule", "labels", "row"),
    [
        ("latest", [("a", "ann", 9), ("b", "bob", 8)], 0),
        ("latest", [("a", "ann", 8), ("b", "bob", 9)], 1),
        ("latest", [("a", "ann", 8), ("b", "bob", 8)], 1),
        ("latest", [("a", "ann", 8), ("b", "bob", 0)], 0),
        ("majority", [("a", "ann", 1), ("b", "bob", 9), ("a", "cy", 2)], 2),
        ("majority", [("a", "ann", 1), ("b", "bob", 9)], 1),
        ("owner", [("a", "ann", 1), ("b", "bob", 9)], 0),
        ("owner", [("b", "ann", 1), ("a", "ann", 2), ("b", "bob", 9)], 1),
        ("owner", [("a", "cy", 1), ("b", "bob", 9)], 1),
    ],
)
def test_which_label_counts(rule, labels, row):
    assert verdict(rule, *labels, owner="ann")[0] == row


def test_a_user_who_says_a_thing_often_has_one_vote_and_the_latest():
    labels = [("a", "ann", 1), ("a", "ann", 2), ("a", "ann", 3), ("b", "bob", 4), ("b", "cy", 5)]
    assert verdict("majority", *labels)[0] == 4
    changed_mind = [("a", "ann", 1), ("b", "ann", 2), ("a", "bob", 3), ("b", "cy", 4)]
    row, settled = verdict("majority", *changed_mind)
    assert row == 3
    assert settled.overruled.tolist() == [0, 2]


def test_an_owner_who_is_not_known_leaves_it_to_the_latest():
    assert verdict("owner", ("a", "", 1), ("b", "", 2), owner="")[0] == 1


def test_the_same_class_twice_is_one_label_and_no_conflict():
    row, settled = verdict("refuse", ("a", "ann", 2), ("a", "bob", 1))
    assert row == 0
    assert len(settled.conflicts) == len(settled.overruled) == 0


def test_places_stay_apart_and_in_order():
    table = said(("a", "ann", 1), ("b", "ann", 2), ("b", "bob", 3))
    settled = settle(table, ["x", "y", "x"], ["X", "Y", "X"], rule="latest")
    assert settled.rows.tolist() == [2, 1]
    assert [conflict.place for conflict in settled.conflicts] == ["X"]


def test_messages_say_who_said_what_when_and_what_to_do():
    _, settled = verdict("latest", ("a", "ann", 8), ("b", "", 9))
    (warning,) = conflict_warnings(settled.conflicts, "latest")
    assert "'a' (by ann, 2026-01-02T08:00:00Z)" in warning
    assert "'b' (by unknown, 2026-01-02T09:00:00Z): 'b' was taken" in warning
    assert "the latest label counts" in warning
    (fault,) = conflict_faults(settled.conflicts)
    assert "--conflicts latest, majority or owner" in fault
    assert conflict_warnings((), "latest") == ()


def test_a_hundred_conflicts_make_a_short_warning():
    table = said(*[("ab"[number % 2], "ann", 1) for number in range(200)])
    places = [number // 2 for number in range(200)]
    settled = settle(table, places, [f"Cell {place}" for place in places], rule="latest")
    (warning,) = conflict_warnings(settled.conflicts, "latest")
    assert "100 cells or fields" in warning
    assert "and 98 more" in warning
    assert len(warning) < 1000

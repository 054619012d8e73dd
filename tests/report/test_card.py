from __future__ import annotations

from omero_hcs.report.card import Entry, card_entries
from omero_hcs.report.columns import NO_VALUE


def test_metrics_show_their_interval():
    card = {"metrics": {"f1": {"value": 0.9581, "low": 0.93, "high": 0.977}}}
    assert card_entries(card)[0].entries == (Entry("F1", "0.958 (95 % interval 0.930 to 0.977)"),)


def test_ends_of_an_interval_beside_their_number_are_joined_to_it():
    card = {"metrics": {"f1": 0.9, "f1_low": 0.8, "f1_high": None, "labels": 50}}
    f1, labels = card_entries(card)[0].entries
    assert f1.text.startswith("0.900 (95 % interval 0.800 to ")
    assert labels == Entry("labels", "50")


def test_nothing_of_a_card_is_lost_or_shown_as_code():
    card = {
        "normalisation": [{"name": "DNA", "low": 8.0}, {"name": "GFP", "low": None}],
        "again": False,
        "channels": ["GFP", "DNA"],
        "notes": {},
    }
    entries = {entry.label: entry for entry in card_entries(card)}
    assert entries["channels"].text == "GFP, DNA"
    assert entries["again"].text == "no"
    assert entries["notes"].text == NO_VALUE
    second = entries["normalisation"].entries[1].entries
    assert second == (Entry("name", "GFP"), Entry("low", NO_VALUE))


def test_what_a_reader_asks_first_comes_first():
    labels = [
        entry.label for entry in card_entries({"sha256": "x", "metrics": {}, "classes": ["a"]})
    ]
    assert labels == ["classes", "metrics", "sha256"]


def test_long_lists_are_cut_and_say_so():
    entry = card_entries({"wells": list(range(100))})[0]
    assert entry.text.endswith("59 and 40 more")

from __future__ import annotations

import numpy as np
import pytest
import qc_tables

from omero_hcs.tasks.labelled import Seen
from tests.benchmarks.known_plates import plate

SMALL = {
    "LABELS": 40,
    "DRAWS": 2,
    "COUNTS": (40, 10),
    "HEADS": ("knn", "linear"),
    "SUBSET": 80,
    "TRAINED": (qc_tables.LITE0,),
    "UNTRAINED": ("resnet18",),
}


@pytest.fixture(scope="module")
def found():
    """Tables of a plate on which encoders see what is wrong, but for untrained ones."""
    shown = []

    def seen_by(labelled, params):
        shown.append(params)
        rng = np.random.default_rng(0)
        features = rng.standard_normal((len(labelled.crops), 6)).astype(np.float32)
        if params.weights is None:
            features[:, 0] += 8.0 * labelled.numbers
        return Seen(None, None, features)

    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"seen_by": seen_by, **SMALL}.items():
            patch.setattr(qc_tables, name, value)
        return qc_tables.tables(plate("one", 1).known), shown


def rows(found, start):
    return next(value for name, value in found[0].items() if name.startswith(start))


def test_table_1_has_a_row_for_each_encoder_and_head_and_the_baseline_beside_them(found):
    table = rows(found, "table 1")
    ways = [(row["encoder"], row["head"]) for row in table]
    lite0 = [(qc_tables.LITE0, head) for head in ("knn", "linear")]
    assert ways[:2] == lite0
    assert ways[2:4] == [(name, f"{head}, taught the kinds") for name, head in lite0]
    assert ways[4] == ("none", "logistic regression on hand-made metrics")
    assert table[0]["middle F1"].startswith("1.000")


def test_an_untrained_encoder_is_marked_and_sees_a_small_part(found):
    table = rows(found, "table 1")
    untrained = [row for row in table if row["encoder"] == "resnet18"]
    assert [row["weights"] for row in untrained] == ["random: no quality, 80 crops"] * 2
    assert untrained[0]["middle F1"] < "0.8"
    assert [params.weights for params in found[1]] == [None, "random"]


def test_table_2_has_the_counts_with_spread_and_the_target_of_ten(found):
    table = rows(found, "table 2")
    assert [row["head"] for row in table] == ["knn", "linear", "hand-made metrics"]
    assert "±" in table[0]["40 labels"]
    assert table[0]["target with 10"].startswith("0.93")
    assert found[0]["target, Lite0, knn, 40 labels"] == "0.96 reached"


def test_artefacts_are_named_too(found):
    kinds = rows(found, "which artefact it is")
    assert {"noise", "debris", "normal", "labels"} <= set(kinds[0])

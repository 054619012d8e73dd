from __future__ import annotations

import numpy as np
import pytest

from omero_hcs.errors import LabelError
from omero_hcs.results import LABEL_COLUMNS, Table, labels_from_csv
from omero_hcs.stores.memory import MemoryStore
from omero_hcs.tasks.label_verbs import check, export_labels, list_labels
from omero_hcs.tasks.labels import ExampleParams, LabelParams

CELLS = (16.0, 48.0, 80.0)


def label(name, image, at=None, user="ann", **more):
    y, x = at or (np.nan, np.nan)
    row = dict.fromkeys(LABEL_COLUMNS, "") | {"field": 0, "z": 0, "t": 0}
    row["source"] = "roi" if at else "tag"
    place = {"well": f"A{image + 1:02d}", "image": f"i{image:03d}", "y": float(y), "x": float(x)}
    return row | place | {"label": name, "user": user} | more


GOOD = [
    label(name, image, (at, at))
    for image in range(5)
    for name, at in (("normal", CELLS[0]), ("abnormal", CELLS[1]))
]


@pytest.fixture
def plate(memory):
    """A plate of six fields, and its labels."""
    made = memory(6)

    def labelled(*rows):
        made.store._memory.labels = Table.from_rows(rows, LABEL_COLUMNS)
        return [made.uri]

    return labelled


def test_labels_are_counted_by_class_user_source_and_well(plate):
    rows = [*GOOD, label("normal", 5, user=""), label("note", 0, (1, 1))]
    params = LabelParams(labels="roi,tags", classes=("normal", "abnormal"))
    found = list_labels(plate(*rows), params)
    assert found["labels"] == 11
    assert found["whole_fields"] == 1
    assert found["classes"] == {"abnormal": 5, "normal": 6}
    assert found["users"] == {"ann": {"abnormal": 5, "normal": 5}, "unknown": {"normal": 1}}
    assert found["sources"] == {"roi": {"abnormal": 5, "normal": 5}, "tag": {"normal": 1}}
    assert found["wells"]["A06"] == {"normal": 1}
    assert found["other_texts"] == {"note": 1}


def test_an_export_is_a_label_file_that_reads_back(plate):
    text = export_labels(plate(*GOOD), LabelParams())
    table = labels_from_csv(text, name="exported")
    assert table["label"].tolist() == [row["label"] for row in GOOD]
    assert table["y"].tolist() == [row["y"] for row in GOOD]
    assert set(table["plate"].tolist()) == {"small"}
    whole = export_labels(plate(label("normal", 5)), LabelParams())
    assert ",0,0,,,normal,ann," in whole


def test_good_labels_have_no_faults(plate):
    found = check(plate(*GOOD), ExampleParams())
    assert found.faults == ()
    assert found.counts == {"abnormal": 5, "normal": 5}


def test_everything_wrong_comes_at_once(plate, monkeypatch):
    monkeypatch.setattr(MemoryStore, "read", lambda *_, **__: pytest.fail("a pixel was read"))
    rows = [*GOOD[:8], label("normal", 9, (5, 5)), label("normal", 0, (500, 5))]
    rows += [label("abnormal", 0, (16, 16), "bob"), label("rare", 0, (80, 80))]
    found = check(plate(*rows), ExampleParams())
    told = "\n".join(found.faults)
    assert len(found.faults) == 4
    for part in ("i009", "lies outside", "by bob", "'rare' has 1"):
        assert part in told


def test_two_users_who_meant_one_nucleus_are_found_by_looking(plate):
    rows = [*GOOD, label("normal", 0, (51, 46), "bob"), label("normal", 5, (16, 16))]
    found = check(plate(*rows), ExampleParams(labels="roi", conflicts="majority"))
    assert any("by ann" in note and "by bob" in note for note in found.notes)
    found = check(plate(*rows), ExampleParams(labels="roi", conflicts="refuse"))
    assert "has two labels" in found.faults[0]
    found = check(plate(*rows), ExampleParams(labels="roi", conflicts="refuse"), pixels=False)
    assert found.faults == ()


def test_whole_fields_and_single_cells_of_one_image_are_noted(plate):
    rows = [*GOOD, label("normal", 0), label("normal", 5)]
    found = check(plate(*rows), ExampleParams(labels="roi,tags"))
    assert any("2 labels of single cells are in 1 fields" in note for note in found.notes)
    assert found.counts == {"abnormal": 5, "normal": 9}


def test_a_class_that_is_drowned_by_another_is_noted(plate):
    rows = [*GOOD, *[label("normal", 5, (1 + n, 1)) for n in range(50)]]
    found = check(plate(*rows), ExampleParams(), pixels=False)
    assert any("learns little of 'abnormal'" in note for note in found.notes)


def test_no_labels_at_all_are_an_error(plate):
    with pytest.raises(LabelError):
        check(plate(), ExampleParams())
    with pytest.raises(LabelError, match="'bad' was asked for"):
        list_labels(plate(*GOOD), LabelParams(classes=("bad",)))

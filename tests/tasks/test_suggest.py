"""Which cells of a run are picked to be labelled, and how they are written down."""

from __future__ import annotations

import numpy as np
import pytest

from omero_hcs.errors import LabelError
from omero_hcs.learning.modelcard import ExamplesCard
from omero_hcs.model import ObjectRef, RunSpec, StoreSpec
from omero_hcs.results import LABEL_COLUMNS, QUESTION, Table, labels_from_csv
from omero_hcs.stores.memory import MemoryStore
from omero_hcs.tasks.judging import VIEW
from omero_hcs.tasks.suggest import (
    suggested,
    suggestion_file,
    suggestion_line,
    suggestion_rois,
    suggestion_table,
)

CLASSES = ("normal", "abnormal")


@pytest.fixture
def store(memory):
    return memory(4).store


def spec(count, seed=0):
    return RunSpec(
        run_id="20261121T063000Z-3fa9c1d2", key="k", task="apply_qc",
        store=StoreSpec(uri="memory://x"), targets=(ObjectRef(kind="plate", id="p"),),
        params={"suggest": count, "seed": seed}, context={"classes": CLASSES}, work_dir="/nowhere",
        package_version="0", labels_sha256=None,
    )  # fmt: skip


def cells(wells=4, each=50, seed=0):
    """Cells of which those of the first well are the least sure by far."""
    rng = np.random.default_rng(seed)
    count = wells * each
    well = np.repeat([f"A{number + 1:02d}" for number in range(wells)], each)
    chance = np.where(well == "A01", rng.uniform(0.49, 0.51, count), rng.uniform(0, 1, count))
    return Table(
        {
            "cell": np.array([f"p/{well[n]}/f0/z0/t0/c{n:05d}" for n in range(count)]),
            "plate": np.full(count, "p"), "well": well,
            "field": np.zeros(count, dtype=np.int32), "image": np.char.add("i", well),
            "z": np.full(count, -1), "t": np.zeros(count, dtype=np.int32),
            "y": np.arange(count) * 1.5, "x": np.full(count, 20.0),
            "centre": np.full(count, "nucleus"), "at_border": np.zeros(count, dtype=bool),
            "p_normal": 1 - chance, "p_abnormal": chance,
            VIEW: rng.normal(size=(count, 4)).astype(np.float32),
        }
    )  # fmt: skip


def test_the_least_sure_are_picked_and_no_well_fills_the_list():
    table = cells()
    rows = suggested(spec(12), table, None)
    assert len(set(rows.tolist())) == 12
    margins = np.abs(table["p_normal"] - table["p_abnormal"])
    assert margins[rows].max() < np.quantile(margins, 0.8)
    crowd = cells(wells=40, each=100)
    wells = crowd["well"][suggested(spec(40), crowd, None)]
    assert (wells == "A01").sum() <= 20


def test_none_are_picked_unless_asked_for():
    assert len(suggested(spec(0), cells(), None)) == 0
    assert len(suggested(spec(5), Table({}), None)) == 0
    assert suggestion_line(()) == ""


def test_tiles_cut_cells_and_cells_that_were_learnt_from_are_left_out():
    table = cells(wells=1, each=30)
    kinds = np.where(np.arange(30) < 10, "tile", "nucleus")
    table = table.with_columns(centre=kinds, at_border=np.arange(30) >= 25)
    known = table.where(np.arange(10, 20))
    examples = ExamplesCard(
        label=("normal",) * 10,
        unit=tuple(cell.rpartition("/")[0] for cell in known["cell"].tolist()),
        y=tuple(known["y"].tolist()), x=tuple(known["x"].tolist()),
    )  # fmt: skip
    rows = suggested(spec(5), table, examples)
    assert sorted(rows.tolist()) == [20, 21, 22, 23, 24]
    assert 25 <= max(suggested(spec(8), table, examples)) < 30, "where there are too few others"


def test_a_model_that_keeps_no_view_of_cells_picks_the_least_sure():
    table = cells(wells=1)
    plain = Table({name: own for name, own in table.columns.items() if name != VIEW})
    rows = suggested(spec(5), plain, None)
    margins = np.abs(table["p_normal"] - table["p_abnormal"])
    np.testing.assert_array_equal(margins[rows], np.sort(margins)[:5])


def test_the_file_is_a_label_file_of_which_only_answers_count(store):
    table = cells()
    picked = table["cell"][suggested(spec(6), table, None)].tolist()
    asked = suggestion_table(store, table, [*picked, "q/of another plate"], CLASSES)
    assert tuple(asked.columns)[: len(LABEL_COLUMNS)] == LABEL_COLUMNS
    assert asked["cell"].tolist() == picked
    text = suggestion_file(asked).content.decode()
    with pytest.raises(LabelError, match="label me"):
        labels_from_csv(text, name="suggestions.csv")
    answered = text.replace(QUESTION, "normal", 2)
    read = labels_from_csv(answered, name="suggestions.csv")
    assert read["label"].tolist() == ["normal", "normal"]
    np.testing.assert_allclose(read["y"], asked["y"][:2])
    assert (read["z"] == 0).all()


def test_boxes_ask_and_are_wider_than_those_of_verdicts(store):
    table = cells()
    picked = table["cell"][:2].tolist()
    asked = suggestion_table(store, table, picked, CLASSES)
    boxes = suggestion_rois(asked, side=40)
    assert {box.text for box in boxes} == {QUESTION}
    (top, left), (bottom, right) = boxes[0].points
    assert bottom - top == right - left > 40
    assert ((top + bottom) / 2, (left + right) / 2) == (table["y"][0], table["x"][0])
    assert isinstance(store, MemoryStore)

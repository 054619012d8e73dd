from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from omero_hcs.results import CELL_COLUMNS, LABEL_COLUMNS, Table
from omero_hcs.settings import Thresholds
from omero_hcs.tasks.verdicts import field_row, well_rows

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "formats.md"
CLASSES = ("normal", "debris")


def section(name):
    text = PAGE.read_text(encoding="utf-8")
    return re.search(rf"{{ #{name} }}\n(.*?)\n## ", text, re.DOTALL)[1]


@pytest.mark.parametrize(("name", "columns"), [("labels", LABEL_COLUMNS), ("cells", CELL_COLUMNS)])
def test_the_page_has_every_column_of_the_tables(name, columns):
    assert [column for column in columns if f"`{column}`" not in section(name)] == []


def test_the_page_has_every_column_of_fields_and_wells():
    cells = Table(
        {
            "centre": np.array(["nucleus"]),
            "class": np.array(["normal"]),
            "abnormal": np.array([0.1]),
        }
    )
    field = field_row(cells, CLASSES, few_nuclei=1.0, limits=Thresholds())
    place = {"plate": "p", "well": "B03", "status": "done"}
    wells = well_rows(
        Table.from_rows([{**place, **field}]), CLASSES, {("p", "B03"): {}}, limits=Thresholds()
    )
    columns = {re.sub("^n_.*", "n_<class>", name) for name in [*field, *wells[0]]}
    columns |= {"z_<measure>_<channel>", "hand_finding"}
    text = section("fields")
    assert {name for name in columns if f"`{name}`" not in text} <= {"plate", "well"}

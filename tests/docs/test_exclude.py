"""The page on leaving bad cells out: its functions do what it says, its columns are all there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="the extra 'disk' is not installed")

import pandas as pd

from omero_hcs.tasks.export_columns import FILES
from omero_hcs.tasks.qc_export import ExportParams, export_verdicts
from tests.tasks import judged

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "exclude.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CENTRE = ["Metadata_Nuclei_Location_Center_X", "Metadata_Nuclei_Location_Center_Y"]


@pytest.fixture
def page(tmp_path, monkeypatch):
    """What the page's blocks define, in a folder with an export `qc`."""
    pytest.importorskip("pycytominer", reason="the extra 'dev' is not installed")
    monkeypatch.chdir(tmp_path)
    store = judged.judged_store("page")
    export_verdicts(store.spec.uri, ExportParams(), output="qc")
    code = tmp_path / "page.py"
    code.write_text("\n\n".join(BLOCK.findall(PAGE.read_text(encoding="utf-8"))))
    return module_at(code)


def module_at(path):
    """Import a file that is in no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_flags_are_added_to_a_loaddata_file(page):
    sites = [("A01", 1), ("A01", 2), ("B03", 1), ("B03", 2), ("C07", 1)]
    mine = pd.DataFrame(sites, columns=["Metadata_Well", "Metadata_Site"])
    mine.assign(Metadata_Plate="Plate, 1", FileName_DNA="x.tif").to_csv("mine.csv", index=False)
    both = page.add_flags("mine.csv", "qc/cellprofiler/image_sets.csv")
    assert both["Metadata_QC_Flag"].tolist() == [0, 1, 0, 1, 1]
    assert list(both["FileName_DNA"]) == ["x.tif"] * 5


def test_bad_wells_are_dropped_from_profiles(page):
    wells = ["A01", "B03"]
    profiles = pd.DataFrame(
        {"Metadata_Plate": "Plate, 1", "Metadata_Well": wells, "Nuclei_Area": [1.0, 2.0]}
    )
    platemap = pd.DataFrame({"well_position": wells, "compound": ["drug", "DMSO"]})
    good = page.of_good_wells(profiles, platemap)
    assert good["Metadata_Well"].tolist() == ["B03"]


def test_cells_of_another_segmentation_are_flagged_by_the_nearest(page):
    cells = page.qc[[*page.SITE, *CENTRE]].copy()
    cells[CENTRE] += 3.0
    far = cells.iloc[[0]].assign(**dict.fromkeys(CENTRE, 60.0))
    elsewhere = cells.iloc[[0]].assign(Metadata_Well="H12")
    asked = pd.concat([cells.iloc[::-1], far, elsewhere], ignore_index=True)
    flags = page.cell_flags(asked, page.qc, within=8)
    assert flags.tolist() == [*reversed(judged.FLAGGED), pd.NA, pd.NA]


def test_good_cells_are_left(page):
    kept = [not flag for flag in judged.FLAGGED]
    assert len(page.good_cells("qc")) == sum(kept)


def test_the_reference_has_every_column_of_every_file():
    tool = module_at(ROOT / "tools" / "docs_pages.py")
    text = tool.on_page_markdown("<!-- generated: export -->")
    assert "### pandas/cells.parquet and .csv\n\n| column |" in text
    for _, meanings in FILES.values():
        assert [c for c in meanings if f"| `{c}` | {meanings[c]} |" not in text] == []
    formats = (ROOT / "docs" / "reference" / "formats.md").read_text(encoding="utf-8")
    assert "<!-- generated: export -->" in formats

"""An export in pycytominer's hands: merged by plate, well, site and place, dropped, aggregated."""

from __future__ import annotations

import pytest

pytest.importorskip("pyarrow", reason="the extra 'disk' is not installed")
pytest.importorskip("pycytominer", reason="the extra 'dev' is not installed")

import pandas as pd
from pycytominer import aggregate, annotate, normalize

from omero_hcs.tasks.qc_export import ExportParams, export_verdicts
from tests.tasks import judged

SITE = ["Metadata_Plate", "Metadata_Well", "Metadata_Site"]
CENTRE = ["Metadata_Nuclei_Location_Center_X", "Metadata_Nuclei_Location_Center_Y"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("pycytominer") / "out"
    store = judged.judged_store("pycytominer")
    export_verdicts(store.spec.uri, ExportParams(format=("pycytominer",)), output=out)
    return out / "pycytominer"


def profiles():
    """Single cells as CellProfiler measures them; bad ones are bright."""
    return pd.DataFrame(
        {
            "Metadata_Plate": "Plate, 1",
            "Metadata_Well": [cell[0] for cell in judged.CELLS],
            "Metadata_Site": [cell[1] + 1 for cell in judged.CELLS],
            CENTRE[0]: [cell[3] for cell in judged.CELLS],
            CENTRE[1]: [cell[2] for cell in judged.CELLS],
            "Nuclei_Intensity_Mean": [1.0, 100.0, 100.0, 100.0, 3.0],
        }
    )


def platemap():
    return pd.DataFrame({"well_position": ["A01", "B03"], "compound": ["drug", "DMSO"]})


def annotated(cells, qc, keys):
    return annotate(cells, platemap(), external_metadata=qc, external_join_on=keys)


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_cells_that_are_flagged_are_dropped_before_aggregation(folder, ending):
    path = str(folder / f"single_cells.{ending}")
    cells = annotated(profiles(), path, [*SITE, *CENTRE])
    assert cells["Metadata_QC_Flag"].tolist() == list(judged.FLAGGED)
    good = cells[~cells["Metadata_QC_Flag"]]
    wells = aggregate(good, features="infer", operation="mean")
    assert wells.set_index("Metadata_Well")["Nuclei_Intensity_Mean"].to_dict() == {
        "A01": 1.0,
        "B03": 3.0,
    }


def test_wells_bring_their_verdicts_and_no_feature(folder):
    wells = aggregate(profiles(), features="infer")
    path = str(folder / "wells.parquet")
    found = annotated(wells, path, ["Metadata_Plate", "Metadata_Well"])
    assert found["Metadata_QC_Verdict"].tolist() == ["fail", "pass"]
    scaled = normalize(found, samples="Metadata_QC_Flag == False")
    features = [name for name in scaled.columns if not name.startswith("Metadata_")]
    assert features == ["Nuclei_Intensity_Mean"]


def test_sites_are_dropped_whole(folder):
    cells = annotated(profiles(), str(folder / "sites.parquet"), SITE)
    assert cells["Metadata_QC_Flag"].tolist() == [False, False, True, True, False]

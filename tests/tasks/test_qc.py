"""From a plate to verdicts: survey, cells, training, judging, and what is left on the plate."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from omero_hcs.errors import InputError
from omero_hcs.results import CELL_COLUMNS, Table
from omero_hcs.settings import Settings
from omero_hcs.simulate.design import SimulationSettings
from omero_hcs.stores.beside import results_root
from omero_hcs.stores.open import open_store
from omero_hcs.tasks import apply_qc as task
from omero_hcs.tasks.base import no_progress, sites_by_image, units_of
from omero_hcs.tasks.cells import CellFinder, FieldCells
from omero_hcs.tasks.crop_cells import Params
from omero_hcs.tasks.driver import open_ledger
from omero_hcs.tasks.simulate import simulate
from omero_hcs.tasks.survey import survey_plate
from omero_hcs.tasks.truth import draw_labels, match_truth, read_truth
from omero_hcs.tasks.undo_run import undo_run
from omero_hcs.tasks.verbs import apply_qc, crop_cells, train_qc

SETTINGS = SimulationSettings(wells=6, fields=2, size_y=256, size_x=256, seed=5, density=70)


@pytest.fixture(scope="module")
def plate(tmp_path_factory):
    """A simulated plate with its truth, 20 + 20 labels, and settings of its own."""
    folder = tmp_path_factory.mktemp("qc")
    made = simulate(folder / "plate.zarr", SETTINGS, workers=1)[0]
    truth = read_truth(made.truth)
    labels = draw_labels(truth, plate="plate", each=15, rng=np.random.default_rng(0), visible=0.3)
    (results_root(made.path) / "labels.csv").write_text(labels.to_csv())
    settings = Settings(state_dir=folder / "state", models_dir=folder / "models")
    return SimpleNamespace(path=made.path, truth=truth, labels=labels, settings=settings)


@pytest.fixture(scope="module")
def judged(plate):
    """A model, taught on the plate, and the run in which it judged the plate."""
    trained = train_qc(plate.path, name="m", precision="fp32", settings=plate.settings)
    run = apply_qc(plate.path, model="m", precision="fp32", rois=5, settings=plate.settings)
    return SimpleNamespace(trained=trained, run=run)


def read(run, name):
    return Table.from_parquet(next(p for p in run.places if p.endswith(f"{name}.parquet")))


def looked_at(path, **options):
    """What a run knows before its first unit: units and survey."""
    with closing(open_store(path)) as store:
        target = store.refs()[0]
        pairs = list(units_of(target, store.plate(target.id), z="middle", t=0))
        params = Params(**options)
        survey = survey_plate(store, pairs, params, name="p", progress=no_progress)
    return [unit for unit, _ in pairs], params, survey


def found(path, units, params, survey, **options):
    with closing(open_store(path)) as store:
        sites = sites_by_image(store, store.refs())
        finder = CellFinder(store, params, survey, sites, **options)
        return [field for field in finder.fields(units) if isinstance(field, FieldCells)]


def test_the_survey_finds_channel_and_scale(plate):
    _, _, survey = looked_at(plate.path)
    assert survey.nuclear == "DAPI"
    assert "DAPI" in survey.nuclear_why
    assert survey.crop_scale().side_nuclei == pytest.approx(3.0, abs=0.05)
    assert survey.crop_scale().side_um == pytest.approx(survey.crop_scale().side_px * 0.65)
    true = np.median(plate.truth["diameter"])
    assert survey.nuclear_diameter == pytest.approx(true, rel=0.15)


def test_a_crop_that_shows_many_cells_is_told(plate):
    _, _, survey = looked_at(plate.path, crop_size="200px")
    assert any("200 px" in text and "cells" in text for text in survey.warnings)


def test_unknown_crop_size_is_refused_before_any_unit(plate):
    with pytest.raises(InputError, match="Crop size"):
        looked_at(plate.path, crop_size="large")


def test_cells_are_the_true_ones_in_order_with_ids_of_their_own(plate):
    units, params, survey = looked_at(plate.path)
    cells = Table.concat([field.table for field in found(plate.path, units, params, survey)])
    assert tuple(cells.columns)[: len(CELL_COLUMNS)] == CELL_COLUMNS
    assert len(set(cells["cell"].tolist())) == len(cells)
    assert (match_truth(cells, plate.truth, radius=10) >= 0).mean() > 0.9
    for image in set(cells["image"].tolist()):
        own = cells.where(cells["image"] == image)
        assert (np.lexsort((own["x"], own["y"])) == np.arange(len(own))).all()


def test_the_order_of_fields_changes_nothing(plate):
    units, params, survey = looked_at(plate.path)
    forward = {f.unit.id: f for f in found(plate.path, units, params, survey)}
    backward = {f.unit.id: f for f in found(plate.path, units[::-1], params, survey)}
    for unit, field in forward.items():
        assert field.table.to_csv() == backward[unit].table.to_csv()
        np.testing.assert_array_equal(field.crops, backward[unit].crops)


def test_a_field_with_hardly_any_nuclei_is_looked_at_in_tiles(plate):
    units, params, survey = looked_at(plate.path)
    crowded = survey.model_copy(update={"nuclei_per_field": 1e5})
    field = found(plate.path, units[:1], params, crowded, tiles_for_empty=True)[0]
    kinds = field.table["centre"].tolist()
    assert "tile" in kinds
    assert np.isnan(field.table["nucleus_area"][field.table["centre"] == "tile"]).all()
    assert len(field.crops) == len(kinds)


def test_a_label_moves_onto_the_nucleus_it_is_meant_for(plate):
    units, params, survey = looked_at(plate.path)
    field = found(plate.path, units[:1], params, survey)[0]
    center = np.array([[field.table["y"][3], field.table["x"][3]]])
    with closing(open_store(plate.path)) as store:
        finder = CellFinder(store, params, survey, sites_by_image(store, store.refs()))
        crops, _, alone = finder.crops_at(units[0], np.add(center, (2.0, -2.0)))
    assert not alone[0]
    np.testing.assert_array_equal(crops[0], field.crops[3])


@pytest.mark.parametrize("centres", ["grid", "labels", "roi"])
def test_crops_without_a_nuclear_stain(plate, centres):
    run = crop_cells(plate.path, centres=centres, crop_size="40px", settings=plate.settings)
    cells = read(run, "cells")
    assert set(cells["centre"]) == {{"grid": "tile", "labels": "label", "roi": "roi"}[centres]}
    expected = {
        "grid": 12 * 6 * 6,
        "labels": len(plate.truth),
        "roi": len(plate.labels),
    }
    assert len(cells) == expected[centres]


def test_the_model_says_what_it_is(plate, judged):
    summary = judged.trained.summary
    assert summary["labels"] == "14 abnormal, 15 normal"
    assert any("1 of 30 labels are of cells" in text for text in summary["warnings"])
    assert judged.trained.places == (str(plate.settings.models_dir / "m.safetensors"),)


def test_every_cell_and_well_gets_a_verdict(judged):
    cells, fields, wells = (read(judged.run, name) for name in ("cells", "fields", "wells"))
    assert set(cells["class"]) <= {"normal", "abnormal"}
    total = cells["p_normal"] + cells["p_abnormal"]
    np.testing.assert_allclose(total, 1, atol=1e-5)
    np.testing.assert_allclose(cells["abnormal"], cells["p_abnormal"], atol=1e-6)
    assert len(fields) == 12
    assert len(wells) == 6
    assert wells["cells"].sum() == (cells["centre"] != "tile").sum()
    assert set(wells["verdict"]) <= {"pass", "warn", "fail"}
    assert {"treatment", "dose", "role"} <= set(wells.columns)


def test_a_field_without_nuclei_never_passes(judged):
    fields = read(judged.run, "fields")
    empty = fields.where(fields["finding"] != "")
    assert set(empty["verdict"].tolist()) <= {"fail"}


def test_regions_of_a_field_are_its_most_abnormal_cells(plate, judged):
    folder = results_root(plate.path) / "runs" / judged.run.run_id
    cells = read(judged.run, "cells")
    for path in folder.glob("units/*/rois.json"):
        rois = json.loads(path.read_text())["rois"]
        own = cells.where(cells["image"] == rois[0]["image"])
        worst = np.sort(own["abnormal"][own["class"] == "abnormal"])[::-1]
        scores = [roi["score"] for roi in rois]
        assert len(rois) == min(5, len(worst))
        np.testing.assert_allclose(scores, worst[: len(scores)], atol=1e-4)


def test_report_and_heatmap_are_whole(judged):
    page = next(p for p in judged.run.places if p.endswith("report.html"))
    picture = next(p for p in judged.run.places if p.endswith("heatmap.png"))
    text = Path(page).read_text(encoding="utf-8")
    assert judged.run.run_id in text
    assert "Translocin" in text
    assert Path(picture).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_verdicts_do_not_depend_on_the_batch(plate, judged):
    """The same fields alone, one a run, are judged as they are among others."""
    with closing(open_ledger(plate.settings)) as ledger:
        record = ledger.run(judged.run.run_id)
        units = [item.unit for item in ledger.units(judged.run.run_id)]
    cells = read(judged.run, "cells")
    with closing(open_store(plate.path)) as store:
        alone = next(task.work(store, record.spec, units[5:6])).cells
    own = cells.where(cells["image"] == units[5].image)
    assert own["cell"].tolist() == alone["cell"].tolist()
    np.testing.assert_allclose(own["abnormal"], alone["abnormal"], atol=1e-4)


def test_undo_leaves_the_labels(plate, judged, tmp_path):
    copy = tmp_path / "plate.zarr"
    shutil.copytree(plate.path, copy)
    shutil.copytree(results_root(plate.path), results_root(copy))
    undo_run(judged.run.run_id, where=copy, settings=Settings(state_dir=tmp_path / "state"))
    left = sorted(p.name for p in results_root(copy).iterdir())
    assert "labels.csv" in left
    assert not (results_root(copy) / "runs" / judged.run.run_id).exists()

from __future__ import annotations

from dataclasses import replace

import bench_qc_trust
import numpy as np
import pytest
import qc_crossing
from bench_qc_trust import CHANGES, _labels_needed, _warnings, _with
from qc_crossing import crossings, rows_like_a_plate

from tests.benchmarks.known_plates import plate


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Fewer labels and one draw: the linear head takes 150 passes over what it is taught."""
    for module in (bench_qc_trust, qc_crossing):
        monkeypatch.setattr(module, "LABELS", 40)
        monkeypatch.setattr(module, "DRAWS", 1)


def test_a_sister_plate_is_judged_as_well_and_brings_no_warning():
    rows = crossings(plate("one", 1), [plate("sister", 2)], ("knn",))
    assert rows[0]["knn F1"] > 0.95
    assert abs(rows[1]["knn loss"]) < 0.05
    assert rows[1]["warned"] == "no"


def test_a_plate_that_is_elsewhere_loses_and_is_warned_of():
    rows = crossings(plate("one", 1), [plate("far", 2, shift=30.0)], ("knn",))
    assert rows[1]["knn loss"] > 0.2
    assert rows[1]["warned"] == "yes"


def test_rates_count_the_plates_that_lose_and_those_that_do_not():
    sisters = [plate(f"sister {n}", n + 2) for n in range(3)]
    far = plate("far", 9, shift=30.0)
    found = _warnings(plate("one", 1), sisters, [far, plate("near", 10)])
    assert found["detection: changed plates warned of, of those that lose more than 0.05"] == (
        "1 of 1"
    )
    assert found["missed"] == "none"
    assert found["false alarms: sister plates warned of"] == "0 of 3"
    assert [row["plate"] for row in found["plates"]][-2:] == ["far", "near"]


def test_a_quarter_of_a_usual_plate_is_abnormal():
    known = plate("one", 1).known
    half = known.balanced(np.random.default_rng(0))
    assert half.abnormal.mean() == 0.5
    rows = rows_like_a_plate(half, np.random.default_rng(0))
    assert half.abnormal[rows].mean() == pytest.approx(0.25, abs=0.02)


def test_thinned_normal_cells_stand_for_those_that_were_left_out():
    known = plate("one", 1).known
    assert known.balanced(np.random.default_rng(0)).thinned == 3.0


@pytest.mark.parametrize("name", list(CHANGES))
def test_a_change_changes_crops_and_keeps_their_shape_and_range(name):
    known = plate("one", 1).known
    changed = _with(known, CHANGES[name]).labelled.crops
    assert changed.shape == known.labelled.crops.shape
    assert changed.min() >= 0
    assert changed.max() <= 2
    assert np.abs(changed - known.labelled.crops).mean() > 0.01


def test_a_plate_scaled_by_a_darker_ones_points_is_brighter():
    known = plate("one", 1).known
    twice = _with(known, CHANGES["twice as bright, scaled by the model's plate"]).labelled.crops
    low = known.labelled.crops < 0.4
    assert np.allclose(twice[low], 2 * known.labelled.crops[low], atol=1e-5)


def test_the_nuclear_stain_alone_and_simsearchs_points():
    known = plate("one", 1).known
    alone = known.one_stain()
    assert alone.labelled.crops.shape[1] == alone.raw.shape[1] == 1
    darker = replace(known.as_qc["one"], white=(6000.0,) * 3)
    other = replace(known, as_simsearch={"one": darker}).by_simsearch()
    assert other.labelled.crops.mean() < known.labelled.crops.mean()


@pytest.mark.parametrize(("fields", "same"), [(9, True), (5, False)])
def test_a_plate_of_few_fields_is_scaled_by_the_points_of_the_models_plate(fields, same):
    known = plate("few", 1).known
    known = replace(known, as_qc={"few": replace(known.as_qc["few"], fields=fields)})
    teacher = plate("one", 2).known
    points = replace(teacher.as_qc["one"], white=(6000.0,) * 3)
    scaled = known.by_model(replace(teacher, as_qc={"one": points}))
    assert np.array_equal(scaled.labelled.crops, known.labelled.crops) == same


def test_labels_that_are_needed_lie_between_the_points_of_a_curve():
    rows = [{"count": 100, "f1": 0.8}, {"count": 200, "f1": 0.9}, {"count": 350, "f1": 0.89}]
    assert _labels_needed(rows, 0.85) == "150 labels: 57 % saved"
    assert _labels_needed(rows, 0.95) == "not reached with 350"

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.spatial import cKDTree

from omero_hcs.simulate.artefacts import plan_faults, spoil_cells
from omero_hcs.simulate.cells import Population, draw_cells
from omero_hcs.simulate.design import SimulationSettings, plan_plate
from omero_hcs.simulate.plate import simulate_plate
from omero_hcs.simulate.severity import ARTEFACTS, SCALES, Fault, fault, measured, worse


@pytest.mark.parametrize("label", ARTEFACTS)
def test_severity_and_physical_size_are_two_names_for_one_thing(label):
    sizes = [fault(label, severity).physical for severity in np.linspace(0, 1, 11)]
    steps = np.diff(sizes)
    assert np.all(steps > 0) or np.all(steps < 0)
    assert sizes[0] == pytest.approx(SCALES[label].first)
    assert sizes[-1] == pytest.approx(SCALES[label].last)
    assert measured(label, sizes[3]).severity == pytest.approx(0.3)


def test_ranges_are_those_that_were_decided():
    assert (SCALES["out_of_focus"].first, SCALES["out_of_focus"].last) == (0.5, 6.0)
    assert (SCALES["saturation"].first, SCALES["saturation"].last) == (0.02, 0.60)
    assert (SCALES["debris"].first, SCALES["debris"].last) == (0.2, 3.0)


def test_the_more_severe_fault_names_the_cell():
    mild, gross = fault("debris", 0.2), fault("noise", 0.8)
    assert worse(mild, gross) == worse(gross, mild) == gross
    assert worse(None, mild) == mild


def test_field_faults_come_in_fixed_shares_with_mild_and_gross_ones():
    settings = SimulationSettings(wells=96, fields=2)
    faults = plan_faults(settings, plan_plate(settings))
    assert len(faults) == pytest.approx(0.25 * 192, abs=1)
    kinds = Counter(trouble.label for trouble in faults.values())
    assert set(kinds) == {
        "out_of_focus", "saturation", "noise", "autofluorescence", "debris", "empty",
    }  # fmt: skip
    blurs = sorted(t.severity for t in faults.values() if t.label == "out_of_focus")
    assert blurs[0] < 0.1
    assert blurs[-1] > 0.9


def test_spoiled_cells_are_noted_and_the_others_left_as_they_are():
    rng = np.random.default_rng(3)
    cells = draw_cells(Population(60, (512, 512)), rng)
    spoiled, faults = spoil_cells(cells, 0.5, 0.0, rng)
    assert len(spoiled) == len(cells)
    assert 10 < len(faults) < 60
    untouched = ~np.isin(cells.id, list(faults))
    np.testing.assert_array_equal(cells.y[untouched], spoiled.y[untouched])
    np.testing.assert_array_equal(cells.outline[untouched], spoiled.outline[untouched])


def test_cells_of_a_clump_lie_as_close_as_its_size_says():
    rng = np.random.default_rng(0)
    clumped = 0
    for _ in range(40):
        cells, faults = spoil_cells(draw_cells(Population(40, (512, 512)), rng), 0.1, 0.0, rng)
        rows = {label: row for row, label in enumerate(cells.id.tolist())}
        for trouble in {each for each in faults.values() if each.label == "clump"}:
            own = [rows[label] for label, each in faults.items() if each == trouble]
            places = np.stack([cells.y[own], cells.x[own]], axis=1)
            gap, _ = cKDTree(places).query(places, k=2)
            expected = trouble.physical * cells.diameter[own].mean()
            if len(own) > 2:  # of a clump that another one was piled on to, less is left
                clumped += len(own)
                np.testing.assert_allclose(gap[:, 1], expected, rtol=0.3)
    assert clumped > 15


def test_a_plate_has_cells_with_every_artefact():
    settings = SimulationSettings(wells=24, fields=1, size_y=256, size_x=256, artefact_fraction=0.8)
    labels = Counter()
    for _, made in simulate_plate(settings):
        labels.update(made.truth["label"].tolist())
    assert set(labels) == {"normal", *ARTEFACTS}


def test_faults_compare_by_value():
    assert Fault() == Fault("normal", 0.0, 0.0)

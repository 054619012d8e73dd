from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from omero_hcs.errors import InputError
from omero_hcs.simulate.design import (
    FORMATS,
    SimulationSettings,
    compound_of,
    plan_plate,
    stable_generator,
)


@pytest.mark.parametrize("wells", sorted(FORMATS))
def test_every_format_has_all_wells_controls_and_full_dose_series(wells):
    plate = plan_plate(SimulationSettings(wells=wells, fields=1))
    assert len(plate.wells) == wells == plate.rows * plate.columns
    assert {well.role for well in plate.wells} == {
        "negative_control", "positive_control", "treatment",
    }  # fmt: skip
    treated = [well for well in plate.wells if well.role == "treatment"]
    by_compound: dict[str, list[float]] = {}
    for well in treated:
        by_compound.setdefault(well.treatment, []).append(well.dose)
    for doses in by_compound.values():
        assert len(set(doses)) in (4, 8)
        assert max(doses) == 30.0
    assert {well.dose_unit for well in plate.wells} == {"uM"}


def test_layout_of_1536_wells_reaches_af48_and_names_are_unique():
    plate = plan_plate(SimulationSettings(wells=1536, fields=2))
    assert plate.well("AF48").row == 31
    ids = [site.image.id for site in plate.sites()]
    assert len(set(ids)) == len(ids) == 1536 * 2
    assert "AF/48/1" in ids


def test_both_controls_are_on_both_edges_of_96_wells():
    plate = plan_plate(SimulationSettings())
    for column in ("01", "12"):
        roles = {plate.well(f"{row}{column}").role for row in "ABCDEFGH"}
        assert roles == {"negative_control", "positive_control"}
    assert plate.well("A01").treatment == "DMSO"


def test_effect_rises_with_dose_and_is_half_at_the_ec50():
    plate = plan_plate(SimulationSettings(wells=96))
    wells = [well for well in plate.wells if well.treatment == "Toxin-1"]
    wells.sort(key=lambda well: well.dose)
    strengths = [compound_of(well)[1] for well in wells]
    assert strengths == sorted(strengths)
    assert strengths[0] < 0.05
    assert strengths[-1] > 0.95
    assert compound_of(plate.well("A01")) == ("none", 0.0)


def test_acquisitions_have_fields_of_their_own():
    plate = plan_plate(SimulationSettings(wells=6, fields=2, acquisitions=2))
    assert [run.id for run in plate.acquisitions] == ["0", "1"]
    fields = plate.well("A01").fields
    assert [(item.acquisition, item.index) for item in fields] == [
        ("0", 0), ("0", 1), ("1", 0), ("1", 1),
    ]  # fmt: skip
    assert [item.image.id for item in fields] == ["A/01/0", "A/01/1", "A/01/2", "A/01/3"]


def test_a_plate_that_was_not_asked_for_is_refused():
    with pytest.raises(InputError, match="no plate 2"):
        plan_plate(SimulationSettings(plates=2), 2)


def test_unknown_formats_and_settings_are_refused():
    with pytest.raises(ValidationError):
        SimulationSettings(wells=95)
    with pytest.raises(ValidationError):
        SimulationSettings(well=96)


def test_generators_depend_on_seed_and_names_only():
    draw = stable_generator(1, "plate", "A/01/0").random(3)
    np.testing.assert_array_equal(draw, stable_generator(1, "plate", "A/01/0").random(3))
    assert not np.array_equal(draw, stable_generator(1, "plate", "A/01/1").random(3))
    assert not np.array_equal(draw, stable_generator(2, "plate", "A/01/0").random(3))

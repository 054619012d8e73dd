from __future__ import annotations

import numpy as np
import pytest

from omero_hcs.results import Table
from omero_hcs.tasks.hand_metrics import agreement, with_hand_metrics


def plate(**changes):
    """Forty fields alike but for chance; `changes` are (row, value) by column."""
    rng = np.random.default_rng(3)
    columns = {
        "unit": np.array([f"u{number}" for number in range(40)]),
        "status": np.full(40, "done"),
        "focus_DNA": rng.normal(0.1, 0.008, 40),
        "saturation_DNA": np.zeros(40),
        "noise_DNA": rng.normal(10, 0.3, 40),
        "background_DNA": rng.normal(100, 2, 40),
        "empty_DNA": rng.normal(0.7, 0.03, 40),
        "verdict": np.full(40, "pass"),
        "abnormal_fraction": np.linspace(0, 0.9, 40),
    }
    for name, (row, value) in changes.items():
        column = columns[name].astype(object) if columns[name].dtype.kind == "U" else columns[name]
        column[row] = value
        columns[name] = column.astype(columns[name].dtype)
    return Table(columns)


def findings(table, **options):
    return with_hand_metrics(table, ["DNA"], **options)["hand_finding"].tolist()


def test_fields_that_are_alike_have_no_finding():
    assert findings(plate()) == [""] * 40


@pytest.mark.parametrize(
    ("column", "value", "finding"),
    [
        ("focus_DNA", 0.03, "out of focus (DNA)"),
        ("focus_DNA", 0.3, ""),
        ("saturation_DNA", 0.05, "saturated (DNA)"),
        ("saturation_DNA", 0.002, ""),
        ("noise_DNA", 20.0, "noisy (DNA)"),
        ("background_DNA", 250.0, "bright background (DNA)"),
        ("empty_DNA", 0.99, "little foreground (DNA)"),
        ("empty_DNA", 0.4, ""),
        ("focus_DNA", np.nan, ""),
    ],
)
def test_one_that_stands_out_to_its_bad_side_is_found(column, value, finding):
    found = findings(plate(**{column: (7, value)}))
    assert found[7] == finding
    assert set(found[:7] + found[8:]) == {""}


def test_a_blank_field_is_empty_and_not_out_of_focus():
    assert findings(plate(empty_DNA=(7, 1.0), focus_DNA=(7, 0.0)))[7] == "little foreground (DNA)"


def test_controls_say_what_is_usual_where_there_are_enough():
    """Half of the plate is blurred by its treatment: against controls that is told."""
    table = plate(focus_DNA=(slice(18, 40), 0.03))
    controls = np.arange(40) < 10
    assert findings(table)[30] == ""
    assert findings(table, controls=controls)[30] == "out of focus (DNA)"
    assert findings(table, controls=controls & (np.arange(40) < 3)) == findings(table)


def test_few_fields_and_fields_that_could_not_be_read_have_none():
    few = plate(focus_DNA=(2, 0.01)).where(np.arange(6))
    found = with_hand_metrics(few, ["DNA"])
    assert np.isnan(found["z_focus_DNA"]).all()
    assert set(found["hand_finding"].tolist()) == {""}
    unread = plate(status=(7, "failed"), focus_DNA=(7, np.nan), saturation_DNA=(7, np.nan))
    assert findings(unread)[7] == ""


def test_fields_are_compared_with_those_taken_alike():
    """Another plane, or another run of the microscope, is another focus and another brightness."""
    table = plate(focus_DNA=(slice(28, 40), 0.03))
    planes = np.repeat([0, 1], [28, 12])
    assert findings(table)[30] == "out of focus (DNA)"
    for column in ("z", "acquisition"):
        named = table.with_columns(**{column: planes.astype(str)})
        assert set(findings(named)) == {""}


def test_how_far_it_stands_out_is_in_robust_standard_deviations():
    table = plate()
    z = with_hand_metrics(table, ["DNA"])["z_empty_DNA"]
    middle = np.median(table["empty_DNA"])
    spread = 1.4826 * np.median(np.abs(table["empty_DNA"] - middle))
    np.testing.assert_allclose(z, (table["empty_DNA"] - middle) / spread)


def test_where_model_and_metrics_differ_is_told():
    bad = plate(focus_DNA=([1, 2], 0.02), verdict=([2, 3, 4, 5], ["fail", "fail", "fail", "warn"]))
    found = agreement(with_hand_metrics(bad, ["DNA"]))
    assert (found.both, found.neither) == (1, 35)
    assert (found.model_alone, found.metrics_alone) == (("u4", "u3", "u5"), ("u1",))
    assert agreement(plate()) is None


def test_one_grey_value_more_is_nothing_where_pixels_have_few():
    """BBBC013 has 8 bits, a background of 3 or 4, and most fields have the very same noise."""
    rare = np.isin(np.arange(40), [5, 17, 30])
    table = plate().with_columns(
        noise_DNA=np.where(rare, 0.494, 0.247), background_DNA=np.where(rare, 4.0, 3.0)
    )
    assert set(findings(table)) == {""}
    bright = table["background_DNA"].copy()
    bright[7] = 12.0
    assert findings(table.with_columns(background_DNA=bright))[7] == "bright background (DNA)"

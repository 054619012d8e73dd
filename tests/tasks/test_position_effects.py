"""Effects of places on simulated plates: found where planted, not where there is nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from omero_hcs.model import Plate, Well
from omero_hcs.results import Table
from omero_hcs.tasks.position_effects import check_positions

SHAPE = (8, 12)
EDGE = np.pad(np.zeros((6, 10)), 1, constant_values=1.0)
ALONG = np.repeat(np.linspace(0, 1, 12)[None], 8, axis=0)
FIRST_ROW_DEAD = np.pad(np.zeros((7, 12)), ((1, 0), (0, 0)), constant_values=-0.99)
DOWN = np.repeat(np.linspace(0, 1, 8)[:, None], 12, axis=1)


def alike(row, column):
    return {}


def plate(treatments=alike):
    wells = [
        Well(row, column, **treatments(row, column)) for row in range(8) for column in range(12)
    ]
    return Plate("p", "p", *SHAPE, tuple(wells))


def doses_along_columns(row, column):
    return {"treatment": "drug", "dose": float(column), "dose_unit": "nM"}


def library(row, column):
    if column in (0, 11):
        return {"treatment": "DMSO", "role": "negative_control"}
    return {"treatment": f"compound {row} {column}"}


def tables(plate, *, seed=0, cells=None, abnormal=None, bright=None):
    """Tables of a plate of 300 cells a well, 5 % abnormal; maps say how much more or less."""
    rng = np.random.default_rng(seed)
    at = tuple(np.array([(well.row, well.column) for well in plate.wells]).T)
    count = len(plate.wells)
    shape = (plate.rows, plate.columns)
    maps = [np.zeros(shape) if given is None else given for given in (cells, abnormal, bright)]
    more, worse, light = (each[at] for each in maps)
    found = rng.poisson(300 * (1 + more) * rng.gamma(60, 1 / 60, count))
    share = np.clip(rng.beta(4, 76, count) + worse, 0, 1)
    wells = Table(
        {
            "well": np.array([well.name for well in plate.wells]),
            "cells": found,
            "abnormal_fraction": rng.binomial(found, share) / np.maximum(found, 1),
            "fields": np.full(count, 2),
            "fields_failed": np.zeros(count, dtype=int),
        }
    )
    twice = np.repeat(np.arange(count), 2)
    signal = (2000 * rng.normal(1, 0.08, count) * (1 + light))[twice]
    fields = Table(
        {
            "well": wells["well"][twice],
            "status": np.full(2 * count, "done"),
            "focus_DNA": rng.normal(0.1, 0.01, 2 * count),
            "background_DNA": np.full(2 * count, 100.0),
            "p99_DNA": 100 + signal,
        }
    )
    return wells, fields


def found(plate, **planted):
    report = check_positions(plate, *tables(plate, **planted), nuclear="DNA")
    return {(one.measure, one.check): one for one in report.effects}, report


@pytest.mark.parametrize("treatments", [alike, doses_along_columns, library])
def test_where_there_is_nothing_hardly_anything_is_told(treatments):
    alarms = sum(bool(found(plate(treatments), seed=seed)[0]) for seed in range(25))
    assert alarms <= 4  # 5 % by design: of 25 plates, more than 4 is a chance of 1 in 100


def test_the_edge_is_told_with_its_size():
    effects, report = found(plate(), abnormal=0.1 * EDGE, cells=-0.3 * EDGE)
    edge = effects["abnormal cells", "edge"]
    assert edge.change == pytest.approx(0.1, abs=0.03)
    assert edge.effect > 0.7
    assert "Wells at the edge have 11 percentage points more abnormal cells" in edge.text
    assert effects["cells", "edge"].change == pytest.approx(-0.3, abs=0.08)
    assert set(effects) == {("abnormal cells", "edge"), ("cells", "edge")}
    assert any("one treatment" in note for note in report.notes)


def test_a_gradient_along_rows_is_told_from_end_to_end():
    effects, _ = found(plate(library), cells=-0.4 * DOWN)
    trend = effects["cells", "row trend"]
    assert trend.change == pytest.approx(-0.45, abs=0.15)
    assert trend.text.startswith("From row A to row H: ")
    assert ("cells", "rows") not in effects


def test_a_column_that_stands_out_is_named():
    odd = np.zeros(SHAPE)
    odd[:, 4] = -0.5
    effects, _ = found(plate(), cells=odd)
    assert effects["cells", "columns"].place == 4
    assert effects["cells", "columns"].text.startswith("Column 5 stands out: ")


def test_one_column_of_many_is_told_though_it_is_a_small_part_of_the_plate():
    wells = tuple(Well(row, column) for row in range(16) for column in range(24))
    large = Plate("p", "p", 16, 24, wells)
    odd = np.zeros((16, 24))
    odd[:, 7] = -0.5
    effects, _ = found(large, cells=odd)
    assert set(effects) == {("cells", "columns")}
    assert effects["cells", "columns"].place == 7
    assert effects["cells", "columns"].effect < -0.9


def test_brightness_that_drifts_in_the_order_of_reading_is_told():
    order = np.arange(96.0).reshape(SHAPE) / 95
    order[1::2] = order[1::2, ::-1]
    effects, _ = found(plate(), bright=-0.3 * order)
    (drift,) = (one for (measure, _), one in effects.items() if measure == "brightness of DNA")
    assert drift.change == pytest.approx(-0.33, abs=0.1)
    assert "darker DNA" in drift.text


def test_a_trend_along_doses_is_not_told_but_that_it_cannot_be():
    effects, report = found(plate(doses_along_columns), cells=-0.5 * ALONG)
    assert not [check for _, check in effects if check in ("column trend", "columns", "edge")]
    assert any(note.startswith("Columns carry treatments of their own") for note in report.notes)
    assert not any(note.startswith("Rows carry") for note in report.notes)


def test_an_edge_is_told_from_doses_that_have_replicates_inside_and_outside():
    effects, _ = found(plate(doses_along_columns), cells=-0.4 * EDGE, seed=3)
    assert ("cells", "edge") in effects


def test_few_wells_are_not_compared():
    whole = plate()
    small = replace(whole, wells=whole.wells[:20])
    report = check_positions(small, *tables(small), nuclear="DNA")
    assert (report.effects, report.checks) == ((), 0)
    assert "takes 24 wells" in report.notes[0]


def test_wells_without_values_and_empty_ones_are_left_out():
    def empty(row, column):
        return {"role": "empty"} if row == 0 else {}

    made = plate(empty)
    wells, fields = tables(made, cells=FIRST_ROW_DEAD)
    share = wells["abnormal_fraction"].copy()
    share[40:44] = np.nan
    report = check_positions(made, wells.with_columns(abnormal_fraction=share), fields)
    assert report.effects == ()


def test_tables_without_field_metrics_are_checked_by_what_they_have():
    made = plate()
    wells, fields = tables(made, cells=-0.4 * EDGE)
    bare = Table({name: fields[name] for name in ("well", "status")})
    assert {one.measure for one in check_positions(made, wells, bare).effects} == {"cells"}


def test_a_metric_without_any_value_is_not_checked():
    made = plate()
    wells, fields = tables(made, cells=-0.4 * EDGE)
    blank = fields.with_columns(focus_DNA=np.full(len(fields), np.nan))
    report = check_positions(made, wells, blank, nuclear="DNA")
    assert {one.measure for one in report.effects} == {"cells"}

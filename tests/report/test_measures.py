from __future__ import annotations

import numpy as np

from omero_hcs.report.measures import well_measures
from omero_hcs.report.places import PlaceEffect
from omero_hcs.report.small_plate import small_plates
from omero_hcs.results import Table

WELLS = Table({
    "well": np.array(["A01", "A02", "B01"]),
    "cells": np.array([100, 50, 0]),
    "n_normal": np.array([90, 50, 0]),
    "n_debris": np.array([10, 0, 0]),
    "n_blurred": np.array([0, 0, 0]),
})  # fmt: skip
FIELDS = Table({
    "well": np.array(["A01", "A01", "A02"]),
    "focus_DNA": np.array([0.1, 0.3, np.nan]),
})  # fmt: skip
CLASSES = {"normal": 140, "debris": 10, "blurred": 0}


def measures():
    return {item.title: item for item in well_measures(WELLS, FIELDS, CLASSES)}


def test_cells_focus_and_the_classes_that_are_there_are_shown():
    found = measures()
    assert list(found) == ["Cells", "Focus, DNA", "debris"]
    assert found["Cells"].values == {(0, 0): 100, (0, 1): 50, (1, 0): 0}


def test_focus_is_the_mean_of_a_wells_fields_and_nothing_where_none_was_read():
    assert measures()["Focus, DNA"].values == {(0, 0): 0.2, (0, 1): None, (1, 0): None}


def test_a_share_of_no_cells_is_no_value():
    assert measures()["debris"].values == {(0, 0): 10, (0, 1): 0, (1, 0): None}


def test_a_class_that_is_all_there_is_of_abnormal_ones_is_not_shown_twice():
    two = {"normal": 140, "debris": 10}
    titles = [item.title for item in well_measures(WELLS, FIELDS, two)]
    assert titles == ["Cells", "Focus, DNA"]


def test_tables_of_other_tasks_and_empty_ones_show_what_they_have():
    only = Table({"well": np.array(["A01"])})
    assert well_measures(only, FIELDS.where(np.zeros(3, bool)), CLASSES) == []
    assert well_measures(Table({}), FIELDS, CLASSES) == []


def test_each_well_is_drawn_where_it_is_and_says_its_number():
    cells, _, debris = small_plates(2, 3, well_measures(WELLS, FIELDS, CLASSES))
    assert [(int(spot.x), int(spot.y)) for spot in cells.spots] == [(0, 0), (1, 0), (0, 1)]
    assert [spot.text for spot in debris.spots] == ["A01: 10.0 %", "A02: 0.0 %", "B01: no value"]
    assert (cells.low, cells.high) == ("0", "100")
    assert cells.spots[0].color != cells.spots[1].color


def test_effects_of_places_are_told_by_the_measure_that_they_are_on():
    effects = [
        PlaceEffect("cells", "edge", "Fewer cells."),
        PlaceEffect("brightness of DNA", "row trend", "Darker."),
        PlaceEffect("brightness of GFP", "edge", "There is no such column."),
    ]
    fields = FIELDS.with_columns(p99_DNA=np.full(3, 50.0), background_DNA=np.full(3, 10.0))
    found = well_measures(WELLS, fields, CLASSES, effects)
    drawn = {plate.title: plate for plate in small_plates(2, 3, found, effects)}
    assert drawn["Cells"].told == ("Fewer cells.",)
    assert (drawn["Cells"].has_edge, drawn["Brightness, DNA"].has_edge) == (True, False)
    assert drawn["Brightness, DNA"].told == ("Darker.",)
    assert drawn["Brightness, DNA"].spots[0].text == "A01: 40"
    assert "Brightness, GFP" not in drawn

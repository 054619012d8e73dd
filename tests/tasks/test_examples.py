"""Which cells are learnt from: snapped to nuclei, settled between users, spread over fields."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from omero_hcs.errors import DataError, InputErrors
from omero_hcs.model import Channel, Field, Image, Plate, Well
from omero_hcs.results import LABEL_COLUMNS, Table
from omero_hcs.stores.memory import MemoryStore
from omero_hcs.tasks.base import all_units, no_progress
from omero_hcs.tasks.examples import examples_of
from omero_hcs.tasks.labels import ExampleParams
from omero_hcs.tasks.survey import survey_plate

SIDE, CELLS = 96, (16, 48, 80)
_names = itertools.count()


def draw(rng, *, shift=0, cells=CELLS):
    y, x = np.mgrid[:SIDE, :SIDE]
    signal = sum((np.hypot(y - at, x - at - shift) < 9.0 for at in cells), np.zeros((SIDE, SIDE)))
    return (rng.integers(90, 110, (SIDE, SIDE)) + 4000 * signal).astype(np.uint16)


def plate_of(fields=3, planes=1, times=1, *, empty=(), owner="olga"):
    """A plate in memory: three nuclei a field, in plane z moved z pixels to the right."""
    rng = np.random.default_rng(3)
    wells, pixels = [], {}
    for number in range(fields):
        image = Image(
            f"i{number}", f"i{number}", SIDE, SIDE, (Channel(0, "DNA"),), "uint16", planes, times
        )
        wells.append(Well(0, number, (Field(0, image),)))
        cells = () if number in empty else CELLS
        stack = [[draw(rng, shift=z, cells=cells) for z in range(planes)] for _ in range(times)]
        pixels[image.id] = np.array(stack)[:, None]
    plate = Plate("p", "p", 8, 12, tuple(wells), owner=owner)
    return MemoryStore.create(f"examples {next(_names)}", plate, pixels)


def label(name, image=0, at=None, **more):
    y, x = at or (np.nan, np.nan)
    row = dict.fromkeys(LABEL_COLUMNS, "") | {"plate": "p", "field": 0, "z": 0, "t": 0}
    place = {"well": f"A{image + 1:02d}", "image": f"i{image}", "y": float(y), "x": float(x)}
    return row | place | {"label": name, "source": "roi"} | more


def gather(store, *rows, **options):
    """Gather the examples of some labels, and read all crops."""
    params = ExampleParams(**{"labels": "roi,tags", **options})
    pairs, labels = all_units(store, store.refs(), params), Table.from_rows(rows)
    survey = survey_plate(store, pairs, params, name="p", progress=no_progress)
    examples = examples_of(store, store.refs(), params, labels, survey)
    crops = np.concatenate([*examples.crops()])
    assert len(crops) == len(examples.table)
    return examples


def places(examples, **where):
    table = examples.table
    for name, value in where.items():
        table = table.where(table[name] == value)
    return sorted(zip(table["y"].round().tolist(), table["x"].round().tolist(), strict=True))


class TestPlaces:
    def test_a_region_is_meant_for_the_nucleus_inside_it(self):
        examples = gather(plate_of(), label("normal", 0, (20, 13)))
        assert places(examples) == [(16, 16)]
        assert examples.alone == 0

    def test_one_far_from_any_nucleus_is_cropped_where_it_is_and_told(self):
        examples = gather(plate_of(), label("normal", 0, (80, 12)), label("normal", 0, (16, 16)))
        assert places(examples) == [(16, 16), (80, 12)]
        assert any("1 of 2 labels have no nucleus within half" in w for w in examples.warnings())

    def test_a_nucleus_beside_a_region_is_not_meant_by_it(self):
        rows = [
            label("normal", 0, (32, 32), reach_y=6.0, reach_x=6.0),
            label("normal", 0, (75, 75), reach_y=1.0, reach_x=1.0),
            label("normal", 0, (48, 30), reach_y=2.0, reach_x=20.0),
            label("normal", 0, (30, 15), reach_y=np.nan, reach_x=np.nan),
        ]
        examples = gather(plate_of(), *rows)
        assert places(examples) == [(16, 16), (32, 32), (48, 48), (80, 80)]
        assert examples.alone == 1

    def test_what_is_drawn_in_a_plane_is_looked_at_there(self):
        store = plate_of(planes=7, times=2)
        rows = [label("normal", 0, (16, 16), z=z, t=t) for z, t in [(0, 0), (6, 0), (6, 1)]]
        examples = gather(store, *rows)
        assert examples.table["x"].round().tolist() == [16, 22, 22]
        assert [unit.rpartition("/z")[2] for unit in examples.table["unit"].tolist()] == [
            "0/t0", "6/t0", "6/t1",
        ]  # fmt: skip

    @pytest.mark.parametrize(("options", "x"), [({"z": "max"}, 19), ({"labels": "file"}, 19)])
    def test_where_planes_are_joined_or_not_known_the_parameters_say_which(self, options, x):
        store = plate_of(planes=7)
        examples = gather(store, label("normal", 0, (16, 16), z=6), **options)
        assert examples.table["x"].tolist() == [pytest.approx(x, abs=1)]

    def test_an_unreadable_labelled_cell_stops_the_training(self):
        store = plate_of()
        examples = gather(store, label("normal", 0, (16, 16)))
        del store._memory.pixels["i0"]
        with pytest.raises(DataError, match="i0"):
            list(examples.crops())


class TestConflicts:
    ROWS = (
        label("normal", 0, (15, 15), user="ann", time="2026-01-01", object_id="Shape:1"),
        label("blurred", 0, (18, 17), user="bob", time="2026-01-02", object_id="Shape:2"),
        label("normal", 0, (16, 18), user="olga", time="2025-01-01", object_id="Shape:3"),
        label("blurred", 0, (48, 48), user="bob", time="2026-01-02", object_id="Shape:4"),
    )

    @pytest.mark.parametrize(
        ("rule", "kept", "used"),
        [
            ("auto", "blurred", ["overruled", "label", "overruled", "label"]),
            ("majority", "normal", ["label", "overruled", "repeated", "label"]),
            ("owner", "normal", ["repeated", "overruled", "label", "label"]),
        ],
    )
    def test_regions_in_one_nucleus_are_one_label(self, rule, kept, used):
        examples = gather(plate_of(), *self.ROWS, conflicts=rule)
        assert examples.table["label"].tolist() == [kept, "blurred"]
        assert examples.used.tolist() == used
        (conflict,) = examples.conflicts
        assert conflict.kept == kept
        assert {each.user for each in conflict.said} >= {"ann" if rule != "owner" else "bob"}

    def test_they_can_be_refused_all_at_once(self):
        rows = [*self.ROWS, label("normal", 1, (48, 48)), label("blurred", 1, (49, 48))]
        with pytest.raises(InputErrors) as caught:
            gather(plate_of(), *rows, conflicts="refuse")
        assert len(caught.value.faults) == 2
        assert "ann" in caught.value.faults[0]

    def test_touching_cells_of_a_file_are_settled_and_told(self):
        rows = [label("normal", 0, (15, 15)), label("blurred", 0, (18, 17))]
        examples = gather(plate_of(), *rows, labels="file")
        assert examples.table["label"].tolist() == ["blurred"]
        assert "labels of several classes" in examples.warnings()[0]


class TestWholeFields:
    def test_all_cells_get_the_label_but_those_with_one_of_their_own(self):
        examples = gather(plate_of(), label("blurred", 0), label("normal", 0, (47, 50)))
        assert places(examples, label="normal", weak=False) == [(48, 48)]
        assert places(examples, label="blurred", weak=True) == [(16, 16), (80, 80)]
        assert any("but for 1 cells that have" in text for text in examples.warnings())

    def test_a_nucleus_labelled_in_another_plane_is_the_same_one(self):
        store = plate_of(planes=5)
        examples = gather(store, label("blurred", 0), label("normal", 0, (48, 48), z=4))
        assert places(examples, weak=True) == [(16, 18), (80, 82)]

    def test_no_more_cells_than_asked_for_and_the_same_again(self):
        found = [gather(plate_of(), label("b", 0), weak_limit=2, seed=seed) for seed in (0, 0, 1)]
        first, same, other = map(places, found)
        assert len(first) == 2
        assert first == same
        assert len(other) == 2

    def test_wells_stay_together(self):
        examples = gather(plate_of(), label("b", 0), label("b", 1), label("b", 1, (16, 16)))
        assert set(examples.table["group"].tolist()) == {"p/A01", "p/A02"}

    def test_two_users_who_differ_about_a_field_are_settled_too(self):
        rows = [
            label("a", 0, user="ann", time="2026-01-02"),
            label("b", 0, user="bob", time="2026-01-01"),
        ]
        examples = gather(plate_of(), *rows)
        assert set(examples.table["label"].tolist()) == {"a"}
        assert examples.used.tolist() == ["field", "overruled"]
        assert "Image i0 (well A01, field 0) has two labels" in examples.warnings()[0]

    def test_one_without_nuclei_gives_tiles_as_it_would_when_it_is_judged(self):
        examples = gather(plate_of(empty=(0,)), label("empty", 0), label("a", 1, (16, 16)))
        assert set(examples.table["label"].tolist()) == {"empty", "a"}

    def test_one_that_cannot_be_read_is_left_out_and_told(self):
        store = plate_of()
        del store._memory.pixels["i1"]
        examples = gather(store, label("a", 0), label("a", 1))
        assert set(examples.table["image"].tolist()) == {"i0"}
        assert examples.used.tolist() == ["field", "unused"]
        assert any("1 labelled fields gave no examples: image i1" in w for w in examples.warnings())

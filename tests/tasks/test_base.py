from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from omero_hcs import lazy
from omero_hcs.errors import InputError
from omero_hcs.model import Acquisition, Channel, Field, Image, ImageSet, ObjectRef, Plate, Well
from omero_hcs.tasks.base import TASKS, CellParams, TaskParams, of_acquisition, units_of

STACK = Image("i1", "i1", 8, 8, (Channel(0, "DNA"),), size_z=3, size_t=2)
PLATE = Plate(
    "p", "p", 8, 12,
    (Well(1, 2, (Field(0, STACK, "1"), Field(1, STACK, "1"), Field(0, STACK, "2"))),),
    (Acquisition("1", "day 1"), Acquisition("2", "1")),
)  # fmt: skip
REF = ObjectRef(kind="plate", id="p")


def units(layout=PLATE, *, z="middle", t=0):
    return [unit for unit, _ in units_of(REF, layout, z=z, t=t)]


class TestUnits:
    def test_there_is_one_a_field_and_acquisition(self):
        assert [unit.id for unit in units()] == [
            "p/B03/f0/a1/zmiddle/t0", "p/B03/f1/a1/zmiddle/t0", "p/B03/f0/a2/zmiddle/t0",
        ]  # fmt: skip
        assert {(unit.well, unit.image) for unit in units()} == {("B03", "i1")}

    def test_all_planes_and_times_are_units_of_their_own(self):
        every = units(z="all", t="all")
        assert len({unit.id for unit in every}) == len(every) == 3 * 3 * 2
        assert {(unit.z, unit.t) for unit in every} == {(z, t) for z in range(3) for t in range(2)}

    def test_a_flat_image_has_the_same_units_however_its_plane_is_asked_for(self):
        flat = ImageSet("p", "p", (Image("x.tif", "x.tif", 8, 8, STACK.channels),))
        asked = [units(flat, z=z) for z in ("middle", "max", "focus", "all", 0)]
        assert all(one == asked[0] for one in asked)
        assert asked[0][0].id == "p/x.tif/z0/t0"
        assert asked[0][0].well is None

    @pytest.mark.parametrize(("z", "t"), [(3, 0), (-1, 0), (0, 2), (0, -1)])
    def test_a_plane_or_time_that_is_not_there_is_refused_by_the_field(self, z, t):
        with pytest.raises(InputError, match=r"B03 field 1 .* has (3 z plane|2 time point)"):
            units(z=z, t=t)


class TestAcquisition:
    def ids(self, wanted, layout=PLATE):
        return [unit.acquisition for unit in units(of_acquisition(layout, wanted))]

    @pytest.mark.parametrize("wanted", ["day 1", None])
    def test_only_its_fields_are_read(self, wanted):
        assert self.ids(wanted) == (["1", "1"] if wanted else ["1", "1", "2"])

    def test_a_number_counts_them_where_it_is_no_id(self):
        plate = replace(PLATE, acquisitions=(Acquisition("7", "a"), Acquisition("2", "b")))
        assert self.ids("2", plate) == ["2"]
        assert self.ids("1", plate) == []

    def test_a_single_one_need_not_be_noted_on_the_fields(self):
        well = Well(0, 0, (Field(0, STACK),))
        plate = replace(PLATE, wells=(well,), acquisitions=(Acquisition("7", "a"),))
        assert self.ids("a", plate) == [None]

    @pytest.mark.parametrize(
        ("wanted", "fault"), [("3", "no acq"), ("1", "2 acq"), ("x", "no acq")]
    )
    def test_one_that_is_not_clear_is_refused_with_those_there_are(self, wanted, fault):
        with pytest.raises(InputError, match=rf"{fault}.* day 1 \(1\), 1 \(2\)"):
            self.ids(wanted)

    def test_images_that_are_no_plate_have_none(self):
        with pytest.raises(InputError, match="none"):
            of_acquisition(ImageSet("d", "d", (STACK,)), "1")


class TestParams:
    def test_unknown_names_are_refused(self):
        with pytest.raises(ValidationError, match="crop_sise"):
            CellParams(crop_sise="128px")

    @pytest.mark.parametrize(("given", "taken"), [("3", 3), (3, 3), ("max", "max"), ("all", "all")])
    def test_a_plane_may_come_as_text(self, given, taken):
        assert CellParams(z=given).z == taken

    @pytest.mark.parametrize("options", [{"z": "top"}, {"t": "max"}, {"seed": -1}, {"recipe": "x"}])
    def test_values_that_mean_nothing_are_refused(self, options):
        with pytest.raises(ValidationError, match=next(iter(options))):
            CellParams(**options)

    def test_they_are_frozen(self):
        with pytest.raises(ValidationError, match="frozen"):
            CellParams().seed = 1

    @pytest.mark.parametrize("name", TASKS)
    def test_every_task_has_its_parts_and_describes_its_parameters(self, name):
        task = lazy.load(TASKS[name])
        for part in ("fingerprint", "plan", "work", "unit_results", "finish"):
            assert callable(getattr(task, part)), part
        assert issubclass(task.Params, TaskParams)
        assert task.Params.__doc__
        fields = task.Params.model_fields.items()
        assert [field for field, info in fields if not info.description] == []

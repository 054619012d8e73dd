"""Names of wells and channels, layouts, and what travels as JSON."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from omero_hcs.errors import ChannelNotFoundError, InputError, PlateNotFoundError
from omero_hcs.model import (
    MAX_COLUMNS,
    MAX_ROWS,
    Acquisition,
    Channel,
    Field,
    Image,
    ImageSet,
    ObjectRef,
    Plate,
    RunSpec,
    Site,
    StoreSpec,
    Unit,
    Well,
    parse_well,
    row_name,
    well_name,
)


def image(*names, image_id="i"):
    channels = tuple(Channel(index, name) for index, name in enumerate(names))
    return Image(image_id, image_id, 10, 10, channels)


class TestWellNames:
    @given(st.integers(0, MAX_ROWS - 1), st.integers(0, MAX_COLUMNS - 1))
    def test_a_name_leads_back_to_its_row_and_column(self, row, column):
        assert parse_well(well_name(row, column)) == (row, column)

    @given(
        st.integers(0, MAX_ROWS - 1),
        st.integers(0, MAX_COLUMNS - 1),
        st.sampled_from(["{}{}", "{}{:02d}", "{}{:03d}", "  {}{} "]),
        st.booleans(),
    )
    def test_people_may_write_it_in_many_ways(self, row, column, form, lower):
        name = form.format(row_name(row), column + 1)
        assert parse_well(name.lower() if lower else name) == (row, column)

    def test_all_1536_names_differ(self):
        names = {well_name(row, column) for row in range(MAX_ROWS) for column in range(MAX_COLUMNS)}
        assert len(names) == 1536
        assert {"A01", "H12", "P24", "Z48", "AA01", "AF48"} <= names

    @pytest.mark.parametrize(
        "name", ["", "A", "3", "A0", "A00", "A49", "AG01", "BA01", "A-1", "A1.5", "A 1", "Ä1", "A²"]
    )
    def test_what_is_no_well_is_refused_with_an_example(self, name):
        with pytest.raises(InputError, match=r"no well name.*'B03'"):
            parse_well(name)

    @pytest.mark.parametrize(("row", "column"), [(32, 0), (-1, 0), (0, 48), (0, -1)])
    def test_no_name_is_made_for_what_is_on_no_plate(self, row, column):
        with pytest.raises(InputError, match="not on any plate"):
            well_name(row, column)


class TestChannels:
    @given(st.lists(st.text(min_size=1), min_size=1, max_size=6, unique=True))
    def test_every_channel_is_found_by_its_own_name(self, names):
        kept = image(*names)
        for channel in kept.channels:
            assert kept.channel(channel.name) is channel

    @given(st.text())
    def test_any_text_finds_a_channel_or_is_refused(self, text):
        kept = image("DNA", "GFP", "w1")
        try:
            found = kept.channel(text)
        except ChannelNotFoundError:
            return
        assert found in kept.channels

    @pytest.mark.parametrize("asked", ["dapi", " DAPI", "1", "w1", "W1", "ch1", "w01"])
    def test_a_channel_is_found_in_the_ways_that_people_write_it(self, asked):
        assert image("DAPI", "GFP").channel(asked).name == "DAPI"

    def test_a_name_goes_before_a_number(self):
        assert image("2", "1").channel("1").index == 1
        assert image("w2", "GFP").channel("w2").index == 0

    def test_exact_case_goes_before_other_case(self):
        assert image("gfp", "GFP").channel("GFP").index == 1

    @pytest.mark.parametrize("asked", ["", "0", "3", "w", "w3", "-1", "²", "D"])
    def test_what_is_not_there_is_refused(self, asked):
        with pytest.raises(ChannelNotFoundError, match=r"'DAPI', 'GFP'. Pass one of these"):
            image("DAPI", "GFP").channel(asked)


@pytest.fixture
def plate():
    first, again = image("DNA", image_id="a"), image("DNA", image_id="b")
    wells = (
        Well(1, 2, (Field(0, first, "1"), Field(0, again, "2"))),
        Well(31, 47, (Field(0, image("DNA", image_id="c")),)),
    )
    acquisitions = (Acquisition("1", "live"), Acquisition("2", "fixed"))
    return Plate("p", "plate 7", 32, 48, wells, acquisitions)


class TestLayouts:
    def test_a_well_is_found_by_any_spelling_of_its_name(self, plate):
        assert plate.well("b3") is plate.wells[0]
        assert plate.well("AF48").name == "AF48"

    def test_a_well_that_is_not_there_is_refused_with_the_plate(self, plate):
        with pytest.raises(PlateNotFoundError, match="plate 7 has no well A01"):
            plate.well("A01")

    def test_sites_go_well_by_well_and_have_names_for_people(self, plate):
        assert [(site.image.id, site.label) for site in plate.sites()] == [
            ("a", "B03 field 1 acquisition 1"),
            ("b", "B03 field 1 acquisition 2"),
            ("c", "AF48 field 1"),
        ]

    def test_sites_of_a_set_have_the_images_names(self):
        images = ImageSet(
            "s", "s", (image("DNA", image_id="x.tif"), image("DNA", image_id="y.tif"))
        )
        assert [(site.field, site.label, site.well) for site in images.sites()] == [
            (0, "x.tif", None),
            (1, "y.tif", None),
        ]

    def test_layouts_are_values(self, plate):
        assert plate == Plate(
            plate.id, plate.name, plate.rows, plate.columns, plate.wells, plate.acquisitions
        )
        with pytest.raises(AttributeError):
            plate.name = "other"
        with pytest.raises(TypeError):
            plate.wells[0].metadata["batch"] = "7"
        assert hash(Site(image("DNA"), 0)) == hash(Site(image("DNA"), 0))


class TestJson:
    def run_spec(self):
        target = ObjectRef(kind="plate", id="p")
        return RunSpec(
            run_id="r",
            key="k",
            task="apply_qc",
            store=StoreSpec(uri="plate.zarr"),
            targets=(target,),
            params={"channel": "DNA"},
            package_version="0.1.0",
            work_dir="work",
        )

    def test_a_run_spec_comes_back_as_it_was(self):
        spec = self.run_spec()
        assert RunSpec.model_validate_json(spec.model_dump_json()) == spec

    @pytest.mark.parametrize("z", [0, 5, "middle", "focus", "max"])
    def test_a_unit_keeps_its_z_as_number_or_word(self, z):
        unit = Unit(id="u", target=ObjectRef(kind="plate", id="p"), z=z)
        assert Unit.model_validate_json(unit.model_dump_json()).z == z

    @pytest.mark.parametrize("change", [{"schema_version": 2}, {"extra": 1}, {"store": "x"}])
    def test_what_does_not_fit_is_refused(self, change):
        with pytest.raises(ValidationError):
            RunSpec.model_validate(self.run_spec().model_dump() | change)

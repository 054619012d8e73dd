"""What was put into wells: out of key-values, tags and bulk tables as users and IDR write them."""

from __future__ import annotations

import ezomero
import pytest
from omero import grid
from omero.gateway import FileAnnotationWrapper, TagAnnotationWrapper
from omero.model import FileAnnotationI, OriginalFileI
from omero.rtypes import rstring

from omero_hcs.model import Plate, Well
from omero_hcs.settings import Settings, load_settings
from omero_hcs.stores.omero.facts import FactKeys, facts_of, parse_dose, role_of

KEYS = FactKeys.of(Settings())
BULK = "openmicroscopy.org/omero/bulk_annotations"


def told(*pairs, tags=(), keys=KEYS):
    facts = facts_of(pairs, tags, keys)
    return facts.treatment, facts.dose, facts.dose_unit, facts.role, dict(facts.metadata)


class TestPairs:
    def test_as_a_user_writes_them(self):
        assert told(
            ("Treatment", "Wortmannin"),
            ("Dose", "15.6"),
            ("Dose unit", "nM"),
            ("Role", "positive control"),
            ("batch", "7"),
        ) == ("Wortmannin", 15.6, "nM", "positive_control", {"batch": "7"})

    def test_as_idr_writes_them(self):
        assert told(
            ("Compound Name", "Nocodazole"),
            ("Compound Concentration (microM)", "0.3"),
            ("Control Type", "Negative Control"),
            ("Quality Control", "pass"),
            ("InChIKey", "KYRVNWMVYQXFEU"),
        ) == (
            "Nocodazole", 0.3, "µM", "negative_control",
            {"Quality Control": "pass", "InChIKey": "KYRVNWMVYQXFEU"},
        )  # fmt: skip

    def test_the_first_wanted_key_counts_and_the_others_are_kept(self):
        treatment, *_, rest = told(("Gene Symbol", "CDK1"), ("siRNA Identifier", "s464"))
        assert (treatment, rest) == ("s464", {"Gene Symbol": "CDK1"})

    def test_the_unit_of_the_value_goes_before_that_of_a_key(self):
        assert told(("Dose [mM]", "15.6 nM"))[1:3] == (15.6, "nM")
        assert told(("Dose [mM]", "15.6"), ("Unit", "nM"))[1:3] == (15.6, "nM")

    def test_a_dose_that_is_no_number_and_an_unknown_role_are_kept_as_they_are(self):
        assert told(("Dose", "high"), ("Dose unit", "nM"), ("Role", "guard")) == (
            None, None, None, None, {"Dose": "high", "Dose unit": "nM", "Role": "guard"},
        )  # fmt: skip

    def test_a_later_value_replaces_an_earlier_one_and_an_empty_one_is_none(self):
        assert told(("Compound", "A"), ("Compound", "B"), ("Dose", " ")) == (
            "B", None, None, None, {},
        )  # fmt: skip

    @pytest.mark.parametrize("key", ["dose", " DOSE ", "final_CONCENTRATION"])
    def test_case_and_underscores_do_not_matter(self, key):
        assert told((key, "1")) == (None, 1.0, None, None, {})

    def test_markup_and_emoji_stay_as_they_are(self):
        assert told(("Compound", "<b>Taxol & co</b> 🧪"))[0] == "<b>Taxol & co</b> 🧪"


@pytest.mark.parametrize(
    ("text", "dose"),
    [
        ("15.6", (15.6, None)), ("15.6 nM", (15.6, "nM")), ("15.6nM", (15.6, "nM")),
        ("1e-6 M", (1e-6, "M")), (".5 micromolar", (0.5, "µM")), ("0", (0.0, None)),
        ("2 ng/ml", (2.0, "ng/ml")), ("10 %", (10.0, "%")), ("5 µM", (5.0, "µM")),
        ("1,000", None), ("<10", None), ("nan", None), ("-3", None), ("10:1", None),
        ("1 x 10", None), ("1e999", None), ("", None), ("DMSO", None),
    ],
)  # fmt: skip
def test_doses(text, dose):
    assert parse_dose(text) == dose


@pytest.mark.parametrize(
    ("text", "role"),
    [
        ("Negative control", "negative_control"), ("NEG_CONTROL", "negative_control"),
        ("DMSO", "negative_control"), ("positive-control", "positive_control"),
        ("treatment", "treatment"), ("Empty well", "empty"), ("blurred", None), ("", None),
    ],
)  # fmt: skip
def test_roles(text, role):
    assert role_of(text) == role


def test_tags_name_a_role_where_no_pair_does():
    assert told(tags=("blurred", "Negative Control"))[3] == "negative_control"
    assert told(("Role", "treatment"), tags=("negative control",))[3] == "treatment"


def test_keys_come_from_the_environment_with_commas():
    given = {"OMERO_HCS_OMERO_TREATMENT_KEYS": "Stoff, Compound", "OMERO_HCS_OMERO_DOSE_KEYS": "c"}
    keys = FactKeys.of(load_settings(environ=given).values)
    assert told(("Stoff", "A"), ("c", "2 nM"), keys=keys) == ("A", 2.0, "nM", None, {})


@pytest.fixture
def empty_plate(omero_user, omero_import):
    """A plate of three wells without images, of which nothing is known."""
    wells = (Well(0, 0), Well(0, 1), Well(2, 1))
    return omero_import(omero_user, Plate("", "<i>empty</i>", 8, 12, wells))


@pytest.fixture
def known(empty_plate, omero_open):
    """What a fresh store tells of the wells: name to (treatment, dose, unit, role, metadata)."""

    def read(**settings):
        store = omero_open(empty_plate.owner, f"plate/{empty_plate.ids.plate}", **settings)
        return {
            well.name: (
                well.treatment, well.dose, well.dose_unit, well.role, dict(well.metadata)
            )
            for well in store.plate(str(empty_plate.ids.plate)).wells
        }  # fmt: skip

    return read


NOTHING = (None, None, None, None, {})


class TestAnnotations:
    def test_pairs_of_any_namespace_but_ours_count_the_newest_most(
        self, empty_plate, omero_conn, known
    ):
        post, well = ezomero.post_map_annotation, empty_plate.well(0, 1)
        post(omero_conn, "Well", well, {"Compound": "old", "batch": "7"}, ns="a lab's own")
        post(omero_conn, "Well", well, {"Compound": "new", "Dose": "3 nM"}, ns="")
        post(omero_conn, "Well", well, {"Compound": "ours", "cells": "9"}, ns="omero-hcs/qc")
        assert known() == {
            "A01": NOTHING,
            "A02": ("new", 3.0, "nM", None, {"batch": "7"}),
            "C02": NOTHING,
        }

    def test_tags_of_a_member_count_those_of_ours_do_not(
        self, empty_plate, omero_conn, omero_second_conn, known
    ):
        for conn, place, ns in (
            (omero_second_conn, (0, 0), None), (omero_conn, (2, 1), "omero-hcs/tag"),
        ):  # fmt: skip
            tag = TagAnnotationWrapper(conn)
            tag.setValue("positive control")
            tag.setNs(ns)
            conn.getObject("Well", empty_plate.well(*place)).linkAnnotation(tag)
        assert [facts[3] for facts in known().values()] == ["positive_control", None, None]


def attach_table(conn, place, columns, *, ns=BULK, description=None):
    """A table as omero-metadata makes one, on a Plate or Screen."""
    resources = conn.c.sf.sharedResources()
    table = resources.newTable(resources.repositories().descriptions[0].id.val, "bulk.h5")
    table.initialize(columns)
    table.addData(columns)
    file = table.getOriginalFile()
    table.close()
    attach(conn, place, file.id.val, ns, description)


def attach(conn, place, file, ns, description=None):
    annotation = FileAnnotationI()
    annotation.file, annotation.ns = OriginalFileI(file, False), rstring(ns)
    annotation.description = rstring(description) if description else None
    conn.getObject(*place).linkAnnotation(FileAnnotationWrapper(conn, annotation))


def texts(name, *values):
    return grid.StringColumn(name, "", max(map(len, values)), list(values))


class TestBulkTable:
    def test_its_rows_are_told_by_well_ids(self, empty_plate, omero_conn, known):
        wells = [empty_plate.well(0, 1), -1, empty_plate.well(0, 0)]
        columns = [
            grid.WellColumn("Well", "", wells),
            texts("Compound", "Taxol", "nowhere", "DMSO"),
            grid.DoubleColumn("Concentration (nM)", "", [0.3, 1.0, float("nan")]),
            grid.LongColumn("batch", "", [7, 8, 9]),
            texts("Well Name", "A02", "Z99", "A01"),
        ]
        attach_table(omero_conn, ("Plate", empty_plate.ids.plate), columns)
        assert known() == {
            "A01": ("DMSO", None, None, None, {"batch": "9"}),
            "A02": ("Taxol", 0.3, "nM", None, {"batch": "7"}),
            "C02": NOTHING,
        }

    def test_a_screens_is_told_by_names_of_plate_and_well(self, empty_plate, omero_conn, known):
        columns = [
            texts("Plate", "another", "<i>empty</i>"),
            texts("Well", "A1", "a1"),
            texts("Gene Symbol", "KIF11", "PLK1"),
        ]
        attach_table(omero_conn, ("Screen", empty_plate.ids.screen), columns)
        assert known()["A01"][0] == "PLK1"

    def test_what_differs_between_the_images_of_a_well_is_left_out(
        self, empty_plate, omero_conn, known
    ):
        well = empty_plate.well(0, 0)
        columns = [
            grid.WellColumn("Well", "", [well, well]),
            texts("Compound", "Taxol", "Taxol"),
            grid.DoubleColumn("cells", "", [5.0, 6.0]),
        ]
        attach_table(omero_conn, ("Plate", empty_plate.ids.plate), columns)
        assert known()["A01"] == ("Taxol", None, None, None, {})

    def test_key_values_of_a_well_go_before_its_row(self, empty_plate, omero_conn, known):
        wells = [empty_plate.well(0, 0), empty_plate.well(0, 1)]
        columns = [grid.WellColumn("Well", "", wells), texts("Compound", "Taxol", "Taxol")]
        attach_table(omero_conn, ("Plate", empty_plate.ids.plate), columns)
        ezomero.post_map_annotation(omero_conn, "Well", wells[0], {"Compound": "A"}, ns="")
        assert [facts[0] for facts in known().values()] == ["A", "Taxol", None]

    def test_ours_is_not_read(self, empty_plate, omero_conn, known):
        wells, place = [empty_plate.well(0, 0)], ("Plate", empty_plate.ids.plate)
        columns = [grid.WellColumn("Well", "", wells), grid.LongColumn("cells", "", [5])]
        attach_table(omero_conn, place, columns, description="run=20250101T120000-0000aaaa unit=")
        assert known()["A01"] == NOTHING

    def test_one_that_cannot_be_read_is_logged_and_left_out(
        self, empty_plate, omero_conn, known, caplog
    ):
        file = OriginalFileI()
        file.name, file.path = rstring("no table"), rstring("")
        number = omero_conn.getUpdateService().saveAndReturnObject(file).id.val
        attach(omero_conn, ("Plate", empty_plate.ids.plate), number, BULK)
        assert known()["A01"] == NOTHING
        assert f"file {number} of plate {empty_plate.ids.plate} cannot be read" in caplog.text

    def test_a_table_service_that_is_off_leaves_the_rest_as_it_is(
        self, empty_plate, omero_conn, omero_root, omero_server, known, caplog
    ):
        if not omero_server.is_sandbox:
            pytest.skip("a real server reads its list of services only when it starts")
        wells = [empty_plate.well(0, 0), empty_plate.well(0, 1)]
        columns = [grid.WellColumn("Well", "", wells), texts("Compound", "Taxol", "Taxol")]
        attach_table(omero_conn, ("Plate", empty_plate.ids.plate), columns)
        ezomero.post_map_annotation(omero_conn, "Well", wells[0], {"Compound": "A"}, ns="")
        config = omero_root.c.sf.getConfigService()
        config.setConfigValue("omero.server.nodedescriptors", "master:Blitz-0,Processor-0")
        try:
            assert [facts[0] for facts in known().values()] == ["A", None, None]
        finally:
            config.setConfigValue("omero.server.nodedescriptors", "")
        assert "left out" in caplog.text

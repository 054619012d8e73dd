from __future__ import annotations

import pytest

from omero_hcs.sandbox.ice.record import omero
from omero_hcs.sandbox.model.java import java_name
from omero_hcs.sandbox.model.schema import SCHEMA, Kind, entity_name, entity_of


def test_fields_are_of_the_kind_that_the_generated_classes_have():
    image = SCHEMA["Image"].fields
    assert (image["name"].kind, image["name"].target) == (Kind.SCALAR, "RString")
    assert (image["fileset"].kind, image["fileset"].target) == (Kind.REF, "Fileset")
    assert (image["pixels"].kind, image["pixels"].inverse) == (Kind.COLLECTION, "image")
    assert SCHEMA["Pixels"].fields["physicalSizeX"].kind is Kind.VALUE
    assert SCHEMA["MapAnnotation"].fields["mapValue"].kind is Kind.VALUE


def test_what_must_not_be_null_is_known():
    assert not SCHEMA["Image"].fields["name"].nullable
    assert SCHEMA["Image"].fields["description"].nullable
    assert not SCHEMA["Well"].fields["plate"].nullable


def test_descendants_have_the_fields_of_their_bases_and_share_their_ids():
    tag = SCHEMA["TagAnnotation"]
    assert tag.isa("Annotation")
    assert tag.root == "Annotation"
    assert {"ns", "description", "textValue"} <= set(tag.fields)
    assert tag in SCHEMA["Annotation"].concrete


@pytest.mark.parametrize(
    ("entity", "collection", "inverse"),
    [
        ("Plate", "wells", "plate"),
        ("Well", "wellSamples", "well"),
        ("PlateAcquisition", "wellSample", "plateAcquisition"),
        ("Dataset", "imageLinks", "parent"),
        ("Image", "datasetLinks", "child"),
        ("TagAnnotation", "annotationLinks", "parent"),
        ("Experimenter", "groupExperimenterMap", "child"),
        ("Folder", "childFolders", "parentFolder"),
    ],
)
def test_a_collection_knows_how_its_members_point_back(entity, collection, inverse):
    assert SCHEMA[entity].fields[collection].inverse == inverse


def test_every_collection_has_a_way_back():
    missing = [
        f"{entity.name}.{one.name}"
        for entity in SCHEMA.values()
        for one in entity.collections
        if not one.inverse
    ]
    assert missing == []


def test_enumerations_links_and_what_belongs_to_nobody_are_told_apart():
    assert SCHEMA["PixelsType"].is_enum
    assert SCHEMA["JobStatus"].is_enum
    assert not SCHEMA["Experimenter"].is_enum
    assert SCHEMA["Experimenter"].is_global
    assert not SCHEMA["Image"].is_global
    assert SCHEMA["DatasetImageLink"].is_link
    assert SCHEMA["WellAnnotationLink"].is_annotation_link
    assert not SCHEMA["DatasetImageLink"].is_annotation_link


@pytest.mark.parametrize(
    "told",
    ["Image", "ImageI", "omero.model.Image", "ome.model.core.Image", "::omero::model::ImageI"],
)
def test_an_entity_is_known_by_all_the_names_that_clients_use(told):
    assert entity_name(told) == "Image"


def test_a_name_of_no_entity_comes_back_for_the_error():
    assert entity_name("ome.model.Foo") == "Foo"
    assert entity_name("WellSampleI") == "WellSample"
    assert entity_name("ROI") == "ROI"


def test_a_clients_object_has_an_entity():
    assert entity_of(omero.model.RectangleI()) is SCHEMA["Rectangle"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Image", "ome.model.core.Image"),
        ("Pixels", "ome.model.core.Pixels"),
        ("OriginalFile", "ome.model.core.OriginalFile"),
        ("Dataset", "ome.model.containers.Dataset"),
        ("DatasetImageLink", "ome.model.containers.DatasetImageLink"),
        ("Well", "ome.model.screen.Well"),
        ("TagAnnotation", "ome.model.annotations.TagAnnotation"),
        ("WellAnnotationLink", "ome.model.annotations.WellAnnotationLink"),
        ("Polygon", "ome.model.roi.Polygon"),
        ("Experimenter", "ome.model.meta.Experimenter"),
        ("Fileset", "ome.model.fs.Fileset"),
        ("ScriptJob", "ome.model.jobs.ScriptJob"),
        ("RenderingDef", "ome.model.display.RenderingDef"),
        ("Thumbnail", "ome.model.display.Thumbnail"),
        ("PixelsType", "ome.model.enums.PixelsType"),
        ("Objective", "ome.model.acquisition.Objective"),
        ("StatsInfo", "ome.model.stats.StatsInfo"),
        ("ExternalInfo", "ome.model.meta.ExternalInfo"),
    ],
)
def test_java_knows_an_entity_by_its_package(name, expected):
    assert java_name(SCHEMA[name]) == expected

"""What `IQuery.projection` gives back, and how parameters come in."""

from __future__ import annotations

import pytest

from omero_hcs.sandbox.hql.engine import compiled
from omero_hcs.sandbox.ice.record import omero, rtypes

ParametersI = omero.sys.ParametersI


@pytest.fixture
def image(lab):
    image = lab.add("Image", name="i", acquisitionDate=1_600_000_000_000)
    size = omero.model.LengthI(0.65, omero.model.enums.UnitsLength.MICROMETER)
    lab.add("Pixels", image=image, sizeX=7, sizeY=2, sizeZ=1, sizeC=1, sizeT=1, physicalSizeX=size)
    lab.add("Rectangle", roi=lab.add("Roi", image=image), theZ=0, x=1.5, locked=True)
    return image


def values(engine, text, parameters=None, caller=None):
    """The only row of a projection, unwrapped."""
    [row] = engine.project(text, parameters, caller)
    return [rtypes.unwrap(value) for value in row]


def kinds(engine, text):
    [row] = engine.project(text, None, None)
    return [None if value is None else value.ice_staticId().rpartition("::")[2] for value in row]


def test_each_field_comes_in_the_rtype_of_its_column(engine, image):
    text = (
        "select i.id, p.sizeX, i.name, i.acquisitionDate, s.x, s.locked, i.description, i "
        "from Image i join i.pixels p join i.rois r join r.shapes s"
    )
    told = ["RLong", "RInt", "RString", "RTime", "RDouble", "RBool", None, "RObject"]
    assert kinds(engine, text) == told


def test_calculations_have_the_types_that_hibernate_gives_them(engine, image):
    text = (
        "select count(p), sum(p.sizeX), avg(p.sizeX), max(p.sizeX), min(p.image.name), "
        "sum(p.sizeX * 1.5), count(distinct p.id) from Pixels p"
    )
    told = ["RLong", "RLong", "RDouble", "RInt", "RString", "RDouble", "RLong"]
    assert kinds(engine, text) == told
    text = "select p.sizeX + 1, p.sizeX * p.id, p.sizeX / 2, p.sizeX / 2.0, -p.sizeX from Pixels p"
    assert kinds(engine, text) == ["RInt", "RLong", "RInt", "RDouble", "RInt"]
    assert values(engine, text)[2:] == [3, 3.5, -7]


def test_a_length_is_a_map_and_its_parts_are_values(engine, image):
    [size, value, unit] = values(
        engine,
        "select p.physicalSizeX, p.physicalSizeX.value, p.physicalSizeX.unit from Pixels p",
    )
    assert size == {"value": 0.65, "unit": "MICROMETER", "symbol": "µm"}
    assert (value, unit) == (0.65, "MICROMETER")
    assert values(engine, "select p.physicalSizeY from Pixels p") == []


def test_a_new_map_is_one_value_with_the_names_of_its_parts(lab, engine, image):
    text = "select new map(i.id as id, i.name as name, i as i_details_permissions) from Image i"
    [told] = values(engine, text, caller=lab.caller())
    assert (told["id"], told["name"]) == (image.id, "i")
    permissions = told["i_details_permissions"]
    assert permissions["perm"] == "rwra--"
    assert permissions["canEdit"] is True
    assert set(permissions) == {
        "perm", "canLink", "canEdit", "canDelete", "canAnnotate", "canChgrp", "canChown"
    }  # fmt: skip


def test_permissions_tell_what_the_caller_may_do(lab, engine, image):
    stranger = lab.add("Experimenter", omeName="eve")
    text = "select i.details.permissions from Image i"
    [permissions] = values(engine, text, caller=lab.caller(stranger))
    assert permissions["canAnnotate"] is True
    assert permissions["canEdit"] is False


def test_permissions_have_a_number(lab, engine, image):
    text = "select i.details.permissions.perm1, i.details.group.name from Image i"
    assert values(engine, text) == [omero.model.PermissionsI("rwra--").getPerm1(), "lab"]


def test_type_is_the_name_of_the_java_class(lab, engine):
    lab.add("TagAnnotation", textValue="t")
    text = "select type(a.class), a.class, type(a) from Annotation a"
    assert values(engine, text) == ["ome.model.annotations.TagAnnotation"] * 3


@pytest.mark.parametrize("where", ["type(a) = TagAnnotation", "type(a) in (TagAnnotation)"])
def test_type_is_compared_with_the_name_of_a_class(lab, engine, where):
    tag = lab.add("TagAnnotation", textValue="t")
    lab.add("CommentAnnotation", textValue="t")
    assert engine.rows(f"from Annotation a where {where}", {}, None) == [tag]


def test_a_query_without_select_gives_all_that_is_not_fetched(engine, image):
    [row] = engine.project("from Image i join i.pixels p left join fetch i.wellSamples", None, None)
    assert [value.val.ice_staticId() for value in row] == [
        "::omero::model::Image",
        "::omero::model::Pixels",
    ]


# -- parameters


def test_parameters_of_every_kind(engine, image):
    parameters = ParametersI().addId(image.id).addString("name", "i").addIds([image.id, 99])
    parameters.add("time", rtypes.rtime(1_500_000_000_000))
    parameters.add("object", rtypes.robject(omero.model.ImageI(image.id, False)))
    text = (
        "select i.id from Image i where i.id = :id and i.name = :name and i.id in (:ids) "
        "and i.acquisitionDate > :time and i = :object and i in (:object)"
    )
    assert values(engine, text, parameters) == [image.id]


@pytest.mark.parametrize("given", [{}, {"id": None}])
def test_a_parameter_without_a_value_is_refused_by_its_name(engine, given):
    parameters = ParametersI()
    parameters.map = given
    with pytest.raises(omero.ApiUsageException, match="Null parameters not allowed: id"):
        engine.project("select i from Image i where i.id = :id", parameters, None)


def test_a_parameter_of_another_class_than_its_property_is_refused(engine, image):
    text = "select i from Image i where i.id = :id"
    parameters = ParametersI().add("id", rtypes.rint(1))
    with pytest.raises(omero.InternalException, match="Integer cannot be cast to java"):
        engine.project(text, parameters, None)
    parameters = ParametersI().add("ids", rtypes.rlist([rtypes.rstring("1")]))
    with pytest.raises(omero.InternalException, match="String cannot be cast to java"):
        engine.project("select i from Image i where i.id in (:ids)", parameters, None)


def test_an_empty_list_is_refused_as_hibernate_does(engine, image):
    parameters = ParametersI().addIds([])
    with pytest.raises(omero.ApiUsageException, match="unexpected end of subtree"):
        engine.project("select i from Image i where i.id in (:ids)", parameters, None)


def test_a_page_of_the_results(lab, engine):
    for number in range(7):
        lab.add("Image", name=str(number))
    text = "select i.name from Image i order by i.name desc"
    rows = engine.project(text, ParametersI().page(2, 3), None)
    assert [row[0].val for row in rows] == ["4", "3", "2"]


def test_a_page_counts_objects_and_not_the_rows_of_a_fetched_collection(lab, engine):
    for number in range(3):
        plate = lab.add("Plate", name=str(number))
        for column in range(4):
            lab.add("Well", plate=plate, column=column)
    text = "select p from Plate p left outer join fetch p.wells order by p.id"
    plates = engine.find(text, ParametersI().page(1, 2), None)
    assert [plate.name.val for plate in plates] == ["1", "2"]
    assert [plate.sizeOfWells() for plate in plates] == [4, 4]


def test_our_own_services_get_rows_and_give_plain_values(lab, engine, image):
    rows = engine.rows(
        "select p from Pixels p where p.image in (:images) and p.sizeX = :x",
        {"images": {image}, "x": 7},
        None,
    )
    assert [row.entity.name for row in rows] == ["Pixels"]


def test_a_query_is_compiled_once():
    text = "select i from Image i where i.id = 4711"
    assert compiled(text) is compiled(text)


def test_a_single_column_that_is_null_is_an_empty_row(engine, image):
    assert engine.project("select i.description from Image i", None, None) == [[]]
    assert engine.project("select sum(f.size) from OriginalFile f", None, None) == [[]]
    [two] = engine.project("select i.description, i.description from Image i", None, None)
    assert two == [None, None]


def test_rows_are_sorted_by_a_length_s_value(lab, engine, image):
    size = omero.model.LengthI(0.3, omero.model.enums.UnitsLength.MICROMETER)
    sizes = {"sizeY": 2, "sizeZ": 1, "sizeC": 1, "sizeT": 1}
    lab.add("Pixels", image=image, sizeX=9, physicalSizeX=size, **sizes)
    text = "select p.sizeX from Pixels p order by p.physicalSizeX"
    assert [row[0].val for row in engine.project(text, None, None)] == [9, 7]

from __future__ import annotations

import omero
import pytest
from omero.model import ImageI, PolygonI, ProjectI, RoiI
from omero.rtypes import rint, rstring
from omero.sys import ParametersI


@pytest.fixture
def query(omero_conn):
    return omero_conn.getQueryService()


@pytest.fixture
def projects(omero_conn):
    made = []
    for name in ("Alpha plate", "beta", "beta"):
        project = ProjectI()
        project.name = rstring(name)
        made.append(project)
    return omero_conn.getUpdateService().saveAndReturnArray(made)


def names(found):
    return sorted(one.name.val for one in found)


def test_find_says_nothing_where_get_complains(query, projects):
    number = projects[0].id.val
    assert query.get("Project", number).name.val == "Alpha plate"
    assert query.find("ome.model.containers.Project", number).name.val == "Alpha plate"
    assert query.find("Project", 10**9) is None
    with pytest.raises(omero.ValidationException):
        query.get("Project", 10**9)


def test_what_is_no_entity_is_named(query):
    with pytest.raises(omero.ApiUsageException, match="Nonsense"):
        query.get("Nonsense", 1)


def test_others_objects_are_a_violation(query, projects, omero_make_group, omero_make_user,
                                        omero_connect):  # fmt: skip
    stranger = omero_connect(omero_make_user(omero_make_group("private")))
    with pytest.raises(omero.SecurityViolation):
        stranger.getQueryService().get("Project", projects[0].id.val)


def test_a_string_is_found_anywhere_in_a_field(query, projects):
    find = query.findAllByString
    assert names(find("Project", "name", "pha pl", True, None)) == ["Alpha plate"]
    assert find("Project", "name", "alpha", True, None) == []
    assert names(find("Project", "name", "alpha", False, None)) == ["Alpha plate"]
    page = omero.sys.Filter()
    page.limit = rint(1)
    assert len(find("Project", "name", "beta", True, page)) == 1


def test_one_object_is_wanted_and_there_are_two(query, projects):
    assert query.findByString("Project", "name", "Alpha plate").id.val == projects[0].id.val
    with pytest.raises(omero.ApiUsageException, match="more than one Object"):
        query.findByString("Project", "name", "beta")
    with pytest.raises(omero.ApiUsageException, match="more than one Object"):
        query.findByQuery("select p from Project p where p.name = 'beta'", ParametersI())


def test_an_example_finds_what_is_like_it(query, projects):
    example = ProjectI()
    example.name = rstring("Alpha plate")
    assert query.findByExample(example).id.val == projects[0].id.val
    example.name = rstring("beta")
    assert len(query.findAllByExample(example, None)) == 2


def test_a_shape_comes_with_its_roi_and_nothing_else(omero_conn, query):
    image = ImageI()
    image.name = rstring("of a roi")
    roi, shape = RoiI(), PolygonI()
    roi.image, roi.name = image, rstring("nucleus")
    roi.addShape(shape)
    saved = omero_conn.getUpdateService().saveAndReturnObject(roi)
    found = query.get("Polygon", saved.copyShapes()[0].id.val)
    assert found.roi.name.val == "nucleus"
    assert not found.roi.image.loaded


def test_a_full_text_search_looks_for_all_words(query, projects):
    found = query.findAllByFullText("Project", "plate alpha*", ParametersI())
    assert names(found) == ["Alpha plate"]
    assert query.findAllByFullText("Project", "plate gamma", ParametersI()) == []

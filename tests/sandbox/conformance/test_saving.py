"""Saving and loading: what is refused, what comes back loaded; a failure leaves nothing."""

from __future__ import annotations

import omero
import pytest
from omero.model import (
    CommentAnnotationI,
    DatasetI,
    DatasetImageLinkI,
    ImageI,
    ProjectAnnotationLinkI,
    ProjectDatasetLinkI,
    ProjectI,
    TagAnnotationI,
)
from omero.rtypes import rlong, rstring


@pytest.fixture
def query(omero_conn):
    return omero_conn.getQueryService()


def project(name="p"):
    row = ProjectI()
    row.name = rstring(name)
    return row


def count(query, kind):
    text = f"select count(o) from {kind} o"  # noqa: S608  (names of ours)
    return query.projection(text, None)[0][0].val


def test_ids_are_given_in_sequence_and_a_copy_comes_back(save):
    sent = project()
    first, second = save(sent), save(project())
    assert sent.id is None
    assert second.id.val > first.id.val
    assert (first.isLoaded(), first.name.val) == (True, "p")


def test_what_comes_back_has_an_unloaded_owner_and_group(save, omero_user):
    details = save(project()).details
    assert details.owner.id.val == omero_user.id
    assert details.group.id.val == omero_user.groups[0].id
    assert not details.owner.isLoaded()
    assert not details.group.isLoaded()
    assert details.permissions.canEdit()


def test_a_name_that_must_be_there_is_missing(save, query):
    before = count(query, "Project")
    with pytest.raises(omero.ValidationException):
        save(ProjectI())
    assert count(query, "Project") == before


def test_a_list_with_one_bad_object_saves_none_of_it(omero_conn, query):
    rows = [project("good"), project("good, too"), ProjectI()]
    with pytest.raises(omero.ValidationException):
        omero_conn.getUpdateService().saveArray(rows)
    with pytest.raises(omero.ValidationException):
        omero_conn.getUpdateService().saveAndReturnArray(rows)
    assert count(query, "Project") == 0


def test_a_graph_with_a_bad_end_saves_none_of_it(save, query):
    row, dataset, bad = project(), DatasetI(), DatasetI()
    dataset.name = rstring("good")
    row.linkDataset(dataset)
    row.linkDataset(bad)
    with pytest.raises(omero.ValidationException):
        save(row)
    assert [count(query, kind) for kind in ("Project", "Dataset", "ProjectDatasetLink")] == [0] * 3


def test_a_graph_is_saved_whole(save, query):
    row, dataset = project(), DatasetI()
    dataset.name = rstring("d")
    row.linkDataset(dataset)
    saved = save(row)
    (linked,) = saved.linkedDatasetList()
    assert linked.name.val == "d"
    assert query.get("Dataset", linked.id.val).name.val == "d"


def test_links_are_made_between_unloaded_references(save, named, query):
    parent, child = named("Project"), named("Dataset")
    link = ProjectDatasetLinkI()
    link.parent, link.child = ProjectI(parent, loaded=False), DatasetI(child, loaded=False)
    saved = save(link)
    assert (saved.parent.id.val, saved.child.id.val) == (parent, child)
    again = ProjectDatasetLinkI()
    again.parent, again.child = ProjectI(parent, loaded=False), DatasetI(child, loaded=False)
    with pytest.raises(omero.ValidationException):
        save(again)
    assert count(query, "ProjectDatasetLink") == 1


def test_a_reference_to_nothing_is_refused(save, named):
    link = DatasetImageLinkI()
    link.parent = DatasetI(named("Dataset"), loaded=False)
    link.child = ImageI(2**40, loaded=False)
    with pytest.raises(omero.ServerError):
        save(link)


def test_saving_an_unloaded_collection_leaves_it(save, query):
    row, dataset = project(), DatasetI()
    dataset.name = rstring("d")
    row.linkDataset(dataset)
    number = save(row).id.val
    plain = query.get("Project", number)
    assert plain.sizeOfDatasetLinks() == -1
    plain.name = rstring("renamed")
    save(plain)
    assert count(query, "ProjectDatasetLink") == 1


def test_only_what_was_fetched_is_loaded(save, query, new_image):
    image = new_image().getId()
    plain = query.get("Image", image)
    assert plain.sizeOfPixels() == -1
    with pytest.raises(omero.ClientError):
        plain.copyPixels()
    text = "select i from Image i join fetch i.pixels p join fetch p.pixelsType where i.id = :id"
    parameters = omero.sys.ParametersI().addId(image)
    (pixels,) = query.findByQuery(text, parameters).copyPixels()
    assert pixels.pixelsType.value.val == "uint16"
    assert not pixels.dimensionOrder.isLoaded()
    assert pixels.sizeOfChannels() == -1


def test_a_value_is_cleared(save, query):
    row = project()
    row.description = rstring("words")
    saved = save(row)
    saved.description = None
    save(saved)
    assert query.get("Project", saved.id.val).description is None


def test_an_object_that_is_gone_is_not_saved(save, query, delete, omero_conn):
    saved = save(project())
    delete(omero_conn, Project=[saved.id.val])
    saved.name = rstring("ghost")
    with pytest.raises(omero.ServerError):
        save(saved)
    assert query.find("Project", saved.id.val) is None


def test_enumerations_are_found_by_value(omero_conn, new_image):
    service = omero_conn.getTypesService()
    found = service.getEnumeration("PixelsType", "uint16")
    assert found.value.val == "uint16"
    every = {row.value.val for row in service.allEnumerations("DimensionOrder")}
    assert {"XYZCT", "XYCZT"} <= every


def test_what_get_and_find_say_of_an_id_that_is_not_there(query):
    assert query.find("Project", 2**40) is None
    with pytest.raises(omero.ValidationException):
        query.get("Project", 2**40)


@pytest.mark.parametrize(
    "text",
    [
        "select from where",
        "select p from Projekt p",
        "select p from Project p where p.nothing = 1",
        "select p from Project p where p.id = :unbound",
        "select q from Project p",
    ],
)
def test_a_query_that_makes_no_sense_is_an_error(query, text):
    with pytest.raises(omero.ServerError):
        query.findAllByQuery(text, None)
    with pytest.raises(omero.ServerError):
        query.projection(text, None)


def test_one_result_was_asked_for_and_there_are_two(save, query):
    save(project("twin"))
    save(project("twin"))
    with pytest.raises(omero.ApiUsageException):
        query.findByQuery("select p from Project p where p.name = 'twin'", None)
    with pytest.raises(omero.ApiUsageException):
        query.findByString("Project", "name", "twin")


def test_pages_and_parameters(save, query):
    numbers = [save(project(f"page {n}")).id.val for n in range(5)]
    parameters = omero.sys.ParametersI().addIds(numbers).page(1, 2)
    found = query.findAllByQuery(
        "select p from Project p where p.id in (:ids) order by p.id desc", parameters
    )
    assert [row.id.val for row in found] == numbers[::-1][1:3]


def test_projections_give_values(save, query):
    saved = save(project("projected"))
    text = (
        "select p.id, p.name, p.description, p.details.owner.omeName, size(p.datasetLinks) "
        "from Project p where p.name like :name"
    )
    parameters = omero.sys.ParametersI().addString("name", "project%")
    ((number, name, description, owner, size),) = query.projection(text, parameters)
    assert (number, name) == (rlong(saved.id.val), rstring("projected"))
    assert description is None
    assert owner.val
    assert size.val == 0


def test_deletion_takes_links_and_leaves_what_they_led_to(save, query, delete, omero_conn):
    row, dataset = project(), DatasetI()
    dataset.name = rstring("stays?")
    row.linkDataset(dataset)
    saved = save(row)
    (child,) = saved.linkedDatasetList()
    keep = omero.cmd.graphs.ChildOption(excludeType=["Dataset"])
    request = omero.cmd.Delete2(targetObjects={"Project": [saved.id.val]}, childOptions=[keep])
    omero_conn.c.submit(request, loops=50).close(closeHandle=True)
    assert query.find("Project", saved.id.val) is None
    assert query.find("Dataset", child.id.val) is not None
    assert count(query, "ProjectDatasetLink") == 0


def test_deletion_takes_children_that_nobody_else_has(save, query, delete, omero_conn):
    first, second, shared, own = project(), project(), DatasetI(), DatasetI()
    shared.name, own.name = rstring("shared"), rstring("own")
    first.linkDataset(own)
    first = save(first)
    shared = save(shared)
    second = save(second)
    for parent in (first, second):
        link = ProjectDatasetLinkI()
        link.parent, link.child = parent.proxy(), shared.proxy()
        save(link)
    delete(omero_conn, Project=[first.id.val])
    names = [row[0].val for row in query.projection("select d.name from Dataset d", None)]
    assert names == ["shared"]


def test_deletion_says_what_it_deleted(save, delete, omero_conn):
    link = ProjectAnnotationLinkI()
    link.parent, link.child = project(), CommentAnnotationI()
    link.child.textValue = rstring("mine")
    saved = save(link)
    response = delete(omero_conn, Project=[saved.parent.id.val])
    deleted = {name.rpartition(".")[2]: ids for name, ids in response.deletedObjects.items()}
    assert deleted["Project"] == [saved.parent.id.val]
    assert deleted["ProjectAnnotationLink"] == [saved.id.val]
    assert deleted["CommentAnnotation"] == [saved.child.id.val]


def test_a_dry_run_deletes_nothing(save, query, omero_conn):
    number = save(project()).id.val
    request = omero.cmd.Delete2(targetObjects={"Project": [number]}, dryRun=True)
    callback = omero_conn.c.submit(request, loops=50)
    try:
        assert any(name.endswith("Project") for name in callback.getResponse().deletedObjects)
    finally:
        callback.close(closeHandle=True)
    assert query.find("Project", number) is not None


def test_a_tag_in_use_goes_from_all_it_was_on(save, query, delete, omero_conn):
    tag = TagAnnotationI()
    tag.textValue = rstring("t")
    tag = save(tag)
    link = ProjectAnnotationLinkI()
    link.parent, link.child = project(), tag.proxy()
    saved = save(link)
    delete(omero_conn, TagAnnotation=[tag.id.val])
    assert query.find("Project", saved.parent.id.val) is not None
    assert count(query, "ProjectAnnotationLink") == 0


@pytest.fixture
def external():
    """An external information about an object."""

    def make(kind):
        row = omero.model.ExternalInfoI()
        row.entityType, row.entityId = rstring(kind), rlong(1)
        return row

    return make


def kind_of(query, number):
    text = "select p from Project p left outer join fetch p.details.externalInfo where p.id = :id"
    info = query.findByQuery(text, omero.sys.ParametersI().addId(number)).details.externalInfo
    return None if info is None else info.entityType.val


def test_external_information_is_added_replaced_and_removed(save, query, external):
    row = project()
    row.details.externalInfo = external("first")
    saved = save(row)
    assert kind_of(query, saved.id.val) == "first"
    saved.details.externalInfo = external("second")
    saved = save(saved)
    assert kind_of(query, saved.id.val) == "second"
    saved.details.externalInfo = None
    saved = save(saved)
    assert kind_of(query, saved.id.val) is None


def test_maps_of_a_projection_are_distinct(save, query):
    row, tag = project("tagged"), TagAnnotationI()
    tag.textValue = rstring("t")
    row.linkAnnotation(tag)
    row.linkAnnotation(CommentAnnotationI())
    saved = save(row)
    text = (
        "select distinct new map(p.id as id, lower(p.name) as name, p as p_details_permissions) "
        "from Project p join p.annotationLinks l"
    )
    ((found,),) = query.projection(text, None)
    values = omero.rtypes.unwrap(found)
    assert (values["id"], values["name"]) == (saved.id.val, "tagged")
    assert values["p_details_permissions"]["canEdit"] is True


def test_sums_over_groups(new_image, query):
    new_image(sizes=(2, 1, 1))
    new_image(dtype="uint8")
    text = (
        "select p.pixelsType.value, sum(cast(p.sizeX as long) * p.sizeY * p.sizeZ), count(p) "
        "from Pixels p group by p.pixelsType.value order by p.pixelsType.value"
    )
    rows = omero.rtypes.unwrap(query.projection(text, None))
    assert rows == [["uint16", 96, 1], ["uint8", 48, 1]]

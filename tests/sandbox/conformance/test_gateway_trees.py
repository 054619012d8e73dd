"""BlitzGateway walks trees: containers, plates, orphans, owners, objects by options."""

from __future__ import annotations

import omero
import pytest
from omero.gateway import TagAnnotationWrapper
from omero.model import (
    DatasetI,
    DatasetImageLinkI,
    ImageI,
    PlateI,
    ProjectDatasetLinkI,
    ProjectI,
    ScreenI,
    ScreenPlateLinkI,
)
from omero.rtypes import rlong
from omero.sys import ParametersI


def link(kind, parent, child):
    row = kind()
    row.parent, row.child = parent, child
    return row


@pytest.fixture
def tree(named, save, new_image):
    """A project with two datasets, the first with two images."""
    project, first, second = named("Project"), named("Dataset", "b"), named("Dataset", "a")
    for dataset in (first, second):
        save(
            link(
                ProjectDatasetLinkI,
                ProjectI(project, loaded=False),
                DatasetI(dataset, loaded=False),
            )
        )
    images = [new_image(name).getId() for name in ("two", "one")]
    for image in images:
        save(link(DatasetImageLinkI, DatasetI(first, loaded=False), ImageI(image, loaded=False)))
    return project, (first, second), images


def test_children_and_parents(omero_conn, tree):
    project, datasets, images = tree
    top = omero_conn.getObject("Project", project)
    assert {child.getId() for child in top.listChildren()} == set(datasets)
    assert top.countChildren() == 2
    first = omero_conn.getObject("Dataset", datasets[0])
    assert [child.getName() for child in first.listChildren()] == ["one", "two"]
    assert first.countChildren() == 2
    image = omero_conn.getObject("Image", images[0])
    assert image.getParent().getId() == datasets[0]
    assert image.getProject().getId() == project
    assert [type(row).__name__ for row in image.getAncestry()] == [
        "_DatasetWrapper",
        "_ProjectWrapper",
    ]


def test_children_of_a_page(omero_conn, tree):
    _, datasets, images = tree
    first = omero_conn.getObject("Dataset", datasets[0])
    page = first.listChildren(params=ParametersI().page(1, 1))
    assert [child.getName() for child in page] == ["two"]
    assert images


def test_objects_by_id_name_and_attribute(omero_conn, tree, named):
    _, datasets, _ = tree
    other = named("Dataset", "unlike")
    found = omero_conn.getObjects("Dataset", [*datasets, other])
    assert {row.getId() for row in found} == {*datasets, other}
    (one,) = omero_conn.getObjects("Dataset", attributes={"name": "unlike"})
    assert one.getId() == other
    assert omero_conn.getObject("Dataset", 2**40) is None


def test_objects_by_options(omero_conn, tree, omero_user):
    project, datasets, images = tree
    by = {
        "project": ("Dataset", {"project": project}, set(datasets)),
        "dataset": ("Image", {"dataset": datasets[0]}, set(images)),
        "owner": ("Project", {"owner": omero_user.id}, {project}),
        "other": ("Project", {"owner": 0}, set()),
    }
    for kind, opts, expected in by.values():
        assert {row.getId() for row in omero_conn.getObjects(kind, opts=opts)} == expected
    page = omero_conn.getObjects("Image", opts={"limit": 1, "offset": 1, "order_by": "obj.name"})
    assert [row.getName() for row in page] == ["two"]


def test_orphans(omero_conn, tree, named, new_image, new_plate):
    image, dataset = new_image("orphan").getId(), named("Dataset", "orphan")
    new_plate()
    orphans = omero_conn.getObjects("Image", opts={"orphaned": True})
    assert [row.getId() for row in orphans] == [image]
    found = omero_conn.getObjects("Dataset", opts={"orphaned": True})
    assert [row.getId() for row in found] == [dataset]
    assert dataset in [row.getId() for row in omero_conn.listOrphans("Dataset")]


def test_child_counts_come_with_containers(omero_conn, tree):
    project, datasets, _ = tree
    (top,) = omero_conn.getObjects("Project", [project], opts={"child_count": True})
    assert top.countChildren() == 2
    counts = {
        row.getId(): row.countChildren()
        for row in omero_conn.getObjects("Dataset", datasets, opts={"child_count": True})
    }
    assert counts == {datasets[0]: 2, datasets[1]: 0}


def test_a_plate_its_wells_fields_and_runs(omero_conn, new_plate, named, save):
    number, screen = new_plate(), named("Screen")
    save(link(ScreenPlateLinkI, ScreenI(screen, loaded=False), PlateI(number, loaded=False)))
    plate = omero_conn.getObject("Plate", number)
    assert plate.getGridSize() == {"rows": 2, "columns": 2}
    assert plate.getNumberOfFields() == (0, 1)
    assert plate.getParent().getId() == screen
    wells = sorted(plate.listChildren(), key=lambda well: (well.row, well.column))
    assert [well.getWellPos() for well in wells] == ["A1", "B2"]
    assert [image.getName() for image in (wells[1].getImage(0), wells[1].getImage(1))] == [
        "plate 1 0",
        "plate 1 1",
    ]
    assert wells[0].countWellSample() == 2
    (run,) = plate.listPlateAcquisitions()
    assert run.getName() == "run"
    sample = wells[0].getWellSample(0)
    assert sample.getPlateAcquisition().getId() == run.getId()
    assert sample.getParent().getId() == wells[0].getId()
    assert wells[0].getImage(0).getParent().getId() == sample.getId()


def test_wells_and_images_of_a_plate_by_options(omero_conn, new_plate):
    plate = new_plate()
    opts = {"plate": plate, "load_images": True, "load_pixels": True}
    wells = list(omero_conn.getObjects("Well", opts=opts))
    assert len(wells) == 2
    assert all(well.getImage().getSizeX() == 8 for well in wells)
    images = list(omero_conn.getObjects("Image", opts={"plate": plate}))
    assert len(images) == 4


def test_owner_group_and_creation(omero_conn, omero_user, named):
    project = omero_conn.getObject("Project", named("Project"))
    details = project.getDetails()
    assert details.getOwner().getOmeName() == omero_user.name
    assert details.getGroup().getName() == omero_user.groups[0].name
    assert project.getDate() is not None
    assert project.isOwned()
    assert project.canEdit()
    assert project.canDelete()


def test_names_are_changed_by_save(omero_conn, named):
    project = omero_conn.getObject("Project", named("Project", "before"))
    project.setName("after")
    project.setDescription("with words")
    project.save()
    again = omero_conn.getObject("Project", project.getId())
    assert (again.getName(), again.getDescription()) == ("after", "with words")
    again.setDescription(None)
    again.save()
    assert omero_conn.getObject("Project", project.getId()).getDescription() == ""


def test_users_and_groups(omero_conn, omero_user, omero_second_user):
    group = omero_user.groups[0]
    assert omero_conn.getGroupFromContext().getName() == group.name
    assert [row.getName() for row in omero_conn.getGroupsMemberOf()] == [group.name]
    members = {row.getId() for row in omero_conn.containedExperimenters(group.id)}
    assert members == {omero_user.id, omero_second_user.id}
    leaders, colleagues = omero_conn.getObject("ExperimenterGroup", group.id).groupSummary()
    assert leaders == []
    assert {row.getId() for row in colleagues} == members
    assert omero_conn.getUser().getFullName() == "Test User"


def test_two_names_are_kept_as_they_are(omero_conn, named):
    strange = "Größe µm 中文 'quoted' \"double\" % _ \\ \n end"
    number = named("Project", strange)
    assert omero_conn.getObject("Project", number).getName() == strange
    (found,) = omero_conn.getObjects("Project", attributes={"name": strange})
    assert found.getId() == number


def test_objects_come_in_the_order_of_their_ids(omero_conn, named):
    numbers = [named("Project") for _ in range(3)][::-1]
    for ids in (numbers, [rlong(number) for number in numbers]):
        found = omero_conn.getObjects("Project", ids, respect_order=True)
        assert [row.getId() for row in found] == numbers
    found = omero_conn.getObjects("Project", [numbers[0], 2**40, numbers[2]], respect_order=True)
    assert [row.getId() for row in found] == [numbers[0], numbers[2]]


def test_one_object_was_asked_for_and_there_are_two(omero_conn, named):
    named("Project", "twin")
    named("Project", "twin")
    with pytest.raises((omero.ApiUsageException, IndexError)):
        omero_conn.getObject("Project", attributes={"name": "twin"})


def test_orphans_come_in_pages_with_pixels(omero_conn, omero_user, new_image):
    for number in range(4):
        new_image(str(number))
    page = ParametersI().page(1, 2)
    found = list(omero_conn.listOrphans("Image", eid=omero_user.id, params=page, loadPixels=True))
    assert len(found) == 2
    assert all(row._obj.pixelsLoaded for row in found)
    assert not any(row._obj.pixelsLoaded for row in omero_conn.listOrphans("Image"))


def test_parents_come_with_their_links(omero_conn, tree):
    project, datasets, images = tree
    image = omero_conn.getObject("Image", images[0])
    (parent,) = image.listParents()
    assert parent.getId() == datasets[0]
    dataset, link = image.getParent(withlinks=True)
    assert (dataset.getId(), link.child.id.val) == (datasets[0], images[0])
    assert dataset.getParent().getId() == project
    assert omero_conn.getObject("Project", project).getParent() is None


def test_a_group_sums_up_who_leads_it(omero_make_group, omero_make_user, omero_connect):
    group = omero_make_group("read-only")
    owner, member = omero_make_user(group, owns=[group]), omero_make_user(group)
    conn = omero_connect(owner)
    found = conn.getObject("ExperimenterGroup", attributes={"name": group.name})
    leaders, colleagues = found.groupSummary()
    assert [row.getId() for row in leaders] == [owner.id]
    assert [row.getId() for row in colleagues] == [member.id]
    assert found.groupSummary(exclude_self=True)[0] == []
    assert [row.getId() for row in conn.getGroupsLeaderOf()] == [group.id]
    assert [row.getId() for row in conn.listColleagues()] == [member.id]
    assert list(omero_connect(member).getGroupsLeaderOf()) == []


def test_a_user_is_found_once_with_his_groups(omero_make_group, omero_make_user, omero_connect):
    user = omero_make_user(omero_make_group(), omero_make_group())
    conn = omero_connect(user)
    (found,) = conn.getObjects("Experimenter", attributes={"omeName": user.name})
    groups = {link.parent.id.val for link in found.copyGroupExperimenterMap()}
    assert {group.id for group in user.groups} <= groups
    assert conn.getObject("Experimenter", attributes={"omeName": "nobody of this name"}) is None


def test_objects_are_found_by_what_annotates_them(omero_conn, named):
    tag = TagAnnotationWrapper(omero_conn)
    tag.setValue("on both")
    tag.save()
    projects = [omero_conn.getObject("Project", named("Project")) for _ in range(2)]
    for row in projects:
        row.linkAnnotation(tag)
    found = omero_conn.getObjectsByAnnotations("Project", [tag.getId()])
    assert {row.getId() for row in found} == {row.getId() for row in projects}
    mine = ParametersI()
    mine.exp(0)
    assert list(omero_conn.getAnnotationLinks("Project", params=mine)) == []
    links = omero_conn.getAnnotationLinks("Project", parent_ids=[projects[0].getId()])
    assert [link.getAnnotation().getId() for link in links] == [tag.getId()]

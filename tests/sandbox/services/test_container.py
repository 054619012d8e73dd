"""What IContainer finds, and how much of it comes loaded."""

from __future__ import annotations

import omero
import pytest
from omero.gateway import BlitzGateway  # noqa: F401  (loads the modules in the order that works)
from omero.rtypes import rbool, rint, rlong, rstring, rtime
from omero.sys import ParametersI


@pytest.fixture
def container(omero_conn):
    return omero_conn.getContainerService()


@pytest.fixture
def add(omero_conn):
    """Save an object with these fields: an unloaded object with its id."""

    def adder(kind, **fields):
        made = getattr(omero.model, f"{kind}I")()
        for name, value in fields.items():
            setattr(made, name, rstring(value) if isinstance(value, str) else value)
        saved = omero_conn.getUpdateService().saveAndReturnObject(made)
        return saved.__class__(saved.id.val, False)

    return adder


@pytest.fixture
def image(omero_conn):
    """Make an image without planes: an unloaded object with its id."""

    def make(name="image"):
        pixels_type = omero_conn.getQueryService().findByString("PixelsType", "value", "uint8")
        service = omero_conn.getPixelsService()
        told = service.createImage(4, 4, 1, 1, [0], pixels_type, name, "", None)
        return omero.model.ImageI(told.val, False)

    return make


@pytest.fixture
def tree(add, image):
    """A project with a dataset with an image."""
    project, dataset, inside = add("Project", name="p"), add("Dataset", name="d"), image()
    add("ProjectDatasetLink", parent=project, child=dataset)
    add("DatasetImageLink", parent=dataset, child=inside)
    return project, dataset, inside


def ids(found):
    return [one.id.val for one in found]


def leaves():
    return ParametersI().leaves()


# -- containers


def test_a_project_comes_with_its_datasets_and_without_their_images(container, tree):
    project, dataset, _ = tree
    (found,) = container.loadContainerHierarchy("Project", [project.id.val], None)
    assert found.details.creationEvent.loaded
    (link,) = found.copyDatasetLinks()
    assert (link.child.id.val, link.child.name.val) == (dataset.id.val, "d")
    assert not link.child.imageLinksLoaded
    assert list(link.child.imageLinksCountPerOwner.values()) == [1]


def test_leaves_are_images_with_their_pixels(container, tree):
    project, _, image = tree
    (found,) = container.loadContainerHierarchy("Project", [project.id.val], leaves())
    (dataset,) = found.linkedDatasetList()
    (leaf,) = dataset.linkedImageList()
    assert leaf.id.val == image.id.val
    assert leaf.getPrimaryPixels().pixelsType.value.val == "uint8"
    assert leaf.annotationLinksCountPerOwner == {}


def test_a_dataset_without_leaves_has_no_images_loaded(container, tree):
    _, dataset, _ = tree
    (found,) = container.loadContainerHierarchy("Dataset", [dataset.id.val], None)
    assert not found.imageLinksLoaded
    assert list(found.imageLinksCountPerOwner.values()) == [1]


def test_a_screen_comes_with_plates_and_their_runs(container, add):
    screen, plate = add("Screen", name="s"), add("Plate", name="p")
    add("ScreenPlateLink", parent=screen, child=plate)
    run = add("PlateAcquisition", plate=plate)
    (found,) = container.loadContainerHierarchy("Screen", [screen.id.val], None)
    (inside,) = found.linkedPlateList()
    assert ids(inside.copyPlateAcquisitions()) == [run.id.val]
    assert not inside.wellsLoaded


def test_all_projects_of_a_user_and_what_is_in_none(container, tree, add, omero_conn):
    project, _, _ = tree
    alone = add("Dataset", name="alone")
    options = ParametersI().exp(rlong(omero_conn.getUserId())).orphan()
    found = container.loadContainerHierarchy("Project", [], options)
    assert sorted((type(one).__name__, one.id.val) for one in found) == [
        ("DatasetI", alone.id.val),
        ("ProjectI", project.id.val),
    ]


def test_another_users_projects_are_not_among_ones_own(container, tree):
    options = ParametersI().exp(rlong(0))
    assert container.loadContainerHierarchy("Project", [], options) == []


def test_images_are_no_containers(container):
    with pytest.raises(omero.ApiUsageException, match="Project,Dataset, Screen, Plate"):
        container.loadContainerHierarchy("Image", [1], None)


def test_containers_of_images_hold_those_images_alone(container, tree, image, add):
    project, dataset, first = tree
    second, alone = image("second"), image("alone")
    add("DatasetImageLink", parent=dataset, child=second)
    found = container.findContainerHierarchies("Project", [first.id.val, alone.id.val], None)
    by_type = {type(one).__name__: one for one in found}
    assert by_type["ImageI"].id.val == alone.id.val
    (inside,) = by_type["ProjectI"].linkedDatasetList()
    assert by_type["ProjectI"].id.val == project.id.val
    assert ids(inside.linkedImageList()) == [first.id.val]


# -- images


def test_an_image_comes_with_pixels_events_and_counts(container, tree):
    _, _, image = tree
    (found,) = container.getImages("Image", [image.id.val], None)
    assert found.getPrimaryPixels().pixelsType.value.val == "uint8"
    assert found.details.creationEvent.loaded
    assert found.details.updateEvent.loaded
    assert not found.details.owner.loaded
    assert list(found.datasetLinksCountPerOwner.values()) == [1]
    assert not found.datasetLinksLoaded
    assert not found.getPrimaryPixels().channelsLoaded


def test_images_of_containers_are_found_page_by_page(container, tree, image, add):
    project, dataset, first = tree
    second = image("second")
    add("DatasetImageLink", parent=dataset, child=second)
    both = [first.id.val, second.id.val]
    assert sorted(ids(container.getImages("Project", [project.id.val], None))) == both
    page = ParametersI().page(rint(1), rint(1))
    assert ids(container.getImages("Dataset", [dataset.id.val], page)) == [second.id.val]
    with pytest.raises(omero.ApiUsageException, match="pagination"):
        container.getImages("Image", both, page)


def test_an_image_that_is_not_there_is_not_found(container):
    assert container.getImages("Image", [123456789], None) == []
    assert container.getImages("Image", [], None) == []


def test_images_of_a_user_or_of_a_time(container, tree, omero_conn):
    _, _, image = tree
    mine = ParametersI().exp(rlong(omero_conn.getUserId()))
    assert ids(container.getUserImages(mine)) == [image.id.val]
    made = container.getUserImages(mine)[0].details.creationEvent.time.val
    before, after = ParametersI().exp(rlong(omero_conn.getUserId())), ParametersI()
    after.theFilter = omero.sys.Filter()
    before.theFilter.startTime = rtime(made - 1)
    after.theFilter.startTime = rtime(made + 1)
    assert image.id.val in ids(container.getImagesByOptions(before))
    assert image.id.val not in ids(container.getImagesByOptions(after))
    for call in (container.getUserImages, container.getImagesByOptions):
        with pytest.raises(omero.ApiUsageException, match="required"):
            call(ParametersI())


def test_images_that_leave_others_of_their_fileset_behind_are_told(container, add, omero_conn):
    fileset = add("Fileset", templatePrefix="x")
    images = [add("Image", name="i", fileset=fileset) for _ in range(2)]
    dataset = add("Dataset", name="d")
    add("DatasetImageLink", parent=dataset, child=images[0])
    split = container.getImagesBySplitFilesets({"Dataset": [dataset.id.val]}, None)
    first, second = ids(images)
    assert split == {fileset.id.val: {True: [first], False: [second]}}
    assert container.getImagesBySplitFilesets({"Image": [first, second]}, None) == {}
    assert container.getImagesBySplitFilesets({"Fileset": [fileset.id.val]}, None) == {}


def test_how_images_were_taken_is_loaded_if_asked_for(container, add):
    label = add("StageLabel", name="here")
    image = add("Image", name="i", stageLabel=label)
    options = ParametersI()
    options.theOptions = omero.sys.Options(acquisitionData=rbool(True))
    (found,) = container.getImages("Image", [image.id.val], options)
    assert found.stageLabel.name.val == "here"
    (found,) = container.getImages("Image", [image.id.val], None)
    assert not found.stageLabel.loaded


# -- collections and links


def test_members_of_collections_are_counted_and_loaded(container, tree):
    project, dataset, _ = tree
    key = project.id.val
    assert container.getCollectionCount("Project", "datasetLinks", [key], None) == {key: 1}
    name = "ome.model.containers.Project_datasetLinks"
    assert container.getCollectionCount("Project", name, [key], None) == {key: 1}
    (link,) = container.retrieveCollection(project, "datasetLinks", None)
    assert link.child.id.val == dataset.id.val
    with pytest.raises(omero.ApiUsageException, match="unknown property"):
        container.getCollectionCount("Project", "wells", [key], None)


def test_links_are_made_and_taken_away(container, add):
    project, dataset = add("Project", name="p"), add("Dataset", name="d")
    link = omero.model.ProjectDatasetLinkI()
    link.parent, link.child = project, dataset
    made = container.link([link], None)
    assert container.getCollectionCount("Project", "datasetLinks", ids([project]), None) == {
        project.id.val: 1
    }
    container.unlink(made, None)
    assert container.getCollectionCount("Project", "datasetLinks", ids([project]), None) == {
        project.id.val: 0
    }


def test_objects_are_made_and_changed(container):
    dataset = omero.model.DatasetI()
    dataset.name = rstring("made")
    saved = container.createDataObject(dataset, None)
    saved.name = rstring("changed")
    assert container.updateDataObjects([saved], None)[0].name.val == "changed"

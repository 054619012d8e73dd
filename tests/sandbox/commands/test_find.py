"""Children and parents of objects, disk usage, copies."""

from __future__ import annotations

import omero
import pytest
from omero.rtypes import rlong


def test_children_of_a_project_are_found(bench):
    project, dataset, image = (
        bench.add("Project", name="p"),
        bench.add("Dataset", name="d"),
        bench.image(),
    )
    bench.link(project, dataset)
    bench.link(dataset, image)
    request = omero.cmd.FindChildren(bench.targets(project), ["Image", "Dataset"], [])
    assert bench.submit(request).children == {
        "ome.model.containers.Dataset": [dataset.id.val],
        "ome.model.core.Image": [image.id.val],
    }


def test_the_search_stops_before_types(bench):
    project, dataset, image = (
        bench.add("Project", name="p"),
        bench.add("Dataset", name="d"),
        bench.image(),
    )
    bench.link(project, dataset)
    bench.link(dataset, image)
    request = omero.cmd.FindChildren(bench.targets(project), ["Image"], ["Dataset"])
    assert bench.submit(request).children == {}


def test_images_of_a_plate_are_found_and_its_screen(bench):
    plate, screen = bench.plate(), bench.add("Screen", name="s")
    bench.link(screen, plate)
    request = omero.cmd.FindChildren(bench.targets(plate), ["Image"], [])
    images = bench.submit(request).children["ome.model.core.Image"]
    assert images == bench.ids("Image")
    request = omero.cmd.FindParents({"Image": images[:1]}, ["Screen", "Plate"], [])
    assert bench.submit(request).parents == {
        "ome.model.screen.Plate": [plate.id.val],
        "ome.model.screen.Screen": [screen.id.val],
    }


def test_images_of_one_fileset_are_no_parents_of_each_other(bench):
    fileset = bench.add("Fileset", templatePrefix="x")
    images = [bench.image(fileset=fileset) for _ in range(2)]
    request = omero.cmd.FindChildren(bench.targets(images[0]), ["Pixels", "Image"], [])
    found = bench.submit(request).children
    assert found["ome.model.core.Image"] == [images[0].id.val]


def test_types_have_to_be_named(bench):
    response = bench.submit(omero.cmd.FindParents(bench.targets(bench.image()), [], []))
    assert response.name == "bad-options"


def test_disk_usage_is_told_by_owner_and_group(bench):
    file = bench.add("OriginalFile", name="f", path="/", size=rlong(1234))
    note, image = bench.add("FileAnnotation", file=file), bench.image()
    bench.link(image, note)
    response = bench.submit(omero.cmd.DiskUsage2(bench.targets(image), []))
    event = bench.conn.getEventContext()
    whose = omero.api.LongPair(event.userId, event.groupId)
    assert response.bytesUsedByReferer[whose]["Annotation"] == 1234
    assert response.totalFileCount[whose] == 1


def test_no_pyramids_are_found(bench):
    assert bench.submit(omero.cmd.FindPyramids()).pyramidFiles == []


def test_original_metadata_is_empty(bench):
    image = bench.conn.getObject("Image", bench.image().id.val)
    assert image.loadOriginalMetadata() == (None, [], [])


@pytest.mark.parametrize("dry", [False, True])
def test_a_dataset_is_copied_with_its_images(bench, dry):
    dataset, image = bench.add("Dataset", name="d"), bench.image()
    bench.link(dataset, image)
    request = omero.cmd.Duplicate(bench.targets(dataset), dryRun=dry)
    copied = bench.submit(request).duplicates
    (copy,) = copied["ome.model.containers.Dataset"]
    assert len(bench.ids("Dataset")) == len(bench.ids("Image")) == (1 if dry else 2)
    assert (copy == dataset.id.val) is dry
    links = bench.ids("DatasetImageLink", "o.parent.id = :id and o.child.name = 'image'", id=copy)
    assert len(links) == 1

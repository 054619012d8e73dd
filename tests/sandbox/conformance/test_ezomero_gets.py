"""ezomero reads: lists of ids by what they are in, what is on them, and whose group they are of."""

from __future__ import annotations

import ezomero
import numpy as np
import pytest
from omero.gateway import TagAnnotationWrapper
from omero.model import FilesetEntryI, FilesetI, ImageI, OriginalFileI
from omero.rtypes import rint, rlong, rstring


@pytest.fixture
def tag(omero_conn):
    """Tag objects: the tag's id."""

    def tagger(text, *objects, ns=None):
        row = TagAnnotationWrapper(omero_conn)
        row.setValue(text)
        row.setNs(ns)
        row.save()
        for thing in objects:
            thing.linkAnnotation(row)
        return row.getId()

    return tagger


def test_ids_of_a_tree_and_of_orphans(omero_conn, new_image):
    project = ezomero.post_project(omero_conn, "p")
    dataset = ezomero.post_dataset(omero_conn, "d", project)
    orphan_dataset = ezomero.post_dataset(omero_conn, "o")
    orphan, inside = new_image().getId(), new_image().getId()
    ezomero.link_images_to_dataset(omero_conn, [inside], dataset)
    assert ezomero.get_project_ids(omero_conn) == [project]
    assert ezomero.get_dataset_ids(omero_conn, project=project) == [dataset]
    assert set(ezomero.get_dataset_ids(omero_conn)) == {orphan_dataset}
    assert ezomero.get_image_ids(omero_conn, project=project) == [inside]
    assert ezomero.get_image_ids(omero_conn, dataset=dataset) == [inside]
    assert ezomero.get_image_ids(omero_conn) == [orphan]


def test_ids_of_a_screen_its_plates_wells_and_runs(omero_conn, new_plate):
    plate, screen = new_plate(), ezomero.post_screen(omero_conn, "s")
    assert ezomero.get_plate_ids(omero_conn) == [plate]
    ezomero.link_plates_to_screen(omero_conn, [plate], screen)
    assert ezomero.get_screen_ids(omero_conn) == [screen]
    assert ezomero.get_plate_ids(omero_conn, screen=screen) == [plate]
    wells = ezomero.get_well_ids(omero_conn, plate=plate)
    assert wells == ezomero.get_well_ids(omero_conn, screen=screen)
    assert len(wells) == 2
    assert ezomero.get_well_id(omero_conn, plate, 1, 1) in wells
    assert ezomero.get_well_id(omero_conn, plate, 0, 5) is None
    (run,) = ezomero.get_plate_acquisition_ids(omero_conn, plate=plate)
    images = ezomero.get_image_ids(omero_conn, plate=plate)
    assert len(images) == 4
    assert sorted(ezomero.get_image_ids(omero_conn, plate_acquisition=run)) == sorted(images)
    assert len(ezomero.get_image_ids(omero_conn, well=wells[0])) == 2


def test_ids_by_annotation(omero_conn, new_image, new_plate, named, tag):
    image = new_image()
    other = new_image()
    things = [
        omero_conn.getObject("Project", named("Project")),
        omero_conn.getObject("Dataset", named("Dataset")),
        omero_conn.getObject("Screen", named("Screen")),
        omero_conn.getObject("Plate", new_plate()),
        image,
    ]
    plate = things[3]
    well = next(iter(plate.listChildren()))
    (run,) = plate.listPlateAcquisitions()
    mark = tag("marked", *things, well, run)
    gets = (
        ezomero.get_project_ids, ezomero.get_dataset_ids, ezomero.get_screen_ids,
        ezomero.get_plate_ids, ezomero.get_image_ids, ezomero.get_well_ids,
        ezomero.get_plate_acquisition_ids,
    )  # fmt: skip
    expected = [thing.getId() for thing in (*things, well, run)]
    assert [get(omero_conn, annotation=mark) for get in gets] == [[number] for number in expected]
    assert other.getId() not in ezomero.get_image_ids(omero_conn, annotation=mark)


def test_tags_and_filters(omero_conn, new_image, tag):
    image, other = new_image(), new_image()
    both = [image.getId(), other.getId()]
    mark = tag("mitosis", image, ns="ns")
    ezomero.post_map_annotation(omero_conn, "Image", both[1], {"dose": "3"}, "ns")
    assert ezomero.get_tag_ids(omero_conn, "Image", both[0]) == [mark]
    assert ezomero.get_tag_ids(omero_conn, "Image", both[0], ns="another") == []
    assert ezomero.get_tag(omero_conn, mark) == "mitosis"
    assert ezomero.filter_by_tag_value(omero_conn, both, "mitosis") == [both[0]]
    assert ezomero.filter_by_kv(omero_conn, both, "dose", "3") == [both[1]]
    assert ezomero.filter_by_kv(omero_conn, both, "dose", "4") == []


def test_parts_of_an_image(omero_conn):
    pixels = np.arange(10 * 8 * 2 * 2 * 1).reshape(10, 8, 2, 2, 1).astype("uint16")
    number = ezomero.post_image(omero_conn, pixels, "parts")
    start, lengths = (2, 3, 1, 0, 0), (4, 5, 1, 2, 1)
    _, part = ezomero.get_image(
        omero_conn, number, start_coords=start, axis_lengths=lengths, xyzct=True
    )
    assert np.array_equal(part, pixels[2:6, 3:8, 1:2, 0:2])
    _, whole = ezomero.get_image(omero_conn, number)
    assert whole.shape == (1, 2, 8, 10, 2)
    image, nothing = ezomero.get_image(omero_conn, number, no_pixels=True)
    assert (image.getId(), nothing) == (number, None)
    assert ezomero.get_image(omero_conn, 2**40) == (None, None)
    assert ezomero.get_pyramid_levels(omero_conn, number) == [(10, 8)]


def test_files_that_an_image_was_made_from(omero_conn, new_image, save):
    fileset, entry, file = FilesetI(), FilesetEntryI(), OriginalFileI()
    fileset.templatePrefix = rstring("user_1/2026-01/01/")
    file.name, file.path, file.size = rstring("a.tif"), rstring("user_1/2026-01/01/"), rlong(0)
    entry.originalFile, entry.clientPath = file, rstring("home/lab/a.tif")
    fileset.addFilesetEntry(entry)
    fileset = save(fileset)
    image, other = new_image(), new_image()
    row = omero_conn.getQueryService().get("Image", image.getId())
    row.fileset, row.series = FilesetI(fileset.id.val, loaded=False), rint(3)
    save(row)
    assert isinstance(row, ImageI)
    paths = ezomero.get_original_filepaths(omero_conn, image.getId())
    assert paths == ["user_1/2026-01/01/a.tif"]
    client = ezomero.get_original_filepaths(omero_conn, image.getId(), fpath="client")
    assert client == ["/home/lab/a.tif"]
    assert ezomero.get_series_index(omero_conn, image.getId()) == 3
    ids = [image.getId(), other.getId()]
    assert ezomero.filter_by_filename(omero_conn, ids, "a.tif") == [image.getId()]


def test_users_and_groups(omero_conn, omero_user):
    group = omero_user.groups[0]
    assert ezomero.get_user_id(omero_conn, omero_user.name) == omero_user.id
    assert ezomero.get_user_id(omero_conn, "nobody of that name") is None
    assert ezomero.get_group_id(omero_conn, group.name) == group.id
    assert ezomero.get_group_id(omero_conn, "no group of that name") is None


def test_reads_go_across_groups_unless_told_not_to(
    omero_make_group, omero_make_user, omero_connect
):
    first, second = omero_make_group(), omero_make_group()
    user = omero_make_user(first, second)
    conn = omero_connect(user)
    project = ezomero.post_project(conn, "of the first group")
    assert ezomero.set_group(conn, second.id)
    assert ezomero.get_project_ids(conn, across_groups=False) == []
    assert ezomero.get_project_ids(conn) == [project]
    assert not ezomero.set_group(conn, omero_make_group().id)

"""Delete2: what goes with an object, what holds it back, and who may ask for it."""

from __future__ import annotations

import Ice
import omero
import pytest
from omero.cmd import ERR, Delete2, DoAll, DoAllRsp, SkipHead
from omero.cmd.graphs import ChildOption
from omero.model import (
    CommentAnnotationI,
    DatasetI,
    DatasetImageLinkI,
    FileAnnotationI,
    FilesetEntryI,
    FilesetI,
    ImageI,
    OriginalFileI,
    ProjectI,
    TagAnnotationI,
)
from omero.rtypes import rlong, rstring


@pytest.fixture
def query(omero_conn):
    return omero_conn.getQueryService()


@pytest.fixture
def split_fileset(omero_conn, new_image, save, named):
    """Two images of one fileset, in two datasets."""
    fileset, entry, file = FilesetI(), FilesetEntryI(), OriginalFileI()
    fileset.templatePrefix = rstring("user/")
    file.name, file.path, file.size = rstring("two.tif"), rstring("user/"), rlong(0)
    entry.originalFile, entry.clientPath = file, rstring("two.tif")
    fileset.addFilesetEntry(entry)
    fileset = save(fileset).id.val
    images, datasets = [new_image().getId() for _ in range(2)], [named("Dataset") for _ in range(2)]
    for image, dataset in zip(images, datasets, strict=True):
        row = omero_conn.getQueryService().get("Image", image)
        row.fileset = FilesetI(fileset, loaded=False)
        save(row)
        link = DatasetImageLinkI()
        link.parent, link.child = DatasetI(dataset, loaded=False), ImageI(image, loaded=False)
        save(link)
    return fileset, images, datasets


def found(query, kind, *numbers):
    return [query.find(kind, number) is not None for number in numbers]


def test_one_image_of_a_fileset_is_not_deleted_alone(omero_conn, query, delete, split_fileset):
    fileset, images, _ = split_fileset
    assert isinstance(delete(omero_conn, Image=images[:1]), ERR)
    assert found(query, "Image", *images) == [True, True]
    assert not isinstance(delete(omero_conn, Image=images), ERR)
    assert found(query, "Image", *images) == [False, False]
    assert query.find("Fileset", fileset) is None


def test_a_dataset_goes_and_leaves_an_image_that_its_fileset_holds(
    omero_conn, query, delete, split_fileset
):
    _, images, datasets = split_fileset
    assert not isinstance(delete(omero_conn, Dataset=datasets[:1]), ERR)
    assert found(query, "Dataset", *datasets) == [False, True]
    assert found(query, "Image", *images) == [True, True]


def test_a_fileset_takes_its_images_and_files(omero_conn, query, delete, split_fileset):
    fileset, images, datasets = split_fileset
    assert not isinstance(delete(omero_conn, Fileset=[fileset]), ERR)
    assert found(query, "Image", *images) == [False, False]
    assert found(query, "Dataset", *datasets) == [True, True]


def test_a_plate_takes_wells_runs_and_images(omero_conn, query, delete, new_plate):
    plate = new_plate()
    text = "select s.image.id from WellSample s where s.well.plate.id = :id"
    parameters = omero.sys.ParametersI().addId(plate)
    images = [row[0].val for row in query.projection(text, parameters)]
    assert not isinstance(delete(omero_conn, Plate=[plate]), ERR)
    assert found(query, "Image", *images) == [False] * 4
    kinds = ("Well", "WellSample", "PlateAcquisition", "Pixels", "Channel", "Image")
    texts = [f"select count(o) from {kind} o" for kind in kinds]  # noqa: S608  (names of ours)
    assert [query.projection(text, None)[0][0].val for text in texts] == [0] * len(kinds)


def test_children_are_kept_on_request(omero_conn, query, named, save):
    project, dataset = ProjectI(), DatasetI()
    project.name, dataset.name = rstring("p"), rstring("d")
    project.linkDataset(dataset)
    saved = save(project)
    (child,) = saved.linkedDatasetList()
    keep = ChildOption(excludeType=["Dataset"])
    request = Delete2(targetObjects={"Project": [saved.id.val]}, childOptions=[keep])
    omero_conn.c.submit(request, loops=50).close(closeHandle=True)
    assert query.find("Project", saved.id.val) is None
    assert query.find("Dataset", child.id.val) is not None


def test_shared_kinds_of_annotations_go_on_request(omero_conn, query, save):
    project, tag = ProjectI(), TagAnnotationI()
    project.name, tag.textValue = rstring("p"), rstring("t")
    project.linkAnnotation(tag)
    saved = save(project)
    (tag,) = saved.linkedAnnotationList()
    take = ChildOption(includeType=["Annotation"])
    request = Delete2(targetObjects={"Project": [saved.id.val]}, childOptions=[take])
    omero_conn.c.submit(request, loops=50).close(closeHandle=True)
    assert query.find("TagAnnotation", tag.id.val) is None


def test_a_comment_stays_while_something_is_linked_to_it(omero_conn, query, save, delete):
    comment = CommentAnnotationI()
    comment.textValue = rstring("c")
    comment = save(comment)
    links = []
    for _ in range(2):
        project = ProjectI()
        project.name = rstring("p")
        project.linkAnnotation(comment.proxy())
        links += [link.id.val for link in save(project).copyAnnotationLinks()]
    delete(omero_conn, ProjectAnnotationLink=links[:1])
    assert query.find("CommentAnnotation", comment.id.val) is not None
    delete(omero_conn, CommentAnnotation=[comment.id.val])
    assert query.find("ProjectAnnotationLink", links[1]) is None


def test_a_tag_set_goes_without_tags_that_are_in_use(omero_conn, query, save, delete):
    tag, group = TagAnnotationI(), TagAnnotationI()
    tag.textValue, group.textValue = rstring("tag"), rstring("set")
    group.ns = rstring("openmicroscopy.org/omero/insight/tagset")
    group.linkAnnotation(tag)
    saved = save(group)
    (child,) = saved.linkedAnnotationList()
    project = ProjectI()
    project.name = rstring("tagged")
    project.linkAnnotation(child.proxy())
    save(project)
    delete(omero_conn, Annotation=[saved.id.val])
    assert query.find("TagAnnotation", saved.id.val) is None
    assert query.find("TagAnnotation", child.id.val) is not None


def test_a_file_takes_what_annotates_with_it(omero_conn, query, save, delete, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("content")
    file = omero_conn.c.upload(str(path))
    row = FileAnnotationI()
    row.file = file.proxy()
    annotation = save(row).id.val
    delete(omero_conn, OriginalFile=[file.id.val])
    assert query.find("FileAnnotation", annotation) is None


def test_what_a_handle_says_is_gone_once_it_is_closed(omero_conn, named):
    handle = omero_conn.c.sf.submit(Delete2(targetObjects={"Project": [named("Project")]}))
    callback = omero_conn.c.waitOnCmd(handle)
    assert handle.getResponse() is not None
    callback.close(closeHandle=True)
    with pytest.raises(Ice.ObjectNotExistException):
        handle.getResponse()


def test_several_requests_run_in_one_transaction(omero_conn, query, named):
    projects = [named("Project"), named("Project")]
    requests = [Delete2(targetObjects={"Project": [number]}) for number in projects]
    callback = omero_conn.c.submit(DoAll(requests), loops=50)
    assert isinstance(callback.getResponse(), DoAllRsp)
    assert len(callback.getResponse().responses) == 2
    callback.close(closeHandle=True)
    assert found(query, "Project", *projects) == [False, False]


def test_deletion_starts_below_the_object(omero_conn, query, delete, new_plate):
    plate = new_plate()
    request = SkipHead(
        targetObjects={"Plate": [plate]},
        startFrom=["PlateAcquisition"],
        request=Delete2(),
    )
    omero_conn.c.submit(request, loops=50).close(closeHandle=True)
    assert query.find("Plate", plate) is not None
    text = "select count(r) from PlateAcquisition r where r.plate.id = :id"
    rows = query.projection(text, omero.sys.ParametersI().addId(plate))
    assert rows[0][0].val == 0


def test_an_unknown_class_is_an_error(omero_conn, delete):
    assert isinstance(delete(omero_conn, Projekt=[1]), ERR)

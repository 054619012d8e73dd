"""Requests that run beside the services: move, give, duplicate, find and measure."""

from __future__ import annotations

import omero
import pytest
from omero.cmd import (
    ERR,
    Chgrp2,
    Chmod2,
    Chown2,
    DiskUsage2,
    DoAll,
    Duplicate,
    FindChildren,
    FindParents,
    LegalGraphTargets,
)
from omero.cmd.graphs import ChildOption
from omero.model import CommentAnnotationI, DatasetI, DatasetImageLinkI, ImageI, ProjectI
from omero.rtypes import rstring


def run(conn, request, group=None):
    context = None if group is None else {"omero.group": str(group)}
    callback = conn.c.submit(request, loops=100, failonerror=False, ctx=context)
    try:
        return callback.getResponse()
    finally:
        callback.close(closeHandle=True)


def ids(answer, kind):
    """The ids of a class in an answer, whose keys are names of Java classes."""
    found = {name.rpartition(".")[2]: numbers for name, numbers in answer.items()}
    return sorted(found.get(kind, []))


@pytest.fixture
def tree(save, new_image):
    """A project with a commented dataset with an image: their ids."""
    project, dataset, comment = ProjectI(), DatasetI(), CommentAnnotationI()
    project.name, dataset.name, comment.textValue = rstring("p"), rstring("d"), rstring("c")
    dataset.linkAnnotation(comment)
    project.linkDataset(dataset)
    saved = save(project)
    (child,) = saved.linkedDatasetList()
    image = new_image().getId()
    link = DatasetImageLinkI()
    link.parent, link.child = DatasetI(child.id.val, loaded=False), ImageI(image, loaded=False)
    save(link)
    return saved.id.val, child.id.val, image


def test_parents_and_children_are_found(omero_conn, tree):
    project, dataset, image = tree
    request = FindParents(targetObjects={"Image": [image]}, typesOfParents=["Dataset", "Project"])
    parents = run(omero_conn, request).parents
    assert (ids(parents, "Dataset"), ids(parents, "Project")) == ([dataset], [project])
    request = FindChildren(targetObjects={"Project": [project]}, typesOfChildren=["Image"])
    assert ids(run(omero_conn, request).children, "Image") == [image]


def test_a_tree_moves_whole(omero_make_group, omero_make_user, omero_connect, new_image):
    here, there = omero_make_group(), omero_make_group("private")
    conn = omero_connect(omero_make_user(here, there))
    image = new_image(conn=conn)
    response = run(conn, Chgrp2(targetObjects={"Image": [image.getId()]}, groupId=there.id))
    assert ids(response.includedObjects, "Image") == [image.getId()]
    conn.SERVICE_OPTS.setOmeroGroup(there.id)
    moved = conn.getObject("Image", image.getId())
    assert moved.getPrimaryPixels().getPlane(0, 0, 0).shape == (6, 8)
    assert moved.getPrimaryPixels()._obj.details.group.id.val == there.id


def test_nobody_moves_things_to_a_group_that_he_is_not_in(omero_conn, omero_make_group, tree):
    project, _, _ = tree
    stranger = omero_make_group().id
    request = Chgrp2(targetObjects={"Project": [project]}, groupId=stranger)
    assert isinstance(run(omero_conn, request), ERR)
    assert omero_conn.getObject("Project", project) is not None


def test_the_administrator_gives_a_tree_to_another(
    omero_root, omero_conn, omero_user, omero_second_user, tree
):
    project, dataset, image = tree
    request = Chown2(targetObjects={"Project": [project]}, userId=omero_second_user.id)
    assert isinstance(run(omero_conn, request), ERR)
    run(omero_root, request, omero_user.groups[0].id)
    for kind, number in (("Project", project), ("Dataset", dataset), ("Image", image)):
        owner = omero_conn.getObject(kind, number).getDetails().getOwner().getId()
        assert owner == omero_second_user.id


def test_a_tree_is_duplicated(omero_conn, tree):
    project, dataset, image = tree
    answer = run(omero_conn, Duplicate(targetObjects={"Dataset": [dataset]})).duplicates
    (copy,) = ids(answer, "Dataset")
    assert copy != dataset
    found = omero_conn.getObject("Dataset", copy)
    assert found.getName() == "d"
    (child,) = found.listChildren()
    assert child.getId() != image
    assert len(list(found.listAnnotations())) == 1
    assert project


@pytest.mark.parametrize("ignored", ["DatasetImageLink", "Image"])
def test_what_duplication_ignores_is_not_in_the_copy(omero_conn, tree, ignored):
    _, dataset, _ = tree
    request = Duplicate(
        targetObjects={"Dataset": [dataset]}, typesToIgnore=[ignored, "ProjectDatasetLink"]
    )
    (copy,) = ids(run(omero_conn, request).duplicates, "Dataset")
    assert list(omero_conn.getObject("Dataset", copy).listChildren()) == []


def test_the_type_of_a_group_is_changed_by_its_owner(
    omero_make_group, omero_make_user, omero_connect
):
    group = omero_make_group("private")
    owner = omero_connect(omero_make_user(group, owns=[group]))
    member = omero_connect(omero_make_user(group))
    request = Chmod2(targetObjects={"ExperimenterGroup": [group.id]}, permissions="rwr---")
    assert isinstance(run(member, request), ERR)
    assert not isinstance(run(owner, request), ERR)
    row = member.getObject("ExperimenterGroup", group.id)
    assert str(row.getDetails().permissions) == "rwr---"


def test_the_size_of_files_and_pixels_is_measured(omero_conn, omero_user, tree, tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * 1000)
    attached = omero_conn.createFileAnnfromLocalFile(str(path))
    dataset = omero_conn.getObject("Dataset", tree[1])
    dataset.linkAnnotation(attached)
    usage = run(omero_conn, DiskUsage2(targetObjects={"Dataset": [tree[1]]}))
    total = {(who.first, who.second): size for who, size in usage.totalBytesUsed.items()}
    assert total[omero_user.id, omero_user.groups[0].id] >= 1000


def test_what_a_request_may_start_from_is_told(omero_conn):
    targets = run(omero_conn, LegalGraphTargets(request=omero.cmd.Delete2())).targets
    assert {"Project", "Image", "Annotation"} <= {name.rpartition(".")[2] for name in targets}


def test_one_failure_undoes_all_of_several(omero_conn, omero_make_group, named):
    project = named("Project")
    delete = omero.cmd.Delete2(targetObjects={"Project": [project]})
    move = Chgrp2(targetObjects={"Project": [project]}, groupId=omero_make_group().id)
    assert isinstance(run(omero_conn, DoAll([delete, move])), ERR)
    assert omero_conn.getObject("Project", project) is not None


def test_an_error_is_told_to_who_waits(omero_conn):
    with pytest.raises(omero.CmdError) as caught:
        omero_conn.c.submit(omero.cmd.Delete2(targetObjects={"Projekt": [1]}), loops=50)
    assert caught.value.err.name


def test_children_of_a_class_that_is_named_stay_behind(
    omero_make_group, omero_make_user, omero_connect
):
    here, there = omero_make_group(), omero_make_group()
    conn = omero_connect(omero_make_user(here, there))
    project, dataset = ProjectI(), DatasetI()
    project.name, dataset.name = rstring("p"), rstring("d")
    project.linkDataset(dataset)
    saved = conn.getUpdateService().saveAndReturnObject(project)
    (child,) = saved.linkedDatasetList()
    stay = ChildOption(excludeType=["Dataset"])
    request = Chgrp2(
        targetObjects={"Project": [saved.id.val]}, childOptions=[stay], groupId=there.id
    )
    assert not isinstance(run(conn, request), ERR)
    assert conn.getObject("Dataset", child.id.val) is not None
    assert conn.getObject("Project", saved.id.val) is None

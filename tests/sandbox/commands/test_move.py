"""What changes its group, its owner or its permissions together, and what is refused."""

from __future__ import annotations

import omero
import pytest
from omero.rtypes import rint

EVERYWHERE = {"omero.group": "-1"}


@pytest.fixture
def groups(omero_make_group):
    """Two groups: one to move from, one to move to."""
    return [omero_make_group("read-annotate"), omero_make_group("read-annotate")]


@pytest.fixture
def mover(groups, omero_make_user, omero_connect, bench_of):
    """An ordinary member of both groups, logged in in the first."""
    return bench_of(omero_connect(omero_make_user(*groups), groups[0]))


def group_of(bench, made):
    kind = made.__class__.__name__.removesuffix("I")
    found = bench.conn.getQueryService().find(kind, made.id.val, EVERYWHERE)
    return found.details.group.id.val


def owner_of(bench, made):
    kind = made.__class__.__name__.removesuffix("I")
    found = bench.conn.getQueryService().find(kind, made.id.val, EVERYWHERE)
    return found.details.owner.id.val


def move(bench, group, *made, **more):
    return bench.submit(omero.cmd.Chgrp2(bench.targets(*made), groupId=group.id, **more))


def give(bench, user_id, *made, **more):
    return bench.submit(omero.cmd.Chown2(bench.targets(*made), userId=user_id, **more))


def message(response):
    assert isinstance(response, omero.cmd.GraphException), response
    return response.message


# -- another group


def test_an_image_moves_with_what_belongs_to_it(mover, groups):
    image = mover.image()
    roi = mover.roi(image)
    pixels = omero.model.PixelsI(mover.ids("Pixels")[0], False)
    response = move(mover, groups[1], image)
    assert response.includedObjects["ome.model.core.Image"] == [image.id.val]
    assert response.deletedObjects == {}
    for one in (image, roi, pixels):
        assert group_of(mover, one) == groups[1].id


def test_a_project_moves_with_datasets_images_and_the_links_between(mover, groups):
    project, dataset = mover.add("Project", name="p"), mover.add("Dataset", name="d")
    image = mover.image()
    links = [mover.link(project, dataset), mover.link(dataset, image)]
    move(mover, groups[1], project)
    for one in (project, dataset, image, *links):
        assert group_of(mover, one) == groups[1].id


def test_a_plate_moves_whole(mover, groups):
    plate = mover.plate()
    response = move(mover, groups[1], plate)
    assert isinstance(response, omero.cmd.OK), response
    for kind in ("Plate", "Well", "WellSample", "PlateAcquisition", "Image", "Pixels", "Channel"):
        ids = mover.ids(kind, "o.details.group.id = :group", group=groups[1].id)
        assert ids == mover.ids(kind) != []


def test_links_to_what_stays_are_cut(mover, groups):
    datasets = [mover.add("Dataset", name="d") for _ in range(2)]
    image = mover.image()
    links = [mover.link(dataset, image) for dataset in datasets]
    response = move(mover, groups[1], datasets[0])
    # The other dataset holds the image, so that it stays.
    assert response.includedObjects == {"ome.model.containers.Dataset": [datasets[0].id.val]}
    assert response.deletedObjects == {"ome.model.containers.DatasetImageLink": [links[0].id.val]}
    assert mover.exists(*links) == [False, True]
    assert group_of(mover, image) == groups[0].id


def test_a_tag_moves_with_the_last_object_that_has_it(mover, groups):
    images, tag = [mover.image(), mover.image()], mover.add("TagAnnotation", textValue="t")
    links = [mover.link(image, tag) for image in images]
    move(mover, groups[1], images[0])
    assert (group_of(mover, tag), mover.exists(*links)) == (groups[0].id, [False, True])
    move(mover, groups[1], images[1])
    assert group_of(mover, tag) == groups[1].id
    assert mover.exists(links[1]) == [True]


def test_a_tag_stays_if_it_is_excluded(mover, groups):
    image, tag = mover.image(), mover.add("TagAnnotation", textValue="t")
    mover.link(image, tag)
    move(mover, groups[1], image, childOptions=mover.option(excludeType=["TagAnnotation"]))
    assert (group_of(mover, image), group_of(mover, tag)) == (groups[1].id, groups[0].id)


def test_files_move_with_their_annotation(mover, groups):
    file = mover.add("OriginalFile", name="f", path="/")
    note, image = mover.add("FileAnnotation", file=file), mover.image()
    mover.link(image, note)
    move(mover, groups[1], image)
    assert group_of(mover, file) == group_of(mover, note) == groups[1].id


def test_images_of_a_fileset_move_together_or_not_at_all(mover, groups):
    fileset = mover.add("Fileset", templatePrefix="x")
    images = [mover.image(fileset=fileset) for _ in range(2)]
    assert message(move(mover, groups[1], images[0])).startswith("within Fileset[")
    assert isinstance(move(mover, groups[1], *images), omero.cmd.OK)
    assert group_of(mover, fileset) == groups[1].id


def test_images_that_share_an_instrument_move_together_or_not_at_all(mover, groups):
    instrument = mover.add("Instrument")
    images = [mover.image(instrument=instrument) for _ in range(2)]
    text = message(move(mover, groups[1], images[0]))
    assert "as they share Instrument[" in text
    assert group_of(mover, images[0]) == groups[0].id
    move(mover, groups[1], *images)
    assert group_of(mover, instrument) == groups[1].id


def test_a_dry_run_moves_nothing(mover, groups):
    image = mover.image()
    told = move(mover, groups[1], image, dryRun=True).includedObjects
    assert group_of(mover, image) == groups[0].id
    assert move(mover, groups[1], image).includedObjects == told


def test_nobody_moves_into_a_group_of_others(bench, groups):
    image = bench.image()
    response = move(bench, groups[1], image)
    assert isinstance(response, omero.cmd.ERR)
    assert response.name == "not-in-group"


def test_nobody_moves_what_others_own(mover, groups, omero_make_user, omero_connect, bench_of):
    other = bench_of(omero_connect(omero_make_user(*groups), groups[0]))
    image = mover.image()
    text = message(move(other, groups[1], image))
    assert text == f"does not own ome.model.core.Image[{image.id.val}]"


def test_an_administrator_moves_what_others_own(mover, groups, root_bench):
    image = mover.image()
    assert isinstance(move(root_bench, groups[1], image), omero.cmd.OK)
    assert group_of(mover, image) == groups[1].id


def test_objects_are_moved_into_a_container_of_the_other_group(mover, groups):
    image = mover.image()
    mover.conn.SERVICE_OPTS.setOmeroGroup(groups[1].id)
    dataset = mover.add("Dataset", name="there")
    handle = mover.conn.chgrpObjects("Image", [image.id.val], groups[1].id, dataset.id.val)
    mover.conn._waitOnCmd(handle)
    assert mover.ids("DatasetImageLink", "o.child.id = :id", id=image.id.val) != []
    assert group_of(mover, image) == groups[1].id


# -- another owner


def test_an_administrator_gives_an_image_away(lab, root_bench):
    old, new = lab("read-only")
    dataset, image = old.add("Dataset", name="d"), old.image()
    link = old.link(dataset, image)
    user_id = new.conn.getUserId()
    response = give(root_bench, user_id, dataset)
    assert response.includedObjects["ome.model.core.Image"] == [image.id.val]
    for one in (dataset, image, link):
        assert owner_of(root_bench, one) == user_id


def test_an_owner_of_the_group_gives_to_its_members(lab):
    old, new, leader = lab("read-annotate", leads=True)
    image = old.image()
    assert isinstance(give(leader, new.conn.getUserId(), image), omero.cmd.OK)
    assert owner_of(old, image) == new.conn.getUserId()


def test_an_owner_of_the_group_gives_to_nobody_else(lab):
    old, leader = lab("read-annotate", 1, leads=True)
    image = old.image()
    assert "is not a member of" in message(give(leader, 0, image))


def test_members_give_nothing_away(lab):
    old, new = lab("read-annotate")
    text = message(give(old, new.conn.getUserId(), old.image()))
    assert text == "not an owner of any group"


def test_all_objects_of_a_user_are_given(lab, root_bench):
    old, new = lab("read-only")
    made = [old.add("Project", name="p"), old.image(), old.add("TagAnnotation", textValue="t")]
    users = [old.conn.getUserId()]
    request = omero.cmd.Chown2({}, userId=new.conn.getUserId(), targetUsers=users)
    assert isinstance(root_bench.submit(request), omero.cmd.OK)
    for one in made:
        assert owner_of(root_bench, one) == new.conn.getUserId()


def test_in_a_private_group_links_to_what_stays_are_cut(lab, root_bench):
    old, new = lab("private")
    datasets = [old.add("Dataset", name="d") for _ in range(2)]
    image = old.image()
    links = [old.link(dataset, image) for dataset in datasets]
    give(root_bench, new.conn.getUserId(), datasets[0])
    assert root_bench.exists(*links) == [False, True]


def test_in_a_shared_group_links_to_what_stays_stay(lab, root_bench):
    old, new = lab("read-only")
    datasets = [old.add("Dataset", name="d") for _ in range(2)]
    image = old.image()
    links = [old.link(dataset, image) for dataset in datasets]
    give(root_bench, new.conn.getUserId(), datasets[0])
    assert root_bench.exists(*links) == [True, True]


# -- other permissions


def change(bench, group_id, permissions):
    targets = {"ExperimenterGroup": [group_id]}
    return bench.submit(omero.cmd.Chmod2(targets, permissions=permissions))


def level_of(bench, group_id):
    group = bench.conn.getQueryService().find("ExperimenterGroup", group_id, EVERYWHERE)
    return str(group.details.permissions)


def test_an_owner_changes_the_permissions_of_his_group(lab):
    member, leader = lab("private", 1, leads=True)
    group_id = member.conn.getEventContext().groupId
    response = change(leader, group_id, "rwra--")
    assert response.includedObjects == {"ome.model.meta.ExperimenterGroup": [group_id]}
    assert level_of(leader, group_id) == "rwra--"


def test_members_do_not_change_the_permissions(lab):
    (member,) = lab("read-only", 1)
    group_id = member.conn.getEventContext().groupId
    text = message(change(member, group_id, "rwrw--"))
    assert text.startswith("not permitted to change permissions on ome.model.meta.Experimenter")
    assert level_of(member, group_id) == "rwr---"


def test_permissions_that_make_no_sense_are_refused(lab):
    _, leader = lab("read-only", 1, leads=True)
    response = change(leader, leader.conn.getEventContext().groupId, "sense")
    assert response.name == "bad-permissions"


def test_a_group_that_becomes_private_loses_what_joins_its_members(lab):
    owner, other, leader = lab("read-annotate", leads=True)
    image = owner.image()
    comment, roi = other.add("CommentAnnotation", textValue="c"), other.roi(image)
    link = other.link(image, comment)
    change(leader, owner.conn.getEventContext().groupId, "rw----")
    assert leader.exists(image, link, comment, roi) == [True, False, False, False]


def test_thumbnails_move_with_their_image(mover, groups):
    image = mover.image()
    pixels = omero.model.PixelsI(mover.ids("Pixels")[0], False)
    mover.add("Thumbnail", pixels=pixels, mimeType="image/jpeg", sizeX=rint(96), sizeY=rint(96))
    move(mover, groups[1], image)
    assert mover.ids("Thumbnail", "o.details.group.id = :group", group=groups[1].id) != []

"""Who may do what in each of the four kinds of groups, and how a refusal is told.

One table for all: the actions that a group's permissions grant. Everything else follows from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import omero
import pytest
from omero.model import (
    CommentAnnotationI,
    DatasetI,
    DatasetImageLinkI,
    ExperimenterGroupI,
    ExperimenterI,
    ImageAnnotationLinkI,
    ImageI,
    OriginalFileI,
    PermissionsI,
    ProjectDatasetLinkI,
    ProjectI,
    RectangleI,
    RoiI,
    TagAnnotationI,
)
from omero.rtypes import rstring

ALL_GROUPS = {"omero.group": "-1"}
# What each may do with what `owner` made: s(ee), a(nnotate), put his t(ag) on something of one's
# own, draw a r(oi), l(ink), e(dit), d(elete).
TABLE = {
    "private": {"owner": "satrled", "member": "", "leader": "sed", "admin": "sed"},
    "read-only": {"owner": "satrled", "member": "s", "leader": "satrled", "admin": "satrled"},
    "read-annotate": {
        "owner": "satrled",
        "member": "satr",
        "leader": "satrled",
        "admin": "satrled",
    },
    "read-write": {
        "owner": "satrled",
        "member": "satrled",
        "leader": "satrled",
        "admin": "satrled",
    },
}
WHO = ("owner", "member", "leader", "admin", "outsider")


@dataclass
class Actor:
    """One who acts, always in the same group."""

    conn: Any
    group: int

    @property
    def context(self):
        return {"omero.group": str(self.group)}

    def save(self, obj, context=None):
        service = self.conn.c.sf.getUpdateService()
        return service.saveAndReturnObject(obj, context or self.context)

    def load(self, kind, number):
        return self.conn.c.sf.getQueryService().get(kind, number, self.context)

    def image(self, name="image"):
        image = ImageI()
        image.name = rstring(name)
        return self.save(image)

    def dataset(self):
        dataset = DatasetI()
        dataset.name = rstring("dataset")
        return self.save(dataset)

    def tag(self):
        tag = TagAnnotationI()
        tag.textValue = rstring("tag")
        return self.save(tag)

    def delete(self, kind, number):
        request = omero.cmd.Delete2(targetObjects={kind: [number]})
        callback = self.conn.c.submit(
            request, loops=100, ms=100, failonerror=False, ctx=self.context
        )
        try:
            return isinstance(callback.getResponse(), omero.cmd.OK)
        finally:
            callback.close(closeHandle=True)


@dataclass
class Lab:
    """A group, those who act in it, and somebody from elsewhere."""

    level: str
    owner: Actor
    member: Actor
    leader: Actor
    admin: Actor
    outsider: Actor


@pytest.fixture(scope="module", params=TABLE)
def lab(request, omero_people):
    people = omero_people
    group, elsewhere = people.make_group(request.param), people.make_group("read-write")
    conns = [
        people.connect(people.make_user(group)),
        people.connect(people.make_user(group)),
        people.connect(people.make_user(group, owns=[group])),
        people.connect_admin(),
        people.connect(people.make_user(elsewhere)),
    ]
    yield Lab(request.param, *(Actor(conn, group.id) for conn in conns))
    for conn in conns:
        conn.close()


def unloaded(obj):
    return type(obj)(obj.id.val, loaded=False)


def annotate(who, image):
    link = ImageAnnotationLinkI()
    link.parent, link.child = unloaded(image), CommentAnnotationI()
    link.child.textValue = rstring("seen")
    who.save(link)


def put_tag(who, tag):
    link = ImageAnnotationLinkI()
    link.parent, link.child = unloaded(who.image("my own")), unloaded(tag)
    who.save(link)


def draw(who, image):
    roi, shape = RoiI(), RectangleI()
    roi.image = unloaded(image)
    roi.addShape(shape)
    who.save(roi)


def link_to(who, image):
    link = DatasetImageLinkI()
    link.parent, link.child = unloaded(who.dataset()), unloaded(image)
    who.save(link)


def edit(who, image):
    loaded = who.load("Image", image.id.val)
    loaded.name = rstring("changed")
    who.save(loaded)


def refused(action, *arguments):
    try:
        action(*arguments)
    except omero.SecurityViolation:
        return True
    return False


@pytest.mark.parametrize("name", WHO)
def test_what_the_table_says(lab, name):
    who, may = getattr(lab, name), TABLE[lab.level].get(name, "")
    image, tag = lab.owner.image(), lab.owner.tag()
    done = {
        "s": not refused(who.load, "Image", image.id.val),
        "a": not refused(annotate, who, image),
        "t": not refused(put_tag, who, tag),
        "r": not refused(draw, who, image),
        "l": not refused(link_to, who, lab.owner.image()),
        "e": not refused(edit, who, image),
        "d": not refused(who.delete, "Image", image.id.val) and gone(lab.owner, image),
    }
    assert {letter for letter, is_done in done.items() if is_done} == set(may)


def gone(owner, image):
    query = owner.conn.c.sf.getQueryService()
    return query.find("Image", image.id.val, owner.context) is None


@pytest.mark.parametrize("name", ["owner", "member", "leader", "admin"])
def test_the_flags_say_the_same(lab, name):
    who, may = getattr(lab, name), TABLE[lab.level].get(name, "")
    image = lab.owner.image()
    if "s" not in may:
        return
    told = who.load("Image", image.id.val).details.permissions
    flags = {
        "a": told.canAnnotate(),
        "l": told.canLink(),
        "e": told.canEdit(),
        "d": told.canDelete(),
    }
    assert {letter for letter, flag in flags.items() if flag} == set(may) & set(flags)


class TestPrivateGroups:
    @pytest.fixture
    def private(self, omero_people):
        people = omero_people
        group = people.make_group("private")
        conns = [
            people.connect(people.make_user(group)),
            people.connect(people.make_user(group, owns=[group])),
            people.connect_admin(),
        ]
        yield [Actor(conn, group.id) for conn in conns]
        for conn in conns:
            conn.close()

    def test_the_refusal_has_a_class_of_its_own(self, private):
        owner, *others = private
        image = owner.image()
        for who in others:
            with pytest.raises(omero.ReadOnlyGroupSecurityViolation):
                annotate(who, image)

    def test_an_administrator_may_add_in_the_owners_name(self, private):
        owner, _, admin = private
        link = ImageAnnotationLinkI()
        link.parent, link.child = unloaded(owner.image()), CommentAnnotationI()
        link.child.textValue = rstring("from the facility")
        mine = ExperimenterI(owner.conn.getUserId(), loaded=False)
        link.details.owner = link.child.details.owner = mine
        saved = admin.save(link)
        assert saved.details.owner.id.val == owner.conn.getUserId()
        assert owner.load("CommentAnnotation", saved.child.id.val).textValue.val

    def test_nobody_else_may(self, private):
        owner, leader, _ = private
        image = ImageI()
        image.name = rstring("not mine")
        image.details.owner = ExperimenterI(owner.conn.getUserId(), loaded=False)
        with pytest.raises(omero.SecurityViolation, match="not authorized to set the Experimenter"):
            leader.save(image)


class TestGroups:
    @pytest.fixture
    def groups(self, omero_people):
        return omero_people.make_group("read-write"), omero_people.make_group("read-write")

    @pytest.fixture
    def actors(self, groups, omero_people, omero_connect):
        """One user in two groups."""
        user = omero_people.make_user(*groups)
        return tuple(Actor(omero_connect(user), group.id) for group in groups)

    def test_an_object_of_another_group_can_not_even_be_read(self, actors):
        here, there = actors
        with pytest.raises(omero.SecurityViolation, match="Cannot read"):
            link_to(here, there.image())

    def test_groups_do_not_mix(self, actors, omero_root):
        here, there = actors
        link = DatasetImageLinkI()
        link.parent, link.child = unloaded(here.dataset()), unloaded(there.image())
        with pytest.raises(omero.GroupSecurityViolation, match="MIXED GROUP"):
            Actor(omero_root, here.group).save(link, ALL_GROUPS)

    def test_a_save_needs_one_group(self, actors, omero_root):
        here, _ = actors
        project = ProjectI()
        project.name = rstring("where?")
        with pytest.raises(omero.SecurityViolation, match="not authorized to create"):
            here.save(project, ALL_GROUPS)
        with pytest.raises(omero.ApiUsageException):
            Actor(omero_root, 0).save(project, ALL_GROUPS)
        project.details.group = ExperimenterGroupI(here.group, loaded=False)
        assert here.save(project, ALL_GROUPS).details.group.id.val == here.group

    def test_a_change_needs_the_group_of_the_object(self, actors):
        here, _ = actors
        image = here.image()
        image.name = rstring("changed")
        with pytest.raises(omero.SecurityViolation, match="Currently logged into group -1"):
            here.save(image, ALL_GROUPS)

    def test_a_link_needs_it_too(self, actors):
        here, _ = actors
        link = DatasetImageLinkI()
        link.parent, link.child = unloaded(here.dataset()), unloaded(here.image())
        with pytest.raises(omero.SecurityViolation, match="Cannot link"):
            here.save(link, ALL_GROUPS)

    def test_an_object_is_made_in_the_group_of_the_call(self, actors):
        here, there = actors
        project = ProjectI()
        project.name = rstring("here")
        project.details.group = ExperimenterGroupI(there.group, loaded=False)
        with pytest.raises(omero.SecurityViolation, match="not authorized to set the Experimenter"):
            here.save(project)

    def test_permissions_are_those_of_the_group(self, actors):
        here, _ = actors
        project = ProjectI()
        project.name = rstring("shared")
        project.details.permissions = PermissionsI("rwr---")
        with pytest.raises(omero.PermissionMismatchGroupSecurityViolation):
            here.save(project)

    def test_an_owner_moves_his_object_to_another_group_of_his(self, actors, omero_make_group):
        here, there = actors
        project = ProjectI()
        project.name = rstring("moves")
        project = here.save(project)
        project.details.group = ExperimenterGroupI(omero_make_group().id, loaded=False)
        with pytest.raises(omero.SecurityViolation, match="change the group"):
            here.save(project)
        project.details.group = ExperimenterGroupI(there.group, loaded=False)
        assert here.save(project).details.group.id.val == there.group

    def test_only_administrators_give_an_object_away(self, actors, omero_root, omero_second_user):
        here, _ = actors
        image = here.image()
        image.details.owner = ExperimenterI(omero_second_user.id, loaded=False)
        with pytest.raises(omero.SecurityViolation, match="change the owner"):
            here.save(image)
        saved = Actor(omero_root, here.group).save(image)
        assert saved.details.owner.id.val == omero_second_user.id


class TestChanges:
    @pytest.fixture
    def two(self, omero_user, omero_conn, omero_second_conn):
        """Two members of a read-annotate group."""
        group = omero_user.groups[0].id
        return Actor(omero_conn, group), Actor(omero_second_conn, group)

    def test_a_copy_that_did_not_change_is_no_change(self, two):
        mine, other = two
        image = other.load("Image", mine.image().id.val)
        version = image.details.updateEvent.id.val
        annotated = ImageAnnotationLinkI()
        annotated.parent, annotated.child = image, CommentAnnotationI()
        annotated.child.textValue = rstring("seen")
        other.save(annotated)
        assert mine.load("Image", image.id.val).details.updateEvent.id.val == version

    def test_an_old_copy_is_refused(self, two):
        mine, _ = two
        first = mine.image()
        second = mine.load("Image", first.id.val)
        first.name = rstring("first")
        mine.save(first)
        second.name = rstring("second")
        with pytest.raises(omero.OptimisticLockException):
            mine.save(second)

    def test_a_member_changes_nothing_on_the_way(self, two):
        mine, other = two
        image = other.load("Image", mine.image().id.val)
        image.name = rstring("changed by the way")
        link = ImageAnnotationLinkI()
        link.parent, link.child = image, CommentAnnotationI()
        link.child.textValue = rstring("seen")
        with pytest.raises(omero.SecurityViolation, match="Updating"):
            other.save(link)
        assert mine.load("Image", image.id.val).name.val == "image"

    def test_what_left_a_collection_is_still_there(self, two):
        mine, _ = two
        project = ProjectI()
        project.name = rstring("p")
        for _ in range(2):
            dataset = DatasetI()
            dataset.name = rstring("d")
            project.linkDataset(dataset)
        project = mine.save(project)
        project.clearDatasetLinks()
        mine.save(project)
        query = mine.conn.c.sf.getQueryService()
        left = query.findAllByQuery(
            "select l from ProjectDatasetLink l where l.parent.id = :id",
            omero.sys.ParametersI().addId(project.id.val),
        )
        assert len(left) == 2
        assert isinstance(left[0], ProjectDatasetLinkI)

    def test_the_place_of_a_file_is_not_chosen(self, two):
        file = OriginalFileI()
        file.name, file.path, file.repo = rstring("a"), rstring("/"), rstring("repository")
        with pytest.raises(omero.SecurityViolation, match="repo"):
            two[0].save(file)

    def test_nothing_and_what_is_not_there_are_refused(self, two):
        mine, _ = two
        with pytest.raises(omero.ApiUsageException):
            mine.save(None)
        with pytest.raises(omero.ValidationException):
            mine.save(ImageI(10**9, loaded=True))
        link = DatasetImageLinkI()
        link.parent, link.child = unloaded(mine.dataset()), ImageI(10**9, loaded=False)
        with pytest.raises(omero.ValidationException, match="No row"):
            mine.save(link)

    def test_one_object_is_deleted_by_who_may_and_if_nothing_points_at_it(self, two):
        mine, other = two
        update = mine.conn.c.sf.getUpdateService()
        tag, image = mine.tag(), mine.image()
        with pytest.raises(omero.SecurityViolation, match=r"[Dd]elet"):
            other.conn.c.sf.getUpdateService().deleteObject(tag)
        annotate(mine, image)
        with pytest.raises(omero.ValidationException):
            update.deleteObject(image)
        update.deleteObject(tag)
        with pytest.raises(omero.ValidationException, match="No row"):
            update.deleteObject(tag)
        with pytest.raises(omero.ApiUsageException, match="Must have an id"):
            update.deleteObject(ImageI())
        update.deleteObject(None)

    def test_users_make_no_accounts_by_saving_them(self, two, omero_user):
        mine, _ = two
        group = ExperimenterGroupI()
        group.name, group.ldap = rstring("mine"), omero.rtypes.rbool(False)
        with pytest.raises(omero.SecurityViolation, match="System-type"):
            mine.save(group)
        me = mine.conn.getAdminService().getExperimenter(omero_user.id)
        me.email = rstring("ada@example.org")
        with pytest.raises(omero.SecurityViolation, match="Updating"):
            mine.save(me)

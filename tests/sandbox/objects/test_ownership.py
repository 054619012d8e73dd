"""Whose a saved object is, in which group, and how a refusal is told."""

from __future__ import annotations

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
)
from omero.rtypes import rstring

from tests.sandbox.actors import Actor, annotate, link_to, unloaded

ALL_GROUPS = {"omero.group": "-1"}


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

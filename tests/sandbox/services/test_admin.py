"""IAdmin: who there is, who may change it, and what comes back loaded."""

from __future__ import annotations

import itertools

import omero
import pytest
from omero.model import (
    AdminPrivilegeI,
    ExperimenterGroupI,
    ExperimenterI,
    PermissionsI,
    ProjectAnnotationLinkI,
    ProjectI,
    TagAnnotationI,
)
from omero.rtypes import rbool, rstring

NUMBERS = itertools.count()


def group_of(number):
    return ExperimenterGroupI(number, loaded=False)


def user_of(number):
    return ExperimenterI(number, loaded=False)


@pytest.fixture
def new_name(omero_people):
    return lambda: f"{omero_people.prefix}-admin-{next(NUMBERS)}"


@pytest.fixture
def new_user(new_name):
    """An Experimenter that is not saved yet."""

    def make(name=None):
        user = ExperimenterI()
        user.omeName = rstring(name or new_name())
        user.firstName, user.lastName = rstring("Ada"), rstring("Lovelace")
        user.ldap = rbool(False)
        return user

    return make


@pytest.fixture
def admin(omero_root):
    return omero_root.getAdminService()


@pytest.fixture
def service(omero_conn):
    return omero_conn.getAdminService()


@pytest.fixture
def leader(omero_make_group, omero_make_user, omero_connect):
    """The owner of a group: his service, and the group."""
    group = omero_make_group("read-only")
    return omero_connect(omero_make_user(group, owns=[group])).getAdminService(), group


class TestWhatIsLoaded:
    def test_a_user_comes_with_his_memberships_and_their_groups(self, service, omero_user):
        user = service.lookupExperimenter(omero_user.name)
        groups = [one.parent for one in user.copyGroupExperimenterMap()]
        assert groups[0].name.val == omero_user.groups[0].name
        assert not groups[0].groupExperimenterMapLoaded
        assert not user.annotationLinksLoaded

    def test_a_group_comes_with_its_memberships_and_their_users(self, service, omero_user):
        group = service.getGroup(omero_user.groups[0].id)
        users = [one.child for one in group.copyGroupExperimenterMap()]
        assert [user.omeName.val for user in users] == [omero_user.name]
        assert not users[0].groupExperimenterMapLoaded
        assert str(group.details.permissions) == "rwra--"

    def test_all_groups_come_with_users_and_these_with_their_groups(self, service, omero_user):
        (group,) = [one for one in service.lookupGroups() if one.id.val == omero_user.groups[0].id]
        (membership,) = group.copyGroupExperimenterMap()
        names = {one.parent.name.val for one in membership.child.copyGroupExperimenterMap()}
        assert names == {"user", omero_user.groups[0].name}

    def test_the_members_of_a_group_come_with_all_their_groups(self, service, omero_user):
        (user,) = service.containedExperimenters(omero_user.groups[0].id)
        assert user.sizeOfGroupExperimenterMap() == 2
        names = {group.name.val for group in service.containedGroups(omero_user.id)}
        assert names == {"user", omero_user.groups[0].name}

    def test_the_default_group_is_the_first_that_is_not_everybodys(self, service, omero_user):
        assert service.getDefaultGroup(omero_user.id).id.val == omero_user.groups[0].id

    def test_who_is_not_there_is_an_error(self, service):
        for call, argument in (
            (service.getExperimenter, 10**9),
            (service.lookupExperimenter, "nobody of this name"),
            (service.getGroup, 10**9),
            (service.lookupGroup, "no group of this name"),
        ):
            with pytest.raises(omero.ApiUsageException, match="No such"):
                call(argument)


class TestNewUsersAndGroups:
    def test_administrators_make_groups_private_unless_told(self, admin, new_name):
        group = ExperimenterGroupI()
        group.name, group.ldap = rstring(new_name()), rbool(False)
        group.description = rstring("what for")
        made = admin.getGroup(admin.createGroup(group))
        assert str(made.details.permissions) == "rw----"
        assert made.description.val == "what for"
        with pytest.raises(omero.ValidationException):
            admin.createGroup(group)

    def test_users_make_none(self, service, new_name):
        group = ExperimenterGroupI()
        group.name, group.ldap = rstring(new_name()), rbool(False)
        with pytest.raises(omero.SecurityViolation):
            service.createGroup(group)

    def test_a_group_owner_makes_users_of_his_group_only(self, leader, new_user, omero_make_group):
        service, group = leader
        number = service.createExperimenterWithPassword(
            new_user(), rstring("secret"), group_of(group.id), [group_of(1)]
        )
        assert service.getDefaultGroup(number).id.val == group.id
        other = omero_make_group()
        with pytest.raises(omero.SecurityViolation):
            service.createExperimenterWithPassword(
                new_user(), rstring("secret"), group_of(group.id), [group_of(other.id)]
            )

    def test_a_name_is_given_once(self, admin, new_user, omero_user):
        with pytest.raises(omero.ValidationException, match="unique"):
            admin.createUser(new_user(omero_user.name), omero_user.groups[0].name)

    def test_a_user_without_a_password_can_not_log_in(self, admin, new_user, omero_server):
        user = new_user()
        admin.createUser(user, "guest")
        client = omero.client(omero_server.host, omero_server.port)
        try:
            with pytest.raises(Exception, match="Password check failed"):
                client.createSession(user.omeName.val, " ")
        finally:
            client.__del__()

    def test_an_administrator_is_made_with_some_privileges(self, admin, new_user):
        chosen = [AdminPrivilegeI(), AdminPrivilegeI()]
        chosen[0].value, chosen[1].value = rstring("Sudo"), rstring("ModifyUser")
        number = admin.createRestrictedSystemUser(new_user(), chosen)
        found = {one.value.val for one in admin.getAdminPrivileges(user_of(number))}
        assert found == {"Sudo", "ModifyUser"}
        admin.setAdminPrivileges(user_of(number), chosen[:1])
        assert [one.value.val for one in admin.getAdminPrivileges(user_of(number))] == ["Sudo"]
        assert number in {one.id.val for one in admin.getAdminsWithPrivileges(chosen[:1])}
        chosen[0].value = rstring("Fly")
        with pytest.raises(omero.ApiUsageException, match="unknown"):
            admin.setAdminPrivileges(user_of(number), chosen)

    def test_a_restricted_administrator_is_held_to_his_privileges(
        self, admin, new_user, omero_server, omero_user
    ):
        user = new_user()
        admin.createRestrictedSystemUserWithPassword(user, [], rstring("secret"))
        with omero.gateway.BlitzGateway(
            user.omeName.val, "secret", host=omero_server.host, port=omero_server.port, secure=True
        ) as conn:
            assert conn.isAdmin()
            assert not conn.isFullAdmin()
            service = conn.getAdminService()
            with pytest.raises(omero.SecurityViolation):
                service.addGroups(user_of(omero_user.id), [group_of(0)])
            principal = omero.sys.Principal(
                omero_user.name, omero_user.groups[0].name, "User", None
            )
            with pytest.raises(omero.SecurityViolation):
                conn.c.sf.getSessionService().createSessionWithTimeout(principal, 1000)

    def test_root_keeps_all_privileges(self, admin):
        with pytest.raises(omero.ApiUsageException):
            admin.setAdminPrivileges(user_of(0), [])


class TestChanges:
    def test_users_change_their_own_names_only(self, service, omero_user, omero_second_user):
        me = service.getExperimenter(omero_user.id)
        me.lastName = rstring("Byron")
        service.updateSelf(me)
        me.lastName, me.omeName = rstring("King"), rstring("root2")
        service.updateExperimenter(me)
        changed = service.getExperimenter(omero_user.id)
        assert (changed.lastName.val, changed.omeName.val) == ("King", omero_user.name)
        other = service.getExperimenter(omero_second_user.id)
        with pytest.raises(omero.SecurityViolation):
            service.updateExperimenter(other)

    def test_special_names_stay(self, admin, omero_user):
        user = admin.getExperimenter(omero_user.id)
        user.omeName = rstring("root")
        with pytest.raises(omero.ValidationException, match="special"):
            admin.updateExperimenter(user)
        group = admin.lookupGroup("user")
        group.name = rstring("everybody")
        with pytest.raises(omero.ValidationException, match="special"):
            admin.updateGroup(group)

    def test_a_group_owner_changes_the_level_of_his_group(self, leader, service):
        leads, group = leader
        leads.changePermissions(group_of(group.id), PermissionsI("rwrw--"))
        loaded = leads.getGroup(group.id)
        assert str(loaded.details.permissions) == "rwrw--"
        loaded.details.permissions = PermissionsI("rwra--")
        loaded.description = rstring("for all")
        leads.updateGroup(loaded)
        changed = leads.getGroup(group.id)
        assert (str(changed.details.permissions), changed.description.val) == ("rwra--", "for all")
        with pytest.raises(omero.SecurityViolation):
            service.changePermissions(group_of(group.id), PermissionsI("rw----"))

    def test_a_group_with_joined_objects_does_not_become_private(
        self, omero_make_group, omero_make_user, omero_connect
    ):
        group = omero_make_group("read-annotate")
        leads = omero_connect(omero_make_user(group, owns=[group]))
        member = omero_connect(omero_make_user(group))
        project = ProjectI()
        project.name = rstring("seen by all")
        project = leads.getUpdateService().saveAndReturnObject(project)
        link = ProjectAnnotationLinkI()
        link.parent, link.child = ProjectI(project.id.val, loaded=False), TagAnnotationI()
        member.getUpdateService().saveObject(link)
        service = leads.getAdminService()
        with pytest.raises(omero.SecurityViolation, match="due to locks"):
            service.changePermissions(group_of(group.id), PermissionsI("rw----"))
        with pytest.raises(omero.GroupSecurityViolation, match="user read"):
            service.changePermissions(group_of(group.id), PermissionsI("------"))
        with pytest.raises(omero.SecurityViolation, match="Only groups"):
            service.changePermissions(project, PermissionsI("rw----"))
        assert str(service.getGroup(group.id).details.permissions) == "rwra--"

    def test_members_come_and_go(self, leader, service, omero_user):
        leads, group = leader
        with pytest.raises(omero.SecurityViolation):
            service.addGroups(user_of(omero_user.id), [group_of(group.id)])
        leads.addGroups(user_of(omero_user.id), [group_of(group.id)])
        assert group.id in service.getEventContext().memberOfGroups
        service.setDefaultGroup(user_of(omero_user.id), group_of(group.id))
        assert service.getDefaultGroup(omero_user.id).id.val == group.id
        leads.removeGroups(user_of(omero_user.id), [group_of(group.id)])
        assert service.getDefaultGroup(omero_user.id).id.val == omero_user.groups[0].id

    def test_a_user_keeps_a_group_of_his_own(self, admin, omero_user):
        with pytest.raises(omero.ValidationException, match="only the 'user' group"):
            admin.removeGroups(user_of(omero_user.id), [group_of(omero_user.groups[0].id)])

    def test_everybodys_group_is_nobodys_default(self, service, omero_user, omero_second_user):
        with pytest.raises(omero.ApiUsageException):
            service.setDefaultGroup(user_of(omero_user.id), group_of(1))
        with pytest.raises(omero.SecurityViolation, match="own default group"):
            service.setDefaultGroup(
                user_of(omero_second_user.id), group_of(omero_user.groups[0].id)
            )

    def test_an_owner_is_made_a_member_first(self, admin, service, omero_user, omero_make_group):
        group = omero_make_group()
        admin.addGroupOwners(group_of(group.id), [user_of(omero_user.id)])
        assert service.getLeaderOfGroupIds(user_of(omero_user.id)) == [group.id]
        admin.unsetGroupOwner(group_of(group.id), user_of(omero_user.id))
        assert service.getLeaderOfGroupIds(user_of(omero_user.id)) == []
        assert group.id in service.getMemberOfGroupIds(user_of(omero_user.id))

    def test_who_never_logged_in_is_deleted(self, admin, service, new_user, omero_user):
        user = new_user()
        number = admin.createUser(user, omero_user.groups[0].name)
        with pytest.raises(omero.SecurityViolation):
            service.deleteExperimenter(user_of(number))
        admin.deleteExperimenter(user_of(number))
        with pytest.raises(omero.ApiUsageException):
            admin.getExperimenter(number)

    def test_who_logged_in_stays(self, admin, omero_user, omero_connect):
        omero_connect(omero_user)
        with pytest.raises(omero.ValidationException):
            admin.deleteExperimenter(user_of(omero_user.id))
        assert admin.getExperimenter(omero_user.id).sizeOfGroupExperimenterMap() == 2


class TestPasswords:
    def test_a_group_owner_changes_the_password_of_a_member(
        self, leader, omero_make_user, omero_people, omero_user
    ):
        service, group = leader
        member = omero_make_user(group)
        service.changeUserPassword(member.name, rstring("another"))
        with pytest.raises(Exception, match="could not log in"):
            omero_people.connect(member)
        with pytest.raises(omero.SecurityViolation):
            service.changeUserPassword(omero_user.name, rstring("another"))

    def test_nobody_takes_the_account_of_an_administrator(self, leader, admin, new_user):
        service, group = leader
        user = new_user()
        number = admin.createSystemUser(user)
        admin.addGroups(user_of(number), [group_of(group.id)])
        with pytest.raises(omero.SecurityViolation, match="more privileged"):
            service.changeUserPassword(user.omeName.val, rstring("mine"))
        admin.deleteExperimenter(user_of(number))

    def test_a_failed_change_leaves_the_password(self, admin, new_user, omero_user, omero_people):
        with pytest.raises(omero.ValidationException):
            admin.createExperimenterWithPassword(
                new_user(omero_user.name), rstring("taken"), group_of(omero_user.groups[0].id), []
            )
        omero_people.connect(omero_user).close()

    def test_the_sandbox_sends_no_mail(self, service, omero_user):
        with pytest.raises(omero.ServerError):
            service.reportForgottenPassword(omero_user.name, "ada@example.org")


class TestObjects:
    def test_can_update_tells_whose_it_is(self, omero_conn, omero_second_conn):
        tag = TagAnnotationI()
        tag.textValue = rstring("mine")
        tag = omero_conn.getUpdateService().saveAndReturnObject(tag)
        assert omero_conn.getAdminService().canUpdate(tag)
        assert not omero_second_conn.getAdminService().canUpdate(tag)
        with pytest.raises(omero.ServerError):
            omero_conn.getAdminService().canUpdate(TagAnnotationI(10**9, loaded=False))

    def test_what_lies_in_the_common_space_is_seen_from_everywhere(
        self, admin, omero_conn, omero_make_user, omero_make_group, omero_connect, omero_user
    ):
        tag = TagAnnotationI()
        tag.textValue = rstring("for all")
        tag = omero_conn.getUpdateService().saveAndReturnObject(tag)
        with pytest.raises(omero.SecurityViolation):
            omero_conn.getAdminService().moveToCommonSpace([tag])
        admin.moveToCommonSpace([tag], {"omero.group": str(omero_user.groups[0].id)})
        stranger = omero_connect(omero_make_user(omero_make_group("private")))
        assert stranger.getQueryService().get("TagAnnotation", tag.id.val).textValue.val

    def test_photos_are_kept_one_a_user(self, service, omero_conn):
        assert service.getMyUserPhotos() == []
        first = service.uploadMyUserPhoto("me.png", "image/png", b"first")
        second = service.uploadMyUserPhoto("me.jpg", "image/jpeg", b"the second")
        assert first == second
        (photo,) = service.getMyUserPhotos()
        assert (photo.name.val, photo.size.val) == ("me.jpg", 10)
        store = omero_conn.c.sf.createRawFileStore()
        store.setFileId(photo.id.val)
        assert store.read(0, 10) == b"the second"
        store.close()


def test_the_roles_are_those_of_every_server(service):
    roles = service.getSecurityRoles()
    assert (roles.rootId, roles.rootName) == (0, "root")
    assert (roles.systemGroupId, roles.systemGroupName) == (0, "system")
    assert (roles.userGroupId, roles.userGroupName) == (1, "user")


def test_a_context_is_looked_at_in_every_call(service, omero_make_group, omero_user):
    other = omero_make_group("read-write")
    with pytest.raises(omero.SecurityViolation, match="not a member"):
        service.getEventContext({"omero.group": str(other.id)})
    with pytest.raises(omero.SecurityViolation, match="not an admin"):
        service.getEventContext({"omero.user": "0"})
    everywhere = service.getEventContext({"omero.group": "-1"})
    assert everywhere.groupId == -1
    ignored = service.getEventContext({"omero.group": "object #0 (::omero::RLong)"})
    assert ignored.groupId == omero_user.groups[0].id


def test_an_administrator_acts_as_another(admin, omero_user):
    context = {"omero.user": str(omero_user.id), "omero.group": str(omero_user.groups[0].id)}
    assert admin.getEventContext(context).userName == omero_user.name

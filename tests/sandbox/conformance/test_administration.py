"""Users and groups: memberships, owners, default groups, names, and who may change them."""

from __future__ import annotations

import omero
import pytest
from omero.model import ExperimenterGroupI, ExperimenterI, TagAnnotationI
from omero.rtypes import rstring


@pytest.fixture
def admin(omero_root):
    return omero_root.getAdminService()


def group_of(number):
    return ExperimenterGroupI(number, loaded=False)


def user_of(number):
    return ExperimenterI(number, loaded=False)


def test_what_an_open_session_belongs_to_is_fresh(admin, omero_conn, omero_user, omero_make_group):
    service = omero_conn.getAdminService()
    before = service.getEventContext().memberOfGroups
    new = omero_make_group().id
    admin.addGroups(user_of(omero_user.id), [group_of(new)])
    assert set(service.getEventContext().memberOfGroups) - set(before) == {new}
    assert new in admin.getMemberOfGroupIds(user_of(omero_user.id))


def test_the_default_group_is_changed_by_the_user(admin, omero_conn, omero_user, omero_make_group):
    new = omero_make_group().id
    me = user_of(omero_user.id)
    admin.addGroups(me, [group_of(new)])
    service = omero_conn.getAdminService()
    assert service.getDefaultGroup(omero_user.id).id.val == omero_user.groups[0].id
    service.setDefaultGroup(me, group_of(new))
    assert service.getDefaultGroup(omero_user.id).id.val == new


def test_an_owner_is_made_of_one_who_is_no_member(admin, omero_user, omero_make_group):
    group, me = omero_make_group().id, user_of(omero_user.id)
    admin.addGroupOwners(group_of(group), [me])
    assert group in admin.getLeaderOfGroupIds(me)
    admin.removeGroupOwners(group_of(group), [me])
    assert group not in admin.getLeaderOfGroupIds(me)


def test_nobody_is_left_without_a_group_for_his_data(admin, omero_user):
    with pytest.raises(omero.ValidationException):
        admin.removeGroups(user_of(omero_user.id), [group_of(omero_user.groups[0].id)])


def test_a_group_is_renamed_and_keeps_its_type(admin, omero_make_group):
    group = omero_make_group("read-only")
    row = admin.getGroup(group.id)
    row.name = rstring(f"{group.name}-renamed")
    admin.updateGroup(row)
    again = admin.getGroup(group.id)
    assert again.name.val == f"{group.name}-renamed"
    assert str(again.details.permissions) == "rwr---"


def test_names_of_users_and_groups_are_unique(admin, omero_user):
    group = ExperimenterGroupI()
    group.name, group.ldap = rstring(omero_user.groups[0].name), omero.rtypes.rfalse
    with pytest.raises(omero.ValidationException):
        admin.createGroup(group)


def test_users_and_groups_are_looked_up(admin, omero_user):
    assert admin.lookupExperimenter(omero_user.name).id.val == omero_user.id
    assert admin.lookupGroup(omero_user.groups[0].name).id.val == omero_user.groups[0].id
    with pytest.raises(omero.ApiUsageException):
        admin.lookupExperimenter("nobody of this name")
    with pytest.raises(omero.ApiUsageException):
        admin.lookupGroup("no group of this name")
    assert omero_user.id in {row.id.val for row in admin.lookupExperimenters()}
    members = admin.containedExperimenters(omero_user.groups[0].id)
    assert [row.id.val for row in members] == [omero_user.id]


def test_a_user_edits_his_own_name_and_nobody_elses(omero_conn, omero_user, omero_second_user):
    service = omero_conn.getAdminService()
    me = service.getExperimenter(omero_user.id)
    me.lastName = rstring("Renamed")
    service.updateSelf(me)
    assert service.getExperimenter(omero_user.id).lastName.val == "Renamed"
    other = service.getExperimenter(omero_second_user.id)
    other.lastName = rstring("Renamed")
    with pytest.raises(omero.SecurityViolation):
        service.updateExperimenter(other)


def test_the_administrator_sees_all_groups_when_he_asks_for_all(omero_root, omero_conn):
    tag = TagAnnotationI()
    tag.textValue = rstring("seen?")
    number = omero_conn.getUpdateService().saveAndReturnObject(tag).id.val
    query = omero_root.getQueryService()
    text, by_id = "select t from TagAnnotation t where t.id = :id", omero.sys.ParametersI()
    by_id.addId(number)
    assert query.findByQuery(text, by_id, {}) is None
    assert query.findByQuery(text, by_id, {"omero.group": "-1"}).id.val == number


def test_only_full_administrators_have_every_privilege(omero_root, omero_conn):
    assert "Sudo" in omero_root.getEventContext().adminPrivileges
    assert omero_conn.getEventContext().adminPrivileges == []

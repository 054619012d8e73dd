"""The four group types: who may read, annotate, link, edit and delete whose objects.

The table is that of OMERO's documentation, "Permissions overview".
"""

from __future__ import annotations

from dataclasses import dataclass

import omero
import pytest
from omero.model import (
    CommentAnnotationI,
    DatasetI,
    ProjectAnnotationLinkI,
    ProjectDatasetLinkI,
    ProjectI,
)
from omero.rtypes import rstring

LEVELS = ("private", "read-only", "read-annotate", "read-write")
ALL = {"read", "annotate", "link", "edit", "delete"}
MAY = {
    "owner": dict.fromkeys(LEVELS, ALL),
    "member": {
        "private": set(),
        "read-only": {"read"},
        "read-annotate": {"read", "annotate"},
        "read-write": ALL,
    },
    "leader": dict.fromkeys(LEVELS, ALL) | {"private": {"read", "edit", "delete"}},
    "admin": dict.fromkeys(LEVELS, ALL) | {"private": {"read", "edit", "delete"}},
}


@dataclass
class Lab:
    """A group and connections of those who look at an object of `owner`."""

    group: object
    owner: object
    member: object
    leader: object
    admin: object


@pytest.fixture(scope="module", params=LEVELS)
def lab(request, omero_people):
    people = omero_people
    group = people.make_group(request.param)
    conns = [
        people.connect(people.make_user(group)),
        people.connect(people.make_user(group)),
        people.connect(people.make_user(group, owns=[group])),
        people.connect_admin(),
    ]
    conns[3].SERVICE_OPTS.setOmeroGroup(group.id)
    yield Lab(group, *conns)
    for conn in conns:
        conn.close()


def save(conn, row):
    return conn.getUpdateService().saveAndReturnObject(row, conn.SERVICE_OPTS)


def named(kind, conn):
    row = kind()
    row.name = rstring("a name")
    return save(conn, row).id.val


def allowed(action, *arguments):
    try:
        action(*arguments)
    except omero.SecurityViolation:
        return False
    return True


def annotate(conn, project):
    link = ProjectAnnotationLinkI()
    link.parent, link.child = ProjectI(project, loaded=False), CommentAnnotationI()
    link.child.textValue = rstring("seen")
    save(conn, link)


def mix(conn, project):
    link = ProjectDatasetLinkI()
    link.parent = ProjectI(project, loaded=False)
    link.child = DatasetI(named(DatasetI, conn), loaded=False)
    save(conn, link)


def edit(conn, project):
    row = conn.getQueryService().get("Project", project, conn.SERVICE_OPTS)
    row.name = rstring("changed")
    save(conn, row)


ACTIONS = {"annotate": annotate, "link": mix, "edit": edit}


@pytest.mark.parametrize("who", MAY)
def test_what_is_allowed_is_what_the_flags_say_and_the_table(lab, who, delete):
    conn, expected = getattr(lab, who), MAY[who][lab.group.level]
    project = named(ProjectI, lab.owner)
    seen = conn.getObject("Project", project)
    assert (seen is not None) == ("read" in expected)
    if seen is not None:
        flags = {
            "annotate": seen.canAnnotate(),
            "link": seen.canLink(),
            "edit": seen.canEdit(),
            "delete": seen.canDelete(),
        }
        assert {name for name, flag in flags.items() if flag} == expected - {"read"}
    for name, action in ACTIONS.items():
        assert allowed(action, conn, project) == (name in expected), name
    response = delete(conn, Project=[project])
    if "read" in expected:
        assert isinstance(response, omero.cmd.OK) == ("delete" in expected)
    assert (lab.owner.getObject("Project", project) is None) == ("delete" in expected)


def test_what_may_not_be_read_is_in_no_list_and_no_count(lab):
    named(ProjectI, lab.owner)
    query = lab.member.getQueryService()
    owner = omero.sys.ParametersI().addLong("owner", lab.owner.getUserId())
    where = "from Project p where p.details.owner.id = :owner"
    counted = query.projection(f"select count(p) {where}", owner)[0][0].val
    listed = query.findAllByQuery(f"select p {where}", owner)
    assert counted == len(listed)
    assert (counted > 0) == (lab.group.level != "private")


def test_loading_by_id_what_may_not_be_read_is_a_violation(lab):
    project = named(ProjectI, lab.owner)
    readable = allowed(lab.member.getQueryService().get, "Project", project)
    assert readable == (lab.group.level != "private")


def test_flags_follow_who_asks(lab):
    project = named(ProjectI, lab.owner)
    mine = lab.owner.getObject("Project", project).getDetails().permissions
    assert all([mine.canAnnotate(), mine.canLink(), mine.canEdit(), mine.canDelete()])
    theirs = lab.admin.getObject("Project", project).getDetails().permissions
    assert theirs.canEdit()
    assert str(mine) == str(lab.owner.getGroupFromContext().getDetails().permissions)


def test_nobody_works_in_a_group_he_is_not_a_member_of(lab, omero_conn):
    context = {"omero.group": str(lab.group.id)}
    project = named(ProjectI, lab.owner)
    with pytest.raises(omero.SecurityViolation):
        omero_conn.getQueryService().find("Project", project, context)
    row = ProjectI()
    row.name = rstring("intruder")
    with pytest.raises(omero.SecurityViolation):
        omero_conn.getUpdateService().saveAndReturnObject(row, context)
    text, parameters = (
        "select p from Project p where p.id = :id",
        omero.sys.ParametersI().addId(project),
    )
    found = omero_conn.getQueryService().findByQuery(text, parameters, {"omero.group": "-1"})
    assert found is None


def test_one_who_may_not_edit_a_parent_may_not_add_to_it(lab):
    """A dataset of the owner; a member puts nothing in unless the group is read-write."""
    project = named(ProjectI, lab.owner)
    assert allowed(mix, lab.member, project) == (lab.group.level == "read-write")


def test_ordinary_users_administer_nothing(lab, omero_make_group):
    service = lab.member.getAdminService()
    row = omero.model.ExperimenterGroupI()
    row.name = rstring("mine")
    row.ldap = omero.rtypes.rfalse
    with pytest.raises(omero.SecurityViolation):
        service.createGroup(row)
    me = omero.model.ExperimenterI(lab.member.getUserId(), loaded=False)
    other = omero.model.ExperimenterGroupI(omero_make_group().id, loaded=False)
    with pytest.raises(omero.SecurityViolation):
        service.addGroups(me, [other])
    with pytest.raises(omero.SecurityViolation):
        service.changeUserPassword(lab.owner.getUser().getName(), rstring("mine"))


def test_a_group_owner_adds_a_member(lab, omero_make_user, omero_make_group, omero_connect):
    user = omero_make_user(omero_make_group())
    newcomer = omero.model.ExperimenterI(user.id, loaded=False)
    group = omero.model.ExperimenterGroupI(lab.group.id, loaded=False)
    lab.leader.getAdminService().addGroups(newcomer, [group])
    context = omero_connect(user).getEventContext()
    assert lab.group.id in context.memberOfGroups
    lab.leader.getAdminService().removeGroups(newcomer, [group])
    assert lab.group.id not in omero_connect(user).getEventContext().memberOfGroups


def test_a_group_gets_another_type(omero_make_group, omero_make_user, omero_connect, omero_root):
    group = omero_make_group("private")
    conn, other = (omero_connect(omero_make_user(group)) for _ in range(2))
    project = named(ProjectI, conn)
    assert other.getObject("Project", project) is None
    row = omero_root.getObject("ExperimenterGroup", group.id)._obj
    omero_root.getAdminService().changePermissions(row, omero.model.PermissionsI("rwra--"))
    assert other.getObject("Project", project).canAnnotate()


def test_an_object_moves_to_another_group_with_what_is_in_it(
    omero_make_group, omero_make_user, omero_connect
):
    here, there = omero_make_group(), omero_make_group()
    conn = omero_connect(omero_make_user(here, there))
    project, dataset = named(ProjectI, conn), named(DatasetI, conn)
    link = ProjectDatasetLinkI()
    link.parent, link.child = ProjectI(project, loaded=False), DatasetI(dataset, loaded=False)
    save(conn, link)
    handle = conn.chgrpObjects("Project", [project], there.id)
    try:
        conn._waitOnCmd(handle)
    finally:
        handle.close()
    assert conn.getObject("Project", project) is None
    conn.SERVICE_OPTS.setOmeroGroup(there.id)
    moved = conn.getObject("Project", project)
    assert moved.getDetails().getGroup().getId() == there.id
    assert [child.getId() for child in moved.listChildren()] == [dataset]

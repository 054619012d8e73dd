"""Who may keep results with which objects, told before a run with the reason and the mend."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

import omero.gateway
import pytest
from omero.model import (
    AdminPrivilegeI,
    ExperimenterGroupI,
    ExperimenterI,
    ImageI,
    PlateI,
    ProjectI,
    WellI,
)
from omero.rtypes import rint, rstring

from omero_hcs.model import Channel, Field, Image, ImageSet, ObjectRef, Plate, Well
from omero_hcs.stores.omero.login import Login
from omero_hcs.stores.omero.rights import write_faults
from omero_hcs.stores.omero.session import Session

ADMINS_OF_DATA = ("WriteOwned", "DeleteOwned")


@dataclass
class Objects:
    """Stand-in for `Layouts`: what a target is called on the server."""

    anchored: tuple[tuple[str, int], ...]
    by_name: dict[str, int] = field(default_factory=dict)

    def anchors(self, target):  # noqa: ARG002
        return self.anchored

    def wells(self, target):  # noqa: ARG002
        return self.by_name


def saved(conn, row, group):
    service = conn.getUpdateService()
    return service.saveAndReturnObject(row, {"omero.group": str(group.id)}).id.val


def an_image(conn, group, name="field 1"):
    image = ImageI()
    image.name = rstring(name)
    return saved(conn, image, group)


def value_of(number, name="field 1"):
    return Image(str(number), name, 8, 8, (Channel(0, "DNA"),))


@pytest.fixture
def a_plate(omero_connect):
    """Make a plate of two wells and two images, of a user, in a group: (names, layout)."""

    def make(owner, group):
        conn = omero_connect(owner)
        plate = PlateI()
        plate.name = rstring("assay <1>")
        number = saved(conn, plate, group)
        ids, wells = {}, []
        for column in range(2):
            well = WellI()
            well.plate, well.row, well.column = PlateI(number, False), rint(0), rint(column)
            field = Field(0, value_of(an_image(conn, group)))
            wells.append(Well(0, column, (field,)))
            ids[wells[-1].name] = saved(conn, well, group)
        layout = Plate(str(number), "assay <1>", 8, 12, tuple(wells))
        return Objects((("Plate", number),), ids), layout

    return make


@pytest.fixture
def faults_for(omero_server):
    """Ask as a user: ``faults_for(user, names, layout)``."""
    with contextlib.ExitStack() as stack:

        def ask(user, names, layout):
            login = Login(omero_server.host, omero_server.port, user.name, user.password)
            session = stack.enter_context(contextlib.closing(Session(login)))
            kind = "plate" if isinstance(layout, Plate) else "images"
            target = ObjectRef(kind=kind, id=layout.id)
            return write_faults(session, names, target, layout)

        yield ask


@pytest.fixture
def restricted_admin(omero_root, omero_make_user, omero_make_group):
    """Make an administrator who has only some privileges."""
    service, made = omero_root.getAdminService(), []
    system = ExperimenterGroupI(service.getSecurityRoles().systemGroupId, False)

    def make(privileges):
        user = omero_make_user(omero_make_group())
        made.append(ExperimenterI(user.id, False))
        chosen = []
        for privilege in privileges:
            chosen.append(AdminPrivilegeI())
            chosen[-1].value = rstring(privilege)
        service.addGroups(made[-1], [system])
        service.setAdminPrivileges(made[-1], chosen)
        return user

    yield make
    for user in made:
        service.removeGroups(user, [system])


def test_an_owner_has_no_fault_in_any_group(omero_group, omero_make_user, a_plate, faults_for):
    owner = omero_make_user(omero_group)
    assert faults_for(owner, *a_plate(owner, omero_group)) == ()


def test_a_member_of_a_read_only_group_is_told_what_why_and_who_can_mend_it(
    omero_make_group, omero_make_user, a_plate, faults_for
):
    group = omero_make_group("read-only")
    owner, member = omero_make_user(group), omero_make_user(group)
    leader = omero_make_user(group, owns=[group])
    names, layout = a_plate(owner, group)
    (fault,) = faults_for(member, names, layout)
    assert f"You ({member.name}) may not annotate 1 plate, 2 wells and 2 images" in fault
    assert f"such as Plate {layout.id} 'assay <1>'" in fault
    assert f"owned by {owner.name} (Test User) in the read-only group {group.name!r}" in fault
    assert f"a group owner ({leader.name})" in fault
    assert "make the group read-annotate" in fault
    assert faults_for(leader, names, layout) == ()


def test_in_a_private_group_the_owner_alone_can_run_it(
    omero_make_group, omero_make_user, a_plate, faults_for
):
    group = omero_make_group("private")
    owner, leader = omero_make_user(group), omero_make_user(group, owns=[group])
    (fault,) = faults_for(leader, *a_plate(owner, group))
    assert "not even a group owner or an administrator" in fault
    assert f"Ask {owner.name} (Test User) to run this" in fault


def test_what_counts_is_the_group_of_the_object_not_that_of_the_session(
    omero_make_group, omero_make_user, a_plate, faults_for
):
    """The default group is read-write; the plate is in another one of his, a read-only one."""
    default, other = omero_make_group("read-write"), omero_make_group("read-only")
    owner, member = omero_make_user(other), omero_make_user(default, other)
    (fault,) = faults_for(member, *a_plate(owner, other))
    assert f"in the read-only group {other.name!r}" in fault


@pytest.mark.parametrize(("privileges", "count"), [(ADMINS_OF_DATA, 0), (("Sudo",), 1)])
def test_an_administrator_may_what_his_privileges_let_him(
    omero_make_group, omero_make_user, a_plate, faults_for, restricted_admin, privileges, count
):
    group = omero_make_group("read-only")
    admin = restricted_admin(privileges)
    assert len(faults_for(admin, *a_plate(omero_make_user(group), group))) == count


def test_a_project_with_images_of_others_is_a_fault_about_those_alone(
    omero_make_group, omero_make_user, omero_connect, faults_for
):
    group = omero_make_group("read-only")
    owner, member = omero_make_user(group), omero_make_user(group)
    mine, theirs = omero_connect(member), omero_connect(owner)
    project = ProjectI()
    project.name = rstring("mixed")
    names = Objects((("Project", saved(mine, project, group)),))
    own = value_of(an_image(mine, group, "my own"))
    foreign = value_of(an_image(theirs, group, "not mine"), "not mine")
    (fault,) = faults_for(member, names, ImageSet("project:1", "mixed", (own, foreign)))
    assert f"may not annotate 1 image, such as Image {foreign.id} 'not mine'" in fault


def test_images_of_several_groups_are_to_be_run_one_group_at_a_time(
    omero_make_group, omero_make_user, omero_connect, faults_for
):
    groups = omero_make_group(), omero_make_group()
    user = omero_make_user(*groups)
    conn = omero_connect(user)
    images = tuple(value_of(an_image(conn, group)) for group in groups)
    names = Objects(tuple(("Image", int(image.id)) for image in images))
    (fault,) = faults_for(user, names, ImageSet("image:1,2", "2 images", images))
    assert "objects of 2 groups" in fault
    assert all(repr(group.name) in fault for group in groups)


def test_a_group_that_becomes_read_annotate_is_mended(
    omero_make_group, omero_make_user, a_plate, faults_for, omero_connect
):
    """The mend that is told works: a group owner changes the level."""
    group = omero_make_group("read-only")
    owner, member = omero_make_user(group), omero_make_user(group)
    leader = omero_connect(omero_make_user(group, owns=[group]))
    made = a_plate(owner, group)
    assert faults_for(member, *made)
    row = leader.getQueryService().get("ExperimenterGroup", group.id, {"omero.group": "-1"})
    level = omero.model.PermissionsI("rwra--")
    leader.getAdminService().changePermissions(ExperimenterGroupI(row.id.val, False), level)
    assert faults_for(member, *made) == ()


def test_a_whole_plate_takes_few_questions(
    omero_make_group, omero_make_user, a_plate, omero_server, monkeypatch
):
    group = omero_make_group("read-annotate")
    owner, asked = omero_make_user(group), []
    names, layout = a_plate(owner, group)
    login = Login(omero_server.host, omero_server.port, owner.name, owner.password)
    project = Session.project

    def counted(self, hql, given=None, **more):
        asked.append(hql)
        return project(self, hql, given, **more)

    monkeypatch.setattr(Session, "project", counted)
    with contextlib.closing(Session(login)) as session:
        assert write_faults(session, names, ObjectRef(kind="plate", id=layout.id), layout) == ()
    assert len(asked) == 4

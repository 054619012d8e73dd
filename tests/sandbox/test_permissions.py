"""Who may do what in each of the four kinds of groups, and how a refusal is told.

One table for all: the actions that a group's permissions grant. Everything else follows from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import omero
import pytest
from omero.model import (
    CommentAnnotationI,
    ExperimenterI,
    ImageAnnotationLinkI,
    ImageI,
    RectangleI,
    RoiI,
)
from omero.rtypes import rstring

from tests.sandbox.actors import Actor, annotate, link_to, unloaded

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


def put_tag(who, tag):
    link = ImageAnnotationLinkI()
    link.parent, link.child = unloaded(who.image("my own")), unloaded(tag)
    who.save(link)


def draw(who, image):
    roi, shape = RoiI(), RectangleI()
    roi.image = unloaded(image)
    roi.addShape(shape)
    who.save(roi)


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

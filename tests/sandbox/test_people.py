"""Users and groups of a test: what they may do, and that nothing of them stays behind."""

from __future__ import annotations

import pytest
from omero.model import ProjectI
from omero.rtypes import rstring

from omero_hcs.errors import InputError, NotFoundError
from omero_hcs.sandbox.people import LEVELS, People


@pytest.fixture
def people(omero_server):
    with People(omero_server) as made:
        yield made
        made.remove()


@pytest.mark.parametrize("level", LEVELS)
def test_a_group_has_the_permissions_of_its_level(people, level):
    group = people.make_group(level)
    with people.connect(people.make_user(group)) as conn:
        assert str(conn.getGroupFromContext().getDetails().permissions) == LEVELS[level]


def test_an_unknown_level_is_refused_and_the_known_ones_are_named(people):
    with pytest.raises(InputError, match="read-annotate"):
        people.make_group("public")


def test_a_user_without_a_group_is_refused(people):
    with pytest.raises(InputError, match="make_group"):
        people.make_user()


def test_a_user_starts_in_his_first_group_or_in_the_one_asked_for(people):
    first, second = people.make_group(), people.make_group("private")
    user = people.make_user(first, second)
    with people.connect(user) as conn:
        assert conn.getEventContext().groupId == first.id
        assert {first.id, second.id} <= set(conn.getEventContext().memberOfGroups)
    with people.connect(user, second) as conn:
        assert conn.getEventContext().groupId == second.id


def test_a_group_owner_leads_the_named_groups_only(people):
    led, other = people.make_group(), people.make_group()
    with people.connect(people.make_user(led, other, owns=[led])) as conn:
        assert conn.getEventContext().leaderOfGroups == [led.id]
        assert not conn.isAdmin()


def test_names_are_unique_and_share_the_prefix(people):
    group = people.make_group()
    user, second = people.make_user(group), people.make_user(group)
    assert len({user.name, second.name, group.name}) == 3
    assert all(name.startswith(people.prefix) for name in (user.name, second.name, group.name))


def test_removal_takes_the_content_the_users_and_the_groups(people, omero_root):
    group = people.make_group()
    user = people.make_user(group)
    with people.connect(user) as conn:
        row = ProjectI()
        row.name = rstring("goes away")
        project = conn.getUpdateService().saveAndReturnObject(row).id.val
    left = people.remove()
    query = omero_root.getQueryService()
    assert query.find("Project", project, {"omero.group": "-1"}) is None
    assert query.findByString("ExperimenterGroup", "name", group.name) is None or group.name in left
    with pytest.raises(NotFoundError, match="could not log in"):
        people.connect(user)


def test_what_everybody_uses_stays(people, omero_root):
    def files():
        hql = "select f.id from OriginalFile f where f.details.group.name = 'user'"
        rows = omero_root.getQueryService().projection(hql, None, {"omero.group": "-1"})
        return sorted(row[0].val for row in rows)

    before = files()
    people.make_user(people.make_group())
    people.remove()
    assert before
    assert files() == before

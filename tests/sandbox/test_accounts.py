"""Users and groups of a test: what they may do, and that nothing of them stays behind."""

from __future__ import annotations

import pytest
from omero.model import ProjectI
from omero.rtypes import rstring

from omero_hcs.errors import InputError, NotFoundError
from omero_hcs.sandbox.accounts import LEVELS, Accounts


@pytest.fixture
def accounts(omero_server):
    with Accounts(omero_server) as made:
        yield made
        made.remove()


@pytest.mark.parametrize("level", LEVELS)
def test_a_group_has_the_permissions_of_its_level(accounts, level):
    group = accounts.make_group(level)
    with accounts.connect(accounts.make_user(group)) as conn:
        assert str(conn.getGroupFromContext().getDetails().permissions) == LEVELS[level]


def test_an_unknown_level_is_refused_and_the_known_ones_are_named(accounts):
    with pytest.raises(InputError, match="read-annotate"):
        accounts.make_group("public")


def test_a_user_without_a_group_is_refused(accounts):
    with pytest.raises(InputError, match="make_group"):
        accounts.make_user()


def test_a_user_starts_in_his_first_group_or_in_the_one_asked_for(accounts):
    first, second = accounts.make_group(), accounts.make_group("private")
    user = accounts.make_user(first, second)
    with accounts.connect(user) as conn:
        assert conn.getEventContext().groupId == first.id
        assert {first.id, second.id} <= set(conn.getEventContext().memberOfGroups)
    with accounts.connect(user, second) as conn:
        assert conn.getEventContext().groupId == second.id


def test_a_group_owner_leads_the_named_groups_only(accounts):
    led, other = accounts.make_group(), accounts.make_group()
    with accounts.connect(accounts.make_user(led, other, owns=[led])) as conn:
        assert conn.getEventContext().leaderOfGroups == [led.id]
        assert not conn.isAdmin()


def test_names_are_unique_and_share_the_prefix(accounts):
    group = accounts.make_group()
    user, second = accounts.make_user(group), accounts.make_user(group)
    assert len({user.name, second.name, group.name}) == 3
    assert all(name.startswith(accounts.prefix) for name in (user.name, second.name, group.name))


def test_removal_takes_the_content_the_users_and_the_groups(accounts, omero_root):
    group = accounts.make_group()
    user = accounts.make_user(group)
    with accounts.connect(user) as conn:
        row = ProjectI()
        row.name = rstring("goes away")
        project = conn.getUpdateService().saveAndReturnObject(row).id.val
    left = accounts.remove()
    query = omero_root.getQueryService()
    assert query.find("Project", project, {"omero.group": "-1"}) is None
    assert query.findByString("ExperimenterGroup", "name", group.name) is None or group.name in left
    with pytest.raises(NotFoundError, match="could not log in"):
        accounts.connect(user)

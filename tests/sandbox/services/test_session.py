"""ISession and the requests about sessions: references, keys, time-outs and ends."""

from __future__ import annotations

import contextlib
import time

import Glacier2
import Ice
import omero
import pytest
from omero.rtypes import rlong, rstring

GONE = (omero.ServerError, Ice.ObjectNotExistException)
# A time-out in the past of any call, and the time within which the sandbox looks for it.
SHORT_MS, PATIENCE = 1, 20


@pytest.fixture
def new_client(omero_server):
    with contextlib.ExitStack() as stack:

        def make():
            client = omero.client(omero_server.host, omero_server.port)
            stack.callback(client.__del__)
            return client

        yield make


@pytest.fixture
def log_in(new_client, omero_user):
    """Log the ordinary user in with his password."""

    def start():
        client = new_client()
        client.createSession(omero_user.name, omero_user.password)
        return client

    return start


@pytest.fixture
def watcher(omero_conn):
    """The session service of another session."""
    return omero_conn.c.sf.getSessionService()


def is_open(watcher, key):
    try:
        watcher.getReferenceCount(key)
    except omero.RemovedSessionException:
        return False
    return True


def request(client, **told):
    made = omero.cmd.UpdateSessionTimeoutRequest(session=client.getSessionId(), **told)
    callback = client.submit(made, loops=50, ms=100, failonerror=False)
    try:
        return callback.getResponse()
    finally:
        callback.close(closeHandle=True)


class TestReferences:
    def test_a_session_ends_with_its_last_client(self, log_in, new_client, watcher):
        first, second = log_in(), new_client()
        key = first.getSessionId()
        second.joinSession(key)
        assert watcher.getReferenceCount(key) == 2
        first.closeSession()
        assert watcher.getReferenceCount(key) == 1
        second.closeSession()
        assert not is_open(watcher, key)

    def test_a_detached_session_outlives_its_clients(self, log_in, new_client, watcher):
        first, second = log_in(), new_client()
        key = first.getSessionId()
        first.sf.detachOnDestroy()
        first.closeSession()
        assert watcher.getReferenceCount(key) == 0
        second.joinSession(key).closeOnDestroy()
        second.closeSession()
        assert not is_open(watcher, key)

    def test_closing_gives_one_reference_back(self, log_in, new_client, watcher):
        first, second = log_in(), new_client()
        key = first.getSessionId()
        second.joinSession(key)
        session = omero.model.SessionI()
        session.uuid = rstring(key)
        assert watcher.closeSession(session) == 1
        assert watcher.closeSession(session) == -2
        assert watcher.closeSession(session) == -1

    def test_a_session_made_for_later_waits_for_its_client(self, new_client, watcher, omero_user):
        made = watcher.createUserSession(0, 60_000, omero_user.groups[0].name)
        assert watcher.getReferenceCount(made.uuid.val) == 1
        client = new_client()
        client.joinSession(made.uuid.val)
        client.closeSession()
        assert is_open(watcher, made.uuid.val)

    def test_the_key_of_an_ended_session_opens_nothing(self, log_in, new_client):
        first = log_in()
        key = first.getSessionId()
        first.killSession()
        with pytest.raises(Glacier2.PermissionDeniedException):
            new_client().createSession(key, key)

    def test_services_of_an_ended_session_are_gone(self, log_in, new_client):
        first, second = log_in(), new_client()
        service = first.sf.getAdminService()
        second.joinSession(first.getSessionId())
        second.killSession()
        with pytest.raises(GONE):
            service.getEventContext()


class TestPasswords:
    """What OMERO grants to those only who logged in with a password, not by a session's key."""

    def test_who_joined_by_key_opens_no_session_of_his_own(self, log_in, new_client, omero_user):
        first, second = log_in(), new_client()
        service = second.joinSession(first.getSessionId()).getSessionService()
        with pytest.raises(omero.SecurityViolation, match="Bad authentication credentials"):
            service.createUserSession(0, 60_000, omero_user.groups[0].name)
        second.sf.setSecurityPassword(omero_user.password)
        assert service.createUserSession(0, 60_000, omero_user.groups[0].name).uuid.val

    def test_who_joined_by_key_changes_no_password(self, log_in, new_client, omero_user):
        first, second = log_in(), new_client()
        admin = second.joinSession(first.getSessionId()).getAdminService()
        with pytest.raises(omero.SecurityViolation, match="Bad authentication credentials"):
            admin.changePassword(rstring("another"))
        first.sf.getAdminService().changePassword(rstring("another"))
        with pytest.raises(omero.SecurityViolation, match="Bad password"):
            second.sf.setSecurityPassword(omero_user.password)

    def test_a_session_in_somebody_elses_name_opens_no_other(
        self, omero_root, new_client, omero_user
    ):
        principal = omero.sys.Principal(omero_user.name, omero_user.groups[0].name, "User", None)
        service = omero_root.c.sf.getSessionService()
        made = service.createSessionWithTimeout(principal, 60_000)
        assert (made.timeToLive.val, made.timeToIdle.val) == (60_000, 0)
        joined = new_client().joinSession(made.uuid.val)
        context = joined.getAdminService().getEventContext()
        assert (context.userName, context.sudoerName.val) == (omero_user.name, "root")
        with pytest.raises(omero.SecurityViolation):
            joined.getSessionService().createUserSession(0, 1000, omero_user.groups[0].name)


class TestSudo:
    def test_a_group_owner_stays_in_his_group(
        self, new_client, omero_make_group, omero_make_user, omero_connect
    ):
        group, other = omero_make_group(), omero_make_group()
        leader = omero_connect(omero_make_user(group, owns=[group]))
        member = omero_make_user(group, other)
        service = leader.c.sf.getSessionService()
        elsewhere = omero.sys.Principal(member.name, other.name, "User", None)
        with pytest.raises(omero.SecurityViolation, match="Group sudo is not permitted"):
            service.createSessionWithTimeout(elsewhere, 60_000)
        here = omero.sys.Principal(member.name, group.name, "User", None)
        made = service.createSessionWithTimeout(here, 60_000)
        joined = new_client().joinSession(made.uuid.val)
        assert joined.getAdminService().getEventContext().userId == member.id
        with pytest.raises(omero.SecurityViolation, match="Group-sudo"):
            joined.getAdminService().getEventContext({"omero.group": str(other.id)})

    def test_an_ordinary_user_opens_none_even_for_himself(self, watcher, omero_user):
        me = omero.sys.Principal(omero_user.name, omero_user.groups[0].name, "User", None)
        with pytest.raises(omero.SecurityViolation):
            watcher.createSessionWithTimeout(me, 60_000)

    def test_an_unknown_user_has_no_session(self, omero_root):
        nobody = omero.sys.Principal("nobody of this name", "user", "User", None)
        with pytest.raises(omero.RemovedSessionException):
            omero_root.c.sf.getSessionService().createSessionWithTimeout(nobody, 1000)


class TestTimeOuts:
    def test_a_session_in_a_group_of_others_is_of_no_use(
        self, watcher, new_client, omero_make_group
    ):
        made = watcher.createUserSession(0, 60_000, omero_make_group().name)
        session = new_client().joinSession(made.uuid.val)
        with pytest.raises(omero.SecurityViolation, match="not a member"):
            session.getAdminService().getEventContext()
        with pytest.raises(omero.RemovedSessionException):
            watcher.createUserSession(0, 60_000, "no group of this name")

    def test_users_ask_for_a_hundred_minutes_at_most(self, watcher, omero_user):
        group = omero_user.groups[0].name
        assert watcher.createUserSession(0, 6_000_000, group).timeToIdle.val == 6_000_000
        for idle in (0, 6_000_001):
            with pytest.raises(omero.SecurityViolation, match="beyond maximum"):
                watcher.createUserSession(0, idle, group)

    def test_users_shorten_and_lengthen_what_they_have(self, log_in, watcher):
        client = log_in()
        for asked, given in ((60_000, 60_000), (10**9, 6_000_000)):
            assert isinstance(request(client, timeToIdle=rlong(asked)), omero.cmd.OK)
            assert watcher.getSession(client.getSessionId()).timeToIdle.val == given

    def test_users_never_switch_a_time_out_off(self, log_in):
        response = request(log_in(), timeToIdle=rlong(0))
        assert (type(response), response.name) == (omero.cmd.ERR, "non-admin-disabling")

    def test_administrators_do(self, omero_root):
        assert isinstance(request(omero_root.c, timeToIdle=rlong(0)), omero.cmd.OK)

    def test_a_request_that_asks_for_nothing_is_an_error(self, log_in):
        assert request(log_in()).name == "no-update-performed"

    def test_an_idle_session_ends(self, watcher, omero_user):
        made = watcher.createUserSession(0, SHORT_MS, omero_user.groups[0].name)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if made.uuid.val not in {one.uuid.val for one in watcher.getMyOpenSessions()}:
                return
        pytest.fail("the session is still open")


class TestWhoSeesSessions:
    def test_users_see_their_own_only(self, omero_conn, omero_second_conn, omero_root):
        everybody = "select s from Session s where s.closed is null"
        keys = {
            one.uuid.val for one in omero_conn.getQueryService().findAllByQuery(everybody, None)
        }
        assert omero_conn.c.getSessionId() in keys
        assert omero_second_conn.c.getSessionId() not in keys
        seen = omero_root.getQueryService().findAllByQuery(everybody, None)
        assert keys < {one.uuid.val for one in seen}

    def test_the_request_for_all_sessions_follows_that(self, omero_conn, omero_second_conn):
        callback = omero_conn.c.submit(omero.cmd.CurrentSessionsRequest())
        response = callback.getResponse()
        callback.close(closeHandle=True)
        keys = {context.sessionUuid for context in response.contexts}
        assert omero_conn.c.getSessionId() in keys
        assert omero_second_conn.c.getSessionId() not in keys
        assert len(response.sessions) == len(response.contexts) == len(response.data)

    def test_agents_and_addresses_are_kept(self, new_client, omero_user, watcher):
        client = new_client()
        client.setAgent("OMERO.web")
        client.setIP("127.0.0.1")
        client.createSession(omero_user.name, omero_user.password)
        for found in (
            watcher.getMyOpenAgentSessions("OMERO.web"),
            watcher.getMyOpenClientSessions(),
        ):
            assert [one.uuid.val for one in found] == [client.getSessionId()]
            assert found[0].userIP.val == "127.0.0.1"

    def test_a_session_comes_with_its_user_and_group(self, watcher, omero_conn, omero_user):
        session = watcher.getSession(omero_conn.c.getSessionId())
        assert session.details.owner.omeName.val == omero_user.name
        assert session.details.group.name.val == omero_user.groups[0].name


class TestGroups:
    def test_a_group_that_is_not_there_is_refused_at_once(self, new_client, omero_user):
        client = new_client()
        client.ic.getImplicitContext().put("omero.group", "-1")
        with pytest.raises(Glacier2.CannotCreateSessionException):
            client.createSession(omero_user.name, omero_user.password)

    def test_a_group_of_others_is_refused_with_the_first_call(
        self, new_client, omero_user, omero_make_group
    ):
        client = new_client()
        client.ic.getImplicitContext().put("omero.group", omero_make_group().name)
        session = client.createSession(omero_user.name, omero_user.password)
        with pytest.raises(omero.SecurityViolation, match="not a member"):
            session.getAdminService().getEventContext()

    def test_a_session_does_not_move_while_it_uses_something(self, omero_conn, omero_user):
        group = omero.model.ExperimenterGroupI(omero_user.groups[0].id, loaded=False)
        session = omero_conn.c.sf
        store = session.createRawFileStore()
        with pytest.raises(omero.SecurityViolation, match="active stateful services"):
            session.setSecurityContext(group)
        store.close()
        assert session.setSecurityContext(group).id.val == omero_user.groups[0].id
        with pytest.raises(omero.ApiUsageException):
            session.setSecurityContext(omero.model.ExperimenterGroupI(-1, loaded=False))


def test_the_sandbox_resets_no_password_by_mail(omero_conn, omero_user):
    asked = omero.cmd.ResetPasswordRequest(omename=omero_user.name, email="ada@example.org")
    callback = omero_conn.c.submit(asked, failonerror=False)
    assert isinstance(callback.getResponse(), omero.cmd.ERR)
    callback.close(closeHandle=True)


def test_a_session_has_an_environment(omero_conn):
    client = omero_conn.c
    client.setInput("a", rstring("b"))
    assert client.getInputKeys() == ["a"]
    client.setInput("a", None)
    assert client.getInputKeys() == []
    client.setOutput("c", rlong(3))
    service = client.sf.getSessionService()
    assert service.getOutputs(client.getSessionId())["c"].val == 3
    with pytest.raises(omero.RemovedSessionException):
        service.getOutputs("no such key")

"""Sessions: log-in and its refusal, time-outs, joining, sessions for others, and their ends."""

from __future__ import annotations

import contextlib

import Glacier2
import Ice
import omero
import pytest
from omero.rtypes import rstring

REFUSED = (Glacier2.PermissionDeniedException, Glacier2.CannotCreateSessionException)
GONE = (omero.ServerError, Ice.LocalException, Glacier2.SessionNotExistException)


@pytest.fixture
def new_client(omero_server):
    """Make clients that are not logged in yet."""
    with contextlib.ExitStack() as stack:

        def make():
            client = omero.client(omero_server.host, omero_server.port)
            stack.callback(client.__del__)
            return client

        yield make


def test_a_wrong_password_is_refused_and_the_right_one_still_taken(new_client, omero_user):
    client = new_client()
    for password in ("wrong", omero_user.password + " "):
        with pytest.raises(REFUSED):
            client.createSession(omero_user.name, password)
    client.createSession(omero_user.name, omero_user.password)
    assert client.sf.getAdminService().getEventContext().userName == omero_user.name


def test_an_unknown_user_is_refused(new_client):
    with pytest.raises(REFUSED):
        new_client().createSession("nobody of this name", "password")


def test_the_event_context_says_who_and_where(omero_conn, omero_user):
    context = omero_conn.getAdminService().getEventContext()
    group = omero_user.groups[0]
    assert (context.userName, context.userId) == (omero_user.name, omero_user.id)
    assert (context.groupName, context.groupId) == (group.name, group.id)
    assert str(context.groupPermissions) == "rwra--"
    assert not context.isAdmin
    assert context.sessionUuid == omero_conn.c.getSessionId()


def test_the_time_outs_are_those_of_the_server(omero_conn, omero_root):
    session = omero_conn.getSession()
    config = omero_root.getConfigService()
    idle = int(config.getConfigValue("omero.sessions.timeout") or 600_000)
    assert session.timeToIdle.val == idle
    assert session.timeToLive.val == 0
    assert session.started.val > 0


def test_a_session_is_joined_by_its_key_and_survives_one_of_two_clients(new_client, omero_user):
    first, second = new_client(), new_client()
    first.createSession(omero_user.name, omero_user.password)
    key = first.getSessionId()
    second.joinSession(key).detachOnDestroy()
    assert second.getSessionId() == key
    second.closeSession()
    assert first.sf.getAdminService().getEventContext().sessionUuid == key


def test_a_session_that_was_closed_is_not_joined(new_client, omero_user):
    first, second = new_client(), new_client()
    first.createSession(omero_user.name, omero_user.password)
    key = first.getSessionId()
    first.killSession()
    with pytest.raises(REFUSED):
        second.joinSession(key)


def test_a_call_after_the_end_of_the_session_is_an_error(new_client, omero_user):
    first, second = new_client(), new_client()
    session = first.createSession(omero_user.name, omero_user.password)
    query = session.getQueryService()
    second.joinSession(first.getSessionId())
    second.killSession()
    with pytest.raises(GONE):
        query.findAll("Project", None)


def test_a_session_of_ones_own_with_other_time_outs(new_client, omero_conn, omero_user):
    session = omero_conn.c.sf.getSessionService().createUserSession(
        120_000, 60_000, omero_user.groups[0].name
    )
    assert (session.timeToLive.val, session.timeToIdle.val) == (120_000, 60_000)
    assert session.uuid.val != omero_conn.c.getSessionId()
    client = new_client()
    client.joinSession(session.uuid.val)
    context = client.sf.getAdminService().getEventContext()
    assert (context.userId, context.groupId) == (omero_user.id, omero_user.groups[0].id)


def test_a_users_own_time_outs_are_capped(omero_conn, omero_root, omero_user):
    config = omero_root.getConfigService()
    most = int(config.getConfigValue("omero.sessions.max_user_time_to_idle") or 0)
    if not most:
        pytest.skip("this server has no maximum for ordinary users")
    service = omero_conn.c.sf.getSessionService()
    with pytest.raises(omero.SecurityViolation):
        service.createUserSession(0, most * 10, omero_user.groups[0].name)


def test_an_administrator_opens_a_session_for_another(new_client, omero_root, omero_user):
    principal = omero.sys.Principal(omero_user.name, omero_user.groups[0].name, "User", None)
    service = omero_root.c.sf.getSessionService()
    session = service.createSessionWithTimeouts(principal, 60_000, 30_000)
    client = new_client()
    client.joinSession(session.uuid.val)
    context = client.sf.getAdminService().getEventContext()
    assert (context.userName, context.isAdmin) == (omero_user.name, False)
    assert session.timeToLive.val == 60_000


def test_the_gateway_works_as_another_user(omero_root, omero_user):
    other = omero_root.suConn(omero_user.name, omero_user.groups[0].name)
    try:
        assert other.getUserId() == omero_user.id
        assert not other.isAdmin()
    finally:
        other.close()


def test_an_ordinary_user_opens_no_session_for_another(omero_conn, omero_second_user):
    principal = omero.sys.Principal(
        omero_second_user.name, omero_second_user.groups[0].name, "User", None
    )
    with pytest.raises(omero.SecurityViolation):
        omero_conn.c.sf.getSessionService().createSessionWithTimeouts(principal, 0, 0)


def test_a_users_sessions_are_listed(new_client, omero_conn, omero_user):
    client = new_client()
    client.createSession(omero_user.name, omero_user.password)
    sessions = omero_conn.c.sf.getSessionService().getMyOpenSessions()
    keys = {session.uuid.val for session in sessions}
    assert {client.getSessionId(), omero_conn.c.getSessionId()} <= keys


def test_the_session_changes_its_group(omero_make_group, omero_make_user, omero_connect):
    first, second = omero_make_group(), omero_make_group("private")
    conn = omero_connect(omero_make_user(first, second))
    session = conn.c.sf
    session.setSecurityContext(omero.model.ExperimenterGroupI(second.id, loaded=False))
    assert session.getAdminService().getEventContext().groupId == second.id
    stranger = omero.model.ExperimenterGroupI(omero_make_group().id, loaded=False)
    with pytest.raises(omero.ServerError):
        session.setSecurityContext(stranger)
    assert session.getAdminService().getEventContext().groupId == second.id


def test_a_password_is_changed_by_who_knows_the_old_one(new_client, omero_conn, omero_user):
    service = omero_conn.getAdminService()
    with pytest.raises(omero.SecurityViolation):
        service.changePasswordWithOldPassword(rstring("not it"), rstring("new"))
    service.changePasswordWithOldPassword(rstring(omero_user.password), rstring("new one"))
    client = new_client()
    with pytest.raises(REFUSED):
        client.createSession(omero_user.name, omero_user.password)
    client.createSession(omero_user.name, "new one")


def test_a_session_keeps_inputs_for_scripts(omero_conn):
    omero_conn.c.setInput("a", rstring("b"))
    omero_conn.c.setOutput("c", omero.rtypes.rlong(3))
    assert omero_conn.c.getInput("a").val == "b"
    assert omero_conn.c.getInputKeys() == ["a"]
    assert omero_conn.c.getOutput("c").val == 3


def test_many_wrong_passwords_leave_the_server_serving(new_client, omero_user):
    client = new_client()
    for number in range(20):
        with pytest.raises(REFUSED):
            client.createSession("nobody", f"wrong {number}")
    client.createSession(omero_user.name, omero_user.password)
    assert client.sf.getAdminService().getEventContext().userId == omero_user.id


def test_without_tls_after_the_log_in(omero_server, omero_user):
    conn = omero.gateway.BlitzGateway(
        omero_user.name, omero_user.password, host=omero_server.host, port=omero_server.port
    )
    try:
        assert conn.connect()
        assert conn.getUserId() == omero_user.id
        assert not conn.isSecure()
    finally:
        conn.close()


def test_settings_are_read_by_all_and_changed_by_administrators(omero_conn):
    config = omero_conn.getConfigService()
    assert config.getVersion().count(".") == 2
    assert config.getConfigValue("omero.security.password_required") in {"true", "false"}
    assert config.getConfigValue("no.such.setting") == ""
    assert config.getClientConfigValues()
    with pytest.raises(omero.SecurityViolation):
        config.setConfigValue("omero.client.web.host", "elsewhere")


def test_secrets_are_not_read(omero_conn):
    with pytest.raises(omero.SecurityViolation):
        omero_conn.getConfigService().getConfigValue("omero.db.pass")


def test_a_key_serves_as_name_and_password(new_client, omero_conn, omero_user):
    key = omero_conn.c.getSessionId()
    client = new_client()
    client.createSession(key, key)
    assert client.sf.getAdminService().getEventContext().sessionUuid == key


def test_a_detached_session_outlives_its_client(new_client, omero_user):
    first, second = new_client(), new_client()
    first.createSession(omero_user.name, omero_user.password).detachOnDestroy()
    key = first.getSessionId()
    first.closeSession()
    second.joinSession(key)
    assert second.sf.getAdminService().getEventContext().userId == omero_user.id


def test_an_open_stateful_service_holds_the_group(omero_make_group, omero_make_user, omero_connect):
    first, second = omero_make_group(), omero_make_group()
    session = omero_connect(omero_make_user(first, second)).c.sf
    store = session.createRawFileStore()
    other = omero.model.ExperimenterGroupI(second.id, loaded=False)
    with pytest.raises(omero.SecurityViolation):
        session.setSecurityContext(other)
    store.close()
    session.setSecurityContext(other)


def test_a_session_opened_for_another_opens_no_further_one(new_client, omero_root, omero_user):
    principal = omero.sys.Principal(omero_user.name, omero_user.groups[0].name, "User", None)
    session = omero_root.c.sf.getSessionService().createSessionWithTimeout(principal, 60_000)
    client = new_client()
    client.joinSession(session.uuid.val)
    with pytest.raises(omero.SecurityViolation):
        client.sf.getSessionService().createUserSession(10_000, 10_000, omero_user.groups[0].name)


def test_the_address_and_the_agent_of_a_client_are_kept(new_client, omero_user):
    client = new_client()
    client.setAgent("conformance")
    client.setIP("2400:cb00:2048:1::6814:55")
    client.createSession(omero_user.name, omero_user.password)
    parameters = omero.sys.ParametersI().addString("uuid", client.getSessionId())
    row = client.sf.getQueryService().findByQuery("from Session where uuid = :uuid", parameters)
    assert (row.userIP.val, row.userAgent.val) == ("2400:cb00:2048:1::6814:55", "conformance")


def test_a_users_time_to_idle_is_shortened_by_request(omero_conn):
    service, key = omero_conn.c.sf.getSessionService(), omero_conn.c.getSessionId()
    request = omero.cmd.UpdateSessionTimeoutRequest()
    request.session, request.timeToIdle = key, omero.rtypes.rlong(90_000)
    omero_conn.c.submit(request, loops=50).close(closeHandle=True)
    assert service.getSession(key).timeToIdle.val == 90_000


def test_a_joined_session_changes_passwords_after_naming_one(new_client, omero_root, omero_server):
    client = new_client()
    client.joinSession(omero_root.c.getSessionId()).detachOnDestroy()
    service = client.sf.getAdminService()
    with pytest.raises(omero.SecurityViolation):
        service.changeUserPassword("nobody of this name", rstring("new"))
    with pytest.raises(omero.SecurityViolation):
        client.sf.setSecurityPassword("not the administrator's")
    client.sf.setSecurityPassword(omero_server.password)

"""Connections, sessions and servers that go away: they come back once, or the mend is told.

Where a connection is cut between two calls, Ice makes a new one by itself. The router of a real
server refuses it, the sandbox takes it as long as the session is open: what counts reconnections
loses the connection within a call.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import threading
import time
from dataclasses import replace

import pytest
from omero.gateway import BlitzGateway  # noqa: F401  (first: loads omero's modules in order)
from omero.rtypes import rlong, rstring

import Ice  # isort: skip
import omero  # isort: skip

from omero_hcs.errors import ServerLostError
from omero_hcs.sandbox import launch
from omero_hcs.stores.omero.connect import close_client, open_client
from omero_hcs.stores.omero.login import Login
from omero_hcs.stores.omero.session import Session
from tests.stores.omero.relay import Relay

COUNT = "select count(e.id) from Experimenter e"
TAGS = "select t.textValue from TagAnnotation t where t.textValue = :text"


@pytest.fixture
def relay(omero_server):
    with Relay(omero_server.host, omero_server.port) as relay:
        yield relay


@pytest.fixture
def login(relay, omero_user):
    return Login("127.0.0.1", relay.port, omero_user.name, omero_user.password, origin="a test")


@pytest.fixture
def session(login):
    with contextlib.closing(Session(login)) as session:
        yield session


@pytest.fixture
def group(omero_user):
    return omero_user.groups[0].id


def key_of(session):
    return session.client.getSessionId()


def end(conn, key):
    """Close a session as an administrator does, or as a time-out would."""
    conn.c.destroySession(key)


def wait_until_closed(conn, key):
    for _ in range(600):
        # Asking about the session itself would keep it alive.
        if not conn.getQueryService().projection(
            "select s.id from Session s where s.uuid = :key and s.closed is null",
            omero.sys.ParametersI().addString("key", key),
        ):
            return
        time.sleep(0.05)
    pytest.fail("the session did not time out")


def losing(relay, call):
    """Make a call that loses its connection the first time, as Ice tells it."""
    calls = []

    def lose_once(conn):
        calls.append(conn)
        if len(calls) == 1:
            relay.cut()
            raise Ice.ConnectionLostException
        return call(conn)

    return lose_once


def name_of(conn):
    return conn.c.getSession().getAdminService().getEventContext().userName


def save_tag(text):
    def save(conn):
        tag = omero.model.TagAnnotationI()
        tag.textValue = rstring(text)
        return conn.getUpdateService().saveAndReturnObject(tag, conn.SERVICE_OPTS).id.val

    return save


class TestReading:
    def test_a_cut_connection_is_made_again(self, session, relay):
        for times in (1, 2):
            assert session.read(losing(relay, name_of)) == session.user
            assert session.generation == times

    @pytest.mark.parametrize("count", [1, 300, 3000, 6000])
    def test_one_that_is_cut_while_it_is_made_is_made_again(self, login, relay, count):
        relay.cut_after(count)
        with contextlib.closing(Session(login)) as session:
            assert session.user == login.user

    def test_one_that_was_cut_within_an_answer_is_made_again(self, session, relay):
        for count in (1, 100, 1000):
            relay.cut_after(count)
            assert session.project(COUNT)
            assert session.project("select e.omeName, e.id from Experimenter e")

    def test_one_that_was_cut_between_two_calls_is_made_again(self, session, relay, omero_root):
        key = key_of(session)
        relay.cut()
        wait_until_closed(omero_root, key)
        assert session.read(lambda conn: conn.getEventContext().userName) == session.user
        assert session.generation == 1
        assert key_of(session) != key

    def test_one_of_many_threads_reconnects(self, session, relay):
        failures, stop = [], threading.Event()

        def work():
            while not stop.is_set():
                try:
                    assert session.project(COUNT)
                    assert session.read(lambda conn: conn.c.sf.getConfigService().getVersion())
                except Exception as error:  # noqa: BLE001
                    failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for one in threads:
            one.start()
        for _ in range(3):
            before = session.generation
            relay.cut()
            while session.generation == before and not failures:
                time.sleep(0.01)
            time.sleep(0.2)
            assert session.generation == before + 1
        stop.set()
        for one in threads:
            one.join()
        assert not failures

    def test_all_connections_of_one_session_come_back_to_one(self, session, relay):
        other = session.another()
        assert other.read(losing(relay, name_of)) == session.user
        assert other.generation == 1
        assert session.project(COUNT)
        assert key_of(session) == key_of(other)
        session.close()
        relay.cut()
        assert other.project(COUNT)
        other.close()

    def test_an_administrator_may_close_a_session(self, session, omero_root):
        end(omero_root, key_of(session))
        assert session.project(COUNT)
        assert session.generation == 1

    def test_a_key_whose_session_has_ended_is_told(self, session, login, omero_root):
        joined = Session(replace(login, password=None, key=key_of(session), origin="a file"))
        with contextlib.closing(joined):
            end(omero_root, key_of(session))
            with pytest.raises(ServerLostError, match=r"from a file\) is not open.*Start the same"):
                joined.project(COUNT)

    def test_a_key_joins_again_while_its_session_is_open(self, session, login, relay):
        joined = Session(replace(login, password=None, key=key_of(session)))
        with contextlib.closing(joined):
            session.client.getSession().detachOnDestroy()
            assert joined.read(losing(relay, name_of)) == session.user
            assert joined.generation == 1

    def test_a_script_goes_on_over_a_connection_of_ours(self, login, relay, omero_server):
        direct = replace(login, port=omero_server.port)
        holder = open_client(direct)
        client = open_client(replace(login, password=None, key=holder.getSessionId()))
        try:
            with contextlib.closing(Session.of_client(client)) as session:
                assert session.read(losing(relay, name_of)) == session.user
                assert session.client is not client
            assert holder.getSession().getConfigService().getVersion()
        finally:
            close_client(client)
            close_client(holder)

    def test_a_server_that_stays_away_is_told_and_found_again(self, session, relay):
        relay.refuse()
        for _ in range(2):
            with pytest.raises(ServerLostError, match="Start the same command again") as caught:
                session.project(COUNT)
            assert "Ice" not in str(caught.value)
            assert "\n" not in str(caught.value)
        relay.refuse(refuse=False)
        assert session.project(COUNT)

    def test_what_a_caller_does_wrong_is_not_tried_twice(self, session):
        calls = []

        def fail(_):
            calls.append(1)
            raise KeyError

        with pytest.raises(KeyError):
            session.read(fail)
        with pytest.raises(omero.ServerError):
            session.project("select nonsense")
        assert calls == [1]
        assert session.generation == 0

    def test_a_closed_session_stays_closed(self, session):
        session.close()
        with pytest.raises(ServerLostError, match=r"was closed\. Open the store again"):
            session.project(COUNT)


class TestWriting:
    def test_a_write_that_lost_its_connection_is_not_made_twice(self, session, relay, group):
        calls = []

        def save_and_lose(conn):
            calls.append(1)
            save_tag("once")(conn)
            relay.cut()
            raise Ice.ConnectionLostException

        with pytest.raises(ServerLostError, match="while something was written"):
            session.write(save_and_lose, group)
        assert calls == [1]
        assert session.generation == 1
        assert session.project(TAGS, {"text": "once"}) == [["once"]]
        assert session.generation == 1  # it was there again already

    def test_a_connection_lost_before_costs_nothing(self, session, relay, group, omero_root):
        relay.cut()
        wait_until_closed(omero_root, key_of(session))
        session.write(save_tag("after"), group)
        assert session.generation == 1
        assert session.project(TAGS, {"text": "after"}) == [["after"]]

    def test_a_server_that_stays_away_is_told(self, session, relay, group):
        def save_and_lose(conn):
            relay.refuse()
            save_tag("never")(conn)

        with pytest.raises(ServerLostError, match="did not come back"):
            session.write(save_and_lose, group)


class TestTimeOut:
    """The sandbox looks for sessions that have timed out once a second."""

    @pytest.fixture
    def short(self, omero_root, omero_user, login):
        """Give the way into a session that ends after a second without a sign of life."""
        principal = omero.sys.Principal(omero_user.name, omero_user.groups[0].name, "User", None)
        made = omero_root.getSessionService().createSessionWithTimeouts(principal, 0, 1000)
        return replace(login, password=None, key=made.uuid.val, origin="a short session")

    def test_a_long_computation_does_not_end_a_session(self, short):
        with contextlib.closing(Session(short)) as session:
            until = time.monotonic() + 3.5
            while time.monotonic() < until:  # busy, but lets other threads in, as torch does
                sum(range(10_000))
            assert session.project(COUNT)
            assert session.generation == 0

    def test_one_that_lets_no_thread_in_ends_it_and_that_is_told(self, short):
        with contextlib.closing(Session(short)) as session:
            ctypes.PyDLL(None).usleep(3_500_000)  # holds Python's lock, as no call of ours does
            with pytest.raises(ServerLostError, match="it has ended, timed out"):
                session.project(COUNT)

    def test_with_a_password_a_session_that_timed_out_is_followed_by_another(
        self, session, omero_root
    ):
        key = key_of(session)
        request = omero.cmd.UpdateSessionTimeoutRequest()
        request.session, request.timeToIdle = key, rlong(500)
        omero_root.c.submit(request).close(True)
        wait_until_closed(omero_root, key)
        assert session.project(COUNT)
        assert session.generation == 1


class TestRestart:
    @pytest.fixture
    def place(self, tmp_path):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        given = {"port": port, "password": "restarted-box", "snapshot": tmp_path / "state"}
        return {"data": tmp_path / "box", **given}

    def test_a_server_restarted_between_units_goes_unnoticed(self, place):
        box = launch.start(**place)
        login = Login(box.host, box.port, box.user, box.password)
        with contextlib.ExitStack() as stack:
            session = stack.enter_context(contextlib.closing(Session(login)))
            other = stack.enter_context(contextlib.closing(session.another()))
            group = session.read(lambda conn: conn.getEventContext().groupId)
            session.write(save_tag("kept"), group)
            box.stop()
            with pytest.raises(ServerLostError, match="Nothing listens"):
                other.project(COUNT)
            with launch.start(**place):
                assert session.project(TAGS, {"text": "kept"}) == [["kept"]]
                assert other.project(TAGS, {"text": "kept"}) == [["kept"]]
                session.write(save_tag("more"), group)
                assert key_of(session) == key_of(other)

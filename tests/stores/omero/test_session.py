"""A session: whose it is, how it is shared, and what leaves it."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
from omero.gateway import BlitzGateway  # noqa: F401  (first: loads omero's modules in order)
from omero.rtypes import rstring

import omero  # isort: skip

from omero_hcs.errors import LoginError, NotAllowedError, WriteError
from omero_hcs.model import StoreSpec
from omero_hcs.stores.omero.connect import close_client, open_client
from omero_hcs.stores.omero.login import Login, write_session_file
from omero_hcs.stores.omero.session import Session

NAMES = "select e.omeName from Experimenter e where e.omeName = :name"

WORKER = """
import sys
from omero_hcs.model import StoreSpec
from omero_hcs.stores.open import open_store
store = open_store(StoreSpec.model_validate_json(sys.stdin.read()))
print(store.plate(sys.argv[1]).name)
store.close()
"""


@pytest.fixture
def login(omero_server, omero_user):
    return Login(
        omero_server.host, omero_server.port, omero_user.name, omero_user.password, origin="a test"
    )


@pytest.fixture
def session(login):
    with contextlib.closing(Session(login)) as session:
        yield session


def key_of(session):
    return session.client.getSessionId()


def is_open(conn, key):
    try:
        conn.getSessionService().getReferenceCount(key)
    except omero.RemovedSessionException:
        return False
    return True


def tag(text):
    note = omero.model.TagAnnotationI()
    note.textValue = rstring(text)
    return note


class TestWhoAndWhere:
    def test_it_knows_user_server_and_version(self, session, omero_user, omero_server):
        assert (session.user, session.user_id) == (omero_user.name, omero_user.id)
        assert session.server == f"{omero_server.host}:{omero_server.port}"
        assert session.server_version.startswith("5.6")

    def test_rows_are_python_values_whatever_was_asked_with(self, session, omero_user):
        assert session.project(NAMES, {"name": omero_user.name}) == [[omero_user.name]]
        many = NAMES.replace("= :name", "in (:names)")
        assert session.project(many, {"names": [omero_user.name, "nobody"]}) == [[omero_user.name]]
        by_id = "select e.id from Experimenter e where e.id in (:ids)"
        assert session.project(by_id, {"ids": [omero_user.id]}) == [[omero_user.id]]

    def test_reads_see_every_group_of_the_user(self, omero_make_group, omero_make_user, login):
        first, second = omero_make_group("private"), omero_make_group("private")
        user = omero_make_user(first, second)
        with contextlib.closing(
            Session(replace(login, user=user.name, password=user.password))
        ) as s:
            for group in (first, second):
                number = s.write(
                    lambda conn: (
                        conn.getUpdateService()
                        .saveAndReturnObject(tag("a"), conn.SERVICE_OPTS)
                        .id.val
                    ),
                    group.id,
                )
                assert s.conn.getObject("TagAnnotation", number).details.group.id.val == group.id
            own = "select t.id from TagAnnotation t where t.details.owner.id = :user"
            assert len(s.project(own, {"user": user.id})) == 2

    def test_a_key_of_somebody_else_than_the_uri_names_is_refused(self, session, login):
        other = replace(login, user="ada", password=None, key=key_of(session), origin="setting x")
        with pytest.raises(LoginError, match=r"is of user .*, and ada is asked for"):
            Session(other)
        assert session.project("select count(e) from Experimenter e")


class TestWriting:
    def test_a_group_that_the_user_is_not_in_is_told(self, session, omero_make_group):
        strange = omero_make_group("read-write")
        for group in (strange.id, 10**9):
            with pytest.raises(NotAllowedError, match=rf"cannot work in group {group}"):
                session.write(
                    lambda conn: conn.getUpdateService().saveObject(tag("b"), conn.SERVICE_OPTS),
                    group,
                )

    def test_what_fails_for_another_reason_is_raised_as_it_is(self, session, omero_user):
        calls = []

        def fail(_):
            calls.append(1)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            session.write(fail, omero_user.groups[0].id)
        assert len(calls) == 1
        assert session.generation == 0
        assert session.conn.SERVICE_OPTS.getOmeroGroup() == "-1"


class TestSharing:
    def test_others_use_the_same_omero_session_and_outlive_the_first(
        self, session, omero_root, omero_user
    ):
        second = session.another()
        third = second.another()
        key = key_of(session)
        assert key_of(third) == key
        session.close()
        second.close()
        second.close()
        assert third.project(NAMES, {"name": omero_user.name})
        third.close()
        assert not is_open(omero_root, key)  # the last one has locked up

    def test_a_session_that_was_joined_stays_open(self, session, login, omero_root):
        key = key_of(session)
        joined = Session(replace(login, password=None, key=key))
        joined.close()
        assert is_open(omero_root, key)

    def test_a_script_keeps_its_client(self, login, omero_root):
        client = open_client(login)
        try:
            session = Session.of_client(client)
            other = session.another()
            assert (session.user, session.server) == (login.user, f"{login.host}:{login.port}")
            assert other.project(NAMES, {"name": login.user})
            other.close()
            session.close()
            assert client.getSession().getAdminService().getEventContext().userName == login.user
            assert is_open(omero_root, client.getSessionId())
        finally:
            close_client(client)

    def test_the_client_of_a_script_may_know_its_router_alone(self, login):
        known = open_client(login)
        router = {"Ice.Default.Router": known.getProperty("Ice.Default.Router")}
        client = omero.client(pmap=router)
        client.joinSession(known.getSessionId())
        try:
            assert not client.getProperty("omero.host").strip('<>"').startswith(login.host)
            with contextlib.closing(Session.of_client(client)) as session:
                assert session.server == f"{login.host}:{login.port}"
                with contextlib.closing(session.another()) as other:
                    assert other.user == login.user
        finally:
            close_client(client)
            close_client(known)

    def test_nothing_runs_on_when_it_is_closed(self, login):
        def threads():
            return [one for one in threading.enumerate() if one.name == "omero-keep-alive"]

        before = set(threads())
        session = Session(login)
        (mine,) = set(threads()) - before
        session.close()
        mine.join(10)
        assert not mine.is_alive()


class TestRunSession:
    def test_a_worker_opens_the_store_with_nothing_but_the_spec(
        self, login, omero_tiny, tmp_path, omero_root
    ):
        with contextlib.closing(Session(login)) as session:
            key = session.create_run_session(omero_tiny.owner.groups[0].id, hours=3)
        secret = write_session_file(key, tmp_path / "run.session")
        assert stat.S_IMODE((tmp_path / "run.session").stat().st_mode) == 0o600
        plate = omero_tiny.ids.plate
        uri = f"omero://{login.host}:{login.port}/plate/{plate}"
        spec = StoreSpec(uri=uri, secret=secret).model_dump_json()
        assert key not in spec
        for _ in range(2):  # it stays open after a worker has ended
            done = subprocess.run(
                [sys.executable, "-c", WORKER, str(plate)],
                input=spec,
                env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.stdout.strip() == omero_tiny.truth.name, done.stderr
        assert is_open(omero_root, key)
        row = omero_root.getSessionService().getSession(key)
        assert row.timeToLive.val == 3 * 3_600_000

    def test_it_needs_the_password_and_says_so(self, session, login, omero_user):
        joined = Session(replace(login, password=None, key=key_of(session), origin="omero login"))
        with contextlib.closing(joined), pytest.raises(NotAllowedError, match="with a password"):
            joined.create_run_session(omero_user.groups[0].id, hours=1)

    def test_a_connection_that_rejoined_shows_the_password_again(self, session, omero_user):
        with contextlib.closing(session.another()) as other:
            assert other.create_run_session(omero_user.groups[0].id, hours=1)

    def test_only_in_a_group_of_ones_own(self, session, omero_make_group):
        strange = omero_make_group("read-write")
        with pytest.raises(NotAllowedError, match=f"not in group {strange.id}"):
            session.create_run_session(strange.id, hours=1)

    def test_a_file_that_cannot_be_written_leaves_nothing(self, tmp_path):
        (tmp_path / "taken").mkdir()
        (tmp_path / "taken" / "x").touch()
        with pytest.raises(WriteError, match="taken") as caught:
            write_session_file("the-key", tmp_path / "taken")
        assert "the-key" not in str(caught.value)
        assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_neither_password_nor_key_is_said_anywhere(login, caplog, capfd, omero_user):
    caplog.set_level(logging.DEBUG, logger="")
    logging.disable(logging.NOTSET)
    session = Session(login)
    key = key_of(session)
    with pytest.raises(omero.ServerError):
        session.conn.getQueryService().findByQuery("no hql", None, session.conn.SERVICE_OPTS)
    with contextlib.suppress(NotAllowedError):
        session.write(lambda c: c.getUpdateService().saveObject(tag("c"), c.SERVICE_OPTS), 10**9)
    run = session.create_run_session(omero_user.groups[0].id, hours=1)
    other = session.another()
    said = [repr(session), str(session), repr(other), repr(login), str(vars(session))]
    other.close()
    session.close()
    bad_password, bad_key = "Wr0ng-pass", "0-wrong-key"
    for wrong in (replace(login, password=bad_password), replace(login, key=bad_key)):
        with pytest.raises(LoginError) as caught:
            Session(wrong)
        said += [str(caught.value), repr(caught.value), repr(caught.value.__context__)]
    said += [caplog.text, *capfd.readouterr()]
    for secret in (login.password, key, run, bad_password, bad_key):
        assert secret not in "\n".join(said), [text for text in said if secret in text]

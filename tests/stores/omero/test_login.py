"""Ways into a server: which is taken, what is refused, and that no secret is said."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import socket
import subprocess
import sys
import threading

import pytest
from omero.gateway import BlitzGateway  # noqa: F401  (first: loads omero's modules in order)
from omero.util.sessions import SessionsStore

import omero  # isort: skip

from omero_hcs.errors import LoginError
from omero_hcs.settings import Settings, load_settings
from omero_hcs.stores.omero import login as login_module
from omero_hcs.stores.omero.address import parse_address
from omero_hcs.stores.omero.login import Login, find_login
from omero_hcs.stores.omero.session import Session

NOBODY = 65534
PASSWORD = "a password"  # noqa: S105

ASK = """
import os, sys
os.open(os.ttyname(0), os.O_RDWR)  # makes it the controlling terminal, from which getpass reads
from omero_hcs.settings import Settings
from omero_hcs.stores.omero.address import parse_address
from omero_hcs.stores.omero.login import find_login
for _ in range(2):
    found = find_login(parse_address(sys.argv[1]), None, Settings())
sys.exit(0 if found.password == "typed-in" and found.user == sys.argv[2] else 1)
"""


@pytest.fixture(autouse=True)
def sessions_folder(tmp_path, monkeypatch):
    """Keep the stored sessions and the terminal of whoever runs the tests out of them."""
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    folder = tmp_path / "sessions"
    monkeypatch.setenv("OMERO_SESSIONDIR", str(folder))
    return folder


@pytest.fixture
def secret_file(tmp_path):
    def write(text, name="secret", mode=0o600):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(mode)
        return path

    return write


@pytest.fixture
def omero_login(omero_server, sessions_folder):
    """Do what `omero login` does, and give the key of the session that it stored."""

    def log_in(user, **props):
        store = SessionsStore(str(sessions_folder))
        given = {"omero.host": omero_server.host, "omero.port": str(omero_server.port), **props}
        client, key, _, _ = store.create(user.name, user.password, given)
        client.closeSession()
        return key

    return log_in


@pytest.fixture
def address(omero_server):
    return parse_address(f"omero://{omero_server.host}:{omero_server.port}/plate/1")


def is_open(conn, key):
    try:
        conn.getSessionService().getReferenceCount(key)
    except omero.RemovedSessionException:
        return False
    return True


LAB = parse_address("omero://ada@lab/plate/51")


class TestOrder:
    def test_what_the_spec_names_goes_before_the_settings(self, secret_file):
        settings = Settings(omero_session="of the settings", omero_password=PASSWORD)
        key = secret_file("the-key\n", "key")
        found = find_login(LAB, f"session-file:{key}", settings)
        assert (found.key, found.password) == ("the-key", None)
        password = secret_file("the password \n", "password")
        found = find_login(LAB, f"password-file:{password}", settings)
        assert (found.user, found.password, found.key) == ("ada", "the password ", None)

    def test_a_session_goes_before_a_password(self, secret_file):
        key = secret_file("the-key")
        settings = Settings(omero_session_file=key, omero_password=PASSWORD)
        assert find_login(LAB, None, settings).key == "the-key"

    def test_settings_go_before_omero_login(self, omero_login, omero_user, address):
        omero_login(omero_user)
        settings = Settings(omero_user="bob", omero_password=PASSWORD)
        found = find_login(address, None, settings)
        assert (found.user, found.password) == ("bob", PASSWORD)

    def test_the_user_of_the_uri_goes_before_the_settings(self):
        settings = Settings(omero_user="bob", omero_password=PASSWORD)
        assert find_login(LAB, None, settings).user == "ada"

    def test_an_empty_setting_is_none(self):
        with pytest.raises(LoginError, match="There is no way into"):
            find_login(LAB, None, Settings(omero_password="", omero_session=""))

    def test_by_environment(self, secret_file):
        given = {
            "OMERO_HCS_OMERO_USER": "bob",
            "OMERO_HCS_OMERO_PASSWORD_FILE": str(secret_file("pass\r\nmore")),
        }
        settings = load_settings(environ=given).values
        found = find_login(parse_address("omero://lab/plate/1"), None, settings)
        assert (found.user, found.password) == ("bob", "pass")


class TestOmeroLogin:
    def test_its_session_is_used_and_left_open(self, omero_login, omero_user, address, omero_root):
        key = omero_login(omero_user)
        found = find_login(address, None, Settings())
        assert (found.key, found.user, found.origin) == (key, omero_user.name, "omero login")
        with contextlib.closing(Session(found)) as session:
            assert session.user == omero_user.name
        assert is_open(omero_root, key)
        assert find_login(address, None, Settings()).key == key

    def test_one_that_has_ended_is_passed_over(
        self, omero_login, omero_user, omero_second_user, address, omero_root
    ):
        first = omero_login(omero_user)
        second = omero_login(omero_second_user)
        assert find_login(address, None, Settings()).key == second  # the last one that logged in
        omero_root.c.destroySession(second)
        assert find_login(address, None, Settings()).key == first
        omero_root.c.destroySession(first)
        with pytest.raises(LoginError, match="no password, and no open session"):
            find_login(address, None, Settings())

    def test_only_that_of_the_user_who_is_asked_for(
        self, omero_login, omero_user, omero_second_user, omero_server
    ):
        key = omero_login(omero_user)
        omero_login(omero_second_user)
        place = f"{omero_server.host}:{omero_server.port}/plate/1"
        for_user = parse_address(f"omero://{omero_user.name}@{place}")
        assert find_login(for_user, None, Settings()).key == key
        by_setting = Settings(omero_user=omero_user.name)
        assert find_login(parse_address(f"omero://{place}"), None, by_setting).key == key
        with pytest.raises(LoginError, match=r"no way into .* as nobody-known"):
            find_login(parse_address(f"omero://nobody-known@{place}"), None, Settings())

    def test_that_of_another_port_is_another_servers(self, omero_login, omero_user, omero_server):
        omero_login(omero_user)
        with pytest.raises(LoginError, match="There is no way into"):
            find_login(parse_address(f"omero://{omero_server.host}/plate/1"), None, Settings())

    def test_its_user_is_the_one_of_a_password_without(self, omero_login, omero_user, address):
        omero_login(omero_user)
        found = find_login(address, None, Settings(omero_password=PASSWORD))
        assert (found.user, found.password) == (omero_user.name, PASSWORD)

    def test_to_look_makes_no_folder(self, sessions_folder):
        with pytest.raises(LoginError):
            find_login(LAB, None, Settings())
        assert not sessions_folder.exists()


class TestNowhere:
    def test_all_places_are_listed_in_order(self):
        with pytest.raises(LoginError) as caught:
            find_login(LAB, None, Settings())
        places = [
            "OMERO_HCS_OMERO_SESSION_FILE",
            "OMERO_HCS_OMERO_PASSWORD_FILE",
            "omero login ada@lab`",
            "terminal",
        ]
        found = [str(caught.value).find(place) for place in places]
        assert found == sorted(found)
        assert -1 not in found

    def test_a_password_without_a_user_is_told(self):
        with pytest.raises(LoginError, match="OMERO_HCS_OMERO_USER"):
            find_login(
                parse_address("omero://lab/plate/1"), None, Settings(omero_password=PASSWORD)
            )

    @pytest.mark.parametrize("secret", ["hunter2", "file:hunter2", "session-file:"])
    def test_a_secret_that_is_no_place_is_not_repeated(self, secret):
        with pytest.raises(LoginError, match="session-file:/path") as caught:
            find_login(LAB, secret, Settings())
        assert "hunter2" not in str(caught.value)


class TestFiles:
    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
    def test_one_that_others_can_read_is_refused(self, secret_file, mode):
        path = secret_file("hunter2", mode=mode)
        with pytest.raises(LoginError, match=f"chmod 600 {path}") as caught:
            find_login(LAB, None, Settings(omero_password_file=path))
        assert "hunter2" not in str(caught.value)

    def test_one_that_is_not_there_is_told_with_its_setting(self, tmp_path):
        settings = Settings(omero_session_file=tmp_path / "none")
        with pytest.raises(LoginError, match=r"omero_session_file, .*none\).*No such file"):
            find_login(LAB, None, settings)

    @pytest.mark.parametrize("text", ["", "\n", "  \nsecond line"])
    def test_an_empty_one_is_told(self, secret_file, text):
        with pytest.raises(LoginError, match=r"omero_password_file.*is empty"):
            find_login(LAB, None, Settings(omero_password_file=secret_file(text)))

    def test_one_that_is_no_text_is_told(self, tmp_path):
        path = tmp_path / "binary"
        path.write_bytes(b"\xff\xfe\x00")
        path.chmod(0o600)
        with pytest.raises(LoginError, match="it is no text"):
            find_login(LAB, f"session-file:{path}", Settings())

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
    def test_one_of_somebody_else_is_told(self, secret_file):
        path = secret_file("hunter2")
        os.seteuid(NOBODY)
        try:
            with pytest.raises(LoginError, match="cannot be read: Permission denied"):
                find_login(LAB, f"password-file:{path}", Settings())
        finally:
            os.seteuid(0)


class TestTerminal:
    def test_user_and_password_are_asked_for_once(self, tmp_path):
        ours, theirs = pty.openpty()
        child = subprocess.Popen(
            [sys.executable, "-c", ASK, "omero://lab/plate/1", "ada"],
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        )  # fmt: skip
        os.close(theirs)
        shown = read_until(ours, b"User name at lab:4064: ")
        os.write(ours, b"ada\n")
        shown += read_until(ours, b"Password of ada at lab:4064: ")
        os.write(ours, b"typed-in\n")
        assert child.wait(60) == 0
        with contextlib.suppress(OSError):  # Linux tells the end of a terminal so
            shown += os.read(ours, 10_000)
        os.close(ours)
        assert b"typed-in" not in shown
        assert shown.count(b"Password") == 1

    @pytest.mark.parametrize("answers", ["", "\n"])
    def test_no_answer_is_no_way_in(self, monkeypatch, answers):
        monkeypatch.setattr(sys, "stdin", io.StringIO(answers))
        for stream in (sys.stdin, sys.stderr):
            monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
        with pytest.raises(LoginError, match="There is no way into lab:4064"):
            find_login(parse_address("omero://lab/plate/1"), None, Settings())

    def test_a_wrong_answer_is_forgotten(self, omero_server, omero_user, monkeypatch):
        answers = iter(["wrong", omero_user.password])
        for stream in (sys.stdin, sys.stderr):
            monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
        monkeypatch.setattr(login_module.getpass, "getpass", lambda _: next(answers))
        uri = f"omero://{omero_user.name}@{omero_server.host}:{omero_server.port}/plate/1"
        with pytest.raises(LoginError, match="the terminal"):
            Session(find_login(parse_address(uri), None, Settings()))
        for _ in range(2):
            with contextlib.closing(Session(find_login(parse_address(uri), None, Settings()))):
                pass
        login_module.forget_answers()


class TestRefusal:
    """What a server, or none, says to a way in: one sentence each, with the mend."""

    def fail(self, login):
        with pytest.raises(LoginError) as caught:
            Session(login)
        text = str(caught.value)
        assert "\n" not in text
        assert "Exception" not in text.replace("ProtocolException", "")
        assert "hunter2" not in f"{text} {login!r} {caught.value.__cause__!r}"
        return text

    def test_a_wrong_password(self, omero_server, omero_user):
        for name in (omero_user.name, "nobody-known"):
            login = Login(omero_server.host, omero_server.port, name, "hunter2", origin="a file")
            said = self.fail(login)
            assert f"{omero_server.host}:{omero_server.port} does not let user {name!r} in" in said
            assert "from a file" in said

    def test_a_session_that_is_over(self, omero_server):
        login = Login(omero_server.host, omero_server.port, key="hunter2", origin="a file")
        said = self.fail(login)
        assert "it has ended, timed out" in said
        assert "Log in again" in said

    def test_no_such_machine(self):
        said = self.fail(Login("no-such-host.invalid", 4064, "ada", "hunter2"))
        assert said.startswith("There is no machine named 'no-such-host.invalid'")

    def test_nothing_listens(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
            said = self.fail(Login("127.0.0.1", port, "ada", "hunter2"))
        assert said.startswith(f"Nothing listens at 127.0.0.1:{port}. Check host and port")

    def test_something_else_listens(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            threading.Thread(target=greet, args=(other,), daemon=True).start()
            said = self.fail(Login("127.0.0.1", other.getsockname()[1], "ada", "hunter2"))
        assert "does not speak as an OMERO server does" in said


def greet(server):
    """Answer as a web server does to what it does not understand."""
    with contextlib.suppress(OSError):
        while True:
            client, _ = server.accept()
            client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            client.close()


def read_until(terminal, end):
    shown = b""
    while not shown.endswith(end):
        shown += os.read(terminal, 1000)
    return shown

"""What goes wrong outside of the server leaves a clear error behind, and the server serving."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import Glacier2
import Ice
import omero
import psutil
import pytest
from omero.gateway import BlitzGateway
from omero.rtypes import rstring, unwrap

from omero_hcs.errors import InputError, SandboxError
from omero_hcs.sandbox import launch
from omero_hcs.sandbox.launch import PASSWORD_VARIABLE

HUNG_SECONDS = 120.0
MEGABYTE = 1 << 20
LIMIT_MEGABYTES = 256  # of one message, on both sides


@pytest.fixture(scope="module")
def box():
    with launch.start() as started:
        yield started


@pytest.fixture(autouse=True)
def _serves_afterwards(box):
    """Whatever a test does, the next client is served."""
    yield
    with connected(box) as conn:
        made = project("afterwards")
        assert conn.getUpdateService().saveAndReturnObject(made).name.val == "afterwards"


@contextlib.contextmanager
def connected(box, *, secure=True):
    conn = BlitzGateway("root", box.password, host=box.host, port=box.port, secure=secure)
    assert conn.connect(), conn.getLastError()
    try:
        yield conn
    finally:
        conn.close()


def project(name, datasets=0):
    made = omero.model.ProjectI()
    made.name = rstring(name)
    for number in range(datasets):
        dataset = omero.model.DatasetI()
        dataset.name = rstring(f"{name} {number}")
        made.linkDataset(dataset)
    return made


def count(conn, query):
    return unwrap(conn.getQueryService().projection(query, None))[0][0]


def wait_until(condition):
    """Poll; the deadline guards against a hang only."""
    deadline = time.monotonic() + HUNG_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "this never came to be"
        time.sleep(0.02)


def client_process(box, code, *arguments):
    """Run a client in a process of its own; it has `sf`, a service factory."""
    start = f"""
import sys, omero, omero.all
from omero.rtypes import *
client = omero.client({box.host!r}, {box.port})
sf = client.createSession("root", sys.stdin.readline().strip())
"""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", start + code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdin.write(box.password + "\n")
    process.stdin.flush()
    return process


# -- clients that vanish

SAVES = """
for number in range(10**6):
    project = omero.model.ProjectI()
    project.name = rstring("killed")
    for _ in range(40):
        dataset = omero.model.DatasetI()
        dataset.name = rstring("of the killed")
        project.linkDataset(dataset)
    sf.getUpdateService().saveAndReturnObject(project)
    if number == 5:
        print("goes on", flush=True)
"""


def test_a_client_that_is_killed_in_mid_save_leaves_whole_graphs_only(box):
    process = client_process(box, SAVES)
    with process:
        assert process.stdout.readline() == "goes on\n"
        process.kill()
    with connected(box) as conn:
        saved = count(conn, "select count(p) from Project p where p.name = 'killed'")
        query = "select count(d) from Dataset d where d.name = 'of the killed'"
        assert saved >= 5
        wait_until(lambda: count(conn, query) % 40 == 0)
        links = "select count(l) from ProjectDatasetLink l where l.parent.name = 'killed'"
        assert count(conn, links) == count(conn, query)


def test_the_session_of_a_killed_client_can_be_joined_no_longer_than_it_lasts(box):
    code = "print(client.getSessionId(), flush=True)\nsf.closeOnDestroy()\ninput()\n"
    with client_process(box, code) as process:
        key = process.stdout.readline().strip()
        process.kill()
    client = omero.client(box.host, box.port)
    try:
        wait_until(lambda: not can_join(client, key))
    finally:
        client.__del__()


def can_join(client, key):
    try:
        client.joinSession(key)
    except Glacier2.PermissionDeniedException:
        return False
    client.sf.detachOnDestroy()
    client.closeSession()
    return True


def test_a_session_that_has_ended_is_refused_by_name(box):
    with connected(box) as conn:
        client = omero.client(box.host, box.port)
        factory = client.createSession("root", box.password)
        query, key = factory.getQueryService(), client.getSessionId()
        store = factory.createRawFileStore()
        row = omero.model.SessionI()
        row.uuid = rstring(key)
        conn.c.sf.getSessionService().closeSession(row)
        for call in (lambda: query.find("Project", 1), store.size):
            with pytest.raises((omero.RemovedSessionException, Ice.ObjectNotExistException)):
                call()
        client.__del__()
        late = omero.client(box.host, box.port)
        with pytest.raises(Glacier2.PermissionDeniedException):
            late.joinSession(key)
        late.__del__()


# -- passwords


def test_a_wrong_password_is_refused_and_a_hundred_of_them_as_well(box):
    def try_one(number):
        client = omero.client(box.host, box.port)
        try:
            client.createSession("root", f"wrong {number}")
        except Glacier2.PermissionDeniedException as error:
            return error.reason
        finally:
            client.__del__()
        return "it was let in"

    with ThreadPoolExecutor(8) as several:
        reasons = set(several.map(try_one, range(100)))
    assert reasons == {try_one("again")}
    assert "Password check failed" in reasons.pop()


@pytest.mark.parametrize("name", ["nobody", "", "guest", "root' or '1'='1"])
def test_who_is_not_there_is_refused_like_a_wrong_password(box, name):
    client = omero.client(box.host, box.port)
    with pytest.raises((Glacier2.PermissionDeniedException, omero.ClientError)):
        client.createSession(name, "a password")
    client.__del__()


# -- messages


@pytest.mark.slow
def test_a_message_over_the_limit_ends_its_connection_only(box):
    with connected(box) as other:
        client = omero.client(box.host, box.port)
        store, _ = new_store(client.createSession("root", box.password))
        large = bytes((LIMIT_MEGABYTES + 10) * MEGABYTE)
        with pytest.raises((Ice.ConnectionLostException, Ice.MemoryLimitException)):
            store.write(large, 0, len(large))
        with contextlib.suppress(Ice.LocalException):
            client.__del__()
        assert other.getEventContext().userName == "root"


@pytest.mark.slow
def test_an_answer_over_the_limit_is_an_error_of_the_client(box):
    client = omero.client(box.host, box.port)
    store, _ = new_store(client.createSession("root", box.password))
    piece = bytes(19 * MEGABYTE)
    for number in range(14):
        store.write(piece, number * len(piece), len(piece))
    with pytest.raises(Ice.MemoryLimitException):
        store.read(0, 14 * len(piece))
    with contextlib.suppress(Ice.LocalException):
        client.__del__()


def new_store(factory):
    row = omero.model.OriginalFileI()
    row.name = row.path = rstring("large")
    row = factory.getUpdateService().saveAndReturnObject(row)
    store = factory.createRawFileStore()
    store.setFileId(row.id.val)
    return store, row.id.val


def test_garbage_on_the_ports_is_dropped(box):
    chance = random.Random(0)  # noqa: S311
    pieces = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40),  # the start of a TLS hello
        b"IceP\x01\x00\x01\x00\x00\x00\xff\xff\xff\x7f" + bytes(64),  # a header with a huge size
        b"IceP\x01\x00\x01\x00\x00\x00\x05\x00\x00\x00",  # one with a size less than its own
        b"\x00" * 10_000,
        *(chance.randbytes(chance.randint(1, 5000)) for _ in range(60)),
    ]
    for port in (box.port, box.plain_port):
        for piece in pieces:
            with (
                contextlib.suppress(ConnectionError),
                socket.create_connection((box.host, port), timeout=HUNG_SECONDS) as sender,
            ):
                sender.sendall(piece)
    assert box.is_running


def test_silent_connections_keep_nobody_out(box):
    with contextlib.ExitStack() as stack:
        for port in (box.port, box.plain_port):
            for _ in range(60):
                stack.enter_context(socket.create_connection((box.host, port)))
        with connected(box) as conn:
            assert conn.getEventContext().userName == "root"


def test_requests_that_make_no_sense_are_errors(box):
    # Arguments cut short, or none. Made-up objects can crash IcePy 3.6 itself, before any code of
    # ours; who sends them has logged in, and clients of Ice don't.
    with connected(box) as conn:
        query = conn.c.sf.getQueryService()
        for operation in ("find", "findAllByQuery", "noSuchOperation"):
            for content in (b"", b"\x05Ima", b"\xff\xff\xff\xff\x7f"):
                assert not is_done(query, operation, content)
        identity = conn.c.ic.stringToIdentity("nobody/nowhere")
        with pytest.raises(Ice.ObjectNotExistException):
            query.ice_identity(identity).ice_ping()
        assert conn.getEventContext().userName == "root"


def is_our_build():
    """Whether zeroc-ice was built by docker/zeroc-ice, which says so in the file's first line."""
    return "omero-hcs" in Path(Ice.__file__).read_text(encoding="utf-8").partition("\n")[0]


@pytest.mark.skipif(not is_our_build(), reason="other builds of zeroc-ice 3.6 crash: see the shim")
def test_text_that_is_not_utf_8_is_refused_before_anybody_has_logged_in(box):
    with connected(box) as conn:
        where = f"OMERO.Glacier2/router:tcp -p {box.plain_port} -h {box.host}"
        router = conn.c.ic.stringToProxy(where).ice_router(None)
        assert not is_done(router, "createSession", b"\x04\xff\xfe\xfdx\x01a")
        assert conn.getEventContext().userName == "root"


def is_done(proxy, operation, content):
    """Call an operation with any bytes as its arguments."""
    data = (len(content) + 6).to_bytes(4, "little") + b"\x01\x01" + content
    try:
        return proxy.ice_invoke(operation, Ice.OperationMode.Idempotent, data)[0]
    except Ice.Exception:
        return False


# -- servers

SERVER = (sys.executable, "-m", "omero_hcs.sandbox")


def run_server(*arguments):
    environment = {**os.environ, PASSWORD_VARIABLE: secrets.token_urlsafe()}
    return subprocess.run(
        [*SERVER, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=HUNG_SECONDS,
    )


def test_a_port_that_another_server_has_is_named(box, tmp_path):
    with pytest.raises(InputError, match=rf"{box.port}.*--port"):
        launch.start(port=box.port)
    done = run_server("--data", tmp_path / "data", "--port", box.port)
    assert done.returncode != 0
    assert f"Can't listen on 127.0.0.1:{box.port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_another_server_has_is_named_and_left_alone(box):
    folder = box.home / "data"
    before = sorted(path.name for path in folder.iterdir())
    done = run_server("--data", folder)
    assert done.returncode == 2
    assert f"Another sandbox uses the folder {folder}" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_killed_server_is_started_again_on_its_folder_and_finds_it_empty(tmp_path):
    folder = tmp_path / "home"
    box = launch.start(data=folder)
    with connected(box) as conn:
        store, file = new_store(conn.c.sf)
        store.write(b"some bytes", 0, 10)
        store.close()
    assert (folder / "data" / "Files" / str(file)).exists()
    os.kill(box.pid, signal.SIGKILL)
    with pytest.raises(SandboxError, match="exit -9"):
        box.stop()
    with launch.start(data=folder) as box, connected(box) as conn:
        assert conn.getQueryService().find("OriginalFile", file) is None
        assert list((folder / "data" / "Files").iterdir()) == []


# -- many calls, many clients


@pytest.mark.slow
def test_ten_thousand_calls_need_no_more_memory(box):
    server = psutil.Process(box.pid)
    with connected(box) as conn:
        call(conn, 1500)  # what is loaded and kept once
        before = server.memory_info().rss
        call(conn, 10_000)
        grown = server.memory_info().rss - before
    assert grown < 5 * MEGABYTE, f"{grown / 10_000:.0f} bytes a call"


def call(conn, times):
    """Call what clients call most, and let go of what was got."""
    query, factory = conn.getQueryService(), conn.c.sf
    for number in range(times // 5):
        query.findAllByQuery("select e from Experimenter e", None)
        query.projection("select g.id, g.name from ExperimenterGroup g", None)
        conn.getAdminService().getEventContext()
        if number % 2:
            factory.createRawFileStore().close()
        else:
            with contextlib.suppress(omero.ServerError):
                query.get("Project", 10**9)
                query.find("Project", 10**9)


CLIENT = """
number = sys.argv[1]
update, query = sf.getUpdateService(), sf.getQueryService()
ids = []
for round in range(10):
    project = omero.model.ProjectI()
    project.name = rstring("client " + number)
    for _ in range(20):
        dataset = omero.model.DatasetI()
        dataset.name = rstring("client " + number)
        project.linkDataset(dataset)
    ids.append(update.saveAndReturnObject(project).id.val)
    found = query.findAllByQuery(
        "select p from Project p join fetch p.datasetLinks l join fetch l.child where p.name = :n",
        omero.sys.ParametersI().addString("n", "client " + number))
    assert {row.id.val for row in found} == set(ids), (found, ids)
    file = omero.model.OriginalFileI()
    file.name = file.path = rstring("client " + number)
    file = update.saveAndReturnObject(file)
    store = sf.createRawFileStore()
    store.setFileId(file.id.val)
    store.write(number.encode() * 1000, 0, 1000 * len(number))
    assert store.read(0, len(number)) == number.encode()
    store.close()
client.closeSession()
"""


@pytest.mark.slow
def test_sixteen_clients_at_once_are_all_served(box):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(client_process(box, CLIENT, number)) for number in range(16)]
        ended = [client.communicate(timeout=HUNG_SECONDS)[1] for client in clients]
        assert [(client.returncode, said) for client, said in zip(clients, ended, strict=True)] == [
            (0, "")
        ] * 16
    with connected(box) as conn:
        names = "select count(p) from Project p where p.name like 'client %'"
        assert count(conn, names) == 160

"""The server's process: how it starts, what it shows, and that nothing of it is left."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from omero_hcs.errors import InputError, SandboxError
from omero_hcs.sandbox import launch

HUNG_SECONDS = 60.0
START_AND = """
from omero_hcs.sandbox.launch import start
box = start()
print(box.pid, box.home, flush=True)
"""


def wait_until(condition):
    """Poll; the deadline guards against a hang only."""
    deadline = time.monotonic() + HUNG_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "this never came to be"
        time.sleep(0.02)


def is_gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(scope="module")
def sandbox():
    """A server that tests look at."""
    with launch.start() as box:
        yield box


def test_it_answers_on_both_of_its_ports_of_the_loopback(sandbox):
    for port in (sandbox.port, sandbox.plain_port):
        with socket.create_connection((sandbox.host, port), timeout=HUNG_SECONDS):
            pass
    addresses = {item.laddr.ip for item in psutil.Process(sandbox.pid).net_connections()}
    assert addresses == {"127.0.0.1"}


def test_nobody_else_on_the_machine_can_read_its_password_or_its_data(sandbox):
    assert sandbox.password not in repr(sandbox)
    assert sandbox.password not in " ".join(psutil.Process(sandbox.pid).cmdline())
    assert mode(sandbox.home) == 0o700
    with launch.start() as other:
        assert other.password != sandbox.password


def test_stopping_it_leaves_neither_process_nor_folder(tmp_path):
    with launch.start() as box:
        assert box.is_running
        assert box.log.is_relative_to(box.home)
    assert not box.is_running
    assert box._process.returncode == 0
    assert is_gone(box.pid)
    assert not box.home.exists()
    box.stop()


def test_a_folder_that_was_given_is_made_private_and_stays(tmp_path):
    folder = tmp_path / "new" / "sandbox"
    with launch.start(data=folder, password="given") as box:  # noqa: S106
        assert box.home == folder
        assert box.password == "given"  # noqa: S105
        assert mode(folder) == 0o700
    assert box.log.exists()


@pytest.mark.parametrize("option", ["port", "plain_port"])
def test_a_port_that_is_taken_is_named_with_the_option_that_changes_it(option):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"Port {port} .* Pass --{option.replace('_', '-')}"):
            launch.start(**{option: port})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"port": 70_000}, "Port 70000 cannot be used: there is no such port"),
        ({"port": 4064, "plain_port": 4064}, "Port 4064 was given twice"),
        ({"scripts": Path("/no/such")}, "There is no folder /no/such. Pass --scripts"),
    ],
)
def test_what_does_not_fit_is_told_before_anything_is_started(given, message, monkeypatch):
    monkeypatch.setattr(launch, "spawn", lambda *_: pytest.fail("something was started"))
    with pytest.raises(InputError, match=message):
        launch.start(**given)


def test_a_server_that_dies_while_it_starts_tells_why_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(launch.tempfile, "tempdir", None)
    monkeypatch.setattr(launch, "_MODULE", "omero_hcs.sandbox.no_such_module")
    with pytest.raises(SandboxError, match=r"(?s)did not start.*no_such_module"):
        launch.start()
    assert list(tmp_path.iterdir()) == []


def test_it_ends_with_a_parent_that_was_killed_and_takes_its_folder_along():
    parent = start_in_a_process("input()")
    pid, home = parent.stdout.readline().split()
    parent.kill()
    parent.wait()
    wait_until(lambda: is_gone(int(pid)))
    assert not Path(home).exists()


def test_a_parent_that_was_killed_before_it_was_ready_leaves_nothing(tmp_path):
    code = (
        "import os; from omero_hcs.sandbox import launch;"
        " launch._wait_until_ready = lambda *_: os.kill(os.getpid(), 9); launch.start()"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment)
    assert done.returncode == -signal.SIGKILL
    wait_until(lambda: not list(tmp_path.iterdir()))


def test_it_ends_with_a_parent_that_forgot_it():
    parent = start_in_a_process("")
    pid, home = parent.stdout.readline().split()
    assert parent.wait(HUNG_SECONDS) == 0
    assert is_gone(int(pid))
    assert not Path(home).exists()


def start_in_a_process(then):
    return subprocess.Popen(
        [sys.executable, "-c", START_AND + then],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_fork_of_the_parent_that_ends_does_not_end_it(sandbox):
    pid = os.fork()
    if pid == 0:
        sandbox.stop()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert sandbox.is_running
    assert sandbox.home.exists()


def test_processes_that_it_started_end_with_it(tmp_path):
    code = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'input()'],"
        " stdin=subprocess.PIPE); print(child.pid, flush=True); sys.stdin.read()"
    )
    process = launch.spawn([sys.executable, "-c", code], tmp_path, tmp_path / "log", {})
    child = int(process.stdout.readline())
    launch.finalizer(process, tmp_path / "log")()
    assert process.poll() is not None
    wait_until(lambda: is_gone(child))


def test_one_that_does_not_end_when_asked_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "_GRACE_SECONDS", 0.1)
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        " print('deaf', flush=True); time.sleep(600)"
    )
    process = launch.spawn([sys.executable, "-c", code], tmp_path, tmp_path / "log", {})
    assert process.stdout.readline() == "deaf\n"
    launch.finalizer(process, tmp_path / "log")()
    assert process.returncode == -signal.SIGKILL


def test_one_that_fails_at_its_end_is_told(tmp_path):
    code = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit('no room'));"
        " print('ready', flush=True); time.sleep(600)"
    )
    process = launch.spawn([sys.executable, "-c", code], tmp_path, tmp_path / "log", {})
    assert process.stdout.readline() == "ready\n"
    assert launch.finalizer(process, tmp_path / "log")() == "  exit 1\n  no room"


def test_a_snapshot_that_is_none_is_told_by_the_server(tmp_path):
    (tmp_path / "snapshot").write_text("garbage")
    with pytest.raises(InputError, match="snapshot"):
        launch.start(snapshot=tmp_path / "snapshot")


def test_many_words_of_a_server_do_not_stop_it(tmp_path):
    log = tmp_path / "log"
    code = "print('ready', flush=True); print('x' * 10**6); print('done')"
    process = launch.spawn([sys.executable, "-c", code], tmp_path, log, {})
    assert process.stdout.readline() == "ready\n"
    launch.drain(process, log)
    assert process.wait(HUNG_SECONDS) == 0
    wait_until(lambda: log.read_text().endswith("done\n"))
    launch.finalizer(process, tmp_path / "log")()

"""`omero-hcs sandbox`: what it starts, what it tells, and that Ctrl-C leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request

import psutil
import pytest

HUNG_SECONDS = 120
CALL = """
import signal, sys
from omero_hcs.cli.main import main
signal.signal(signal.SIGHUP, signal.{hang_up})  # whatever the tests' own terminal does
main(sys.argv[1:])
"""


class Running:
    """The command in a process of its own, its temporary files in a folder of their own."""

    def __init__(self, folder, *arguments, hang_up="SIG_DFL"):
        self.folder = folder
        call = CALL.format(hang_up=hang_up)
        self.process = subprocess.Popen(
            [sys.executable, "-c", call, "sandbox", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(folder)},
            start_new_session=True,
        )

    def lines_until(self, last):
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if line.startswith(last):
                return "".join(lines)
        pytest.fail(f"{''.join(lines)}\n{self.process.stderr.read()}")

    def end(self, number=signal.SIGINT):
        """Send a signal to all that was started in the terminal, as Ctrl-C does."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        os.killpg(self.process.pid, number)
        _, said = self.process.communicate(timeout=HUNG_SECONDS)
        assert [child for child in children if child.is_running()] == []
        return self.process.returncode, said


@pytest.fixture
def start(tmp_path):
    """Start the command; what is still running at the end is killed."""
    started = []
    folder = tmp_path / "temporary"
    folder.mkdir()

    def call(*arguments, **how):
        started.append(Running(folder, *arguments, **how))
        return started[-1]

    yield call
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_of_it_and_leaves_nothing(start, number):
    running = start("--wells", 6, "--json")
    facts = json.loads(running.lines_until("}"))
    assert facts["web"] is None
    with socket.create_connection((facts["host"], facts["port"]), timeout=HUNG_SECONDS):
        pass
    code, said = running.end(number)
    assert (code, said) == (0, "\nStopped. Nothing of it is left.\n")
    assert list(running.folder.iterdir()) == []


def test_under_nohup_the_end_of_the_terminal_is_not_its_end(start):
    running = start("--wells", 6, "--json", hang_up="SIG_IGN")
    facts = json.loads(running.lines_until("}"))
    os.kill(running.process.pid, signal.SIGHUP)
    with socket.create_connection((facts["host"], facts["port"]), timeout=HUNG_SECONDS):
        pass
    assert running.end(signal.SIGTERM)[0] == 0


def test_it_tells_where_the_browser_and_the_clients_find_it(start, tmp_path):
    secret = tmp_path / "password"
    secret.write_text("open-sesame\n")
    secret.chmod(0o600)
    running = start("--web", "--wells", 6, "--password-file", secret)
    said = running.lines_until("Press Ctrl-C")
    told = dict(line.strip().split(":", 1) for line in said.splitlines() if line[:2] == "  ")
    assert told["user"].strip() == "demo, in the group Screening"
    assert told["plate"].strip() == "Simulated plate 1 (Plate:1)"
    assert "open-sesame" not in said
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(told["OMERO.web"].strip(), timeout=HUNG_SECONDS) as page:
        assert "/webclient/login/" in page.geturl()
    assert running.end()[0] == 0
    assert list(running.folder.iterdir()) == []


def test_killed_it_leaves_nothing_either(start):
    running = start("--web", "--wells", 6)
    running.lines_until("Press Ctrl-C")
    children = psutil.Process(running.process.pid).children(recursive=True)
    running.process.kill()
    psutil.wait_procs(children, timeout=HUNG_SECONDS)
    assert not any(child.is_running() for child in children)
    assert list(running.folder.iterdir()) == []


def test_stopped_while_it_starts_it_leaves_nothing_either(start):
    running = start("--wells", 384)
    while not list(running.folder.glob("*/data/server.log")):
        assert running.process.poll() is None
    code, said = running.end()
    assert (code, said) == (130, "\nStopped. Nothing of it is left.\n")
    assert list(running.folder.iterdir()) == []


def test_a_snapshot_of_half_a_plate_is_not_kept(start, tmp_path):
    snapshot = tmp_path / "kept.snapshot"
    running = start("--wells", 384, "--snapshot", snapshot)
    while not list(running.folder.glob("*/data/Pixels/*")):
        assert running.process.poll() is None
    assert running.end() == (130, "\nStopped. Nothing of it is left.\n")
    assert not snapshot.exists()


def test_a_snapshot_says_where_it_is_and_is_started_from(start, tmp_path):
    snapshot = tmp_path / "kept.snapshot"
    for _ in range(2):
        running = start("--wells", 6, "--snapshot", snapshot)
        assert "Simulated plate 1 (Plate:1)" in running.lines_until("Press Ctrl-C")
        assert running.end() == (0, f"\nStopped. It is kept in {snapshot}.\n")
        assert list(running.folder.iterdir()) == []


def test_a_plate_on_disk_goes_into_it_with_its_name_and_wells(start, plate):
    running = start("--plate", plate)
    said = running.lines_until("Press Ctrl-C")
    assert "p (Plate:1)" in said
    running.end()


@pytest.mark.parametrize("option", ["--port", "--plain-port", "--web-port"])
def test_a_port_that_is_taken_is_told_with_its_option(omero_hcs, option):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = omero_hcs("sandbox", "--web", option, port)
    assert said.code == 2
    assert f"Port {port} cannot be used: another program has it. Pass {option}" in said.err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent", "There is no plate at"),
        ("empty", "is no plate. Pass the folder of an OME-Zarr plate"),
        ("file", "is a file"),
    ],
)
def test_what_is_no_plate_is_told_before_anything_is_started(
    omero_hcs, tmp_path, monkeypatch, name, message
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("omero_hcs.sandbox.launch.start", lambda **_: pytest.fail("started"))
    said = omero_hcs("sandbox", "--plate", tmp_path / name)
    assert said.code == 2
    assert message in said.err


@pytest.mark.parametrize(
    ("text", "mode", "message"),
    [
        (None, None, "The password cannot be read from"),
        ("", 0o600, "has no password in it"),
        ("secret", 0o644, "Run: chmod 600"),
    ],
)
def test_a_password_file_that_does_not_fit_is_told(omero_hcs, tmp_path, text, mode, message):
    path = tmp_path / "password"
    if text is not None:
        path.write_text(text)
        path.chmod(mode)
    said = omero_hcs("sandbox", "--password-file", path)
    assert said.code == 2
    assert message in said.err
    assert "secret" not in said.err

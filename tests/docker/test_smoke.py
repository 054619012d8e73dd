"""The smoke test, run as an administrator of a new installation runs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("omero", reason="the extra 'omero' is not installed")
pytest.importorskip("torch", reason="the extra 'ml' is not installed")

from omero_hcs.sandbox import launch
from tests.docker.conftest import DOCKER

HUNG_SECONDS = 580


def smoke(server, file, *more):
    place = ("--host", server.host, "--port", str(server.port))
    return subprocess.run(
        [sys.executable, str(DOCKER / "smoke.py"), *place, "--password-file", str(file), *more],
        capture_output=True,
        text=True,
        timeout=HUNG_SECONDS,
    )


@pytest.fixture
def password(tmp_path):
    def write(text):
        file = tmp_path / "password"
        file.write_text(f"{text}\n")
        return file

    return write


@pytest.mark.slow
def test_a_new_server_gets_the_scripts_and_passes(password, tmp_path):
    (tmp_path / "scripts").mkdir()
    home = {"HOME": str(tmp_path)}
    with launch.start(scripts=tmp_path / "scripts", environment=home) as server:
        done = smoke(server, password(server.password))
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        assert "Check_Plate_Quality new" in done.stdout
        assert "exactly what the check wrote is gone" in done.stdout
        assert server.password not in done.stdout + done.stderr


def test_who_is_not_let_in_is_told_so_without_a_trace(script_server, password):
    done = smoke(script_server, password("wrong"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("FAILED: ")
    assert "password" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_without_the_scripts_fails_at_them(password, tmp_path):
    (tmp_path / "scripts").mkdir()
    with launch.start(scripts=tmp_path / "scripts") as server:
        done = smoke(server, password(server.password), "--keep-scripts")
    assert done.returncode == 1
    assert "/hcs/Train_Quality_Model.py" in done.stderr
    assert "Traceback" not in done.stderr

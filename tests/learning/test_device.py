import pytest
import torch

from omero_hcs.errors import InputError
from omero_hcs.learning import device as module
from omero_hcs.learning.device import (
    autocast_dtype,
    available_devices,
    describe_device,
    has_fast_bf16,
    pick_device,
)

CPU = torch.device("cpu")


def test_auto_takes_the_best_device_there_is():
    assert pick_device().type == torch.device(available_devices()[0]).type
    assert pick_device("cpu") == CPU


@pytest.mark.parametrize("wanted", ["cuda:99", "tpu", "gpu", "meta"])
def test_a_device_that_is_not_there_is_named_with_those_that_are(wanted):
    with pytest.raises(InputError, match=rf"'{wanted}' is not in this machine.*cpu"):
        pick_device(wanted)


@pytest.mark.parametrize(
    ("flags", "fast"), [("fma avx512f avx512_bf16", True), ("amx_bf16", True), ("avx2", False)]
)
def test_auto_precision_follows_the_instructions_of_the_cpu(tmp_path, monkeypatch, flags, fast):
    info = tmp_path / "cpuinfo"
    info.write_text(f"model name\t: Test CPU\nflags\t\t: {flags}\n")
    monkeypatch.setattr(module, "CPU_INFO", info)
    assert has_fast_bf16(CPU) is fast
    assert autocast_dtype(CPU) == (torch.bfloat16 if fast else None)
    assert describe_device(CPU).startswith("cpu: Test CPU")


def test_precision_can_be_chosen(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CPU_INFO", tmp_path / "not there, as on a Mac")
    assert autocast_dtype(CPU, "fp32") is None
    assert autocast_dtype(CPU, "bf16") == torch.bfloat16
    assert autocast_dtype(CPU) is None
    with pytest.raises(InputError, match=r"no precision 'fp16'.*auto, fp32, bf16"):
        autocast_dtype(CPU, "fp16")

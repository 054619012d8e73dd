"""Where the network runs, and in which number format."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

from omero_hcs.errors import InputError

CPU_INFO = Path("/proc/cpuinfo")
BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
PRECISIONS = ("auto", "fp32", "bf16")


def pick_device(wanted: str = "auto") -> torch.device:
    """Choose the device that the encoder runs on.

    Parameters
    ----------
    wanted : str
        "auto" (CUDA, else Apple's MPS, else the CPU), or "cpu", "cuda", "cuda:1", "mps".

    Raises
    ------
    InputError
        If the device is unknown, or is not in this machine.
    """
    there = available_devices()
    if wanted == "auto":
        return torch.device(there[0])
    try:
        device = torch.device(wanted)
    except RuntimeError:
        device = None
    if device is None or not _is_there(device):
        msg = (
            f"Device {wanted!r} is not in this machine. It has: {', '.join(there)}. "
            "Pass one of these, or 'auto'."
        )
        raise InputError(msg)
    return device


def use_threads(count: int) -> None:
    """Let tensors use that many CPU threads in this process; 0 leaves what the machine has."""
    if count:
        torch.set_num_threads(count)


def available_devices() -> tuple[str, ...]:
    """Devices of this machine, the fastest kind first; "cpu" is always the last."""
    cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return (*cuda, *mps, "cpu")


def _is_there(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()
    if device.type == "mps":
        return bool(torch.backends.mps.is_available())
    return device.type == "cpu"


def has_fast_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware, so that it is faster than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(BF16_FLAGS & _cpu_info().flags)


def autocast_dtype(device: torch.device, precision: str = "auto") -> torch.dtype | None:
    """Choose the network's number format: bfloat16, or None for plain float32.

    Parameters
    ----------
    device : torch.device
        Where the network runs.
    precision : {"auto", "fp32", "bf16"}
        "auto" takes bfloat16 where `has_fast_bf16` says so.

    Raises
    ------
    InputError
        If the precision is unknown.
    """
    if precision not in PRECISIONS:
        msg = f"There is no precision {precision!r}. Pass one of: {', '.join(PRECISIONS)}."
        raise InputError(msg)
    if precision == "bf16" or (precision == "auto" and has_fast_bf16(device)):
        return torch.bfloat16
    return None


def describe_device(device: torch.device) -> str:
    """One line for people: name, memory or cores, and whether bfloat16 is fast there."""
    speed = "fast bf16" if has_fast_bf16(device) else "no fast bf16"
    if device.type == "cuda":
        found = torch.cuda.get_device_properties(device)
        return f"{device}: {found.name}, {found.total_memory / 2**30:.0f} GiB, {speed}"
    name = _cpu_info().name if device.type == "cpu" else "Apple GPU"
    return f"{device}: {name}, {os.cpu_count()} CPU cores, {speed}"


class _CpuInfo:
    """Name and instruction sets of the CPU, as the kernel lists them (Linux only)."""

    def __init__(self, text: str) -> None:
        pairs = [line.partition(":") for line in text.splitlines()]
        values = {key.strip(): value.strip() for key, _, value in reversed(pairs)}
        self.name = values.get("model name") or platform.processor() or platform.machine()
        self.flags = frozenset(values.get("flags", "").split())


def _cpu_info() -> _CpuInfo:
    try:
        return _CpuInfo(CPU_INFO.read_text())
    except OSError:
        return _CpuInfo("")

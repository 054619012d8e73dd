"""A task run by the script's own process, on the machine of the processor."""

from __future__ import annotations

import importlib.util
import os
import platform
from typing import Any

from omero_hcs import lazy
from omero_hcs.errors import MissingExtraError
from omero_hcs.scripting.answers import Answer
from omero_hcs.scripting.call import Call
from omero_hcs.scripting.catalog import SCRIPTS

_NEEDS = {"crop_cells": ("skimage",)}
_NEEDS_OF_OTHERS = ("skimage", "torch", "timm", "safetensors", "matplotlib", "jinja2")
"""Modules that stand for the extras of a task; the extra "omero" is there, or no script is."""

_NO_NETWORK = frozenset({"crop_cells"})
"""Tasks that a GPU does not make faster."""


def run(call: Call) -> Answer:
    """Run the script's task over what was asked for, or only tell what that would do."""
    from omero_hcs.scripting.selection import check_one_group, look_up
    from omero_hcs.scripting.tellings import Teller
    from omero_hcs.tasks.driver import run_task
    from omero_hcs.tasks.dry_run import dry_run
    from omero_hcs.tasks.estimate import without_gpu

    task = next(name for name, script in SCRIPTS.items() if script is call.script)
    check_installed(call.script.name, _NEEDS.get(task, _NEEDS_OF_OTHERS))
    selected = look_up(call.client, call.asked.kind, call.asked.ids)
    check_one_group(selected)
    device = None if task in _NO_NETWORK else _device(call.settings.device)
    limit = None if device and device.type != "cpu" else call.settings.cpu_limit_minutes
    teller = Teller(call, selected, _named(device) if device else "", limit)
    given: dict[str, Any] = {
        "settings": call.settings,
        "progress": call.progress,
        "opener": call.open,
    }
    if call.asked.dry_run:
        return teller.tell_dry_run(dry_run(task, call.uri, call.asked.params, **given))
    if limit is not None:
        given["guard"] = without_gpu(limit, call.progress)
    outcome = run_task(task, call.uri, call.asked.params, again=call.asked.again, **given)
    return teller.tell(outcome)


def check_installed(script: str, modules: tuple[str, ...]) -> None:
    """Say what this machine lacks before anything is read.

    Raises
    ------
    MissingExtraError
        Naming all of it, and who mends it.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        msg = (
            f"{script} needs {', '.join(missing)}, which the machine that runs the scripts of "
            f"OMERO ({platform.node()}) does not have. Nothing was read. Ask whoever runs OMERO "
            "to install it there: pip install 'omero-hcs[all]'"
        )
        raise MissingExtraError(msg, name=missing[0])


def _device(wanted: str) -> Any:
    return lazy.load("omero_hcs.learning.device:pick_device", extra="ml")(wanted)


def _named(device: Any) -> str:
    """Name a device in a sentence."""
    if device.type == "cpu":
        return f"the CPU ({os.cpu_count()} cores, no GPU)"
    described = lazy.load("omero_hcs.learning.device:describe_device", extra="ml")(device)
    return f"the GPU ({described.partition(': ')[2].partition(',')[0]})"

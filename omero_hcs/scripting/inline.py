"""A task run by the script's own process, on the machine of the processor."""

from __future__ import annotations

from typing import Any

from omero_hcs.scripting.answers import Answer
from omero_hcs.scripting.call import Call
from omero_hcs.scripting.catalog import SCRIPTS


def run(call: Call) -> Answer:
    """Run the script's task over what was asked for, or only tell what that would do."""
    from omero_hcs.scripting.tellings import tell_dry_run, tell_outcome
    from omero_hcs.tasks.driver import run_task
    from omero_hcs.tasks.dry_run import dry_run

    task = next(name for name, script in SCRIPTS.items() if script is call.script)
    given: dict[str, Any] = {
        "settings": call.settings,
        "progress": call.progress,
        "opener": call.open,
    }
    if call.asked.dry_run:
        return tell_dry_run(dry_run(task, call.uri, call.asked.params, **given))
    return tell_outcome(call, run_task(task, call.uri, call.asked.params, **given))

"""What a client can find out about the processors of a server: who answers, and who cannot.

A server asks all its processors and takes the first that answers, so each of them has to be able
to read our scripts. Their dialogs name the machine that read them; a server keeps those of scripts
without lists, so one with a list is asked for, several times.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Iterator

from omero_hcs.scripting.catalog import SCRIPTS
from omero_hcs.scripting.deploy import read_dialog, why_unreadable
from omero_hcs.scripting.machine import machine_of
from omero_hcs.scripting.on_server import Placed, placed_scripts
from omero_hcs.stores.omero.session import Session
from omero_hcs.tasks.base import Progress, no_progress
from omero_hcs.tasks.doctor import Finding
from omero_hcs.tasks.driver import package_version

TIMES = 8
"""How often a dialog is asked for."""

_INSTALL = "omero-hcs scripts install {} --official"
_UPGRADE = "pip install 'omero-hcs[omero]=={}' on that machine"
_SERVER_NODE = "master"
_SWITCH_OFF = (
    "omero config set omero.server.nodedescriptors 'master:Blitz-0,Tables-0,Indexer-0,PixelData-0,"
    "DropBox,MonitorServer,FileServer,Storm NODE:Processor-0', where NODE is the machine that has "
    "omero-hcs, and restart the server"
)


def examine_server(
    session: Session, *, times: int = TIMES, progress: Progress = no_progress
) -> tuple[Finding, ...]:
    """Look at what a server's scripts and processors are like.

    Parameters
    ----------
    session : Session
        A connection of any user; an administrator sees more.
    times : int
        How often a dialog is asked for: more find a processor that seldom answers first.
    progress : callable
        See `tasks.base.Progress`.
    """
    placed = placed_scripts(session, official=True)
    return (
        Finding("server", "ok", f"OMERO {session.server_version} at {session.server}"),
        _of_scripts(session, placed),
        _of_configuration(session),
        *_of_processors(session, placed, times, progress),
    )


def _of_scripts(session: Session, placed: tuple[Placed, ...]) -> Finding:
    ours = [item for item in placed if item.wanted]
    there = [item for item in ours if item.state != "missing"]
    differ = [f"{item.path} ({item.state})" for item in placed if item.state != "same"]
    mend = _INSTALL.format(f"omero://{session.server}")
    if not there:
        return Finding("scripts", "missing", "none of ours is among the official scripts", mend)
    text = f"{len(there)} of {len(ours)} are there"
    if differ:
        return Finding("scripts", "broken", f"{text}; not as here: {', '.join(differ)}", mend)
    return Finding("scripts", "ok", f"{text}, as this installation has them")


def _of_configuration(session: Session) -> Finding:
    """Say whether the server starts a processor of its own, where that may be read."""
    name, key = "own processor", "omero.server.nodedescriptors"
    who = session.read(lambda conn: conn.c.sf.getAdminService().getEventContext())
    if not who.isAdmin:
        text = f"only an administrator may read {key}, which says whether the server starts one"
        return Finding(name, "unseen", text)
    value = session.read(lambda conn: conn.c.sf.getConfigService().getConfigValue(key)) or ""
    nodes = [entry.partition(":") for entry in value.split()]
    with_one = [node for node, _, services in nodes if "Processor" in services]
    if value and _SERVER_NODE not in with_one:
        where = f"node {', '.join(with_one)}" if with_one else "no node"
        return Finding(name, "ok", f"switched off: by {key}, {where} runs scripts")
    why = f"named in {key}" if value else f"{key} is not set, so the server starts one"
    text = (
        f"{why}. It answers too, so the server's own Python (3.11 or later) needs base + omero of "
        f"omero-hcs; or name the services without it: {_SWITCH_OFF}"
    )
    return Finding(name, "ok", text)


def _of_processors(
    session: Session, placed: tuple[Placed, ...], times: int, progress: Progress
) -> Iterator[Finding]:
    asked = _with_a_list(placed)
    if asked is None:
        text = "no script of ours that they would have to read each time is installed"
        yield Finding("processors", "unseen", text)
        return
    answered, failed, seconds = _ask(session, asked, times, progress)
    for who, count in sorted(answered.items()):
        machine, version = who
        text = f"{machine}, omero-hcs {version}: answered {count} of {times} times"
        same = version == package_version()
        mend = "" if same else _UPGRADE.format(package_version())
        yield Finding("processor", "ok" if same else "broken", text, mend)
    for why, count in sorted(failed.items()):
        text = f"{count} of {times} times nobody could read {asked.path}: {why}"
        yield Finding("processor", "broken", text, "see above; then ask again")
    if seconds:
        text = f"{statistics.median(seconds):.1f} s until a dialog opens, at median"
        yield Finding("dialog", "ok", text)
    yield Finding(
        "processors",
        "unseen",
        "a server does not list its processors, and takes the first that answers: one that is "
        f"slower was perhaps never met in {times} times. On each machine that runs one: "
        "omero-hcs scripts check",
    )


def _with_a_list(placed: tuple[Placed, ...]) -> Placed | None:
    """Find a script whose dialog the server does not keep."""
    names = {f"{script.name}.py" for script in SCRIPTS.values() if script.choices}
    there = (item for item in placed if item.id is not None and item.state != "foreign")
    return next((item for item in there if item.path.rpartition("/")[2] in names), None)


def _ask(
    session: Session, asked: Placed, times: int, progress: Progress
) -> tuple[Counter[tuple[str, str]], Counter[str], list[float]]:
    import omero

    answered: Counter[tuple[str, str]] = Counter()
    failed: Counter[str] = Counter()
    seconds = []
    for number in range(times):
        started = time.perf_counter()
        try:
            params = read_dialog(session, asked.id or 0)
        except omero.NoProcessorAvailable:
            failed["no processor answered in time"] += 1
        except omero.ServerError as error:
            failed[why_unreadable(error)] += 1
        else:
            seconds.append(time.perf_counter() - started)
            machine = machine_of(params.namespaces or ()) or "a machine that does not tell its name"
            answered[machine, params.version or "of no version"] += 1
        progress("ask processors", number + 1, times)
    return answered, failed, seconds

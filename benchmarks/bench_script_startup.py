"""Scripts of OMERO's menu: how long a dialog takes to open, and a run to begin.

Beside a script that does nothing but say what it is, in the same run: what OMERO's own client and a
new process cost. "Read" is what `omero-hcs scripts check` does. "Dialog" is a server's `getParams`,
through OMERO's Processor in the sandbox; for a dialog with a list a server asks each time, for
others once. "Run" is from the click to the answer: a dry run over six wells, whose estimate does
some of the work. Target: ours are read in under 1.5 s, and load no torch for it.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import omero
from omero.gateway import BlitzGateway
from omero.rtypes import rbool, rlist, rlong, rstring

from omero_hcs.sandbox import launch
from omero_hcs.sandbox.importer import import_plate
from omero_hcs.sandbox.people import Address, People
from omero_hcs.sandbox.sources import SimulatedSource
from omero_hcs.scripting.folder import scripts_folder
from omero_hcs.scripting.parsing import parse_scripts

TIMES = 5
BARE = """
import omero.scripts as scripts
from omero import constants
from omero.rtypes import rstring

if __name__ == "__main__":
    client = scripts.client(
        "Bare.py", "Does nothing.", scripts.String("Data_Type"), scripts.List("IDs"),
        scripts.Bool("Dry_Run"), namespaces=[constants.namespaces.NSDYNAMIC],
    )
    try:
        client.setOutput("Message", rstring("done"))
    finally:
        client.closeSession()
"""
READ_BARE = "import sys\nfrom omero.scripts import parse_text\nparse_text(open(sys.argv[1]).read())"
WITH_A_LIST = "Check_Plate_Quality"
RUN = ("Crop_Single_Cells", "Embed_Plate")


def measure() -> dict[str, Any]:
    """Read, ask for and run scripts, each several times."""
    with tempfile.TemporaryDirectory() as scratch:
        scripts = Path(scratch) / "scripts"
        shutil.copytree(scripts_folder(), scripts)
        (scripts / "bare").mkdir()
        bare = scripts / "bare" / "Bare.py"
        bare.write_text(BARE)
        home = Path(scratch) / "home"
        home.mkdir()
        empty = {name: "" for name in os.environ if name.startswith(("XDG_", "OMERO_HCS_"))}
        with launch.start(scripts=scripts, environment={**empty, "HOME": str(home)}) as box:
            return {"times": TIMES, **read(bare), **ask(box)}


def read(bare: Path) -> dict[str, Any]:
    """Read dialogs without a server."""
    command = [sys.executable, "-c", READ_BARE, str(bare)]
    ours: dict[str, list[float]] = {}
    heavy: set[str] = set()
    for _ in range(TIMES):
        for item in parse_scripts():
            ours.setdefault(item.name, []).append(item.seconds)
            heavy |= {*item.heavy, *([item.fault] if item.fault else [])}
    return {
        "heavy_packages_loaded": ", ".join(sorted(heavy)) or "none",
        "read_s": [
            {"script": "bare", **spread(timed(lambda: subprocess.run(command, check=True)))},
            *({"script": name, **spread(seconds)} for name, seconds in ours.items()),
        ],
    }


def ask(box: launch.Sandbox) -> dict[str, Any]:
    """Ask a server for dialogs, and start scripts, as OMERO.web does."""
    address = Address(box.host, box.port, box.user, box.password, is_sandbox=True)
    with People(address) as people:
        conn = people.connect(people.make_user(people.make_group()))
        plate = import_plate(conn, SimulatedSource(6), screen="Screen").plate
        service = conn.getScriptService()
        names = {file.name.val.removesuffix(".py"): file.id.val for file in service.getScripts()}
        dialogs = {"bare": "Bare", WITH_A_LIST: WITH_A_LIST}
        runs = {"bare": "Bare", **{f"{name}, dry run": name for name in RUN}}
        said = {
            "dialog_s": [
                {"script": label, **spread(timed(lambda n=name: service.getParams(names[n])))}
                for label, name in dialogs.items()
            ],
            "run_s": [
                {"script": label, **spread(timed(lambda n=name: click(conn, names[n], plate)))}
                for label, name in runs.items()
            ],
        }
        conn.close()
        return said


def click(conn: BlitzGateway, script: int, plate: int) -> None:
    """Start a script and wait for its answer."""
    inputs = {
        "Data_Type": rstring("Plate"),
        "IDs": rlist([rlong(plate)]),
        "Dry_Run": rbool(True),
    }
    process = conn.getScriptService().runScript(script, inputs, None)
    watched = omero.scripts.ProcessCallbackI(conn.c, process)
    try:
        while watched.block(50) is None:
            pass
        if process.poll().val:
            sys.exit(f"the script failed: {process.getResults(0)}")
    finally:
        watched.close()


def timed(call: Callable[[], Any]) -> list[float]:
    """Seconds of each of several calls."""
    seconds = []
    for _ in range(TIMES):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return seconds


def spread(seconds: list[float]) -> dict[str, float]:
    """Say what is usual, and how far it went."""
    return {"median": statistics.median(seconds), "least": min(seconds), "most": max(seconds)}

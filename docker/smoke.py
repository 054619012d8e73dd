"""Try an installation of OMERO with omero-hcs from end to end.

    python smoke.py --host HOST --password-file FILE [--port 4064] [--user root]

The server and its processor have to run; nothing is started here. An administrator puts our scripts
on the server, makes a group with two users, and imports a small simulated plate; one user labels
cells in it, the other one clicks: Train_Quality_Model, Check_Plate_Quality, HCS_Runs. What was
written is counted, before and after. The exit code is 0 if all of it worked. In the end the users,
the group and all that is in it are removed; the scripts stay.
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from omero_hcs.errors import HcsError
from omero_hcs.sandbox.address import DEFAULT_PORT, Address
from omero_hcs.sandbox.clicks import Clicked, press
from omero_hcs.sandbox.importer import import_plate
from omero_hcs.sandbox.labelling import draw_regions
from omero_hcs.sandbox.people import People
from omero_hcs.sandbox.sources import SimulatedSource
from omero_hcs.scripting.deploy import install_scripts, open_server
from omero_hcs.settings import Settings
from omero_hcs.simulate.design import SimulationSettings
from omero_hcs.tasks.truth import draw_labels

LABELS_EACH = 12
SEED = 20
TEACHING = {"Model_Name": "smoke", "Labels": "roi"}
RUN_ID = re.compile(r"\b\d{8}T?\d{6}Z?-[0-9a-f]{8}\b")
# What a check writes, counted by owner: he is new, so it is his only.
WRITTEN = {
    "regions": "Roi",
    "tags": "TagAnnotation",
    "key-value lists": "MapAnnotation",
    "files": "FileAnnotation",
}


class FailedError(Exception):
    """A step that did not do what it is for."""


def main() -> int:
    """Take every step, and say what became of each."""
    arguments = parse_arguments()
    password = Path(arguments.password_file).read_text(encoding="utf-8").splitlines()[0].strip()
    address = Address(arguments.host, arguments.port, arguments.user, password)
    # What the gateway logs with its trace, it raises as well.
    logging.getLogger("omero.gateway").setLevel(logging.CRITICAL)
    started = time.monotonic()
    try:
        run(address, install=not arguments.keep_scripts)
    except (HcsError, FailedError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    print(f"All of it works, in {time.monotonic() - started:.0f} s.")
    return 0


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--host", required=True, help="where OMERO.server listens")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="with TLS; 4064 by default")
    parser.add_argument("--user", default="root", help="an administrator; root by default")
    parser.add_argument(
        "--password-file", required=True, help="file whose first line is the password"
    )
    parser.add_argument(
        "--keep-scripts", action="store_true", help="use the scripts that the server has"
    )
    return parser.parse_args()


def run(address: Address, *, install: bool) -> None:
    """Install, import, label, train, check and undo.

    Raises
    ------
    FailedError, HcsError
        If something does not work; the message says what.
    """
    if install:
        put_scripts(address)
    with People(address) as people:
        group = people.make_group("read-annotate")
        user, colleague = people.make_user(group), people.make_user(group)
        try:
            with closing(people.connect(user)) as conn, closing(people.connect(colleague)) as other:
                conn.c.enableKeepAlive(60)
                use_scripts(conn, make_labelled_plate(conn, other))
        finally:
            left = people.remove()
    kept = f"OMERO keeps {', '.join(left)}, empty: its log of events names them" if left else ""
    tell("what was made is removed", kept)


def put_scripts(address: Address) -> None:
    """Put our scripts on the server as official ones, and let it read the dialog of each."""
    settings = Settings(omero_password=address.password)
    uri = f"omero://{address.user}@{address.host}:{address.port}"
    with closing(open_server(uri, settings)) as session:
        tell("logged in", f"{session.user} at OMERO.server {session.server_version}")
        done = install_scripts(session, official=True)
    faults = [f"{script.path}: {script.fault}" for script in done if script.fault]
    if faults:
        raise FailedError("\n".join(faults))
    tell("scripts on the server", ", ".join(f"{Path(one.path).stem} {one.change}" for one in done))


def make_labelled_plate(conn: Any, colleague: Any) -> int:
    """Import a simulated plate of six wells, and have somebody else draw regions in it."""
    design = SimulationSettings(wells=6, fields=1, size_y=384, size_x=384)
    with closing(SimulatedSource(settings=design)) as source:
        plate = import_plate(conn, source, screen="Smoke test").plate
        truth = source.truth
    rng = np.random.default_rng(SEED)
    labels = draw_labels(truth, plate=str(plate), each=LABELS_EACH, rng=rng)
    drawn = draw_regions(colleague, plate, labels)
    tell("plate imported and labelled", f"plate {plate}, {drawn} regions of a second user")
    return plate


def use_scripts(conn: Any, plate: int) -> None:
    """Click on the three scripts, and count what is there in between."""
    click(conn, "Train_Quality_Model", Data_Type="Plate", IDs=[plate], **TEACHING)
    before = written(conn)
    model = offered(conn, "Check_Plate_Quality", "Model")
    said = click(conn, "Check_Plate_Quality", Data_Type="Plate", IDs=[plate], Model=model)
    after = written(conn)
    told = ", ".join(f"{after[name] - before[name]} {name}" for name in WRITTEN)
    missing = [name for name in WRITTEN if after[name] <= before[name]]
    if missing:
        msg = f"The check wrote no {', no '.join(missing)} ({told})."
        raise FailedError(msg)
    tell("results are in OMERO", told)
    found = RUN_ID.search(said.message)
    if not found:
        msg = f"The message of the check names no run: {said.message}"
        raise FailedError(msg)
    click(conn, "HCS_Runs", Data_Type="Plate", IDs=[plate], Action="Undo", Run_ID=found[0])
    left = written(conn)
    if left != before:
        msg = f"The undo left {left}; before the check there was {before}."
        raise FailedError(msg)
    tell("undone", "exactly what the check wrote is gone")


def click(conn: Any, script: str, **inputs: Any) -> Clicked:
    """Press a script's button, wait until the processor has run it, and tell its message."""
    started = time.monotonic()
    said = press(conn, f"/hcs/{script}.py", inputs)
    if said.code:
        msg = f"{script} ended with {said.code}: {said.message}"
        raise FailedError(msg)
    tell(f"{script}, {time.monotonic() - started:.0f} s", said.message)
    return said


def offered(conn: Any, script: str, name: str) -> str:
    """Open a script's dialog, and take the first value that it offers."""
    service = conn.getScriptService()
    values = service.getParams(service.getScriptID(f"/hcs/{script}.py")).inputs[name].values
    return str(values.val[0].val)


def written(conn: Any) -> dict[str, int]:
    """Count what the user owns, by its name in `WRITTEN`."""
    return {name: count(conn, kind) for name, kind in WRITTEN.items()}


def count(conn: Any, kind: str) -> int:
    """Count the user's objects of a class."""
    import omero.sys  # noqa: PLC0415  (after omero.gateway)

    given = omero.sys.ParametersI().addId(conn.getUserId())
    text = f"select count(o.id) from {kind} o where o.details.owner.id = :id"  # noqa: S608
    return int(conn.getQueryService().projection(text, given, {"omero.group": "-1"})[0][0].val)


def tell(what: str, more: str = "") -> None:
    """Print a line about a step."""
    print(f"ok  {what}" + (f": {more}" if more else ""), flush=True)


if __name__ == "__main__":
    sys.exit(main())

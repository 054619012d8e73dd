"""A server with our scripts, and clicks on their buttons, for tests anywhere.

The scripts are run by OMERO's own processor in processes of their own, with a HOME of this test
session's. Imports of omero are inside: a test that asks for none of these pays nothing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from omero_hcs.sandbox import launch
from omero_hcs.sandbox.address import Address
from omero_hcs.scripting.folder import scripts_folder

HUNG_SECONDS = 300


@dataclass
class Clicked:
    """What became of a script: `message`, `outputs` as rtypes, `error` is its error stream."""

    code: int
    message: str
    outputs: dict[str, Any] = field(default_factory=dict)
    error: str = ""


@pytest.fixture(scope="session")
def script_home(tmp_path_factory) -> Path:
    """HOME of the processor of `script_server`: ledger and models of its installation."""
    return tmp_path_factory.mktemp("processor")


@pytest.fixture(scope="session")
def script_server(script_home) -> Iterator[Address]:
    """A sandbox with our scripts."""
    empty = {name: "" for name in os.environ if name.startswith(("XDG_", "OMERO_HCS_"))}
    variables = {**empty, "HOME": str(script_home)}
    with launch.start(scripts=scripts_folder(), environment=variables) as box:
        yield Address(box.host, box.port, box.user, box.password, is_sandbox=True)


@pytest.fixture(scope="session")
def script_people(script_server) -> Iterator[Any]:
    """Users and groups of `script_server`; see `omero_people`."""
    from omero_hcs.sandbox.people import People  # noqa: PLC0415

    with People(script_server) as people:
        yield people


@pytest.fixture
def script_user(script_people) -> Any:
    """An ordinary user of `script_server`, alone in a fresh read-annotate group."""
    return script_people.make_user(script_people.make_group("read-annotate"))


@pytest.fixture
def script_connect(script_people) -> Iterator[Callable[..., Any]]:
    """Log users in there: ``script_connect(user)``; closed afterwards."""
    with contextlib.ExitStack() as stack:
        yield lambda user, *more: stack.enter_context(
            contextlib.closing(script_people.connect(user, *more))
        )


@pytest.fixture
def click() -> Callable[..., Clicked]:
    """Fill a script's dialog in and press its button: ``click(conn, "HCS_Runs", IDs=[5])``."""
    from omero.rtypes import rlist, rlong, wrap  # noqa: PLC0415

    def start(conn: Any, name: str, **given: Any) -> Any:
        service = conn.getScriptService()
        script = service.getScriptID(f"/hcs/{name}.py")
        inputs = {
            key: rlist([rlong(one) for one in value]) if isinstance(value, list) else wrap(value)
            for key, value in given.items()
        }
        return service.runScript(script, inputs, None)

    def press(conn: Any, name: str, **given: Any) -> Clicked:
        return wait_for(conn, start(conn, name, **given))

    press.start = start
    press.wait_for = wait_for
    return press


def wait_for(conn: Any, process: Any) -> Clicked:
    """Wait until a script has ended, and read what it said."""
    import omero  # noqa: PLC0415

    watched = omero.scripts.ProcessCallbackI(conn.c, process)
    try:
        for _ in range(HUNG_SECONDS):
            if watched.block(1000) is not None:
                break
        code = process.poll()
        assert code is not None, f"it still runs after {HUNG_SECONDS} s"
        results = process.getResults(0)
    finally:
        watched.close()
    error = results.pop("stderr", None)
    results.pop("stdout", None)
    message = results.pop("Message", None)
    return Clicked(
        code.val, message.val if message else "", results, _text(conn, error) if error else ""
    )


def _text(conn: Any, file: Any) -> str:
    chunks = conn.getObject("OriginalFile", file.val.id.val).getFileInChunks()
    return b"".join(chunks).decode()

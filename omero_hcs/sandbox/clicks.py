"""A press of a script's button, as OMERO.web makes it: a processor runs the script."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import omero
from omero.gateway import BlitzGateway
from omero.rtypes import rlist, rlong, unwrap, wrap

from omero_hcs.errors import SandboxError

_LOOK_MS = 500


@dataclass(frozen=True)
class Clicked:
    """What became of a script: its exit code, its message, and its outputs as rtypes."""

    code: int
    message: str
    outputs: Mapping[str, Any]


def press(
    conn: BlitzGateway,
    path: str,
    inputs: Mapping[str, Any],
    *,
    meanwhile: Callable[[], object] = lambda: None,
) -> Clicked:
    """Run a script and wait until it has ended.

    Parameters
    ----------
    conn : BlitzGateway
        Connected as who clicks.
    path : str
        Of the script on the server: "/hcs/Check_Plate_Quality.py".
    inputs : mapping
        What the dialog says, by name; ids as a list of int.
    meanwhile : callable
        Called about twice a second until the script has ended.

    Raises
    ------
    SandboxError
        If the server has no such script.
    """
    service = conn.getScriptService()
    script = _find(service, path)
    process = service.runScript(script, {key: _rtype(given) for key, given in inputs.items()}, None)
    ended = omero.scripts.ProcessCallbackI(conn.c, process)
    try:
        while ended.block(_LOOK_MS) is None:
            meanwhile()
        code = process.poll()
        results = process.getResults(0)
    finally:
        ended.close()
    message = results.pop("Message", None)
    outputs = {key: value for key, value in results.items() if key not in {"stdout", "stderr"}}
    return Clicked(code.val if code else -1, message.val if message else "", outputs)


def choose(conn: BlitzGateway, path: str, name: str, first: str) -> str:
    """Open a script's dialog, and give the value of one of its lists that begins so.

    Raises
    ------
    SandboxError
        If the list has none.
    """
    service = conn.getScriptService()
    offered = unwrap(service.getParams(_find(service, path)).inputs[name].values)
    for value in offered:
        if str(value).startswith(first):
            return str(value)
    msg = f"{name} of {path} has nothing that begins with {first!r}: {offered}."
    raise SandboxError(msg)


def _find(service: Any, path: str) -> int:
    script: int = service.getScriptID(path)
    if script < 0:
        msg = f"The server has no script {path}. Start it with the folder of the scripts."
        raise SandboxError(msg)
    return script


def _rtype(given: Any) -> Any:
    return rlist([rlong(one) for one in given]) if isinstance(given, list) else wrap(given)

"""Whether this machine's Python can read the scripts' dialogs, as a processor on it would."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from omero_hcs.scripting.folder import script_files

HEAVY = ("torch", "timm", "dask", "zarr", "sklearn", "pandas", "scipy", "skimage", "matplotlib")
"""What reading a dialog must not load: it happens each time that somebody opens one."""

_HUNG_SECONDS = 120
_READ = """
import json, sys
import omero.gateway
from omero.scripts import parse_text
with open(sys.argv[1], encoding="utf-8") as file:
    params = parse_text(file.read())
heavy = sorted(set(sys.argv[2:]) & set(sys.modules))
print(json.dumps({"name": params.name, "version": params.version, "inputs": len(params.inputs), "heavy": heavy}))
"""  # noqa: E501


@dataclass(frozen=True)
class Parsed:
    """How reading one script's dialog went.

    Parameters
    ----------
    name : str
        Of its file, without the ending.
    seconds : float
        From starting Python to its end.
    inputs : int
        How many inputs its dialog has.
    heavy : tuple of str
        Packages of `HEAVY` that it loaded: none, if all is well.
    fault : str
        Why it cannot be read; "" for nothing.
    """

    name: str
    seconds: float
    inputs: int = 0
    heavy: tuple[str, ...] = ()
    fault: str = ""


def parse_scripts(python: str = sys.executable) -> Iterator[Parsed]:
    """Read the dialog of each script in a process of its own, one after the other."""
    for file in script_files():
        yield _parse(python, file)


def _parse(python: str, file: Path) -> Parsed:
    started = time.perf_counter()
    try:
        done = subprocess.run(  # noqa: S603  (our own files, by the Python that is asked)
            [python, "-c", _READ, str(file), *HEAVY],
            capture_output=True,
            text=True,
            timeout=_HUNG_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        fault = f"it did not end within {_HUNG_SECONDS} s"
        return Parsed(file.stem, time.perf_counter() - started, fault=fault)
    seconds = time.perf_counter() - started
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    if done.returncode:
        return Parsed(file.stem, seconds, fault=lines[-1] if lines else f"exit {done.returncode}")
    told = json.loads(done.stdout.splitlines()[-1])
    return Parsed(file.stem, seconds, told["inputs"], tuple(told["heavy"]))

"""Messages of lower layers in the words of a dialog.

Errors are written for all who may meet them, and name the mend as the command line has it: flags,
verbs, URIs. Whoever clicked in OMERO.web sees inputs, scripts and objects instead.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from omero_hcs import lazy
from omero_hcs.errors import HcsError, RunBusyError
from omero_hcs.scripting.catalog import SCRIPTS, Script
from omero_hcs.scripting.dialog import AGAIN, shown_fields
from omero_hcs.tasks.given import flag_of, word_of

_VERBS: Mapping[str, str] = {
    "crop": "crop_cells",
    "train-qc": "train_qc",
    "apply-qc": "apply_qc",
    "embed": "embed_cells",
    "report": "make_report",
    "undo": "manage_runs",
    "runs": "manage_runs",
}
_VERB = re.compile(rf"`?omero-hcs ({'|'.join(_VERBS)})\b(?:[^.;:,\n`]|[.](?=\w))*`?")
_OBJECT = re.compile(r"omero://[^\s/]+/([a-z]+)/(\d+(?:,\d+)*)")
_SERVER = re.compile(r"omero://[^\s/,;)]+")
_FLAG = re.compile(r"(?<![\w-])--([a-z][a-z0-9-]*)")
_PLANE = re.compile(r"\b(plane|time) (\d+) is not there \((planes|times) count from 0\)")
_SET = {"pass": "set", "Pass": "Set"}
_SOME = "(?:(?:an?|another|the) (?:[a-z]+ )?)"
_PHRASES = {
    "Start the same command again": "Run the script again",
    "start the same command again": "run the script again",
    "the same command goes on": "the same click goes on",
    "Pass one of these": "Choose one of these",
    "Check that it was converted": "Check that its import came to its end",
}


class Wording:
    """Turns texts into the words of a script's dialog.

    Parameters
    ----------
    script : Script
        The script.
    server : str
        Host and port of the server, which nobody wants to read: "127.0.0.1:4064".
    """

    def __init__(self, script: Script, server: str = "") -> None:
        self._server = server
        self._titles = _titles(script)

    def __call__(self, text: str) -> str:
        """Give a text in the dialog's words, on one line."""
        text = _OBJECT.sub(lambda match: f"{match[1]} {match[2]}", text)
        text = _SERVER.sub("OMERO", text)
        if self._server:
            text = text.replace(f"OMERO at {self._server}", "OMERO")
            text = text.replace(self._server, "OMERO")
        text = _VERB.sub(lambda match: SCRIPTS[_VERBS[match[1]]].name, text)
        text = _PLANE.sub(_from_one, text)
        for before, after in _PHRASES.items():
            text = text.replace(before, after)
        for flag, (title, words) in self._titles.items():
            name = re.escape(flag)
            value = rf"{name}(?: {words})?(?![\w-])"
            verbs = {"pass": "tick", "Pass": "Tick"} if title == AGAIN else _SET
            for verb, own in verbs.items():
                text = re.sub(rf"\b{verb} ({_SOME}?){value}", rf"{own} \1{title}", text)
            text = re.sub(rf"(?<![\w-]){value}", title, text)
        text = _FLAG.sub(r"the command line's \1", text)
        return _on_one_line(text)


def _titles(script: Script) -> dict[str, tuple[str, str]]:
    """Titles of a dialog by the command line's flags, and what stands for a value there."""
    schema: type[BaseModel] = lazy.load(script.params)
    titles = {
        flag_of(item.name): (
            f"{item.title} (under {item.how.under})" if item.how.under else item.title,
            f"(?:NAME|{re.escape(word_of(item.name, item.field.annotation))})",
        )
        for item in shown_fields(schema)
    }
    return titles | {"--again": (AGAIN, "NAME")}


def _from_one(match: re.Match[str]) -> str:
    return f"{match[1]} {int(match[2]) + 1} is not there (the first is 1)"


def _on_one_line(text: str) -> str:
    """Join the lines of a text: OMERO.web shows no line breaks."""
    head, *rest = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    faults = [line.removeprefix("- ") for line in rest if line.startswith("- ")]
    if head.endswith(":") and faults and len(faults) == len(rest):
        if len(faults) == 1 and head.startswith("1 problem"):
            return faults[0]
        if len(faults) == 1:
            return f"{head} {faults[0]}"
        return " ".join([head, *(f"({number}) {text}" for number, text in enumerate(faults, 1))])
    return " ".join([head, *(line.removeprefix("- ") for line in rest)])


def told_error(script: Script, client: Any, error: BaseException) -> str:
    """Say in a message what went wrong, in the words of a script's dialog.

    Parameters
    ----------
    script : Script
        The script.
    client : omero.client
        Its connection, which knows the server's name.
    error : BaseException
        What was raised on purpose, or because something is not installed.
    """
    from omero_hcs.stores.omero.connect import place_of

    host, port = place_of(client)
    text = Wording(script, f"{host}:{port}")(str(error))
    if isinstance(error, ImportError) and not isinstance(error, HcsError):
        missing = (error.name or str(error)).partition(".")[0]
        return (
            f"{script.name} needs {missing!r}, which the machine that runs the scripts of OMERO "
            f"({platform.node()}) does not have. Ask whoever runs OMERO to install it there: "
            "pip install 'omero-hcs[all]'"
        )
    if isinstance(error, RunBusyError):
        return f"{text} HCS_Runs tells how far it is."
    return text

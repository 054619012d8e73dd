"""What is uploaded of a script: its text and a mark, by which it is known again on a server.

A script's file is some lines that name a task; everything else is in the library. The mark tells
which release put it there, and the digest of what is above: a text that fits its mark is as we
left it, whichever release that was; one that does not was changed by somebody. A server keeps the
dialog of a script until its text changes, so the version in the mark also makes it look again.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_LAUNCHES = re.compile(r"^from omero_hcs\.scripting import launch$", re.MULTILINE)
_MARK = re.compile(r"^# Installed by omero-hcs (\S+), sha256 ([0-9a-f]{64})\n?\Z", re.MULTILINE)


@dataclass(frozen=True)
class ScriptText:
    """The text of a script on a server, read.

    Parameters
    ----------
    body : str
        The text without its mark.
    version : str
        Release of omero-hcs that put it there; "" where it has no mark.
    is_ours : bool
        Whether it starts a task of omero-hcs.
    is_edited : bool
        Whether somebody changed it since.
    """

    body: str
    version: str = ""
    is_ours: bool = False
    is_edited: bool = False


def marked(body: str, version: str) -> str:
    """Return the text to upload: a script's, with the mark of a release."""
    body = body if body.endswith("\n") else f"{body}\n"
    return f"{body}# Installed by omero-hcs {version}, sha256 {_digest(body)}\n"


def read_text(text: str) -> ScriptText:
    """Say what a text on a server is.

    A script of ours without a mark was put into the server's folder by hand, and counts as changed
    only by what it says.
    """
    text = text.replace("\r\n", "\n")
    ours = bool(_LAUNCHES.search(text))
    mark = _MARK.search(text)
    if mark is None:
        return ScriptText(text, is_ours=ours)
    body = text[: mark.start()]
    return ScriptText(body, mark[1], is_ours=ours, is_edited=_digest(body) != mark[2])


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()

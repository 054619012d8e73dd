"""What a script says when it is done: one message, and what becomes buttons and links of it.

A message is plain English for whoever clicked, of one or two sentences; OMERO.web shows 1,000
characters at most.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

LONGEST = 1_000
"""Characters of a message."""


@dataclass(frozen=True)
class Found:
    """An object of the server that a button leads to."""

    kind: Literal["Image", "Plate", "Screen", "Dataset", "FileAnnotation"]
    id: int


@dataclass(frozen=True)
class Link:
    """A page that a link leads to; `href` may be relative to OMERO.web's own page."""

    href: str
    title: str


@dataclass(frozen=True)
class Answer:
    """What a script came to.

    Parameters
    ----------
    message : str
        For people.
    outputs : mapping of str to Found or Link
        Buttons and links by their names, such as "Report".
    failed : bool
        Whether the script shows the failure icon.
    """

    message: str
    outputs: Mapping[str, Found | Link] = field(default_factory=dict)
    failed: bool = False


def shortened(text: str, longest: int = LONGEST) -> str:
    """Cut a text between words where it is too long, and say that it goes on."""
    if len(text) <= longest:
        return text
    return f"{text[: longest - 4].rsplit(None, 1)[0]} ..."

"""Log files in JSON lines, one a run, rotated, with secrets taken out.

Set up by whoever is on top (command line, script launcher, runner); everything else only logs.
"""

from __future__ import annotations

import contextlib
import json
import logging
import logging.handlers
import re
import time
from collections.abc import Iterator
from pathlib import Path

_LARGEST = 10_000_000
"""Bytes of a log file before it is rotated."""

_NAMES = r"password|passwd|passphrase|token|secret|api_?key|session(?:_?(?:key|id|uuid))?"
_SECRET = re.compile(
    rf"""(?ix)
    (?P<name>(?:{_NAMES}|authorization)["']?\s*[=:]\s*(?:(?:bearer|basic)\s+)?)
    (?: (?P<quote>["']) (?:(?!(?P=quote)).)* (?P=quote)   # all of a quoted value, blanks too
      | ["']?[^\s"',;}}]+ )
    """
)
_BEARER = re.compile(r"(?i)(?<=bearer )[^\s\"',;}]+")
# No word boundaries: an underscore before a session's key would hide it.
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_CREDENTIALS_IN_URL = re.compile(r"(?<=://)[^/\s\"']+(?=@)")


def redact(text: str) -> str:
    """Take passwords, tokens, session keys (UUIDs) and URL credentials out of a text."""
    text = _SECRET.sub(lambda match: f"{match['name']}***", text)
    for pattern in (_BEARER, _CREDENTIALS_IN_URL, _UUID):
        text = pattern.sub("***", text)
    return text


class JsonLines(logging.Formatter):
    """One JSON object a record: time, level, logger, message, run, unit, worker, trace."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as one redacted line."""
        entry = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname,
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        for key in ("run", "unit", "worker"):
            if (value := getattr(record, key, None)) is not None:
                entry[key] = str(value)
        if record.exc_info:
            entry["trace"] = redact(self.formatException(record.exc_info))
        return json.dumps(entry, ensure_ascii=False)


def keep_off_terminal() -> None:
    """Leave the terminal to what the command line itself says.

    A client of OMERO that finds no handler sets up one that prints every record, secrets and all.
    """
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.NullHandler())


@contextlib.contextmanager
def log_to(path: Path, *, level: str = "INFO") -> Iterator[Path]:
    """Write this package's log records, and warnings of others, into one file while inside.

    Parameters
    ----------
    path : Path
        The log file, made with its folder; rotated at 10 MB, three old ones kept.
    level : str
        Lowest level of our own records.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=_LARGEST, backupCount=3, encoding="utf-8", delay=True
    )
    handler.setFormatter(JsonLines())
    ours, root = logging.getLogger("omero_hcs"), logging.getLogger()
    before = ours.level
    ours.setLevel(level)
    root.addHandler(handler)
    try:
        yield path
    finally:
        root.removeHandler(handler)
        ours.setLevel(before)
        handler.close()

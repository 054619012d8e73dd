"""What a run is called, and when two requests are the same run."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def new_run_id() -> str:
    """Make a fresh run id: UTC time to the second, and 8 random hex digits."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(4)}"


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no blanks: the same value is always the same text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def run_key(request: Mapping[str, Any]) -> str:
    """sha256 (hex) over all that decides a run's outcome: the same request, the same key."""
    return hashlib.sha256(canonical_json(request).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """sha256 (hex) of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unit_generator(seed: int, unit_id: str) -> np.random.Generator:
    """Make a unit's own random generator: the same for every engine, order and batch shape."""
    digest = hashlib.sha256(unit_id.encode()).digest()
    return np.random.default_rng(np.random.SeedSequence([seed, *np.frombuffer(digest, "<u4")]))

"""The files of docker/, read as compose and docker read them; no engine is needed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?P<else>:-(?P<default>[^}]*))?\}")


def rendered(text: str, variables: dict[str, str]) -> dict[str, Any]:
    """Put variables into a compose file as compose does, and read it."""

    def value(match: re.Match[str]) -> str:
        return variables.get(match["name"]) or match["default"] or ""

    return yaml.safe_load(VARIABLE.sub(value, text))


def variables_of(text: str) -> dict[str, str]:
    """Read a file of variables."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


@pytest.fixture(scope="session")
def compose_text() -> str:
    return (DOCKER / "compose.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def example() -> dict[str, str]:
    """The variables of `.env.example`."""
    return variables_of((DOCKER / ".env.example").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def compose(compose_text) -> dict[str, Any]:
    """The compose file where nothing is set."""
    return rendered(compose_text, {})


@pytest.fixture(scope="session")
def services(compose) -> dict[str, Any]:
    return compose["services"]

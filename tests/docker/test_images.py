"""Dockerfiles and shell scripts, linted, and held against what images of a facility must be."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docker.conftest import DOCKER, ROOT

DOCKERFILES = sorted(DOCKER.glob("*/Dockerfile"))
SCRIPTS = sorted(DOCKER.rglob("*.sh"))
BIN = Path(sys.executable).parent
STEP = re.compile(r"^([A-Z]+)\s+(.*)", re.DOTALL)
PINNED = re.compile(r"^[\w./-]+:\d+\.\d+[\w.-]*$")


def each(paths):
    return pytest.mark.parametrize("path", paths, ids=lambda path: str(path.relative_to(DOCKER)))


def linter(name):
    path = BIN / name
    if not path.is_file():
        pytest.skip(f"{name} is not installed (extra 'dev')")
    return str(path)


def steps(path):
    """Instructions of a Dockerfile: (name, the rest), with comments and line ends taken away."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [STEP.match(line).groups() for line in lines if line.strip()]


def stages(path):
    """Instructions by stage: those of the stages that it is built on come first."""
    found, current = {}, []
    for name, rest in steps(path):
        if name == "FROM":
            base, _, stage = rest.partition(" AS ")
            current = found[stage] = list(found.get(base, []))
        current.append((name, rest))
    return found


def final(path):
    """The stages that become images: those that no other stage uses."""
    text = path.read_text(encoding="utf-8")
    used = re.findall(r"(?:FROM |--from=|from=)([a-z]+)\b", text)
    return {name: steps for name, steps in stages(path).items() if name not in used}


@each(DOCKERFILES)
def test_hadolint_finds_nothing(path):
    done = subprocess.run([linter("hadolint"), str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert done.stdout == ""


@each(SCRIPTS)
def test_shellcheck_finds_nothing(path):
    command = [linter("shellcheck"), "--enable=quote-safe-variables", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@each(SCRIPTS)
def test_scripts_are_read_by_the_shell_that_they_name(path):
    first = path.read_text(encoding="utf-8").splitlines()[0]
    shell = {"#!/bin/sh": "sh", "#!/bin/bash": "bash"}[first]
    assert subprocess.run([shell, "-n", str(path)]).returncode == 0


@each(DOCKERFILES)
def test_every_base_is_one_release_or_a_stage_of_ours(path):
    arguments = dict(rest.split("=", 1) for name, rest in steps(path) if name == "ARG")
    known = set()
    for name, rest in steps(path):
        if name != "FROM":
            continue
        base, _, stage = rest.partition(" AS ")
        image = re.sub(r"^\$\{(\w+)\}$", lambda match: arguments[match[1]], base)
        assert image in known or PINNED.match(image), image
        known.add(stage)


@each(DOCKERFILES)
def test_an_image_does_not_run_as_root_and_says_how_it_is(path):
    assert final(path)
    for stage, found in final(path).items():
        users = [rest for name, rest in found if name == "USER"]
        assert int(users[-1]) > 0, stage
        assert any(name == "HEALTHCHECK" for name, _ in found), stage
        labels = " ".join(rest for name, rest in found if name == "LABEL")
        for label in ("title", "description", "licenses"):
            assert f"org.opencontainers.image.{label}=" in labels, stage
        # A program of its own, not a shell's child: it gets the signals.
        started = [rest for name, rest in found if name in {"ENTRYPOINT", "CMD"}]
        assert started, stage
        assert all(rest.startswith("[") for rest in started), stage


@each(DOCKERFILES)
def test_nothing_is_fetched_unseen_and_no_secret_gets_into_a_layer(path):
    for name, rest in steps(path):
        assert name != "ADD", rest
        assert not re.search(r"\b(curl|wget|git clone)\b", rest), rest
        if name in {"ARG", "ENV"}:
            assert not re.search(r"pass|secret|token", rest, re.IGNORECASE), rest
        assert not re.search(r"\bsecrets?/", rest), rest


@each(DOCKERFILES)
def test_what_is_copied_is_there_and_reaches_the_engine(path):
    ignore = path.with_name("Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignore[0] == "*"
    let_in = [line[1:] for line in ignore if line.startswith("!")]
    assert not any(Path(line).name.startswith((".env", "secrets")) for line in let_in)
    for name, rest in steps(path):
        if name == "COPY" and "--from" not in rest:
            sources = rest.split()[:-1]
        else:
            sources = re.findall(r"--mount=type=bind,source=([\w./-]+)", rest)
        for source in sources:
            assert (ROOT / source).exists(), source
            assert any(source == line or Path(source).match(line) for line in let_in), source


def test_passwords_are_random_and_stay(tmp_path):
    folder = tmp_path / "secrets"
    make = ["sh", str(DOCKER / "make-secrets.sh"), str(folder)]
    assert subprocess.run(make, capture_output=True).returncode == 0
    first = {file.name: file.read_text() for file in folder.iterdir()}
    assert len(set(first.values())) == len(first) == 2
    assert all(re.fullmatch("[0-9a-f]{64}", password) for password in first.values())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    again = subprocess.run(make, capture_output=True, text=True)
    assert again.stdout.count("stays") == 2
    assert {file.name: file.read_text() for file in folder.iterdir()} == first
    assert not any(password in again.stdout for password in first.values())


STARTUP = {
    "50-config.py": 'echo "configured with $CONFIG_omero_db_pass"',
    "60-database.sh": 'echo "root is $ROOTPASS"',
    "70-not-executable.sh": "echo never",
    "99-run.sh": "env",
}


@pytest.fixture
def image(tmp_path):
    """What OMERO.server's image has of its start: steps, one after the other."""
    (tmp_path / "startup").mkdir()
    for name, text in STARTUP.items():
        file = tmp_path / "startup" / name
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o644 if "not" in name else 0o755)
    (tmp_path / "activate").write_text("")
    script = (DOCKER / "server" / "entrypoint.sh").read_text(encoding="utf-8")
    for there, here in {
        "/run/secrets/": f"{tmp_path}/secrets/",
        "/opt/omero/server/venv3/bin/activate": f"{tmp_path}/activate",
    }.items():
        assert there in script
        script = script.replace(there, here)
    (tmp_path / "entrypoint.sh").write_text(script)
    return tmp_path


def enter(image):
    return subprocess.run(
        ["bash", str(image / "entrypoint.sh")],
        env={"PATH": os.environ["PATH"], "STARTUP": str(image / "startup")},
        capture_output=True,
        text=True,
    )


def test_the_server_gets_its_passwords_from_files_and_does_not_keep_them(image):
    (image / "secrets").mkdir()
    (image / "secrets" / "database_password").write_text("of the data base\n")
    (image / "secrets" / "omero_root_password").write_text("of root\n")
    done = enter(image)
    assert done.returncode == 0, done.stderr
    told, _, server = done.stdout.partition("99-run.sh\n")
    assert "configured with of the data base\n" in told
    assert "root is of root\n" in told
    assert "never" not in told
    assert "PATH=" in server
    assert "of root" not in server
    assert "of the data base" not in server


def test_a_server_without_its_passwords_does_not_start(image):
    done = enter(image)
    assert done.returncode != 0
    assert "make-secrets.sh" in done.stderr
    assert "Running" not in done.stdout

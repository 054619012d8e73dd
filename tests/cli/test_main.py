"""The command itself: help, verbs, exit codes, missing packages."""

from __future__ import annotations

import importlib.metadata
import logging
import subprocess
import sys

import click
import pytest

from omero_hcs import lazy
from omero_hcs.cli import main as module
from omero_hcs.cli.main import VERBS
from omero_hcs.errors import CancelledError, DataError, FormatVersionError, WriteError

HEAVY = ("torch", "zarr", "pandas", "pyarrow", "scipy", "skimage", "sklearn", "tifffile", "jinja2")
CALL = "import sys; from omero_hcs.cli.main import main; main(sys.argv[1:])"


def call(*arguments, before=""):
    """Run the command line in a process of its own."""
    command = [sys.executable, "-c", before + CALL, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_help_lists_every_verb_with_its_line(omero_hcs):
    said = omero_hcs("--help")
    assert said.code == 0
    lines = [line.split(maxsplit=1) for line in said.out.splitlines() if line.startswith("  ")]
    for name, verb in VERBS.items():
        assert [name, verb.help] in lines
    assert omero_hcs("-h").out == said.out


def test_the_version_is_the_package_s(omero_hcs):
    assert importlib.metadata.version("omero-hcs") in omero_hcs("--version").out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_of_its_own(omero_hcs, verb):
    said = omero_hcs(verb, "--help")
    assert said.code == 0
    assert f"Usage: omero-hcs {verb}" in said.out
    command = lazy.load(VERBS[verb].entry)
    nameless = [
        option.name
        for option in command.params
        if isinstance(option, click.Option) and not option.help
    ]
    assert nameless == []


def test_help_of_any_verb_needs_the_base_dependencies_alone():
    block = f"import sys; sys.modules.update(dict.fromkeys({HEAVY}));\n"
    loop = (
        "from omero_hcs.cli.main import VERBS, run\n"
        "codes = {verb: run([verb, '--help']) for verb in VERBS}\n"
        "sys.exit(str(codes) if any(codes.values()) else 0)\n"
    )
    said = subprocess.run([sys.executable, "-c", block + loop], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr


@pytest.mark.parametrize(
    ("arguments", "missing", "extras"),
    [
        (["sandbox"], "Ice", "disk,sandbox,web"),
        (["sandbox", "--web"], "gunicorn", "disk,sandbox,web"),
        (["simulate", "x.zarr"], "scipy", "disk"),
        (["convert", "x", "y", "--pattern", "{well}.tif"], "tifffile", "disk"),
        (["crop", "p.zarr"], "zarr", "disk"),
        (["train-qc", "p.zarr"], "zarr", "disk,ml,weights"),
        (["apply-qc", "p.zarr"], "zarr", "all"),
        (["report", "p.zarr"], "zarr", "disk,report"),
        (["models", "show", "m.safetensors"], "safetensors", "ml"),
        (["qc", "export", "p.zarr"], "zarr", "disk"),
    ],
)
def test_a_missing_package_names_the_command_that_installs_all(
    tmp_path, monkeypatch, arguments, missing, extras
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.zarr").mkdir()
    (tmp_path / "p.zarr" / "zarr.json").write_text("{}")
    (tmp_path / "m.safetensors").write_text("")
    said = call(*arguments, before=f"import sys; sys.modules[{missing!r}] = None;")
    assert said.returncode == 1
    verb = " ".join(arguments[: 2 if arguments[0] == "qc" else 1])
    assert said.stderr == (
        f"Error: omero-hcs {verb} needs {missing!r}, which is not installed. "
        f"Install all that it needs with: pip install 'omero-hcs[{extras}]'\n"
    )


def test_the_extras_that_verbs_name_exist():
    there = set(importlib.metadata.metadata("omero-hcs").get_all("Provides-Extra") or [])
    named = {extra for verb in VERBS.values() for extra in verb.extras.split(",") if extra}
    assert named <= there


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (DataError("p.tif is truncated."), 2, "Error: p.tif is truncated.\n"),
        (FormatVersionError("m is of format 9."), 2, "Error: m is of format 9.\n"),
        (WriteError("no room."), 1, "Error: no room.\n"),
        (CancelledError("Run X was cancelled."), 130, "cancelled. The same command goes on"),
        (KeyboardInterrupt(), 130, "the same command goes on from here"),
        (click.Abort(), 130, "Stopped."),
        (ValueError("password=abc"), 1, "This should not have happened. The trace is in"),
    ],
)
def test_errors_become_exit_codes_and_one_line(omero_hcs, monkeypatch, error, code, message):
    def fail(**_):
        raise error

    monkeypatch.setattr(module.cli, "main", fail)
    said = omero_hcs("crop")
    assert said.code == code
    assert message in said.err
    assert "abc" not in said.err


def test_the_trace_of_an_unknown_error_is_kept_in_the_log_it_names(
    omero_hcs, monkeypatch, tmp_path
):
    monkeypatch.setenv("OMERO_HCS_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(module.cli, "main", lambda **_: 1 / 0)
    said = omero_hcs("crop")
    log = tmp_path / "logs" / "errors.log"
    assert said.code == 1
    assert said.err.startswith("Error: ZeroDivisionError: division by zero\n")
    assert str(log) in said.err
    assert "Traceback" in log.read_text()


def test_a_reader_that_has_seen_enough_ends_it_without_a_word():
    command = f"{sys.executable} -c '{CALL}' config show | true; echo ${{PIPESTATUS[0]}}"
    said = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert said.stdout == "1\n"
    assert said.stderr == ""


def test_a_log_that_cannot_be_written_does_not_bury_the_message(omero_hcs, tmp_path, monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", True)
    omero_hcs("config", "show")
    assert logging.raiseExceptions is False

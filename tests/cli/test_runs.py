"""`omero-hcs runs`: listed, told of and cancelled from a terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from omero_hcs.jobs.ledger import Ledger

HANGS = 240
"""Seconds after which something hangs; no measure of speed."""

MAIN = """
from omero_hcs.cli.main import main
from omero_hcs.tasks import run_board
run_board.LOOKED_EVERY = 0.02  # its six fields are done in less than two seconds
main()
"""
START = [sys.executable, "-c", MAIN]


@pytest.fixture
def crop(omero_hcs, plate):
    """Run the crops of a plate; the value is the run's id."""
    said = omero_hcs("crop", plate, "--crops", "none", "--crop-size", "16px", "--json")
    assert said.code == 0, said
    return json.loads(said.out)["run_id"]


def test_a_run_is_found_by_its_plate_and_by_its_id(omero_hcs, plate, crop):
    lines = [omero_hcs("runs").out, omero_hcs("runs", plate).out, omero_hcs("runs", "list").out]
    assert all(f"{crop} cropping, done, 6 of 6 fields" in line for line in lines)
    (row,) = json.loads(omero_hcs("runs", plate, "--json").out)
    assert row == json.loads(omero_hcs("runs", "status", crop, plate, "--json").out)
    assert (row["status"], row["task"], row["store"]) == ("done", "crop_cells", str(plate))
    told = omero_hcs("runs", "status", crop)
    assert (told.code, told.out.splitlines()[0]) == (0, f"{crop} cropping, done, 6 of 6 fields")


def test_what_is_not_there_or_does_not_go_on_is_refused_by_name(omero_hcs, plate, crop):
    for given in (["status", "none"], ["cancel", "none"], ["status", "none", plate]):
        said = omero_hcs("runs", *given)
        assert said.code == 2
        assert "no run 'none'" in said.err
        assert crop in said.err
    said = omero_hcs("runs", "cancel", crop)
    assert said.code == 2
    assert f"Run {crop} is done: there is nothing to cancel." in said.err


def test_help_names_the_verbs(omero_hcs):
    said = omero_hcs("runs", "--help").out
    assert all(verb in said for verb in ("status", "cancel", "undo", "[STORE]"))


def test_one_terminal_cancels_what_another_runs(omero_hcs, plate, tmp_path, monkeypatch):
    state = tmp_path / "state"
    monkeypatch.setenv("OMERO_HCS_STATE_DIR", str(state))
    arguments = ["crop", str(plate), "--crops", "none", "--crop-size", "16px"]
    with subprocess.Popen(
        [*START, *arguments], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        run_id = _stopped_in_mid(process, state)
        said = omero_hcs("runs", "cancel", run_id)
        process.send_signal(signal.SIGCONT)
        _, errors = process.communicate(timeout=HANGS)
    assert said.code == 0, said
    assert "asked to stop" in said.out
    assert process.returncode == 130
    assert f"Run {run_id} was cancelled by " in errors
    assert "The same command goes on from there." in errors
    assert "cancelled" in omero_hcs("runs", "status", run_id).out
    assert omero_hcs(*arguments).code == 0


def _stopped_in_mid(process, state):
    """Stop a process as soon as its run goes on, so that it is not done too early; its run."""
    deadline = time.monotonic() + HANGS
    while time.monotonic() < deadline and process.poll() is None:
        if (state / "ledger.db").exists():
            ledger = Ledger(state / "ledger.db")
            runs = [run for run in ledger.runs() if run.status == "running"]
            ledger.close()
            if runs:
                os.kill(process.pid, signal.SIGSTOP)
                return runs[0].spec.run_id
        time.sleep(0.002)
    pytest.fail("it never got there")

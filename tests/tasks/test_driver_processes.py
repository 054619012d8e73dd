"""Runs that are killed or stopped from outside, as real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing

import numpy as np
import pytest

from omero_hcs.cli.main import run
from omero_hcs.jobs.ledger import Ledger
from omero_hcs.results import Table
from omero_hcs.settings import Settings
from omero_hcs.stores.open import open_store
from omero_hcs.tasks.crop_cells import Params
from omero_hcs.tasks.driver import run_task

FIELDS = 60
MAIN = """
import signal
from omero_hcs.cli.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores Ctrl-C
main()
"""
START = [sys.executable, "-c", MAIN]
HANGS = 240
"""Seconds after which something hangs; no measure of speed."""


@pytest.fixture
def crop(tmp_path, write_plate):
    """Start `omero-hcs crop` on a plate, with a state folder of its own."""
    plate = write_plate(tmp_path / "small.zarr", FIELDS, 160)
    environ = {**os.environ, "OMERO_HCS_STATE_DIR": str(tmp_path / "state")}

    def start():
        return subprocess.Popen(
            [*START, "crop", str(plate), "--crop-size", "32px", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ,
        )  # fmt: skip

    start.plate = plate
    start.ledger = tmp_path / "state" / "ledger.db"
    return start


def wait_until_some_are_done(process, path, some=3):
    """Wait until the ledger shows that a process has done some units; the value is their ids."""
    deadline = time.monotonic() + HANGS
    while time.monotonic() < deadline and process.poll() is None:
        done = done_units(path) if path.exists() else {}
        if len(done) >= some:
            return
        time.sleep(0.005)
    pytest.fail(f"never got there: exit code {process.poll()}, {process.communicate()[1][-2000:]}")


def done_units(path):
    """When each done unit was finished, by its id."""
    with closing(Ledger(path)) as ledger:
        return dict(ledger._db.execute("SELECT id, finished FROM unit WHERE status = 'done'"))


def finish(process):
    told, errors = process.communicate(timeout=HANGS)
    assert process.returncode == 0, errors
    return json.loads(told)


def cells_of(plate, run_id):
    with closing(open_store(plate)) as store:
        return Table.from_parquet(store.fetch(run_id, "cells.parquet"))


def same(one, other):
    assert list(one.columns) == list(other.columns)
    for name, column in one.columns.items():
        np.testing.assert_array_equal(column, other[name])


def test_a_killed_run_is_resumed_and_ends_like_one_that_was_not(crop, tmp_path):
    killed = crop()
    wait_until_some_are_done(killed, crop.ledger)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=HANGS)
    done = done_units(crop.ledger)
    assert 3 <= len(done) < FIELDS, "the process was too quick to be killed"

    resumed = finish(crop())
    assert (resumed["how"], resumed["status"]) == ("resumed", "done")
    after = done_units(crop.ledger)
    assert len(after) == FIELDS
    assert {unit: after[unit] for unit in done} == done  # nothing done is done again

    cells = cells_of(crop.plate, resumed["run_id"])
    params = Params(crop_size="32px")
    fresh = Settings(state_dir=tmp_path / "fresh", models_dir=tmp_path)
    whole = run_task("crop_cells", crop.plate, params, settings=fresh)
    assert whole.how == "new"
    same(cells, cells_of(crop.plate, whole.run_id))


def test_control_c_ends_with_130_and_what_is_done_is_kept(crop):
    stopped = crop()
    wait_until_some_are_done(stopped, crop.ledger)
    stopped.send_signal(signal.SIGINT)
    _told, errors = stopped.communicate(timeout=HANGS)
    assert stopped.returncode == 130
    assert "Stopped. What is done is kept" in errors
    assert "Traceback" not in errors
    done = done_units(crop.ledger)
    with closing(Ledger(crop.ledger)) as ledger:
        assert ledger.runs()[0].status == "cancelled"
    resumed = finish(crop())
    assert resumed["how"] == "resumed"
    after = done_units(crop.ledger)
    assert len(after) == FIELDS
    assert {unit: after[unit] for unit in done} == done


def test_one_unreadable_field_ends_with_3_and_once_mended_only_that_one_is_done(
    tmp_path, write_plate, monkeypatch, capsys
):
    plate = write_plate(tmp_path / "small.zarr", 30)
    monkeypatch.setenv("OMERO_HCS_STATE_DIR", str(tmp_path / "state"))
    chunk = plate / "A" / "03" / "0" / "0" / "c" / "0" / "0" / "0" / "0" / "0"
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[: len(whole) // 2])
    command = ["crop", str(plate), "--crop-size", "16px", "--json"]
    assert run(command) == 3
    partial = json.loads(capsys.readouterr().out)
    assert partial["status"] == "partial"
    ((failed),) = partial["failed"]
    assert "A03" in failed["unit"]
    assert str(plate) in failed["reason"]
    before = done_units(tmp_path / "state" / "ledger.db")
    chunk.write_bytes(whole)
    assert run(command) == 0
    whole_run = json.loads(capsys.readouterr().out)
    assert (whole_run["how"], whole_run["status"]) == ("resumed", "done")
    after = done_units(tmp_path / "state" / "ledger.db")
    assert {unit: after[unit] for unit in before} == before
    assert set(after) - set(before) == {failed["unit"]}

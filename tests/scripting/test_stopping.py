"""Scripts that are stopped: by the processor, by a log-out, and where they are too busy to hear."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from omero_hcs.jobs.ledger import Ledger
from omero_hcs.results import Table
from omero_hcs.sandbox.importer import import_plate
from omero_hcs.sandbox.sources import StoreSource
from omero_hcs.settings import Settings
from omero_hcs.tasks.crop_cells import Params
from omero_hcs.tasks.driver import run_task
from tests.scripting.runs_in_mid import (
    FIELDS,
    HANGS,
    Installation,
    open_as,
    plate_of_discs,
    wait_for,
)


@pytest.fixture
def here(script_home):
    return Installation(script_home / ".local" / "state" / "omero-hcs")


@pytest.fixture
def plate(script_user, script_connect):
    """A user, his connection, and a plate of a few dozen fields."""
    conn = script_connect(script_user)
    source = StoreSource(plate_of_discs("in mid-run"))
    return script_user, conn, import_plate(conn, source, screen="Screen").plate


@pytest.fixture
def cells(script_server, plate):
    """The cells that a run found."""
    user, _, number = plate

    def fetch(run_id):
        with contextlib.closing(open_as(script_server, user, f"plate/{number}")) as store:
            return Table.from_parquet(store.fetch(run_id, "cells.parquet"))

    return fetch


@pytest.fixture
def notes(script_server, plate):
    """What the plate tells of runs."""
    user, _, number = plate

    def read():
        with contextlib.closing(open_as(script_server, user, f"plate/{number}")) as store:
            return store.run_notes(store.refs()[0])

    return read


@pytest.fixture
def by_command(script_server, plate, tmp_path):
    """The same request from a command line, on a machine that knows of no earlier run."""
    user = plate[0]

    def run(number):
        def opener(_):
            return open_as(script_server, user, f"plate/{number}")

        settings = Settings(state_dir=tmp_path / "state", models_dir=tmp_path)
        return run_task("crop_cells", "", Params(crops="none"), settings=settings, opener=opener)

    return run


def same(one, other):
    assert list(one.columns) == list(other.columns)
    for name, column in one.columns.items():
        np.testing.assert_array_equal(column, other[name])


def test_one_that_the_processor_cancels_keeps_what_is_done_and_goes_on_later(
    plate, click, here, cells, notes, by_command
):
    _, conn, number = plate
    asked = {"Data_Type": "Plate", "IDs": [number], "Crops_As": "none"}
    process = click.start(conn, "Crop_Single_Cells", **asked)
    run = here.wait_until_some_are_done(f"plate/{number}")
    run_id = run.spec.run_id
    process.cancel()
    process.cancel()
    said = click.wait_for(conn, process)
    done = here.done(run_id)
    assert 3 <= done < FIELDS
    assert said.code == 1
    assert said.message == (
        f"Run {run_id} was cancelled: {done} of {FIELDS} fields are done and kept. The same click "
        "goes on from there."
    )
    assert "Traceback" not in said.error
    assert here.run_over(f"plate/{number}").status == "cancelled"
    assert here.process_of(run) is None
    (note,) = notes()
    assert (note.status, note.done) == ("cancelled", done)

    again = click(conn, "Crop_Single_Cells", **asked)
    assert again.code == 0, again
    assert run_id in again.message
    resumed = cells(run_id)
    whole = by_command(number)
    assert (whole.how, whole.run_id == run_id) == ("new", False)
    same(resumed, cells(whole.run_id))


def test_one_whose_user_logs_out_is_cancelled_and_keeps_what_is_done(
    script_people, plate, click, here
):
    user, _, number = plate
    asked = {"Data_Type": "Plate", "IDs": [number], "Crops_As": "none"}
    leaving = script_people.connect(user)
    click.start(leaving, "Crop_Single_Cells", **asked)
    run = here.wait_until_some_are_done(f"plate/{number}")
    process = here.process_of(run)
    leaving.close()
    wait_for(lambda: not _runs(process))
    ended = here.run_over(f"plate/{number}")
    assert (ended.spec.run_id, ended.status) == (run.spec.run_id, "cancelled")
    done = here.done(run.spec.run_id)
    assert 3 <= done < FIELDS


def _runs(process):
    """Whether a process is there and is no zombie."""
    try:
        with open(f"/proc/{process}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


BUSY = """
import hashlib, os, pathlib, sys
from omero_hcs.scripting import stopping
from omero_hcs.settings import Settings
from omero_hcs.tasks.crop_cells import Params
from omero_hcs.tasks.driver import run_task
from omero_hcs.tasks.runs import end_own

stopping.GRACE_SECONDS = 0.5
settings = Settings(state_dir=pathlib.Path(sys.argv[2]))
params = Params(crop_size="16px")

def busy(stage, done, total):
    while stage == "cropping fields" and done == 2:
        try:
            print("busy", flush=True)
            hashlib.pbkdf2_hmac("sha256", b"", b"", 1 << 30)  # minutes without a step of Python's
        except KeyboardInterrupt:
            pass  # as some libraries do

def last_words():
    print(*end_own(settings, process=os.getpid()), flush=True)

with stopping.Stopping(last_words) as stop:
    with stop.interruptible():
        run_task("crop_cells", sys.argv[1], params, settings=settings, progress=busy)
    stop.leave(0)
"""


def test_one_that_is_too_busy_to_hear_is_ended_with_its_ledger_in_good_order(tmp_path, write_discs):
    plate = write_discs(tmp_path / "small.zarr")
    command = [sys.executable, "-c", BUSY, str(plate), str(tmp_path / "state")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout.readline() == "busy\n", run.communicate()
        run.send_signal(signal.SIGTERM)
        run.send_signal(signal.SIGTERM)
        told, errors = run.communicate(timeout=HANGS)
    assert run.returncode == 1
    assert "it was ended" in errors
    with contextlib.closing(Ledger(tmp_path / "state" / "ledger.db")) as ledger:
        (record,) = ledger.runs()
    assert record.status == "cancelled"
    assert told.removeprefix("busy\n") == f"{record.message}\n"
    assert "2 of 4 fields are done and kept" in told


@pytest.fixture
def write_discs():
    """Write a plate of four fields as OME-Zarr."""
    from omero_hcs.stores.ome_zarr.writer import PlateWriter  # noqa: PLC0415

    def write(path):
        source = plate_of_discs("discs", 4, 160)
        with PlateWriter(path, source.plate("discs")) as writer:
            for site in source.plate("discs").sites():
                stack = source._memory.pixels[site.image.id]
                writer.write_field(site.well.name, 0, None, stack)
        return path

    return write


LEAVING = """
import threading, time
from omero_hcs.scripting.stopping import Stopping

with Stopping(lambda: print("last words", flush=True)) as stop:
    threading.Thread(target=time.sleep, args=(600,)).start()  # a read that hangs
    try:
        with stop.interruptible():
            print("ready", flush=True)
            time.sleep(600)
    except KeyboardInterrupt:
        print("stopped", flush=True)
        WAIT
    stop.leave(3)
"""


@pytest.mark.parametrize("wait", ["pass", "print('saying', flush=True); time.sleep(0.5)"])
def test_threads_that_hang_keep_nobody_and_the_last_is_said_to_its_end(wait):
    command = [sys.executable, "-c", LEAVING.replace("WAIT", wait)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "stopped\n"
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
        process.communicate(timeout=HANGS)
    assert process.returncode == 3

"""Which runs there are: from what objects tell, from what they keep, and from the ledger."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from omero_hcs.errors import InputError, RunBusyError, RunNotFoundError
from omero_hcs.jobs import stops
from omero_hcs.jobs.hold import held, holder
from omero_hcs.settings import Settings
from omero_hcs.stores.base import RunNote
from omero_hcs.stores.open import open_store
from omero_hcs.tasks.crop_cells import Params
from omero_hcs.tasks.driver import run_task
from omero_hcs.tasks.run_board import SILENCE
from omero_hcs.tasks.runs import KnownRun, cancel, end_own, line_of, pick, runs_here, runs_over
from omero_hcs.tasks.undo_run import undo_run

RUN, LATER = "20250101T120000Z-0000aaaa", "20250102T120000Z-0000bbbb"
NOW = 1_000_000.0
GOES_ON = RunNote(
    RUN, "apply_qc", "running", started=NOW - 300, alive=NOW - 5, stage="judging fields",
    done=12, total=96, left=300.0, user="ada", model="qc",
)  # fmt: skip


@pytest.fixture
def crop(settings):
    def ask(uri, **given):
        own = given.pop("settings", settings)
        progress = given.pop("progress", lambda *_: None)
        params = Params(crop_size="16px", **given)
        return run_task("crop_cells", uri, params, settings=own, progress=progress)

    return ask


@pytest.fixture
def told(memory, settings):
    """What is known of runs over a plate with some notes, at a time."""

    def look(*notes, now=NOW):
        plate = memory(2)
        for note in notes:
            plate.store.post_note(plate.store.refs()[0], note)
        return plate.store, runs_over(plate.store, settings, now=lambda: now)

    return look


def test_a_run_of_another_machine_is_known_by_its_note(told):
    _, (run,) = told(GOES_ON)
    assert (run.state, run.goes_on, run.user) == ("running", True, "ada")
    assert line_of(run) == (
        f"{RUN} quality check, running (judging fields), 12 of 96 fields, about 5 min left, by ada"
    )


def test_the_newest_is_first(told):
    _, runs = told(GOES_ON, replace(GOES_ON, run_id=LATER, started=NOW - 10))
    assert [run.run_id for run in runs] == [LATER, RUN]
    assert pick(runs, None, where="plate 1").run_id == LATER
    assert pick(runs, RUN, where="plate 1").run_id == RUN
    with pytest.raises(RunNotFoundError, match=f"'none' over plate 1.*{LATER}, {RUN}"):
        pick(runs, "none", where="plate 1")
    with pytest.raises(RunNotFoundError, match="no runs over plate 1 yet"):
        pick((), None, where="plate 1")


def test_one_that_was_killed_is_silent_and_called_interrupted(told, settings):
    store, (run,) = told(GOES_ON, now=GOES_ON.alive + SILENCE + 1)
    assert run.state == "interrupted"
    with pytest.raises(InputError, match="interrupted: there is nothing to cancel"):
        cancel(store, run, "ada", settings)
    assert told(GOES_ON, now=GOES_ON.alive + SILENCE - 1)[1][0].state == "running"


def test_one_that_is_asked_to_stop_says_so(told, settings):
    store, (run,) = told(GOES_ON)
    cancel(store, run, "bob", settings)
    assert store.stop_asked(RUN) == "bob"
    ref = store.refs()[0]
    store.post_note(ref, replace(GOES_ON, done=13))  # the next update does not lose the mark
    (again,) = runs_over(store, settings, now=lambda: NOW)
    assert (again.state, again.stop_asked_by) == ("stopping", "bob")
    store.post_note(ref, replace(GOES_ON, started=NOW))  # the next start does
    assert store.stop_asked(RUN) is None


@pytest.mark.parametrize("state", ["done", "partial", "failed", "cancelled"])
def test_what_has_ended_is_not_cancelled(told, settings, state):
    store, (run,) = told(replace(GOES_ON, status=state))
    with pytest.raises(InputError, match=f"is {state}: there is nothing to cancel"):
        cancel(store, run, "bob", settings)


def test_results_without_a_note_are_listed_too(crop, memory, settings, tmp_path):
    """Runs of releases that told nothing, and notes that somebody removed."""
    plate = memory(2)
    run = crop(plate.uri)
    plate.store.remove_note(run.run_id)
    elsewhere = Settings(state_dir=tmp_path / "other", models_dir=tmp_path)
    (known,) = runs_over(plate.store, elsewhere)
    assert (known.run_id, known.state) == (run.run_id, "kept")
    assert "has results" in line_of(known)
    assert runs_over(plate.store, settings)[0].state == "done"


def test_the_ledger_adds_why_fields_failed(crop, memory, settings):
    plate = memory(30)
    plate.break_field(2)
    crop(plate.uri)
    (known,) = runs_over(plate.store, settings)
    assert (known.state, known.done, known.failed) == ("partial", 29, 1)
    assert "cannot be read" in known.reasons[0]


def test_a_run_over_a_disk_is_asked_by_a_mark_beside_the_ledger(
    crop, write_plate, tmp_path, settings
):
    path, seen = write_plate(tmp_path / "small.zarr", 4), []

    def look(stage, done, _):
        if stage == "cropping fields" and done == 2 and not seen:
            store = open_store(str(path))
            (run,) = runs_over(store, settings)
            seen.append((run.state, runs_here(settings)[0].state, run.total))
            cancel(store, run, "ada", settings)
            seen.append(runs_over(store, settings)[0].state)
            store.close()

    crop(path, progress=look)  # so quick that it is done before it looks
    assert seen == [("running", "running", 4), "stopping"]
    (run,) = runs_here(settings)
    assert (run.state, run.done, run.stop_asked_by) == ("done", 4, "")


def test_a_killed_process_of_this_machine_is_known_of_at_once(settings, ledger, crop, memory):
    plate = memory(2)
    run_id = crop(plate.uri).run_id
    ledger.start(run_id)
    (known,) = runs_here(settings)
    assert known.state == "interrupted"
    key = ledger.run(run_id).spec.key
    with held(settings.state_dir, key, what="it"):
        assert runs_here(settings)[0].state == "running"
        stops.ask(settings.state_dir, run_id, "ada")
        assert runs_here(settings)[0].state == "stopping"


def test_a_process_that_must_end_notes_its_own_runs_and_no_others(settings, ledger, crop, memory):
    plates = [memory(2), memory(2)]
    mine, other = (crop(plate.uri).run_id for plate in plates)
    ledger.start(mine)
    ledger.start(other)
    key, theirs = (ledger.run(run_id).spec.key for run_id in (mine, other))
    holding = (
        "import sys, time, pathlib; from omero_hcs.jobs.hold import held\n"
        "with held(pathlib.Path(sys.argv[1]), sys.argv[2], what='it'): print('!', flush=True); "
        "time.sleep(60)"
    )
    command = [sys.executable, "-c", holding, str(settings.state_dir), theirs]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        with held(settings.state_dir, key, what="it"):
            assert holder(settings.state_dir, key) == os.getpid()
            assert holder(settings.state_dir, theirs) == child.pid
            (said,) = end_own(settings, process=os.getpid())
        child.kill()
    assert said == f"Run {mine} was cancelled: 2 of 2 fields are done and kept."
    assert ledger.run(mine).status == "cancelled"
    assert ledger.run(other).status == "running"
    assert holder(settings.state_dir, key) is None


def test_a_run_that_goes_on_elsewhere_is_not_undone(told, tmp_path):
    store, _ = told(replace(GOES_ON, started=time.time(), alive=time.time()))
    elsewhere = Settings(state_dir=tmp_path / "other", models_dir=tmp_path)
    with pytest.raises(RunBusyError, match=f"{RUN} of ada goes on: 12 of 96"):
        undo_run(RUN, where=store.spec.uri, settings=elsewhere)
    assert store.run_notes(store.refs()[0])


def test_a_line_has_what_is_known():
    assert line_of(KnownRun(RUN, "something", "kept")) == f"{RUN} something, has results"
    run = KnownRun(RUN, "train_qc", "failed", done=1, total=2, failed=1, left=9.0)
    assert line_of(run) == f"{RUN} training, failed, 1 of 2 fields, 1 failed"

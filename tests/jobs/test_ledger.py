from __future__ import annotations

import sqlite3
import subprocess
import sys
import tempfile
import threading
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from omero_hcs.errors import FormatVersionError, RunNotFoundError, WriteError
from omero_hcs.jobs.base import ATTEMPTS
from omero_hcs.jobs.ledger import SCHEMA_VERSION, Ledger
from omero_hcs.model import ObjectRef, RunSpec, StoreSpec, Unit

RUN, LATER = "20250101T120000Z-0000aaaa", "20250102T120000Z-0000bbbb"

OPEN = """
import sys
from pathlib import Path
from omero_hcs.jobs.ledger import Ledger
sys.stdin.readline()
Ledger(Path(sys.argv[1])).close()
"""


@pytest.fixture
def ledger(tmp_path):
    with closing(Ledger(tmp_path / "state" / "ledger.db")) as ledger:
        yield ledger


@pytest.fixture
def planned(ledger, spec_of, units):
    ledger.add(spec_of(RUN), units)
    return ledger


def pragma(path, name):
    with closing(sqlite3.connect(path)) as database:
        return database.execute(f"PRAGMA {name}").fetchone()[0]


class TestFile:
    def test_a_new_one_is_made_with_its_folder_in_wal_mode_and_with_its_version(self, ledger):
        assert pragma(ledger.path, "journal_mode") == "wal"
        assert pragma(ledger.path, "user_version") == SCHEMA_VERSION == 1

    def test_opening_it_again_keeps_what_is_in_it(self, planned, units):
        with closing(Ledger(planned.path)) as again:
            assert [record.unit for record in again.units(RUN)] == units

    def test_one_of_a_newer_release_is_refused_and_left_alone(self, ledger):
        ledger.close()
        with closing(sqlite3.connect(ledger.path)) as database:
            database.execute("PRAGMA user_version = 99")
        with pytest.raises(FormatVersionError, match=r"version 99.*up to 1. Update omero-hcs"):
            Ledger(ledger.path)
        assert pragma(ledger.path, "user_version") == 99

    def test_a_file_that_is_no_ledger_is_refused_and_left_alone(self, tmp_path):
        path = tmp_path / "ledger.db"
        path.write_bytes(b"notes of mine, no database at all " * 40)
        with pytest.raises(WriteError, match=r"cannot be opened: .*OMERO_HCS_STATE_DIR"):
            Ledger(path)
        assert path.read_bytes().startswith(b"notes of mine")

    def test_a_folder_that_cannot_be_made_is_told_with_the_mend(self, tmp_path):
        (tmp_path / "state").write_text("a file")
        with pytest.raises(WriteError, match="OMERO_HCS_STATE_DIR"):
            Ledger(tmp_path / "state" / "ledger.db")

    def test_processes_that_open_a_new_one_at_the_same_time_all_succeed(self, tmp_path):
        command = [sys.executable, "-c", OPEN, str(tmp_path / "ledger.db")]
        started = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(4)
        ]
        for process in started:
            process.stdin.write("go\n")
            process.stdin.flush()
        errors = [process.communicate(timeout=120)[1] for process in started]
        assert errors == [""] * 4

    def test_a_full_disk_is_told_in_one_sentence_and_what_was_there_stays(self, planned):
        pages = planned._db.execute("PRAGMA page_count").fetchone()[0]
        planned._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(WriteError, match=r"full.*Free some space"):
            planned.end(RUN, "done", summary={"note": "x" * 200_000})
        planned._db.execute("PRAGMA max_page_count = 100000")
        assert planned.run(RUN).status == "planned"
        planned.end(RUN, "done", summary={"cells": 5})
        assert planned.run(RUN).summary == {"cells": 5}


class TestRuns:
    def test_a_run_comes_back_as_it_was_planned(self, planned, spec_of):
        record = planned.run(RUN)
        assert record.spec == spec_of(RUN)
        assert (record.status, record.message, record.summary) == ("planned", "", {})
        assert record.created
        assert record.started is record.finished is None

    def test_an_end_has_its_time_message_and_summary(self, planned):
        planned.start(RUN)
        assert planned.run(RUN).status == "running"
        planned.end(RUN, "failed", message="the disk is full", summary={"cells": 7})
        record = planned.run(RUN)
        assert (record.status, record.message, record.summary) == (
            "failed", "the disk is full", {"cells": 7},
        )  # fmt: skip
        assert record.created <= record.started <= record.finished

    def test_ending_without_a_summary_keeps_the_one_there_is(self, planned):
        planned.end(RUN, "done", summary={"cells": 7})
        planned.end(RUN, "undone")
        assert planned.run(RUN).summary == {"cells": 7}

    def test_an_unknown_run_is_refused_with_the_latest_ones(self, planned):
        with pytest.raises(RunNotFoundError, match=f"no run 'nope'.*{RUN}"):
            planned.run("nope")

    def test_the_same_run_is_not_planned_twice(self, planned, spec_of, units):
        with pytest.raises(WriteError, match="UNIQUE"):
            planned.add(spec_of(RUN), units)
        assert len(planned.units(RUN)) == len(units)

    def test_they_are_listed_newest_first_and_no_more_than_asked_for(self, planned, spec_of):
        planned.add(spec_of(LATER), [])
        assert [record.spec.run_id for record in planned.runs()] == [LATER, RUN]
        assert [record.spec.run_id for record in planned.runs(limit=1)] == [LATER]


class TestFind:
    def test_the_latest_run_of_a_key_is_found_and_no_other_key(self, planned, spec_of):
        planned.add(spec_of(LATER), [])
        assert planned.find("k" * 64).spec.run_id == LATER
        assert planned.find("other") is None

    def test_one_that_was_undone_is_passed_over(self, planned, spec_of):
        planned.add(spec_of(LATER), [])
        planned.end(LATER, "undone")
        assert planned.find("k" * 64).spec.run_id == RUN
        planned.end(RUN, "undone")
        assert planned.find("k" * 64) is None


class TestUnits:
    def test_they_stay_in_the_order_of_the_plan(self, ledger, spec_of, units):
        ledger.add(spec_of(RUN), units[::-1])
        assert [record.unit for record in ledger.units(RUN)] == units[::-1]
        assert ledger.pending(RUN) == units[::-1]

    def test_how_they_ended_is_kept(self, planned, units):
        planned.start(RUN)
        planned.end_unit(RUN, units[0].id, "done", seconds=1.5)
        planned.end_unit(RUN, units[1].id, "failed", reason="cannot be read")
        done, failed, *_ = planned.units(RUN)
        assert (done.status, done.attempts, done.seconds) == ("done", 1, 1.5)
        assert (failed.status, failed.attempts, failed.reason) == ("failed", 1, "cannot be read")
        assert planned.counts(RUN) == {"done": 1, "failed": 1, "waiting": 2}

    def test_starting_again_resets_what_failed_and_what_a_killed_process_left(self, planned, units):
        planned.start(RUN)
        planned.begin_units(RUN, [units[0].id, units[1].id, units[3].id])
        planned.end_unit(RUN, units[0].id, "done")
        for _ in range(ATTEMPTS):
            planned.end_unit(RUN, units[1].id, "failed", reason="cannot be read")
        assert planned.pending(RUN) == [units[2], units[3]]
        planned.start(RUN)
        assert planned.counts(RUN) == {"done": 1, "waiting": 3}
        assert planned.pending(RUN) == units[1:]

    def test_units_of_one_run_are_not_those_of_another(self, planned, spec_of, units):
        planned.add(spec_of(LATER), units[:2])
        planned.end_unit(RUN, units[0].id, "done")
        assert planned.pending(LATER) == units[:2]


def test_readers_read_while_the_driver_writes(planned, units):
    """Two `omero-hcs runs` beside a run: each sees whole states only, and nobody waits."""
    stop, seen, faults = threading.Event(), [], []

    def read():
        try:
            with closing(Ledger(planned.path)) as reader:
                while not stop.is_set():
                    seen.append(sum(reader.counts(RUN).values()))
        except (sqlite3.Error, WriteError) as error:
            faults.append(error)

    readers = [threading.Thread(target=read, daemon=True) for _ in range(2)]
    for reader in readers:
        reader.start()
    planned.start(RUN)
    for _ in range(10):
        for unit in units:
            planned.begin_units(RUN, [unit.id])
            planned.end_unit(RUN, unit.id, "failed")
    with planned._change():
        other = Ledger(planned.path)  # opened in the middle of a change
        assert sum(other.counts(RUN).values()) == len(units)
        planned._db.execute("UPDATE run SET status = 'done'")
        assert other.run(RUN).status == "running"
    assert other.run(RUN).status == "done"
    other.close()
    stop.set()
    for reader in readers:
        reader.join(60)
    assert not faults
    assert set(seen) == {len(units)}


class UnitStates(RuleBasedStateMachine):
    """Whatever happens to a run, in whatever order: what is done stays done, failures end."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.ledger = Ledger(Path(self.folder.name) / "ledger.db")
        ref = ObjectRef(kind="plate", id="p")
        self.units = [Unit(id=str(number), target=ref) for number in range(4)]
        spec = RunSpec(
            run_id=RUN, key="k", task="t", store=StoreSpec(uri="memory:x"), targets=(ref,),
            params={}, package_version="0", work_dir="/nowhere",
        )  # fmt: skip
        self.ledger.add(spec, self.units)
        self.done: set[str] = set()
        self.failures = dict.fromkeys("0123", 0)

    @rule()
    def start(self):
        self.ledger.start(RUN)
        self.failures = dict.fromkeys("0123", 0)
        assert {unit.id for unit in self.ledger.pending(RUN)} == set("0123") - self.done

    @rule(chosen=st.sets(st.sampled_from("0123")))
    def hand_out(self, chosen):
        self.ledger.begin_units(RUN, chosen)

    @precondition(lambda self: self.ledger.pending(RUN))
    @rule(data=st.data(), status=st.sampled_from(["done", "failed"]))
    def end_a_pending_unit(self, data, status):
        unit = data.draw(st.sampled_from(self.ledger.pending(RUN))).id
        self.ledger.end_unit(RUN, unit, status, reason="r")
        if status == "done":
            self.done.add(unit)
        else:
            self.failures[unit] += 1

    @precondition(lambda self: self.done)
    @rule(data=st.data())
    def a_late_worker_says_that_a_done_unit_failed(self, data):
        unit = data.draw(st.sampled_from(sorted(self.done)))
        self.ledger.end_unit(RUN, unit, "failed", reason="late")

    @invariant()
    def what_is_done_is_never_done_again(self):
        records = self.ledger.units(RUN)
        assert {record.unit.id for record in records if record.status == "done"} == self.done
        assert not self.done & {unit.id for unit in self.ledger.pending(RUN)}
        assert sum(self.ledger.counts(RUN).values()) == len(self.units)

    @invariant()
    def no_unit_is_tried_more_often_than_allowed(self):
        assert max(self.failures.values()) <= ATTEMPTS

    def teardown(self):
        self.ledger.close()
        self.folder.cleanup()


TestUnitStates = UnitStates.TestCase
TestUnitStates.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)

"""What is told of a run while it goes on, and how it is asked to stop."""

from __future__ import annotations

import logging
import signal
import threading
import time

import pytest

from omero_hcs.errors import CancelledError, ChannelNotFoundError, NotAllowedError, WriteError
from omero_hcs.jobs import stops
from omero_hcs.model import ObjectRef
from omero_hcs.stores.base import RunNote
from omero_hcs.tasks import run_board
from omero_hcs.tasks.crop_cells import Params
from omero_hcs.tasks.driver import run_task
from omero_hcs.tasks.run_board import LOOKED_EVERY, TOLD_EVERY, RunTeller
from omero_hcs.tasks.undo_run import undo_run

RUN = "20250101T120000Z-0000aaaa"
PLATE = ObjectRef(kind="plate", id="1")


class Board:
    """A board that keeps what was posted, and answers whoever looks for a mark."""

    def __init__(self, clock=None):
        self.posted, self.looks, self.asked, self.fault, self.slow = [], 0, None, None, 0
        self.clock = clock

    def post_note(self, target, note):
        if self.clock:
            self.clock.time += self.slow
        if self.fault:
            raise self.fault
        self.posted.append((target, note))

    def stop_asked(self, _run_id):
        self.looks += 1
        return self.asked

    def run_notes(self, _target):
        return ()

    def ask_to_stop(self, _run_id, who):
        self.asked = who

    def remove_note(self, _run_id):
        self.posted.clear()


class Clock:
    time = 1000.0

    def __call__(self):
        return self.time


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def board(clock):
    return Board(clock)


@pytest.fixture
def teller(board, clock, tmp_path):
    """A run that goes on, whose time the test tells."""
    note = RunNote(RUN, "apply_qc", "running", started=0.0, alive=0.0, model="qc")
    told = RunTeller(note, (PLATE,), board, state_dir=tmp_path, clock=clock, now=lambda: 7.0)
    told._listen = lambda: None  # the test is the thread
    with told.going_on():
        yield told


def test_the_first_and_the_last_word_are_said_at_once(teller, board):
    assert [note.status for _, note in board.posted] == ["running"]
    teller.count("judging fields", 3, 4)
    teller.end("partial", "12 cells", failed=1)
    _, last = board.posted[-1]
    assert (last.status, last.done, last.failed, last.result) == ("partial", 3, 1, "12 cells")
    assert (last.stage, last.left) == ("", None)


def test_between_them_it_is_told_at_most_every_ten_seconds(teller, board, clock):
    teller.count("judging fields", 0, 100)
    for done in range(1, 100):
        clock.time += 1
        teller.count("judging fields", done, 100)
        teller.listen()
    told = [note.done for _, note in board.posted]
    assert told == [0, *range(int(TOLD_EVERY), 100, int(TOLD_EVERY))]
    assert [note.left for _, note in board.posted[1:3]] == [90, 80]


def test_a_run_that_does_not_get_on_gives_a_sign_of_life(teller, board, clock):
    """A training is one unit of minutes: it must not look as if it had been killed."""
    for _ in range(60):
        clock.time += 1
        teller.listen()
    assert len(board.posted) == 7


def test_many_objects_are_told_less_often(teller, board, clock):
    board.slow = 2.0
    clock.time += TOLD_EVERY
    teller.listen()
    before = len(board.posted)
    clock.time += TOLD_EVERY
    teller.listen()
    assert len(board.posted) == before
    clock.time += 40
    teller.listen()
    assert len(board.posted) == before + 1


def test_who_asks_is_looked_for_at_most_every_two_seconds_and_named(teller, board, clock):
    for _ in range(20):
        clock.time += LOOKED_EVERY / 4
        teller.listen()
    assert board.looks <= 6
    teller.count("judging fields", 3, 8)
    board.asked = "ada"
    clock.time += LOOKED_EVERY
    teller.listen()
    with pytest.raises(CancelledError, match=f"{RUN} was cancelled by ada: 4 of 8 fields"):
        teller.count("judging fields", 4, 8)
    with pytest.raises(CancelledError):  # and again, where a task caught the first
        teller.step("making the report", 1, 3)


def test_a_mark_beside_the_ledger_is_heard_too(teller, clock, tmp_path):
    stops.ask(tmp_path, RUN, "ada")
    clock.time += LOOKED_EVERY
    teller.listen()
    with pytest.raises(CancelledError, match="ada"):
        teller.check()


def test_what_cannot_be_told_is_logged_and_harms_nobody(teller, board, clock, caplog):
    board.fault = WriteError("the server is away")
    with caplog.at_level(logging.WARNING):
        clock.time += TOLD_EVERY
        teller.listen()
    assert "the server is away" in caplog.text
    board.fault = None
    teller.end("done", "")
    assert board.posted[-1][1].status == "done"


def test_where_it_may_not_be_told_it_is_not_tried_again(teller, board, clock):
    board.fault = NotAllowedError("not yours")
    clock.time += TOLD_EVERY
    teller.listen()
    board.fault = None
    teller.end("done", "")
    assert len(board.posted) == 1


class TestDriver:
    @pytest.fixture
    def crop(self, settings):
        def ask(plate, **given):
            more = {name: given.pop(name) for name in ("progress", "again") if name in given}
            params = Params(**{"crop_size": "16px", **given})
            return run_task("crop_cells", plate.uri, params, settings=settings, **more)

        return ask

    @pytest.fixture
    def note(self):
        def only(plate):
            (found,) = plate.store.run_notes(plate.store.refs()[0])
            return found

        return only

    def test_a_plate_tells_of_a_run_that_is_done(self, memory, crop, note):
        plate = memory(4)
        outcome = crop(plate)
        told = note(plate)
        assert (told.run_id, told.status, told.done, told.total) == (outcome.run_id, "done", 4, 4)
        assert told.result == "12 cells"

    def test_and_of_one_with_gaps(self, memory, crop, note):
        plate = memory(30)
        plate.break_field(2)
        crop(plate)
        told = note(plate)
        assert (told.status, told.done, told.failed) == ("partial", 29, 1)

    def test_and_of_one_that_failed(self, memory, crop, note):
        plate, full = memory(4), WriteError("the disk is full")

        def fail(stage, done, _):
            if stage == "cropping fields" and done == 2:
                raise full

        with pytest.raises(WriteError):
            crop(plate, progress=fail)
        told = note(plate)
        assert (told.status, told.done, told.result) == ("failed", 2, "the disk is full")
        assert crop(plate).how == "resumed"
        assert note(plate).status == "done"

    def test_of_one_that_could_not_be_planned_nothing_is_told(self, memory, crop):
        plate = memory(4)
        with pytest.raises(ChannelNotFoundError):
            crop(plate, channels=("GFP",))
        assert plate.store.run_notes(plate.store.refs()[0]) == ()

    def test_undo_takes_the_note_along(self, memory, crop, settings):
        plate = memory(2)
        undo_run(crop(plate).run_id, settings=settings)
        assert plate.store.run_notes(plate.store.refs()[0]) == ()

    def test_undo_takes_the_note_of_a_run_that_had_written_nothing(self, memory, crop, settings):
        plate = memory(4)

        def stop(stage, *_):
            if stage == "cropping fields":
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt, match="0 of 4 fields"):
            crop(plate, progress=stop)
        ((run_id, status),) = [
            (note.run_id, note.status) for note in plate.store.run_notes(plate.store.refs()[0])
        ]
        assert status == "cancelled"
        assert undo_run(run_id, settings=settings).notes == ("It had written nothing yet.",)
        assert plate.store.run_notes(plate.store.refs()[0]) == ()

    def test_whoever_is_asked_to_stop_keeps_what_is_done_and_goes_on_later(
        self, memory, crop, note, ledger, monkeypatch
    ):
        monkeypatch.setattr(run_board, "LOOKED_EVERY", 0.02)
        plate = memory(12)

        def ask(stage, done, _):
            if stage == "cropping fields" and done == 3:
                plate.store.ask_to_stop(note(plate).run_id, "ada")
            if stage == "cropping fields" and done > 3:
                time.sleep(0.05)

        with pytest.raises(CancelledError, match=r"cancelled by ada: \d+ of 12 fields are done"):
            crop(plate, progress=ask)
        told, (record,) = note(plate), ledger.runs()
        assert (told.status, record.status) == ("cancelled", "cancelled")
        assert "by ada" in told.result
        assert 3 <= told.done < 12
        assert crop(plate).how == "resumed"
        assert note(plate).done == 12

    def test_a_unit_that_takes_long_is_interrupted(self, memory, crop, note, monkeypatch):
        monkeypatch.setattr(run_board, "LOOKED_EVERY", 0.02)
        monkeypatch.setattr(run_board, "_PATIENCE", 0.1)
        plate, ended = memory(4), []

        def hang(stage, done, _):
            if stage == "cropping fields" and done == 2:
                plate.store.ask_to_stop(note(plate).run_id, "ada")
                time.sleep(60)
                ended.append("slept")

        with pytest.raises(CancelledError, match="by ada: 2 of 4"):
            crop(plate, progress=hang)
        assert ended == []

    def test_a_run_beside_the_main_thread_interrupts_nobody(self, memory, crop, monkeypatch):
        monkeypatch.setattr(run_board, "LOOKED_EVERY", 0.2)
        monkeypatch.setattr(run_board, "_PATIENCE", 0.0)
        monkeypatch.setattr(signal, "pthread_kill", lambda *_: pytest.fail("interrupted"))
        plate, caught = memory(4), []

        def run():
            def ask(stage, done, _):
                if stage == "cropping fields" and done == 1:
                    ref = plate.store.refs()[0]
                    plate.store.ask_to_stop(plate.store.run_notes(ref)[0].run_id, "ada")
                    time.sleep(1)

            try:
                crop(plate, progress=ask)
            except CancelledError as error:
                caught.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join(60)
        assert len(caught) == 1

    def test_two_runs_at_once_on_one_plate_are_told_apart(self, memory, crop):
        plate, inner = memory(4), []

        def start_another(stage, done, _):
            if stage == "cropping fields" and done == 2:
                inner.append(crop(plate, seed=1))

        outer = crop(plate, progress=start_another)
        notes = plate.store.run_notes(plate.store.refs()[0])
        assert {note.run_id for note in notes} == {outer.run_id, inner[0].run_id}
        assert {note.status for note in notes} == {"done"}

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from omero_hcs.errors import HcsError, RunBusyError, WriteError
from omero_hcs.jobs.hold import held
from omero_hcs.jobs.ledger import Ledger
from omero_hcs.jobs.local import LocalEngine
from omero_hcs.results import ResultFile, Table
from omero_hcs.tasks.crop_cells import Params
from omero_hcs.tasks.driver import run_task

MANY, UNSAMPLED = 30, 2
"""More fields than the survey looks at, and one that it does not look at."""


@pytest.fixture
def crop(settings):
    """Ask for the crops of a plate in memory."""

    def ask(memory, *, again=False, progress=lambda *_: None, **options):
        params = Params(**{"crop_size": "16px", **options})
        return run_task(
            "crop_cells", memory.uri, params, settings=settings, again=again, progress=progress
        )

    return ask


def worked(progress_calls):
    """(done at the start, all) of the work on units, from the calls of a progress bar."""
    steps = [(done, total) for stage, done, total in progress_calls if stage == "cropping fields"]
    return steps[0]


def runs_of(memory):
    return [manifest["run_id"] for manifest in memory.store.runs(memory.store.refs()[0])]


def cells_of(memory, run_id):
    return Table.from_parquet(memory.store.fetch(run_id, "cells.parquet"))


def edit(memory, run_id):
    """Do to a run's results what a user may do."""
    kept = memory.store.results[run_id, None]
    note = ResultFile("run.json", "application/json", b"my notes")
    memory.store.results[run_id, None] = replace(kept, files=(note,))


class TestNew:
    def test_every_field_is_worked_off_and_the_results_are_in_the_store(self, memory, crop):
        plate = memory(4)
        outcome = crop(plate)
        assert (outcome.how, outcome.status, outcome.failed) == ("new", "done", ())
        assert runs_of(plate) == [outcome.run_id]
        assert len(cells_of(plate, outcome.run_id)) == 4 * 3
        assert outcome.summary["cells"] == 12
        assert outcome.places

    def test_the_log_has_the_run_in_every_line(self, memory, crop, settings):
        outcome = crop(memory(2))
        lines = (settings.state_dir / "logs" / f"{outcome.run_id}.jsonl").read_text().splitlines()
        assert len(lines) == 2
        assert all(f'"run": "{outcome.run_id}"' in line for line in lines)

    def test_other_parameters_are_another_run_and_stand_beside_the_first(self, memory, crop):
        plate = memory(2)
        first, second = crop(plate), crop(plate, seed=1)
        assert second.how == "new"
        assert runs_of(plate) == [first.run_id, second.run_id]


class TestAnswered:
    def test_the_same_request_is_answered_from_the_record(self, memory, crop):
        plate, calls = memory(2), []
        first = crop(plate)
        second = crop(plate, progress=lambda *call: calls.append(call))
        assert (second.how, second.run_id, second.status) == ("answered", first.run_id, "done")
        assert second.summary == first.summary
        assert second.places == first.places
        assert calls == []

    def test_again_makes_a_new_run_that_replaces_the_old_results_only(self, memory, crop, ledger):
        plate = memory(2)
        first, other = crop(plate), crop(plate, seed=1)
        second = crop(plate, again=True)
        assert second.how == "new"
        assert runs_of(plate) == [other.run_id, second.run_id]
        assert ledger.run(first.run_id).status == "undone"
        assert crop(plate).run_id == second.run_id

    def test_what_a_user_changed_in_the_old_results_is_kept_and_told(self, memory, crop):
        plate = memory(2)
        first = crop(plate)
        edit(plate, first.run_id)
        second = crop(plate, again=True)
        assert len(second.kept) == 1
        assert first.run_id in second.kept[0]
        assert any("changed by hand" in text for text in second.summary["warnings"])
        assert plate.store.results[first.run_id, None].files[0].content == b"my notes"

    def test_results_that_are_gone_from_the_disk_are_made_anew(self, tmp_path, write_plate, crop):
        class Disk:
            uri = str(write_plate(tmp_path / "small.zarr", 2))

        first = crop(Disk)
        assert crop(Disk).how == "answered"
        (tmp_path / "small.hcs" / "runs" / first.run_id / "cells.parquet").unlink()
        second = crop(Disk)
        assert (second.how, second.status) == ("new", "done")
        assert crop(Disk).run_id == second.run_id


class TestOneBadField:
    def test_it_is_tried_three_times_and_the_run_goes_on_without_it(self, memory, crop, ledger):
        plate = memory(MANY)
        plate.break_field(UNSAMPLED)
        outcome = crop(plate)
        assert (outcome.status, outcome.summary["fields failed"]) == ("partial", 1)
        ((unit, reason),) = outcome.failed
        assert "A03" in unit
        assert "i002" in reason
        attempts = [record.attempts for record in ledger.units(outcome.run_id)]
        assert attempts == [3 if number == UNSAMPLED else 1 for number in range(MANY)]
        assert len(cells_of(plate, outcome.run_id)) == (MANY - 1) * 3

    def test_once_it_is_mended_the_same_request_does_only_that_field(self, memory, crop, ledger):
        plate, calls = memory(MANY), []
        plate.break_field(UNSAMPLED)
        partial = crop(plate)
        before = {record.unit.id: record.attempts for record in ledger.units(partial.run_id)}
        plate.mend_field(UNSAMPLED)
        whole = crop(plate, progress=lambda *call: calls.append(call))
        assert (whole.how, whole.status, whole.run_id) == ("resumed", "done", partial.run_id)
        assert worked(calls) == (MANY - 1, MANY)
        after = {record.unit.id: record.attempts for record in ledger.units(whole.run_id)}
        assert {unit for unit in after if after[unit] != before[unit]} == {partial.failed[0][0]}
        cells = cells_of(plate, whole.run_id)
        assert len(cells) == MANY * 3
        assert cells["well"].tolist() == sorted(cells["well"].tolist())

    def test_what_a_user_changed_in_between_is_kept_and_told(self, memory, crop):
        plate = memory(MANY)
        plate.break_field(UNSAMPLED)
        partial = crop(plate)
        edit(plate, partial.run_id)
        plate.mend_field(UNSAMPLED)
        whole = crop(plate)
        assert len(whole.kept) == 1
        assert any(whole.kept[0] in text for text in whole.summary["warnings"])
        assert crop(plate).summary["warnings"] == whole.summary["warnings"]

    def test_a_run_with_gaps_does_not_replace_a_whole_one(self, memory, crop, ledger):
        plate = memory(MANY)
        whole = crop(plate)
        plate.break_field(UNSAMPLED)
        partial = crop(plate, again=True)
        assert partial.status == "partial"
        assert runs_of(plate) == [whole.run_id, partial.run_id]
        plate.mend_field(UNSAMPLED)
        resumed = crop(plate)
        assert (resumed.how, resumed.run_id) == ("resumed", partial.run_id)
        assert runs_of(plate) == [partial.run_id]
        assert ledger.run(whole.run_id).status == "undone"


class TestInterrupted:
    def stop_after(self, count):
        def progress(stage, done, total):
            if stage == "cropping fields" and done == count:
                raise KeyboardInterrupt

        return progress

    def test_a_run_that_was_stopped_goes_on_where_it_was(self, memory, crop, ledger):
        plate, calls = memory(6), []
        with pytest.raises(KeyboardInterrupt):
            crop(plate, progress=self.stop_after(4))
        (record,) = ledger.runs()
        assert record.status == "cancelled"
        assert record.message.endswith("was cancelled: 4 of 6 fields are done and kept.")
        outcome = crop(plate, progress=lambda *call: calls.append(call))
        assert (outcome.how, outcome.run_id) == ("resumed", record.spec.run_id)
        assert worked(calls) == (4, 6)
        assert {unit.attempts for unit in ledger.units(outcome.run_id)} == {1}

    def test_an_again_that_was_stopped_replaces_the_old_run_when_it_is_resumed(self, memory, crop):
        plate = memory(6)
        crop(plate)
        with pytest.raises(KeyboardInterrupt):
            crop(plate, again=True, progress=self.stop_after(2))
        outcome = crop(plate)
        assert outcome.how == "resumed"
        assert runs_of(plate) == [outcome.run_id]

    def test_units_that_an_engine_never_gave_back_are_not_taken_for_done(
        self, memory, crop, monkeypatch
    ):
        plate, whole = memory(4), LocalEngine.run
        with monkeypatch.context() as patch:
            patch.setattr(
                LocalEngine, "run", lambda self, spec, units: whole(self, spec, units[:1])
            )
            outcome = crop(plate)
        assert outcome.status == "partial"
        assert [reason for _, reason in outcome.failed] == ["never finished"]
        assert crop(plate).status == "done"


class TestFailed:
    def test_a_run_of_which_nothing_could_be_done_says_why_and_can_be_resumed(
        self, memory, crop, ledger
    ):
        plate = memory(2)
        pixels = dict(plate.store._memory.pixels)

        def break_all(stage, *_):
            if stage == "cropping fields":
                plate.store._memory.pixels.clear()

        with pytest.raises(HcsError, match=r"Every one of 2 units failed.*no pixels"):
            crop(plate, progress=break_all)
        assert ledger.runs()[0].status == "failed"
        assert "Every one" in ledger.runs()[0].message
        plate.store._memory.pixels.update(pixels)
        assert (crop(plate).how, crop(plate).how) == ("resumed", "answered")

    def test_a_full_ledger_does_not_hide_why_the_run_failed(self, memory, crop, monkeypatch):
        def full(*_, **__):
            msg = "the ledger's disk is full"
            raise WriteError(msg)

        monkeypatch.setattr(Ledger, "end", full)
        monkeypatch.setattr(LocalEngine, "run", lambda *_: (_ for _ in ()).throw(HcsError("why")))
        with pytest.raises(HcsError, match="why"):
            crop(memory(2))


def test_a_request_that_another_process_works_on_is_refused(memory, crop, ledger, settings):
    plate = memory(2)
    key = ledger.run(crop(plate).run_id).spec.key
    with held(settings.state_dir, key, what="it"):
        assert crop(plate).how == "answered"  # a record can be read meanwhile
        with pytest.raises(RunBusyError, match="another process"):
            crop(plate, again=True)
        assert crop(plate, seed=1).how == "new"


def test_the_same_plate_is_the_same_run_from_every_folder(tmp_path, write_plate, crop, monkeypatch):
    class Disk:
        uri = str(write_plate(tmp_path / "small.zarr", 2))

    first = crop(Disk)
    monkeypatch.chdir(tmp_path)
    Disk.uri = "small.zarr"
    assert (crop(Disk).how, crop(Disk).run_id) == ("answered", first.run_id)


def test_crops_are_the_pixels_of_the_plate(memory, crop):
    plate = memory(1)
    outcome = crop(plate)
    ((_, kept),) = [item for item in plate.store.results.items() if item[0][1] is not None]
    crops, cells = kept.tables["crops"], cells_of(plate, outcome.run_id)
    np.testing.assert_array_equal(crops["cell"], cells["cell"])
    assert crops["pixels"].shape == (3, 16 * 16)
    assert crops["pixels"].max() > 4000

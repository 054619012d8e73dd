"""A dry run tells what a run would do, and leaves nothing behind."""

from __future__ import annotations

import pytest

from omero_hcs.errors import InputError, InputErrors
from omero_hcs.model import ObjectRef
from omero_hcs.results import UnitResult
from omero_hcs.stores.memory import MemoryStore
from omero_hcs.tasks import crop_cells
from omero_hcs.tasks.crop_cells import Params
from omero_hcs.tasks.driver import run_task
from omero_hcs.tasks.dry_run import dry_run
from omero_hcs.tasks.estimate import SAMPLE

FAULT = "You (ada) may not annotate 6 wells, such as Well 7 'A01'."


@pytest.fixture
def rehearse(settings):
    def ask(uri, **options):
        params = Params(**{"crop_size": "16px", **options})
        return dry_run("crop_cells", str(uri), params, settings=settings)

    return ask


def files_of(folder):
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_objects_counts_and_what_was_found_out_are_told(memory, rehearse):
    plate = memory(6)
    told = rehearse(plate.uri)
    assert told.objects == (
        {"kind": "plate", "id": "small", "name": "small", "wells": 6, "images": 6},
    )
    assert told.reads == {"fields": 6, "planes": "0", "time points": 1, "units": 6}
    assert told.found["channels"] == "DNA"
    assert told.found["crop"].startswith("16 px")
    assert (told.state, told.faults, told.failed) == ("new", (), ())


def test_the_time_is_estimated_by_two_fields(memory, rehearse, monkeypatch):
    """Every field takes ten seconds, so six of them take a minute."""
    plate = memory(6)

    def work(store, spec, units):
        assert len(units) == SAMPLE
        for unit in units:
            yield UnitResult(unit.id, "done", seconds=10.0)

    monkeypatch.setattr(crop_cells, "work", work)
    told = rehearse(plate.uri)
    assert told.sampled == SAMPLE
    assert told.seconds == pytest.approx(60.0)


def test_nothing_is_written_anywhere(tmp_path, write_plate, rehearse, settings):
    plate = write_plate(tmp_path / "small.zarr", 3)
    before = files_of(tmp_path)
    told = rehearse(plate, save_masks=True)
    assert files_of(tmp_path) == before
    assert not settings.state_dir.exists()
    assert told.where == str(plate)
    assert told.writes["label images"] == "masks of nuclei: 3, one a field"


def test_what_may_not_be_annotated_is_told_with_the_rest(memory, rehearse, monkeypatch):
    plate = memory(3)
    monkeypatch.setattr(MemoryStore, "write_faults", lambda *_: (FAULT,))
    told = rehearse(plate.uri)
    assert told.faults == (FAULT,)
    assert told.reads["fields"] == 3


def test_so_it_is_where_the_run_could_not_be_planned(memory, rehearse, monkeypatch):
    plate = memory(3)
    with pytest.raises(InputError, match="Crop size"):
        rehearse(plate.uri, crop_size="large")
    monkeypatch.setattr(MemoryStore, "write_faults", lambda *_: (FAULT,))
    with pytest.raises(InputErrors) as caught:
        rehearse(plate.uri, crop_size="large")
    assert caught.value.faults[0] == FAULT
    assert "Crop size" in caught.value.faults[1]


def test_a_field_of_the_sample_that_cannot_be_read_is_told(memory, rehearse):
    """Of thirty fields the two of the sample are at a quarter and three quarters."""
    plate = memory(30)
    for number in (7, 22):
        plate.break_field(number)
    told = rehearse(plate.uri)
    assert told.seconds is None
    assert [reason.split()[1] for _, reason in told.failed] == ["i007", "i022"]


class TestKnownRequest:
    def test_one_that_was_answered_would_be_answered_again(self, memory, rehearse, settings):
        plate, params = memory(3), Params(crop_size="16px")
        run = run_task("crop_cells", plate.uri, params, settings=settings)
        assert rehearse(plate.uri).state == f"answered from the record of run {run.run_id}"
        assert rehearse(plate.uri, seed=1).state == "new"
        plate.store.undo(run.run_id)
        assert rehearse(plate.uri).state == "new"

    def test_one_that_was_interrupted_would_be_resumed(self, memory, rehearse, settings, ledger):
        plate, params = memory(6), Params(crop_size="16px")

        def stop(stage, done, total):
            if stage == "cropping fields" and done == 4:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run_task("crop_cells", plate.uri, params, settings=settings, progress=stop)
        (record,) = ledger.runs()
        told = rehearse(plate.uri).state
        assert told == f"resumes run {record.spec.run_id}, of which 4 of 6 units are done"
        assert {unit.attempts for unit in ledger.units(record.spec.run_id)} == {0, 1}


def test_each_plate_of_several_is_told(memory, rehearse, monkeypatch):
    plate, ref = memory(3), ObjectRef(kind="plate", id="small")
    monkeypatch.setattr(MemoryStore, "refs", lambda _: (ref, ref))
    told = rehearse(plate.uri)
    assert len(told.objects) == 2
    assert "one of each for each of 2 objects" in told.writes["tables"]

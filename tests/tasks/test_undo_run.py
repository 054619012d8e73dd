from __future__ import annotations

import pytest

from omero_hcs.errors import PlateNotFoundError, RunBusyError, RunNotFoundError
from omero_hcs.jobs.hold import held
from omero_hcs.settings import Settings
from omero_hcs.tasks.crop_cells import Params
from omero_hcs.tasks.driver import run_task
from omero_hcs.tasks.undo_run import undo_run


def files_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def plate(tmp_path, write_plate):
    return write_plate(tmp_path / "plates" / "small.zarr", 2)


@pytest.fixture
def crop(plate, settings):
    def ask(**options):
        params = Params(crop_size="16px", save_masks=True, **options)
        return run_task("crop_cells", plate, params, settings=settings)

    return ask


def test_the_ledger_knows_the_plate_and_all_that_the_run_wrote_goes(plate, crop, settings, ledger):
    before = files_of(plate.parent)
    run = crop()
    assert files_of(plate.parent) != before
    report = undo_run(run.run_id, settings=settings)
    assert report.counts["table"]
    assert report.kept == ()
    assert files_of(plate.parent) == before
    assert ledger.run(run.run_id).status == "undone"


def test_other_runs_stay(plate, crop, settings):
    first = crop()
    before = files_of(plate.parent)
    undo_run(crop(seed=1).run_id, settings=settings)
    assert files_of(plate.parent) == before
    assert crop().run_id == first.run_id


def test_what_a_user_changed_stays_and_is_told(plate, crop, settings):
    run = crop()
    note = plate.with_name("small.hcs") / "runs" / run.run_id / "run.json"
    note.write_text("my notes")
    report = undo_run(run.run_id, settings=settings)
    assert report.kept == (str(note),)
    assert note.read_text() == "my notes"


def test_undoing_twice_says_that_there_is_nothing_left(crop, settings):
    run = crop()
    undo_run(run.run_id, settings=settings)
    with pytest.raises(RunNotFoundError, match=run.run_id):
        undo_run(run.run_id, settings=settings)


def test_the_same_request_afterwards_is_a_new_run(crop, settings):
    run = crop()
    undo_run(run.run_id, settings=settings)
    again = crop()
    assert (again.how, again.status) == ("new", "done")
    assert again.run_id != run.run_id


def test_a_run_that_another_installation_made_is_undone_where_the_plate_is_named(
    plate, crop, tmp_path
):
    run = crop()
    other = Settings(state_dir=tmp_path / "other", models_dir=tmp_path)
    with pytest.raises(RunNotFoundError, match="no run"):
        undo_run(run.run_id, settings=other)
    assert undo_run(run.run_id, where=plate, settings=other).counts
    with pytest.raises(RunNotFoundError):
        undo_run("no such run", where=plate, settings=other)


def test_a_plate_that_was_moved_can_be_named(plate, crop, settings, ledger):
    run = crop()
    moved = plate.parent.rename(plate.parent.with_name("moved")) / plate.name
    with pytest.raises(PlateNotFoundError, match="no such folder"):
        undo_run(run.run_id, settings=settings)
    assert undo_run(run.run_id, where=moved, settings=settings).counts
    assert ledger.run(run.run_id).status == "undone"


def test_a_run_that_is_being_worked_on_is_not_undone(plate, crop, settings, ledger):
    run = crop()
    before = files_of(plate.parent)
    key = ledger.run(run.run_id).spec.key
    with held(settings.state_dir, key, what="it"), pytest.raises(RunBusyError, match=run.run_id):
        undo_run(run.run_id, settings=settings)
    assert files_of(plate.parent) == before

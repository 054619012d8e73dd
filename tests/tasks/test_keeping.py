"""Results that a store would refuse are told before a run; results that are gone are made anew."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from omero_hcs.errors import NotAllowedError, ServerLostError
from omero_hcs.settings import Settings
from omero_hcs.stores.memory import MemoryStore
from omero_hcs.tasks.crop_cells import Params
from omero_hcs.tasks.driver import run_task
from omero_hcs.tasks.keeping import writes_to_store
from omero_hcs.tasks.undo_run import undo_run


@pytest.fixture
def crop(settings):
    def ask(uri, **more):
        params = Params(crop_size="16px")
        return run_task("crop_cells", uri, params, settings=settings, **more)

    return ask


@pytest.fixture
def elsewhere(tmp_path):
    """Settings of another installation, whose ledger knows nothing of these runs."""
    return Settings(state_dir=tmp_path / "elsewhere", models_dir=tmp_path / "models")


def refuse(monkeypatch, *faults):
    monkeypatch.setattr(MemoryStore, "write_faults", lambda *_: faults)


class TestRefused:
    def test_every_fault_is_told_before_a_pixel_is_read(self, memory, crop, ledger, monkeypatch):
        plate = memory(2)
        refuse(monkeypatch, "The wells are Bob's.", "The images are Eve's.")
        monkeypatch.setattr(MemoryStore, "read", lambda *_, **__: pytest.fail("a pixel was read"))
        with pytest.raises(NotAllowedError) as caught:
            crop(plate.uri)
        assert "not started" in str(caught.value)
        assert "  - The wells are Bob's.\n  - The images are Eve's." in str(caught.value)
        assert ledger.runs() == []

    def test_a_right_that_was_lost_since_stops_a_resumed_run_too(
        self, memory, crop, ledger, monkeypatch
    ):
        plate = memory(2)

        def stop(stage, *_):
            if stage == "cropping fields":
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            crop(plate.uri, progress=stop)
        with monkeypatch.context() as patch:
            refuse(patch, "The plate is Bob's now.")
            with pytest.raises(NotAllowedError, match="Bob's now"):
                crop(plate.uri)
        assert ledger.runs()[0].status == "cancelled"
        assert crop(plate.uri).how == "resumed"

    def test_what_is_answered_from_the_record_needs_no_right(self, memory, crop, monkeypatch):
        plate = memory(2)
        crop(plate.uri)
        refuse(monkeypatch, "The plate is Bob's now.")
        assert crop(plate.uri).how == "answered"

    def test_training_writes_to_the_store_only_where_the_model_is_uploaded(self):
        assert writes_to_store("crop_cells", Params())
        assert not writes_to_store("train_qc", Params())
        assert writes_to_store("train_qc", SimpleNamespace(upload=True))


class TestGone:
    def test_a_run_that_was_undone_from_elsewhere_is_made_anew(
        self, tmp_path, write_plate, crop, elsewhere
    ):
        plate = write_plate(tmp_path / "small.zarr", 2)
        first = crop(str(plate))
        undo_run(first.run_id, where=plate, settings=elsewhere)
        second = crop(str(plate))
        assert (second.how, second.status) == ("new", "done")
        assert second.run_id != first.run_id
        assert crop(str(plate)).run_id == second.run_id

    def test_so_is_one_whose_store_tells_places_that_no_disk_has(self, memory, crop):
        plate = memory(2)
        first = crop(plate.uri)
        plate.store.undo(first.run_id)
        assert (crop(plate.uri).how, crop(plate.uri).how) == ("new", "answered")


class TestLostServer:
    def lose(self, monkeypatch, method, *, after):
        """Make the store lose its server once, at a later call of a method."""
        whole, calls = getattr(MemoryStore, method), []

        def lost(*arguments, **named):
            calls.append(method)
            if len(calls) == after:
                msg = "lab:4064 does not answer. Start the same command again."
                raise ServerLostError(msg)
            return whole(*arguments, **named)

        monkeypatch.setattr(MemoryStore, method, lost)

    @pytest.mark.parametrize(("method", "after"), [("write", 3), ("read", 10)])
    def test_what_is_done_is_kept_and_the_same_request_goes_on(
        self, memory, crop, ledger, monkeypatch, method, after
    ):
        """Six fields are looked at before the run, one read each; then they are worked off."""
        plate = memory(6)
        self.lose(monkeypatch, method, after=after)
        with pytest.raises(ServerLostError, match="does not answer"):
            crop(plate.uri)
        (record,) = ledger.runs()
        assert record.status == "failed"
        done = [unit.unit.id for unit in ledger.units(record.spec.run_id) if unit.status == "done"]
        assert 0 < len(done) < 6
        outcome = crop(plate.uri)
        assert (outcome.how, outcome.status) == ("resumed", "done")
        assert outcome.run_id == record.spec.run_id
        assert {unit.attempts for unit in ledger.units(outcome.run_id)} == {1}

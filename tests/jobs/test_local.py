from __future__ import annotations

from omero_hcs.jobs.local import LocalEngine
from omero_hcs.model import StoreSpec
from omero_hcs.stores.memory import MemoryStore


class TestLocalEngine:
    def test_it_works_every_unit_off_in_order(self, run):
        results = list(LocalEngine().run(run.spec, run.units))
        assert [result.unit for result in results] == [unit.id for unit in run.units]
        assert {result.status for result in results} == {"done"}

    def test_a_cancelled_run_stops_after_the_unit_at_hand(self, run):
        engine, seen = LocalEngine(), []
        for result in engine.run(run.spec, run.units):
            seen.append(result.unit)
            if len(seen) == 2:
                engine.cancel(run.spec.run_id)
        assert seen == [unit.id for unit in run.units[:2]]
        assert run.parts() == seen

    def test_cancelling_another_run_stops_nothing(self, run):
        engine = LocalEngine()
        engine.cancel("another run")
        assert len(list(engine.run(run.spec, run.units))) == len(run.units)

    def test_a_run_that_was_cancelled_can_be_started_again(self, run):
        engine = LocalEngine()
        engine.cancel(run.spec.run_id)
        assert len(list(engine.run(run.spec, run.units))) == len(run.units)

    def test_closing_it_stops_the_work_and_closes_the_store(self, run, monkeypatch):
        closed = []
        monkeypatch.setattr(MemoryStore, "close", lambda self: closed.append(self.spec))
        results = LocalEngine().run(run.spec, run.units)
        next(results)
        results.close()
        assert run.parts() == [run.units[0].id]
        assert closed == [StoreSpec(uri=run.spec.store.uri)]

"""How long a run would take, and whether it starts without a GPU."""

from __future__ import annotations

from dataclasses import replace

import pytest

from omero_hcs.errors import InputError
from omero_hcs.model import duration
from omero_hcs.results import UnitResult
from omero_hcs.tasks import crop_cells
from omero_hcs.tasks.driver import run_task
from omero_hcs.tasks.estimate import FEW, SAMPLE, sampled, without_gpu

PARAMS = crop_cells.Params(crop_size="16px", crops="none")
MINUTES_A_FIELD = 5


@pytest.fixture
def slow(monkeypatch):
    """Have fields say that they took minutes; the value lists those that were worked off."""
    seen = []
    work = crop_cells.work

    def slowly(store, spec, units):
        for result in work(store, spec, units):
            seen.append(result.unit)
            yield replace(result, seconds=60.0 * MINUTES_A_FIELD)

    monkeypatch.setattr(crop_cells, "work", slowly)
    return seen


def test_a_run_that_is_too_long_without_a_gpu_stops_before_anything_is_written(
    memory, settings, ledger, slow
):
    plate = memory(FEW + 4)
    with pytest.raises(InputError) as caught:
        run_task("crop_cells", plate.uri, PARAMS, settings=settings, guard=without_gpu(30))
    assert str(caught.value) == (
        "This would take about 60 min for 12 fields on this processor, which has no GPU; 30 min "
        "are allowed without one. Nothing was written. Select fewer wells or images, ask for a "
        "processor with a GPU, or ask whoever runs OMERO to raise cpu_limit_minutes in "
        "/etc/omero-hcs.toml."
    )
    assert len(slow) == SAMPLE
    assert ledger.runs() == []
    assert plate.store.runs(plate.store.refs()[0]) == ()


def test_a_run_within_the_limit_goes_on(memory, settings, slow):
    guard = without_gpu(MINUTES_A_FIELD * (FEW + 4) + 1)
    plate = memory(FEW + 4)
    outcome = run_task("crop_cells", plate.uri, PARAMS, settings=settings, guard=guard)
    assert outcome.status == "done"
    assert len(slow) == SAMPLE + FEW + 4


def test_of_few_fields_no_sample_is_taken(memory, settings, slow):
    plate = memory(FEW)
    run_task("crop_cells", plate.uri, PARAMS, settings=settings, guard=without_gpu(30))
    assert len(slow) == FEW


def test_nothing_is_reckoned_from_fields_that_all_fail():
    class Failing:
        @staticmethod
        def work(_store, _spec, units):
            return (UnitResult(unit, "failed", "broken") for unit in units)

    assert sampled(Failing, None, None, ["a", "b", "c"]).seconds is None
    assert sampled(Failing, None, None, []).results == ()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (89, "89 s"), (150, "2 min"), (5300, "88 min"), (7200, "2.0 h")],
)
def test_times_are_told_in_few_words(seconds, text):
    assert duration(seconds) == text

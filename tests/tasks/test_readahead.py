"""Reading ahead: the same results in the same order, bounded, and no thread left behind."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from types import SimpleNamespace

import numpy as np
import pytest

from omero_hcs.tasks.base import no_progress, sites_by_image, units_of
from omero_hcs.tasks.cells import CellFinder, FieldCells, FieldError
from omero_hcs.tasks.crop_cells import Params
from omero_hcs.tasks.readahead import read_ahead
from omero_hcs.tasks.survey import survey_plate


def reading_threads():
    return [one for one in threading.enumerate() if one.name.startswith("read-ahead")]


class Watched:
    """Reads numbers, some faster than others, and remembers how."""

    def __init__(self, broken=()):
        self.broken = set(broken)
        self.begun = []
        self.threads = set()
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    def read(self, number):
        with self.lock:
            self.begun.append(number)
            self.threads.add(threading.current_thread().name)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(0.002 * (3 - number % 4))
        with self.lock:
            self.at_once -= 1
        if number in self.broken:
            msg = f"number {number}"
            raise OSError(msg)
        return 10 * number


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_keep_the_order_of_the_items(threads):
    watched = Watched()
    read = [
        (item, result()) for item, result in read_ahead(watched.read, range(20), threads=threads)
    ]
    assert read == [(number, 10 * number) for number in range(20)]
    assert watched.most_at_once <= threads
    assert sorted(watched.begun) == list(range(20))


def test_one_reader_reads_in_the_thread_of_who_asks():
    watched = Watched()
    for item, result in read_ahead(watched.read, range(3), threads=1):
        assert watched.begun == list(range(item))
        result()
    assert watched.threads == {threading.current_thread().name}


def test_no_more_is_read_ahead_than_there_are_threads():
    watched = Watched()
    for item, result in read_ahead(watched.read, range(12), threads=3):
        result()
        time.sleep(0.02)  # slow work: the threads would have the time to read it all
        assert len(watched.begun) <= item + 1 + 3


def test_an_error_stays_with_its_item():
    outcomes = []
    for item, result in read_ahead(Watched(broken=[0, 4]).read, range(6), threads=2):
        try:
            outcomes.append(result())
        except OSError as error:
            outcomes.append((item, str(error)))
    assert outcomes == [(0, "number 0"), 10, 20, 30, (4, "number 4"), 50]


@pytest.mark.parametrize("how", ["to the end", "closed", "an error"])
def test_threads_end_with_the_iterator(how):
    ahead = read_ahead(Watched().read, range(40), threads=3)
    next(ahead)
    assert reading_threads()
    if how == "closed":
        ahead.close()
    elif how == "an error":
        with pytest.raises(ZeroDivisionError):
            ahead.throw(ZeroDivisionError())
    else:
        list(ahead)
    assert not reading_threads()


def test_nothing_is_read_of_nothing():
    assert list(read_ahead(Watched().read, [], threads=3)) == []


class _Store:
    """A store that says how many threads may read, and can fail."""

    def __init__(self, store, readers, broken=()):
        self._store, self.readers, self._broken = store, readers, set(broken)

    def __getattr__(self, name):
        return getattr(self._store, name)

    def read(self, image, **place):
        if image.id in self._broken:
            msg = f"{image.id} is broken"
            raise OSError(msg)
        return self._store.read(image, **place)


@pytest.fixture
def plate(memory):
    """A plate in memory, its units, and what a run knows of it before the first."""
    store = memory(7).store
    target = store.refs()[0]
    params = Params()
    pairs = list(units_of(target, store.plate(target.id), z="middle", t=0))
    survey = survey_plate(store, pairs, params, name="p", progress=no_progress)
    return SimpleNamespace(
        store=store, units=[unit for unit, _ in pairs], params=params, survey=survey
    )


def finder(plate, readers, broken=()):
    store = _Store(plate.store, readers, broken)
    sites = sites_by_image(store, store.refs())
    return CellFinder(store, plate.params, plate.survey, sites)


def test_cells_are_the_same_however_many_read(plate):
    alone = list(finder(plate, 1).fields(plate.units))
    together = list(finder(plate, 3).fields(plate.units))
    assert [field.unit for field in together] == plate.units
    for one, other in zip(alone, together, strict=True):
        assert one.table.to_csv() == other.table.to_csv()
        assert one.metrics == other.metrics
        np.testing.assert_array_equal(one.crops, other.crops)


@pytest.mark.parametrize("readers", [1, 3])
def test_a_field_that_cannot_be_read_keeps_its_place(plate, readers):
    found = list(finder(plate, readers, broken=["i000", "i003"]).fields(plate.units))
    kinds = [type(field) for field in found]
    assert kinds == [FieldError, FieldCells, FieldCells, FieldError, *[FieldCells] * 3]
    assert str(found[3].error) == "i003 is broken"


def test_fields_that_nobody_takes_leave_no_thread(plate):
    with closing(finder(plate, 3).fields(plate.units)) as fields:
        next(fields)
        assert reading_threads()
    assert not reading_threads()

"""The shipped fake: found by name in one process, and gone with its last store."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from omero_hcs.errors import DataError, InputError, PlateNotFoundError
from omero_hcs.model import StoreSpec
from omero_hcs.stores.memory import MemoryStore
from omero_hcs.stores.open import open_store


@pytest.fixture
def pixels(tiny_set):
    return {image.id: np.zeros((2, 2, 3, 32, 40), np.uint16) for image in tiny_set.images}


def test_it_is_found_again_by_its_name(tiny_set, pixels):
    store = MemoryStore.create("found again", tiny_set, pixels)
    again = open_store("memory:found again")
    assert again.images("tiny set") is store.images("tiny set")


def test_results_are_seen_by_all_stores_of_a_name(memory_home):
    again = open_store(memory_home.store.spec)
    again.write(memory_home.results("run1"))
    assert list(memory_home.store.results) == [("run1", None)]


def test_it_is_gone_with_its_last_store(tiny_set, pixels):
    store = MemoryStore.create("short", tiny_set, pixels)
    again = open_store(store.spec)
    del store
    assert open_store("memory:short").refs() == again.refs()
    del again
    with pytest.raises(PlateNotFoundError, match="no memory:short in this process"):
        open_store("memory:short")


def test_closing_it_does_not_lose_what_a_test_wants_to_see(memory_home):
    memory_home.store.write(memory_home.results("run1"))
    memory_home.store.close()
    assert memory_home.store.results["run1", None].task == "apply_qc"


def test_a_new_store_takes_the_name_and_leaves_the_old_one_its_data(tiny_set, pixels):
    old = MemoryStore.create("taken", tiny_set, pixels)
    new = MemoryStore.create("taken", replace(tiny_set, id="new"), pixels)
    assert old.refs()[0].id == "tiny set"
    assert open_store("memory:taken").refs() == new.refs()


def test_another_process_is_told_why_it_does_not_see_it(memory_home):
    uri = memory_home.store.spec.uri
    script = f"from omero_hcs.stores.open import open_store; open_store({uri!r})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert "PlateNotFoundError" in done.stderr
    assert "only by the process that made it" in done.stderr


def test_an_image_without_pixels_is_one_that_cannot_be_read(tiny_set, pixels):
    first = tiny_set.images[0]
    del pixels[first.id]
    store = MemoryStore.create("damaged", tiny_set, pixels)
    with pytest.raises(DataError, match=f"{first.name} of memory:damaged cannot be read"):
        store.read(first, channels=[0])


@pytest.mark.parametrize(
    "stack", [np.zeros((2, 2, 3, 40, 32), np.uint16), np.zeros((2, 2, 3, 32, 40), np.uint8)]
)
def test_pixels_that_do_not_fit_their_image_are_refused(tiny_set, pixels, stack):
    pixels[tiny_set.images[1].id] = stack
    with pytest.raises(InputError, match=rf"field 10\.tif are {stack.dtype} of shape"):
        MemoryStore.create("misfit", tiny_set, pixels)


def test_it_imports_nothing_heavy():
    script = (
        "import sys, omero_hcs.stores.memory; "
        "print({'pyarrow', 'pandas', 'scipy', 'zarr', 'tifffile', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_a_spec_of_another_kind_is_not_taken_for_memory():
    with pytest.raises(PlateNotFoundError):
        MemoryStore(StoreSpec(uri="memory:"))

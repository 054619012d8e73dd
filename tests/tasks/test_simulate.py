"""Simulated plates on disk: the same whatever made them, with their truth beside them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from omero_hcs.errors import WriteError
from omero_hcs.simulate.design import SimulationSettings
from omero_hcs.simulate.plate import simulate_site
from omero_hcs.stores.open import open_store
from omero_hcs.tasks.simulate import simulate
from omero_hcs.tasks.truth import read_truth

TINY = SimulationSettings(wells=6, fields=1, size_y=128, size_x=128, seed=3, z=2, t=2)


def pixels(path: Path) -> np.ndarray:
    with closing(open_store(path)) as store:
        plate = store.plate(store.refs()[0].id)
        return np.stack(
            [store.read(site.image, channels=[0, 1, 2], z=1, t=1) for site in plate.sites()]
        )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("simulated") / "one.zarr", TINY, workers=1)[0]


def test_two_processes_make_the_plate_that_one_makes(made, tmp_path):
    other = simulate(tmp_path / "two.zarr", TINY, workers=2)[0]
    np.testing.assert_array_equal(pixels(other.path), pixels(made.path))
    assert other.truth.read_text() == made.truth.read_text()


def test_what_is_read_back_is_what_was_simulated(made):
    field = simulate_site(TINY, 0, 4)
    with closing(open_store(made.path)) as store:
        image = next(iter(store.plate(store.refs()[0].id).wells[4].fields)).image
        np.testing.assert_array_equal(
            store.read(image, channels=[2, 0], z=1, t=1), field.pixels[1, [2, 0], 1]
        )
        labels = store.label_image(image, name="nuclei", t=1)
    np.testing.assert_array_equal(labels, field.labels[1])


def test_the_truth_lies_beside_the_plate(made):
    truth = read_truth(made.truth)
    assert made.truth.parent.name == "one.hcs"
    assert set(truth["t"]) == {0.0, 1.0}
    assert ((truth["severity"] == 0) == (truth["label"] == "normal")).all()


def test_several_plates_are_numbered(tmp_path):
    settings = TINY.model_copy(update={"plates": 2, "z": 1, "t": 1})
    names = [item.path.name for item in simulate(tmp_path / "p.zarr", settings, workers=1)]
    assert names == ["p-1.zarr", "p-2.zarr"]


def test_a_plate_that_is_there_is_kept_unless_told(made):
    before = pixels(made.path)
    with pytest.raises(WriteError, match=r"one\.zarr"):
        simulate(made.path, TINY.model_copy(update={"seed": 4}), workers=1)
    np.testing.assert_array_equal(pixels(made.path), before)

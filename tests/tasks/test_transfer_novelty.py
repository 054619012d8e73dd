"""Whether a target looks unlike what taught, by the good cells of both."""

import numpy as np

from omero_hcs.tasks.transfer_novelty import novelty_between
from tests.tasks.labelled_fixtures import make_labelled


def plate(name, *, wells=24, shift=0.0, bad=4.0):
    """Features of good cells by chance around `shift`, of bad ones farther off by `bad`."""
    labelled = make_labelled(name, wells=wells, each=8)
    rng = np.random.default_rng(sum(map(ord, name)))
    features = rng.normal(shift, 1.0, (len(labelled.numbers), 6))
    features[labelled.numbers == 1] += bad
    return labelled, features.astype(np.float32)


def test_a_sister_plate_is_no_warning_however_bad_its_bad_cells_are():
    found = novelty_between(plate("one"), plate("two", bad=40.0))
    assert found.count == 24
    assert not found.warns


def test_good_cells_that_look_otherwise_are():
    found = novelty_between(plate("one"), plate("two", shift=-6.0))
    assert found.warns
    assert found.beyond == 24


def test_few_wells_cannot_tell():
    assert novelty_between(plate("one", wells=3), plate("two")) is None

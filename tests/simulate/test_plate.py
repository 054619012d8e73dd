from __future__ import annotations

import pickle

import numpy as np
import pytest

from omero_hcs.errors import InputError
from omero_hcs.simulate.design import SimulationSettings, plan_plate
from omero_hcs.simulate.plate import simulate_plate, simulate_site

SMALL = SimulationSettings(wells=6, fields=1, size_y=128, size_x=128)


def test_fields_come_in_the_order_of_the_plate():
    sites = [site for site, _ in simulate_plate(SMALL)]
    assert sites == list(plan_plate(SMALL).sites())


def test_a_site_is_the_same_alone_and_after_a_trip_between_processes():
    settings = pickle.loads(pickle.dumps(SMALL))  # noqa: S301
    whole = [made for _, made in simulate_plate(SMALL)]
    alone = pickle.loads(pickle.dumps(simulate_site(settings, 0, 4)))  # noqa: S301
    np.testing.assert_array_equal(alone.pixels, whole[4].pixels)
    np.testing.assert_array_equal(alone.truth["severity"], whole[4].truth["severity"])


def test_a_site_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="no site 6; it has 6"):
        simulate_site(SMALL, 0, 6)

from __future__ import annotations

import numpy as np
import pytest

from omero_hcs.simulate.design import SimulationSettings, plan_plate, site_generator
from omero_hcs.simulate.optics import MARGIN, Optics, expose, site_optics, spread


def plain(size=96, **changes):
    values = {
        "psf": np.full(3, 0.9), "haze": np.zeros(3), "light": np.ones((3, size, size), np.float32),
        "background": np.zeros(3), "gain": 2.0, "offset": 100.0, "read": 0.0, "ceiling": 65535,
    }  # fmt: skip
    return Optics(**(values | changes))


@pytest.mark.parametrize("sigma", [0.5, 1.5, 3.0, 6.0])
def test_a_spot_is_spread_by_the_sigma_that_was_asked_for(sigma):
    rows = np.arange(96) - 48
    spot = np.exp(-(rows[:, None] ** 2 + rows**2) / (2 * 2.0**2))
    light = spread(np.stack([spot] * 3), plain(), sigma)[0]
    variance = (light.sum(1) * rows**2).sum() / light.sum()
    assert np.sqrt(variance) == pytest.approx(np.sqrt(sigma**2 + 0.9**2 + 2.0**2), rel=0.02)


def test_blur_keeps_the_light():
    scene = np.zeros((3, 96, 96), np.float32)
    scene[:, 40:50, 40:50] = 50
    for sigma in (0.0, 2.0, 6.0):
        assert spread(scene, plain(), sigma)[1].sum() == pytest.approx(5000, rel=0.01)


def test_a_map_of_one_sigma_is_as_that_sigma():
    scene = np.zeros((3, 96, 96), np.float32)
    scene[:, 40:50, 40:50] = 50
    even = spread(scene, plain(), 2.0)
    uneven = spread(scene, plain(), np.full((96, 96), 2.0))
    np.testing.assert_allclose(uneven, even, atol=1e-3)


def test_counts_follow_gain_offset_and_shot_noise():
    light = np.full((3, 200, 200), 400.0)
    counts = expose(light, plain(200), np.ones((3, 2)), np.random.default_rng(1))
    assert counts.dtype == np.uint16
    assert counts.mean() == pytest.approx(900, rel=0.01)
    assert counts.std() == pytest.approx(2 * 20, rel=0.05)


def test_the_camera_never_goes_past_its_ceiling_or_round_to_zero():
    light = np.full((3, 20, 20), 1e6)
    counts = expose(light, plain(20, ceiling=4095), np.ones((3, 2)), np.random.default_rng(1))
    assert set(counts.ravel().tolist()) == {4095}
    dark = expose(
        0 * light, plain(20, offset=0.0, read=5.0), np.ones((3, 2)), np.random.default_rng(1)
    )
    assert dark.max() < 100


def test_plates_differ_in_stain_and_edge_wells_are_dimmer():
    settings = SimulationSettings(wells=96, fields=1, plates=2, size_y=96, size_x=96)
    light = []
    for index in (0, 1):
        plate = plan_plate(settings, index)
        by_edge = {True: [], False: []}
        for site in plate.sites():
            optics = site_optics(settings, plate, site, site_generator(settings, plate, site))
            assert optics.light.shape == (3, 96 + 2 * MARGIN, 96 + 2 * MARGIN)
            by_edge[site.well.row in (0, 7)].append(optics.light[0].mean())
        assert np.mean(by_edge[True]) < np.mean(by_edge[False])
        light.append(np.mean(by_edge[False]))
    assert abs(np.log(light[0] / light[1])) > 0.01

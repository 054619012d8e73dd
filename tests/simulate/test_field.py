from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from omero_hcs.simulate.artefacts import plan_faults
from omero_hcs.simulate.design import SimulationSettings, plan_plate, site_generator
from omero_hcs.simulate.field import (
    FIELD_TRUTH_COLUMNS,
    TRUTH_COLUMNS,
    _with_saturation,
    simulate_field,
)
from omero_hcs.simulate.plate import simulate_plate
from omero_hcs.simulate.severity import ARTEFACTS, EMPTY, Fault, fault

SMALL = {"wells": 6, "fields": 1, "size_y": 192, "size_x": 224, "density": 70.0}


EVEN_SEED, TILTED_SEED = 3, 2


def make(number=0, trouble=None, **changes):
    settings = SimulationSettings(**(SMALL | {"artefact_fraction": 0.0} | changes))
    plate = plan_plate(settings)
    site = list(plate.sites())[number]
    faults = {site.image.id: trouble} if trouble else {}
    rng = site_generator(settings, plate, site)
    return simulate_field(settings, plate, site, rng, field_faults=faults)


def band_energy(plane):
    """Energy between 2 and 6 pixels, where blur takes it away and noise adds little."""
    plane = plane.astype(float)
    band = ndimage.gaussian_filter(plane, 1.5) - ndimage.gaussian_filter(plane, 4)
    return band.std() / plane.std()


def test_pixels_have_the_promised_shape_and_type():
    made = make(z=3, t=2)
    assert made.pixels.shape == (2, 3, 3, 192, 224)
    assert made.pixels.dtype == np.uint16
    assert made.labels.shape == (2, 192, 224)
    assert made.nuclei.dtype == np.int32


def test_the_same_field_comes_out_alone_and_in_any_order():
    settings = SimulationSettings(**SMALL)
    plate = plan_plate(settings)
    whole = {site.image.id: made for site, made in simulate_plate(settings)}
    for site in reversed(list(plate.sites())):
        alone = simulate_field(settings, plate, site, site_generator(settings, plate, site))
        np.testing.assert_array_equal(alone.pixels, whole[site.image.id].pixels)
        np.testing.assert_array_equal(alone.nuclei, whole[site.image.id].nuclei)
        for name in TRUTH_COLUMNS:
            np.testing.assert_array_equal(alone.truth[name], whole[site.image.id].truth[name])


def test_another_seed_or_plate_is_another_field():
    assert not np.array_equal(make(seed=1).pixels, make(seed=2).pixels)
    settings = SimulationSettings(**SMALL, plates=2)
    first, second = (next(simulate_plate(settings, index))[1] for index in (0, 1))
    assert not np.array_equal(first.pixels, second.pixels)


def test_truth_has_one_row_for_every_nucleus_at_its_place():
    made = make(artefact_fraction=0.6)
    assert tuple(made.truth.columns) == TRUTH_COLUMNS
    assert set(made.truth["cell"].tolist()) == set(np.unique(made.nuclei).tolist()) - {0}
    for row in made.truth.rows():
        ys, xs = np.nonzero(made.nuclei == row["cell"])
        assert row["y"] == pytest.approx(ys.mean())
        assert row["x"] == pytest.approx(xs.mean())
    assert set(made.truth["label"].tolist()) <= {"normal", *ARTEFACTS}
    normal = made.truth["label"] == "normal"
    assert np.all(made.truth["severity"][normal] == 0)
    assert np.all((made.truth["severity"] >= 0) & (made.truth["severity"] <= 1))


def test_truth_has_rows_for_every_plane_and_time_point():
    made = make(z=3, t=2)
    pairs = set(zip(made.truth["z"].tolist(), made.truth["t"].tolist(), strict=True))
    assert pairs == {(z, t) for z in range(3) for t in range(2)}


def test_nuclei_are_bright_in_the_first_channel():
    made = make()
    dna = made.pixels[0, 0, 0]
    assert len(made.truth) > 3
    assert np.median(dna[made.nuclei > 0]) > 5 * np.median(dna[made.nuclei == 0])


def test_a_clean_plate_is_all_normal():
    settings = SimulationSettings(**SMALL, artefact_fraction=0.0)
    plate = plan_plate(settings)
    assert plan_faults(settings, plate) == {}
    made = make()
    assert set(made.truth["label"].tolist()) == {"normal"}
    assert made.field_truth["label"].tolist() == ["normal"]
    assert tuple(made.field_truth.columns) == FIELD_TRUTH_COLUMNS


def test_blur_takes_away_more_detail_the_more_severe_it_is():
    # With this seed the whole field is out of focus; with others one side is.
    sharp = make(seed=EVEN_SEED)
    sharpness = [band_energy(sharp.pixels[0, 0, 0])]
    for severity in (0.0, 0.3, 0.6, 1.0):
        made = make(trouble=fault("out_of_focus", severity), seed=EVEN_SEED)
        assert set(made.truth["label"].tolist()) == {"out_of_focus"}
        sharpness.append(band_energy(made.pixels[0, 0, 0]))
    assert sharpness == sorted(sharpness, reverse=True)
    assert sharpness[1] > 0.93 * sharpness[0]
    assert sharpness[-1] < 0.6 * sharpness[0]


def test_a_tilted_field_is_sharp_on_one_side_and_truth_says_where():
    made = make(trouble=fault("out_of_focus", 1.0), seed=TILTED_SEED)
    labels = made.truth["label"].tolist()
    assert {"normal", "out_of_focus"} == set(labels)
    blurred = made.truth.where(made.truth["label"] == "out_of_focus")
    assert np.ptp(blurred["physical"]) > 1


def test_saturation_grows_to_most_of_the_nucleus_and_truth_is_what_the_pixels_say():
    shares = []
    for severity in (0.0, 0.5, 1.0):
        made = make(trouble=fault("saturation", severity))
        at_top = made.pixels[0, 0, 0] == 65535
        measured = [at_top[made.nuclei == cell].mean() for cell in made.truth["cell"]]
        saturated = made.truth["label"] == "saturation"
        np.testing.assert_allclose(
            made.truth["physical"][saturated], np.array(measured)[saturated], atol=1e-9
        )
        shares.append(float(np.quantile(measured, 0.8)))
    assert shares == sorted(shares)
    # Shot noise lifts a few more pixels to the ceiling than the light alone.
    assert 0.01 < shares[0] < 0.07
    assert shares[-1] == pytest.approx(0.6, abs=0.1)


def test_noise_grows_and_brightness_stays():
    noise, level = [], []
    for severity in (0.0, 0.5, 1.0):
        made = make(trouble=fault("noise", severity))
        plane = made.pixels[0, 0, 0].astype(float)
        inside = made.nuclei > 0
        noise.append(float(np.std((plane - ndimage.uniform_filter(plane, 3))[inside])))
        level.append(float(plane[inside].mean()))
    assert noise == sorted(noise)
    assert noise[-1] > 3 * noise[0]
    assert max(level) < 1.1 * min(level)


def test_an_empty_field_is_named_in_the_field_truth():
    made = make(trouble=Fault(EMPTY, 1.0, 0.0))
    assert made.field_truth["label"].tolist() == ["empty"]
    assert len(made.truth) == 0
    assert tuple(made.truth.columns) == TRUTH_COLUMNS
    assert made.nuclei.max() == 0


def test_the_middle_plane_of_a_stack_is_sharpest():
    made = make(z=5)
    sharpness = [band_energy(plane) for plane in made.pixels[0, 0]]
    assert int(np.argmax(sharpness)) == 2
    outer = made.truth["z"] == 0
    assert set(made.truth["label"][outer].tolist()) == {"out_of_focus"}
    assert set(made.truth["label"][made.truth["z"] == 2].tolist()) == {"normal"}


def test_cells_move_but_keep_their_labels():
    made = make(t=3)
    first, last = (made.truth.where(made.truth["t"] == t) for t in (0, 2))
    shared = set(first["cell"].tolist()) & set(last["cell"].tolist())
    assert len(shared) >= 0.7 * len(first)
    where = [{row["cell"]: (row["y"], row["x"]) for row in table.rows()} for table in (first, last)]
    steps = [np.hypot(*np.subtract(where[0][cell], where[1][cell])) for cell in shared]
    assert 0 < np.median(steps) < 15


def test_a_camera_of_12_bits_ends_at_4095():
    made = make(trouble=fault("saturation", 0.8), bit_depth=12)
    assert made.pixels.max() == 4095


def test_translocation_moves_the_reporter_into_the_nucleus():
    settings = SimulationSettings(
        wells=96, fields=1, size_y=256, size_x=256, artefact_fraction=0.0, density=60
    )
    plate = plan_plate(settings)
    ratios = []
    sites = [site for site in plate.sites() if site.well.treatment == "Translocin-1"]
    for site in sorted(sites, key=lambda site: site.well.dose)[::5]:
        made = simulate_field(settings, plate, site, site_generator(settings, plate, site))
        reporter = made.pixels[0, 2, 0].astype(float)
        ring = ndimage.binary_dilation(made.nuclei > 0, iterations=6) & (made.nuclei == 0)
        ratios.append(reporter[made.nuclei > 0].mean() / reporter[ring].mean())
    assert ratios[0] < 0.9
    assert ratios[-1] > 1.5


def test_toxicity_leaves_fewer_and_smaller_nuclei():
    settings = SimulationSettings(wells=96, fields=1, artefact_fraction=0.0)
    plate = plan_plate(settings)
    sites = [site for site in plate.sites() if site.well.treatment == "Toxin-1"]
    sites.sort(key=lambda site: site.well.dose)
    count, size = [], []
    for pair in (sites[:2], sites[-2:]):
        fields = [
            simulate_field(settings, plate, site, site_generator(settings, plate, site))
            for site in pair
        ]
        alive = [made.truth.where(made.truth["label"] == "normal") for made in fields]
        count.append(sum(len(table) for table in alive))
        size.append(np.median(np.concatenate([table["diameter"] for table in alive])))
    assert count[1] < 0.6 * count[0]
    assert size[1] < 0.9 * size[0]


def test_a_bright_dead_cell_is_dead_and_not_saturated_unless_the_field_is():
    dead = fault("dead", 0.9)
    assert _with_saturation(dead, 0.5, Fault()) == dead
    assert _with_saturation(None, 0.5, Fault()).label == "saturation"
    assert _with_saturation(None, 0.001, Fault()) is None
    over_exposed = fault("saturation", 0.5)
    assert _with_saturation(fault("dead", 0.1), 0.5, over_exposed).label == "saturation"
    assert _with_saturation(over_exposed, 0.1, Fault()).physical == 0.1

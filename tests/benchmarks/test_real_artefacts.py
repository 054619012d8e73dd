from __future__ import annotations

import numpy as np
import pytest
from qc_scores import Regression, against_target, draw, found_rows, hardest, row_of
from qc_scores import by_third as scores_by_third
from qc_sets import made
from real_artefacts import CEILING, SIDE, SPOIL, _patch, _photo, spoiled
from real_fields import BACKGROUND, Scene, pieces_of, shares_of
from scipy import ndimage

from omero_hcs.imaging.levels import noise_sigma
from omero_hcs.simulate.severity import ARTEFACTS, Fault, fault

SIGNAL = 1700.0


def scene(name: str, seed: int, stains: int = 1) -> Scene:
    """A field of 16 textured discs, 21 px wide, and nothing at its right."""
    rng = np.random.default_rng(seed)
    centers = np.array([(50.0 + 60 * row, 50.0 + 60 * col) for row in range(4) for col in range(4)])
    labels = np.zeros((280, 400), dtype=np.int32)
    y, x = np.indices(labels.shape)
    for number, (cy, cx) in enumerate(centers, 1):
        labels[(y - cy) ** 2 + (x - cx) ** 2 < 10.5**2] = number
    grain = ndimage.gaussian_filter(rng.standard_normal(labels.shape), 1.5)
    nuclei = (labels > 0) * (1 + 0.8 * grain / grain.std() * 0.3) * SIGNAL
    light = np.stack([BACKGROUND + np.maximum(nuclei, 0)] * stains).astype(np.float32)
    return Scene("made up", name, light, labels, centers, np.array([SIGNAL] * stains))


def bits(count: int) -> list[np.ndarray]:
    return [np.ones((size, 3), dtype=np.float32) for size in range(5, 5 + count)]


def photo(name: str, severity: float, seed: int = 0) -> np.ndarray:
    """One crop of the nucleus in the middle with an artefact of a severity, grey values."""
    field = scene("A1", 1)
    trouble = Fault() if name == "normal" else fault(name, severity)
    patch = _patch(field, field.centers[5], trouble, bits(20))
    return _photo(patch, np.random.default_rng(seed))[0]


@pytest.fixture(scope="module")
def known():
    scenes = [scene(f"field {number}", number) for number in range(8)]
    return made(scenes, shares_of(bits(80), [each.name for each in scenes]), name="made", seed=3)


def middle(crop: np.ndarray) -> np.ndarray:
    y, x = np.indices(crop.shape)
    return crop[(y - SIDE // 2) ** 2 + (x - SIDE // 2) ** 2 < 10.5**2]


def test_every_artefact_can_be_made_and_leaves_a_crop_of_camera_counts():
    assert set(ARTEFACTS) < set(SPOIL)
    for name in ARTEFACTS:
        crop = photo(name, 0.8)
        assert crop.shape == (SIDE, SIDE)
        assert crop.dtype == np.uint16
        assert np.abs(crop.astype(float) - photo("normal", 0).astype(float)).mean() > 100, name


@pytest.mark.parametrize("severity", [0.1, 0.5, 0.9])
def test_as_much_of_a_nucleus_is_at_the_ceiling_as_its_severity_says(severity):
    share = (middle(photo("saturation", severity)) == CEILING).mean()
    assert share == pytest.approx(fault("saturation", severity).physical, abs=0.06)


def test_blur_grows_with_severity_and_noise_does_too():
    blurred = [np.abs(np.diff(photo("out_of_focus", s).astype(float))).max() for s in (0.1, 0.9)]
    assert blurred[0] > 3 * blurred[1]
    noises = [noise_sigma(photo("noise", s).astype(np.float32)) for s in (0.1, 0.9)]
    assert noises[1] > 2 * noises[0]


def test_a_dead_nucleus_is_smaller_and_brighter_and_nothing_else_changes():
    dead, normal = photo("dead", 1.0).astype(float), photo("normal", 0).astype(float)
    assert dead.max() > 1.5 * normal.max()
    half = 0.4 * normal.max()
    assert (middle(dead) > half).sum() < 0.6 * (middle(normal) > half).sum()
    assert np.abs(dead[:5] - normal[:5]).mean() < 200


def test_each_nucleus_gives_a_sound_crop_and_a_spoiled_one_of_the_same_field(known):
    table = known.labelled.table
    places = list(zip(table["unit"].tolist(), table["y"], table["x"], strict=True))
    sound = [place for place, kind in zip(places, known.kinds, strict=True) if kind == "normal"]
    spoilt = [place for place, kind in zip(places, known.kinds, strict=True) if kind in ARTEFACTS]
    assert len(sound) == len(set(sound))
    assert set(spoilt) < set(sound)
    bad = known.kinds[known.abnormal]
    assert set(bad) >= set(ARTEFACTS)
    severity = known.severity[known.abnormal & (known.kinds != "empty")]
    assert severity.min() >= 0
    assert severity.max() <= 1
    assert np.isnan(known.severity[known.kinds == "empty"]).all()


def test_an_empty_crop_shows_no_nucleus(known):
    empty, normal = known.raw[known.kinds == "empty"], known.raw[~known.abnormal]
    assert len(empty)
    assert empty.max() < np.percentile(normal, 99) / 4


def test_the_same_seed_makes_the_same_crops():
    some = [scene("A1", 1)]
    pieces = shares_of(bits(9), ["A1"])
    first, again = (spoiled(some, pieces, name="x", seed=4)[1] for _ in range(2))
    other = spoiled(some, pieces, name="x", seed=5)[1]
    assert np.array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)


def test_a_bit_of_debris_belongs_to_one_field():
    dealt = shares_of(bits(30), ["a", "b", "a", "c"])
    sizes = [piece.shape for pieces in dealt.values() for piece in pieces]
    assert sorted(dealt) == ["a", "b", "c"]
    assert len(sizes) == 30 == len(set(sizes))


def test_debris_is_cut_from_bodies_and_not_from_nuclei():
    assert pieces_of([scene("A1", 1)]) == []
    field = scene("A1", 1, stains=2)
    y, x = np.indices(field.labels.shape)
    field.light[1] = BACKGROUND + 900.0 * (np.abs(y - x) < 2)
    pieces = pieces_of([field])
    assert pieces
    assert all(piece.max() == pytest.approx(1) for piece in pieces)


def test_fields_that_teach_do_not_test_and_labels_are_half_normal(known):
    drawn = draw(known, 40, number=0)
    assert not set(known.groups[drawn.train]) & set(known.groups[drawn.test])
    assert known.abnormal[drawn.train].sum() == 20 == len(drawn.train) // 2
    assert (known.severity[drawn.train][known.abnormal[drawn.train]] < 1 / 3).sum() == 0
    fewer = draw(known, 10, number=0)
    assert set(fewer.train) < set(drawn.train)


def test_scores_come_by_third_with_what_was_found_of_each_artefact(known):
    perfect = Regression(known.abnormal[:, None].astype(np.float32), known.labelled.numbers, 2)
    values = scores_by_third(known, perfect, count=20, draws=2)
    assert values["middle f1"] == values["gross f1"] == 1.0
    assert values["false alarms"] == 0.0
    assert row_of(values)["middle F1"] == "1.000 (1.000-1.000)"
    assert {row["artefact"] for row in found_rows(values)} <= {*ARTEFACTS, "empty"}
    assert against_target(values, 0.96) == "0.96 reached"
    assert against_target({"middle f1": 0.9}, 0.96) == "0.96 missed by 0.060"


def test_a_learner_that_knows_nothing_scores_like_chance(known):
    nothing = Regression(
        np.random.default_rng(0).standard_normal((len(known.kinds), 3)).astype(np.float32),
        known.labelled.numbers,
        2,
    )
    assert scores_by_third(known, nothing, count=20, draws=4)["middle f1"] < 0.75


def test_what_is_found_least_is_named_first():
    values = {"found noise, middle": 0.9, "found debris, middle": 0.2, "found dead, gross": 0.1}
    assert hardest(values) == "debris 0.20, noise 0.90"

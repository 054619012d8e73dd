from dataclasses import replace

import numpy as np
import pytest
import torch

from omero_hcs.errors import CancelledError, InputError, LabelError
from omero_hcs.imaging.crop import crop_recipe
from omero_hcs.learning.encoders import load_encoder
from omero_hcs.learning.finetune import FineTuneLearner, Schedule
from omero_hcs.learning.folds import choose_folds
from omero_hcs.learning.learners import cross_validate
from omero_hcs.learning.measures import count_measures

SHORT = Schedule(epochs=8, batch=16, rate=3e-3, drops=(6,))
ALL = np.arange(48)


@pytest.fixture(scope="module")
def trained():
    """The default encoder with the weights that come with an installation, at 32 px."""
    return load_encoder("tf_efficientnet_lite0", input_size=32)


def striped(count=48, channels=1, side=24):
    """Crops with fine stripes or broad ones, of any direction and brightness."""
    rng = np.random.default_rng(1)
    labels = np.tile([0, 1], count // 2)
    y, x = np.mgrid[:side, :side] / side
    crops = np.empty((count, channels, side, side), dtype=np.float32)
    for number, waves in enumerate(np.where(labels, 8, 2)):
        angle = rng.uniform(0, np.pi, channels)[:, None, None]
        phase = waves * (y * np.sin(angle) + x * np.cos(angle))
        crops[number] = 0.5 + rng.uniform(0.2, 0.5) * np.sin(2 * np.pi * phase)
    return crops, labels


def learner_of(encoder, channels=1, recipe="auto", **changes):
    crops, labels = striped(channels=channels)
    made = FineTuneLearner(encoder, crop_recipe(channels, recipe), crops, labels, 2, SHORT)
    return replace(made, **changes)


def test_an_encoder_learns_what_it_did_not_know(trained):
    learner = learner_of(trained)
    before = {name: value.clone() for name, value in trained.network.state_dict().items()}
    folds = choose_folds(learner.labels, ALL // 4, folds=2, rng=np.random.default_rng(0))
    proba = cross_validate(learner, folds.held_out, rng=np.random.default_rng(0))
    assert np.allclose(proba.sum(axis=1), 1, atol=1e-5)
    assert (proba.argmax(axis=1) == learner.labels).mean() > 0.9
    after = trained.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_seed_gives_the_same_weights(encoder):
    learner = learner_of(encoder, schedule=replace(SHORT, epochs=1))
    first, second, other = (
        learner.taught(ALL, seed=seed).encoder.network.state_dict() for seed in (3, 3, 4)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_each_stain_may_be_seen_alone(encoder):
    learner = learner_of(encoder, 2, "concat", schedule=replace(SHORT, epochs=1))
    tuned = learner.taught(ALL, seed=0)
    assert tuned.head.tensors()["weight"].shape == (2, 2 * tuned.encoder.dim)
    assert learner.judge(ALL[:40], ALL[40:], seed=0).shape == (8, 2)


def test_measures_of_cells_are_seen_beside_the_network(encoder):
    """Brightness, which the network is not tuned long enough to see: the measures know it."""
    learner = learner_of(encoder, measures=True, schedule=replace(SHORT, epochs=4, rate=0.01))
    brighter = learner.crops * np.where(learner.labels, 0.5, 1.0)[:, None, None, None]
    learner = replace(learner, crops=brighter.astype(np.float32))
    tuned = learner.taught(ALL[:32], seed=0)
    more = count_measures(1)
    assert tuned.head.tensors()["weight"].shape == (2, tuned.encoder.dim + more)
    assert (tuned.head.tensors()["scale"][:-more] == 1).all()
    proba = learner.judge(ALL[:32], ALL[32:], seed=0)
    assert (proba.argmax(axis=1) == learner.labels[32:]).mean() > 0.9


def test_the_layer_takes_what_the_papers_does(encoder):
    tuned = learner_of(encoder, schedule=replace(SHORT, epochs=1)).taught(ALL, seed=0)
    assert tuned.encoder.pooling == "final"
    assert tuned.encoder.dim < encoder.dim
    assert tuned.head.tensors()["weight"].shape == (2, tuned.encoder.dim)
    assert tuned.head.config() == {"epochs": 1, "class_weights": "balanced"}


def test_whoever_is_told_of_epochs_may_stop_it(encoder):
    told = []

    def stop_after_two(done, total):
        told.append((done, total))
        if done == 2:
            msg = "enough"
            raise CancelledError(msg)

    with pytest.raises(CancelledError):
        learner_of(encoder, told=stop_after_two).taught(ALL, seed=0)
    assert told == [(1, 8), (2, 8)]


def test_classes_count_alike_unless_told_otherwise(trained):
    rows = np.concatenate([ALL[::2], ALL[1::2][:4]])
    once = replace(SHORT, epochs=2)
    balanced, plain = (
        learner_of(trained, schedule=replace(once, class_weights=how)).judge(rows, ALL, seed=0)
        for how in ("balanced", "none")
    )
    assert balanced[:, 1].mean() > plain[:, 1].mean() + 0.05


def test_what_cannot_be_learnt_from_is_refused(encoder):
    learner = learner_of(encoder)
    with pytest.raises(LabelError, match="of one class"):
        learner.taught(ALL[::2], seed=0)
    broken = learner.crops.copy()
    broken[3, 0, 5, 5] = np.nan
    with pytest.raises(InputError, match="1 of 48 cells have features that are no numbers"):
        replace(learner, crops=broken).taught(ALL, seed=0)
    with pytest.raises(InputError, match="look the same"):
        replace(learner, crops=np.full_like(broken, 0.5)).taught(ALL, seed=0)
    with pytest.raises(InputError, match="0 epochs"):
        Schedule(epochs=0)

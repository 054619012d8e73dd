from dataclasses import replace

import numpy as np
import pytest
import torch

from omero_hcs.errors import DataError
from omero_hcs.imaging.crop import CropScale, crop_recipe
from omero_hcs.learning.embed import Embedder
from omero_hcs.learning.finetune import FineTuneLearner, Schedule
from omero_hcs.learning.modelcard import EncoderCard, HeadCard, LabelsCard, ModelCard, PlateCard
from omero_hcs.learning.modelfile import load_model, save_model
from omero_hcs.learning.tuned import PART, tuned_encoder, tuned_weights


@pytest.fixture(scope="module")
def crops():
    return np.random.default_rng(5).random((24, 2, 21, 21), dtype=np.float32)


@pytest.fixture(scope="module")
def tuned(encoder, crops):
    labels = np.tile([0, 1], 12)
    learner = FineTuneLearner(encoder, crop_recipe(2), crops, labels, 2, Schedule(epochs=2))
    return learner.taught(np.arange(24), seed=0)


def card_of(tuned):
    encoder, head = tuned.encoder, tuned.head
    return ModelCard(
        name="qc",
        created="2026-01-02T03:04:05Z",
        versions={},
        classes=("normal", "blur"),
        normal_class="normal",
        channels=("GFP", "DNA"),
        recipe="composite",
        crop_scale=CropScale(side_px=45, side_um=None, side_nuclei=3.0).to_dict(),
        input_size=encoder.input_size,
        encoder=EncoderCard(
            name=encoder.name,
            sha256=encoder.sha256,
            source=encoder.source,
            pooling=encoder.pooling,
            tuned=True,
        ),
        head=HeadCard(kind=head.kind, config=head.config()),
        precision="fp32",
        labels=LabelsCard(counts={"normal": 12, "blur": 12}),
        training=PlateCard(name="p1"),
    )


def saved(tuned, path, weights):
    save_model(path, card_of(tuned), tuned.head, {PART: weights})
    return load_model(path)


def judged(encoder, head, crops):
    return head.predict_proba(
        Embedder(encoder, recipe=crop_recipe(2), precision="fp32").embed(crops)
    )


def test_a_tuned_encoder_comes_back_as_it_was_judged_by(tuned, crops, tmp_path):
    model = saved(tuned, tmp_path / "m", tuned_weights(tuned.encoder))
    again = tuned_encoder(model)
    before, after = tuned.encoder.network.state_dict(), again.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert (again.sha256, again.source, again.dim) == (
        tuned.encoder.sha256,
        tuned.encoder.source,
        tuned.encoder.dim,
    )
    np.testing.assert_allclose(
        judged(again, model.head, crops), judged(tuned.encoder, tuned.head, crops), atol=1e-6
    )


def test_it_is_another_than_the_one_that_tuning_began_with(tuned, encoder):
    before, after = encoder.network.state_dict(), tuned.encoder.network.state_dict()
    assert max(float((before[name] - after[name]).abs().max()) for name in before) > 1e-4


def test_weights_of_another_network_are_refused(tuned, tmp_path):
    weights = tuned_weights(tuned.encoder)
    first = next(iter(weights))
    with pytest.raises(DataError, match=f"1 tensors are missing.*such as {first}"):
        tuned_encoder(saved(tuned, tmp_path / "a", {k: weights[k] for k in weights if k != first}))
    with pytest.raises(DataError, match="another shape, such as more"):
        tuned_encoder(saved(tuned, tmp_path / "b", {**weights, "more": weights[first]}))
    with pytest.raises(DataError, match="another shape"):
        tuned_encoder(saved(tuned, tmp_path / "c", {**weights, first: weights[first][..., :1]}))


def test_a_model_without_them_is_told(tuned, tmp_path):
    model = replace(saved(tuned, tmp_path / "d", tuned_weights(tuned.encoder)), parts={})
    with pytest.raises(DataError, match="has not the tuned weights of mobilenetv3_small_050"):
        tuned_encoder(model)

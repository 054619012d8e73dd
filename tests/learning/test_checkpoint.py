import argparse
import hashlib
import logging
import re
import subprocess
import sys

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from omero_hcs.errors import DataError
from omero_hcs.learning.encoders import load_encoder

RESNET = "resnet18"


@pytest.fixture(scope="module")
def trained():
    """A ResNet18 of torchvision, as if it had been trained."""
    torch.manual_seed(11)
    network = torchvision.models.resnet18().eval()
    for name, values in network.named_buffers():
        if "running" in name:
            values.uniform_(0.5, 1.5)
    return network


@pytest.fixture(scope="module")
def rgb():
    return torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def own_names(trained, rgb, tmp_path_factory):
    """Features by the tensors alone, under the names that timm has for them."""
    path = tmp_path_factory.mktemp("own") / "timm.safetensors"
    kept = {key: each for key, each in trained.state_dict().items() if not key.startswith("fc.")}
    save_file(kept, path)
    encoder = load_encoder(RESNET, weights=path, input_size=40, pooling="final")
    assert encoder.told == ""
    return encoder(rgb)


def read(path, name=RESNET):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return load_encoder(name, weights=path, sha256=digest, input_size=40, pooling="final")


def under(place, tensors):
    return {f"{place}{name}": value for name, value in tensors.items()}


def numbered(network):
    """Names as in ``nn.Sequential(*list(network.children())[:-1])``."""
    return torch.nn.Sequential(*list(network.children())[:-1]).state_dict()


def others(tensors):
    return {name: torch.zeros_like(value) for name, value in tensors.items()}


def test_tensors_under_timms_names_give_the_networks_own_features(trained, own_names, rgb):
    encoder = load_encoder(RESNET, weights="random", input_size=40, pooling="final")
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (encoder.mean, encoder.std))
    with torch.inference_mode():
        expected = torch.nn.Sequential(*list(trained.children())[:-1])((rgb - mean) / std)
    assert torch.allclose(own_names, expected.flatten(1), atol=1e-4)


HEAD = {"projector.0.weight": torch.ones(2, 2), "projector.0.bias": torch.ones(2)}

LAYOUTS = {
    "torchvision": lambda net: net.state_dict(),
    "data-parallel": lambda net: {"state_dict": under("module.", net.state_dict())},
    "lightly, numbered": lambda net: {
        "state_dict": under("backbone.", numbered(net)) | under("projection_head.", HEAD),
        "hyper_parameters": {"lr": 0.1},
        "epoch": 5,
    },
    "lightly, teacher and student": lambda net: {
        "state_dict": under("student_backbone.", others(net.state_dict()))
        | under("teacher_backbone.", net.state_dict())
        | HEAD
    },
    "lightly, a student alone": lambda net: under("student_backbone.", numbered(net)),
    "solo-learn": lambda net: {
        "state_dict": under("momentum_backbone.", others(net.state_dict()))
        | under("backbone.", net.state_dict())
        | HEAD
        | {"prototypes.weight": torch.ones(3, 2), "classifier.weight": torch.ones(2, 2)}
    },
    "solo-learn, of old": lambda net: {"state_dict": under("encoder.", net.state_dict()) | HEAD},
    "dino": lambda net: {
        "student": under("module.backbone.", others(net.state_dict())),
        "teacher": under("module.backbone.", net.state_dict()) | under("module.head.", HEAD),
        "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]},
    },
    "moco": lambda net: {
        "state_dict": under("module.encoder_k.", others(net.state_dict()))
        | under("module.encoder_q.", net.state_dict())
        | {"module.queue": torch.ones(4)},
        "best": torch.tensor(0.5),
    },
    "without counters": lambda net: {
        key: value for key, value in net.state_dict().items() if "num_batches" not in key
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_networks_tensors_are_found_wherever_they_are(
    layout, trained, own_names, rgb, tmp_path
):
    path = tmp_path / "model.ckpt"
    torch.save(LAYOUTS[layout](trained), path)
    assert torch.equal(read(path)(rgb), own_names)


def test_what_is_left_aside_is_told(trained, tmp_path, caplog):
    path = tmp_path / "model.ckpt"
    torch.save(LAYOUTS["solo-learn"](trained), path)
    with caplog.at_level(logging.INFO, "omero_hcs"):
        encoder = read(path)
    expected = (
        "the network's tensors are those under state_dict.backbone; left aside: "
        "state_dict.backbone.fc (2 tensors), state_dict.classifier (1 tensor), "
        "state_dict.momentum_backbone (122 tensors), state_dict.projector (2 tensors), "
        "state_dict.prototypes (1 tensor)"
    )
    assert encoder.told == expected
    assert f"model.ckpt: {expected}" in caplog.text


def test_a_vgg_of_torchvision_is_used_without_its_wide_layers(tmp_path):
    torch.manual_seed(2)
    features = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["A"])
    path = tmp_path / "vgg.safetensors"
    save_file(
        under("features.", features.state_dict()) | {"classifier.0.bias": torch.ones(2)}, path
    )
    encoder = load_encoder("vgg11", weights=path, input_size=32, pooling="final")
    assert encoder.dim == 512
    own = encoder.network.network.state_dict()
    for name, value in features.state_dict().items():
        assert torch.equal(own[f"features.{name}"], value)


@pytest.mark.parametrize(
    ("saved", "named", "fault"),
    [
        ("resnet34", RESNET, r"96 are unknown \(such as layer1.2"),
        (RESNET, "resnet34", r"tensors are missing \(such as layer1.2"),
        ("resnet50", RESNET, r"have another shape \(such as "),
        (RESNET, "convnext_atto", "tensors are missing"),
    ],
)
def test_weights_of_a_related_network_are_refused(saved, named, fault, tmp_path):
    path = tmp_path / "w.safetensors"
    save_file(timm.create_model(saved).state_dict(), path)
    with pytest.raises(DataError, match=rf"w.safetensors does not fit {named}: .*{fault}"):
        load_encoder(named, weights=path, input_size=32)


@pytest.mark.parametrize("channels", [1, 5])
def test_weights_for_other_channels_are_refused_in_plain_words(channels, tmp_path):
    path = tmp_path / "w.safetensors"
    save_file(timm.create_model("resnet10t", in_chans=channels).state_dict(), path)
    with pytest.raises(DataError, match=rf"for pictures of {channels} channel\(s\).*red, green"):
        load_encoder("resnet10t", weights=path, input_size=32)


def test_a_checkpoint_with_objects_is_refused_and_the_mend_works(trained, own_names, rgb, tmp_path):
    path = tmp_path / "last.ckpt"
    hyper = {"hyper_parameters": argparse.Namespace(lr=0.1)}
    torch.save(LAYOUTS["lightly, numbered"](trained) | hyper, path)
    with pytest.raises(DataError, match=r"more than tensors \(argparse.Namespace\)") as caught:
        read(path)
    program = re.search(r"python -c '(.*)'\n", str(caught.value), re.DOTALL)[1]
    lines = "\n".join(line.strip() for line in program.replace("FILE", path.name).splitlines())
    subprocess.run([sys.executable, "-c", lines], cwd=tmp_path, check=True)
    mended = load_encoder(
        RESNET, weights=tmp_path / "weights.safetensors", input_size=40, pooling="final"
    )
    assert torch.equal(mended(rgb), own_names)

"""Which parts of a crop, and which layers of a network, become its features."""

from __future__ import annotations

import pytest
import timm
import torch

from omero_hcs.learning import pooling
from omero_hcs.learning.encoders import load_encoder
from omero_hcs.learning.pooling import PooledNetwork, weights_of_centre

SIDES = {"mobilenetv3_small_050": 64, "convnext_atto": 64, "swin_tiny_patch4_window7_224": 224}
"""Networks with a plain head, with one that normalises after pooling, and with channels last."""


def network(name):
    torch.manual_seed(0)
    return timm.create_model(name, num_classes=0).eval()


@pytest.mark.parametrize(("name", "side"), SIDES.items())
def test_even_weights_are_the_whole_crop(name, side, monkeypatch):
    net = network(name)
    pictures = torch.rand(2, 3, side, side)
    whole = PooledNetwork(net, "levels")
    centre = PooledNetwork(net, "centre")
    assert (whole.pooling, centre.pooling) == ("levels", "centre")
    with torch.inference_mode():
        expected = whole(pictures)
        assert not torch.allclose(centre(pictures), expected, atol=1e-3)
        monkeypatch.setattr(
            pooling, "weights_of_centre", lambda maps: weights_of_centre(maps, sigma=1e4)
        )
        torch.testing.assert_close(centre(pictures), expected, atol=0.02, rtol=0)


def test_a_neighbour_at_the_rim_changes_features_less_than_the_cell_itself():
    crops = torch.full((3, 3, 96, 96), 0.3)
    crops[1, :, 40:56, 40:56] = 1
    crops[2, :, 4:20, 4:20] = 1
    changes = {}
    for name in ("levels", "centre"):
        features = load_encoder("tf_efficientnet_lite0", input_size=96, pooling=name)(crops)
        at_middle, at_rim = (features[1:] - features[0]).norm(dim=1).tolist()
        changes[name] = at_rim / at_middle
    assert changes["centre"] < 0.95 * changes["levels"]


def test_weights_sum_to_one_and_are_highest_in_the_middle():
    weights = weights_of_centre(torch.zeros(1, 1, 7, 9))
    assert weights.shape == (7, 9)
    assert float(weights.sum()) == pytest.approx(1)
    assert weights.argmax() == 3 * 9 + 4


def test_a_network_without_maps_gives_its_final_features():
    assert PooledNetwork(network("vit_tiny_patch16_224"), "centre").pooling == "final"

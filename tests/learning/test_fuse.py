import torch
from torch import nn

from omero_hcs.learning.fuse import fuse_batch_norm


class Twice(nn.Module):
    """Uses a convolution's output beside its BatchNorm, too."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x):
        made = self.conv(x)
        return (self.norm(made) + made).mean(dim=(2, 3))


def trained(network):
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -1, 1)
            nn.init.uniform_(layer.running_var, 0.5, 2)
    return network.eval()


def test_folding_keeps_the_features():
    torch.manual_seed(0)
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network = trained(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), pool))
    x = torch.rand(1, 3, 9, 9)
    before = network(x)
    assert fuse_batch_norm(network, x) == 1
    assert isinstance(network[1], nn.Identity)
    assert torch.allclose(network(x), before, atol=1e-5)


def test_a_network_that_folding_would_change_is_left_as_it_is():
    torch.manual_seed(0)
    network = trained(Twice())
    x = torch.rand(1, 3, 9, 9)
    before = network(x)
    assert fuse_batch_norm(network, x) == 0
    assert torch.equal(network(x), before)

"""The first convolution in float32, whatever the number format of the layers after it."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class FullPrecisionStem(nn.Module):
    """A convolution in float32 that gives another number format.

    Normalised pixels of a fluorescence image are mostly background, close to -1, where bfloat16
    knows 256 grey levels or fewer between black and white: the dark half of a cell would be lost.

    Parameters
    ----------
    convolution : nn.Conv2d
        In float32.
    dtype : torch.dtype
        What the layers after it take.
    """

    def __init__(self, convolution: nn.Conv2d, dtype: torch.dtype) -> None:
        super().__init__()
        self.convolution = convolution
        self.dtype = dtype

    def forward(self, pictures: Tensor) -> Tensor:
        """Give the maps of pictures (N, 3, S, S), in `dtype`."""
        maps: Tensor = self.convolution(pictures.float())
        return maps.to(self.dtype)


def with_full_precision_stem(network: nn.Module, *, like: nn.Module) -> nn.Module:
    """Give a network of lower precision the first convolution of the one it was made from.

    Parameters
    ----------
    network : nn.Module
        A copy of `like` in another number format; changed in place.
    like : nn.Module
        In float32.
    """
    for name, layer in like.named_modules():
        if isinstance(layer, nn.Conv2d):
            dtype = network.get_submodule(name).weight.dtype
            stem = FullPrecisionStem(copy.deepcopy(layer), dtype)  # type: ignore[arg-type]  # torch types a weight's dtype as Tensor
            network.set_submodule(name, stem)
            break
    return network

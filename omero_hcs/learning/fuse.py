"""Fold BatchNorm into the convolutions before it: the same features for less work."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

RELATIVE_TOLERANCE = 1e-3


def fuse_batch_norm(network: nn.Module, probe: Tensor) -> int:
    """Fold each BatchNorm that follows a convolution into it, in place.

    What follows what is seen by running `probe` through, so that any network may be given.

    Parameters
    ----------
    network : nn.Module
        In eval mode.
    probe : tensor, shape (1, 3, S, S), float32
        A picture of a size that the network takes.

    Returns
    -------
    int
        How many were folded; 0 where the features would have changed, as they would in a network
        that uses the output of a convolution twice.
    """
    with torch.no_grad():  # weights made in inference mode could not be used outside it
        before = network(probe)
        pairs = _followers(network, probe)
        layers = dict(network.named_modules())
        for convolution, norm in pairs:
            network.set_submodule(convolution, _folded(layers[convolution], layers[norm]))
            network.set_submodule(norm, getattr(layers[norm], "act", nn.Identity()))
        changed = (network(probe) - before).abs().max()
    if changed <= RELATIVE_TOLERANCE * before.abs().max():
        return len(pairs)
    for name in (name for pair in pairs for name in pair):
        network.set_submodule(name, layers[name])
    return 0


def _folded(convolution: nn.Module, norm: nn.Module) -> nn.Module:
    if not (isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)):
        return convolution
    return fuse_conv_bn_eval(convolution, norm)


def _followers(network: nn.Module, probe: Tensor) -> list[tuple[str, str]]:
    """Names of convolutions and of the BatchNorm that takes each one's output as it is."""
    made: dict[int, tuple[str, Tensor]] = {}  # holds the tensors, so that no id is used twice
    pairs: list[tuple[str, str]] = []

    def watch(name: str, layer: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def keep(_layer: nn.Module, _given: tuple[Tensor, ...], output: Tensor) -> None:
            made[id(output)] = (name, output)

        def match(_layer: nn.Module, given: tuple[Tensor, ...]) -> None:
            if id(given[0]) in made:
                pairs.append((made[id(given[0])][0], name))

        if isinstance(layer, nn.Conv2d):
            return layer.register_forward_hook(keep)
        return layer.register_forward_pre_hook(match)

    kinds = (nn.Conv2d, nn.BatchNorm2d)
    watched = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, kinds)]
    handles = [watch(name, layer) for name, layer in watched]
    try:
        network(probe)
    finally:
        for handle in handles:
            handle.remove()
    return pairs

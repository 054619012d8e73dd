"""The weights of a tuned encoder, as a model file keeps them: half of their bytes, all of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import torch

from omero_hcs.errors import DataError
from omero_hcs.learning.encoders import Encoder, load_encoder
from omero_hcs.learning.lessons import Tensors
from omero_hcs.learning.modelfile import Model
from omero_hcs.learning.weights import RANDOM, Source

PART = "encoder"
"""Part of a model file that has them."""

_KEPT_AS = torch.float16


def as_kept(network: torch.nn.Module) -> torch.nn.Module:
    """Round weights, in place, to those that a model file gives back."""
    return network.to(_KEPT_AS).to(torch.float32)


def tuned_weights(encoder: Encoder) -> Tensors:
    """Give the weights of a tuned encoder, by name, as a model file keeps them.

    Parameters
    ----------
    encoder : Encoder
        Rounded by `as_kept` already, so that nothing is lost.
    """
    own = encoder.network.get_submodule("network").state_dict()
    return {
        name: value.detach().cpu().to(_KEPT_AS if value.is_floating_point() else None).numpy()
        for name, value in own.items()
    }


def tuned_encoder(model: Model, *, device: torch.device | None = None) -> Encoder:
    """Build the encoder of a model that was tuned; nothing but the model file is needed.

    Raises
    ------
    DataError
        If its tensors are not those of the network that its card names.
    """
    card = model.card.encoder
    blank = load_encoder(
        card.name,
        weights=RANDOM,
        input_size=model.card.input_size,
        interpolation=card.interpolation,
        pooling=card.pooling,
        device=device,
    )
    network = blank.network.get_submodule("network")
    tensors = model.parts.get(PART, {})
    _check(model.path, card.name, network, tensors)
    network.load_state_dict({name: torch.from_numpy(value) for name, value in tensors.items()})
    return replace(blank, sha256=card.sha256, source=cast("Source", card.source))


def _check(path: Path, name: str, network: torch.nn.Module, tensors: Tensors) -> None:
    own = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    there = {key: tuple(value.shape) for key, value in tensors.items()}
    wrong = sorted(key for key in own.keys() | there.keys() if own.get(key) != there.get(key))
    if wrong:
        msg = (
            f"Model {path} has not the tuned weights of {name}: {len(wrong)} tensors are missing, "
            f"unknown or of another shape, such as {wrong[0]}. Get the file again; or it was made "
            "with another release of timm, and has to be trained again."
        )
        raise DataError(msg)

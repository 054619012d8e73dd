"""The embedder of a run: its encoder, on this worker's device, with this worker's threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from omero_hcs.imaging.crop import crop_recipe
from omero_hcs.learning.device import pick_device, use_threads
from omero_hcs.learning.embed import Embedder
from omero_hcs.learning.encoders import Encoder, load_encoder
from omero_hcs.learning.modelfile import ModelCard
from omero_hcs.settings import load_settings

if TYPE_CHECKING:
    from omero_hcs.tasks.train_qc import Params

Precision = Literal["auto", "fp32", "bf16"]


def embedder_for_training(params: Params, channels: int) -> tuple[Encoder, Embedder]:
    """Load the encoder that a training run names.

    Parameters
    ----------
    params : train_qc.Params
        Encoder, weights, recipe, seed; `precision` "auto" gives way to the installation's setting.
    channels : int
        Stains of a crop.

    Raises
    ------
    WeightsNotFoundError, ChecksumError
        If the weights are nowhere, or not those that were named.
    """
    settings = load_settings().values
    use_threads(settings.threads)
    encoder = load_encoder(
        params.encoder,
        weights=params.weights,
        sha256=params.weights_sha256,
        device=pick_device(settings.device),
        seed=params.seed,
        allow_hub=settings.allow_hub,
    )
    recipe = crop_recipe(channels, params.recipe)
    return encoder, Embedder(encoder, recipe=recipe, precision=_precision(params.precision))


def embedder_of_model(card: ModelCard, *, weights: str | None, precision: Precision) -> Embedder:
    """Load the encoder that a model was trained with, and refuse any other.

    Raises
    ------
    ChecksumError
        If the weights are not those of the model.
    WeightsNotFoundError
        If they are nowhere.
    """
    settings = load_settings().values
    use_threads(settings.threads)
    encoder = load_encoder(
        card.encoder.name,
        weights=weights_of(card, weights),
        sha256=card.encoder.sha256,
        input_size=card.input_size,
        pooling=card.encoder.pooling,
        device=pick_device(settings.device),
        seed=card.encoder.seed,
        allow_hub=settings.allow_hub,
    )
    recipe = crop_recipe(len(card.channels), card.recipe)
    return Embedder(encoder, recipe=recipe, precision=_precision(precision))


def weights_of(card: ModelCard, given: str | None) -> str | None:
    """Name random weights, which no file holds; others are given, or found by the name."""
    return given or ("random" if card.encoder.source == "random" else None)


def _precision(wanted: Precision) -> Precision:
    return load_settings().values.precision if wanted == "auto" else wanted

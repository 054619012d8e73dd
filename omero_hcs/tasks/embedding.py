"""The embedder of a run: its encoder, on this worker's device, with this worker's threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from omero_hcs.errors import InputError
from omero_hcs.imaging.crop import crop_recipe
from omero_hcs.imaging.normalize import normalize
from omero_hcs.learning.device import pick_device, use_threads
from omero_hcs.learning.embed import Embedder
from omero_hcs.learning.encoders import (
    Encoder,
    Interpolation,
    load_encoder,
    own_input,
)
from omero_hcs.learning.modelcard import ModelCard
from omero_hcs.learning.modelfile import Model
from omero_hcs.learning.pooling import Pooling
from omero_hcs.learning.tuned import tuned_encoder
from omero_hcs.learning.weights import find_weights
from omero_hcs.model import Unit
from omero_hcs.settings import Settings, load_settings
from omero_hcs.tasks.base import Precision
from omero_hcs.tasks.cells import CellFinder, FieldCells, FieldError

Features = NDArray[np.float32]


class EncoderParams(Protocol):
    """Parameters that name an encoder, those of several tasks."""

    @property
    def encoder(self) -> str:
        """Name of the network."""
        ...

    @property
    def weights(self) -> str | None:
        """File with its weights, or "random"."""
        ...

    @property
    def weights_sha256(self) -> str | None:
        """Digest that they must have."""
        ...

    @property
    def pooling(self) -> Pooling | Literal["auto"]:
        """Which layers become features."""
        ...

    @property
    def input_size(self) -> int | Literal["auto", "own"]:
        """Side to which crops are resized."""
        ...

    @property
    def recipe(self) -> str:
        """How stains become RGB."""
        ...

    @property
    def precision(self) -> Precision:
        """Number format; "auto" gives way to the installation's setting."""
        ...

    @property
    def seed(self) -> int:
        """Of random weights."""
        ...


def embedder_of_params(
    params: EncoderParams, channels: int, *, measures: bool = False
) -> tuple[Encoder, Embedder]:
    """Load the encoder that a run names.

    Parameters
    ----------
    params : EncoderParams
        Which encoder, and how.
    channels : int
        Stains of a crop.
    measures : bool
        Whether measures of the crop are joined to the encoder's features.

    Raises
    ------
    InputError
        If the encoder takes no crops of that size, or has not the layers.
    WeightsNotFoundError, ChecksumError, DataError
        If the weights are nowhere, not those that were named, or another network's.
    """
    settings = load_settings().values
    use_threads(settings.threads)
    encoder = _encoder_of(params, settings)
    recipe = crop_recipe(channels, params.recipe)
    precision = _precision(params.precision)
    return encoder, Embedder(encoder, recipe=recipe, precision=precision, measures=measures)


def check_encoder(params: EncoderParams, settings: Settings) -> None:
    """Refuse an encoder that cannot be had, before anything is read for it.

    Raises
    ------
    InputError, WeightsNotFoundError, ChecksumError, DataError
        As `embedder_of_params` would.
    """
    _encoder_of(params, settings)


def _encoder_of(params: EncoderParams, settings: Settings) -> Encoder:
    side, interpolation = _input(params)
    return load_encoder(
        params.encoder,
        weights=params.weights,
        sha256=params.weights_sha256,
        input_size=side,
        interpolation=interpolation,
        pooling=None if params.pooling == "auto" else params.pooling,
        device=pick_device(settings.device),
        seed=params.seed,
        allow_hub=settings.allow_hub,
    )


def _input(params: EncoderParams) -> tuple[int | None, Interpolation]:
    if params.input_size == "own":
        return own_input(params.encoder)
    return None if params.input_size == "auto" else params.input_size, "bilinear"


def check_encoder_of(model: Model, weights: str | None, settings: Settings) -> None:
    """Refuse a model whose encoder cannot be had, before anything is read for it.

    Raises
    ------
    ChecksumError, WeightsNotFoundError, DataError
        As `embedder_of_model` would.
    InputError
        If weights are given for a model that has its own.
    """
    card = model.card
    if not card.encoder.tuned:
        find_weights(
            card.encoder.name,
            path=weights_of(card, weights),
            sha256=card.encoder.sha256,
            allow_hub=settings.allow_hub,
        )
        return
    if weights is not None:
        msg = f"Model {card.name} has its encoder's weights in its file. Leave --weights out."
        raise InputError(msg)
    tuned_encoder(model)


def embedder_of_model(model: Model, *, weights: str | None, precision: Precision) -> Embedder:
    """Load the encoder that a model was trained with, and refuse any other.

    Raises
    ------
    ChecksumError
        If the weights are not those of the model.
    WeightsNotFoundError
        If they are nowhere.
    DataError
        If a tuned encoder does not fit its network.
    """
    settings, card = load_settings().values, model.card
    use_threads(settings.threads)
    encoder = (
        tuned_encoder(model, device=pick_device(settings.device))
        if card.encoder.tuned
        else _untuned(card, weights, settings)
    )
    recipe = crop_recipe(len(card.channels), card.recipe)
    return Embedder(
        encoder,
        recipe=recipe,
        precision=_precision(precision),
        measures=card.encoder.measures,
    )


def _untuned(card: ModelCard, weights: str | None, settings: Settings) -> Encoder:
    return load_encoder(
        card.encoder.name,
        weights=weights_of(card, weights),
        sha256=card.encoder.sha256,
        input_size=card.input_size,
        interpolation=card.encoder.interpolation,
        pooling=card.encoder.pooling,
        device=pick_device(settings.device),
        seed=card.encoder.seed,
        allow_hub=settings.allow_hub,
    )


def weights_of(card: ModelCard, given: str | None) -> str | None:
    """Name random weights, which no file holds; others are given, or found by the name."""
    return given or ("random" if card.encoder.source == "random" else None)


def _precision(wanted: Precision) -> Precision:
    return load_settings().values.precision if wanted == "auto" else wanted


def stream_features(
    embedder: Embedder, finder: CellFinder, units: Sequence[Unit]
) -> Iterator[tuple[FieldCells | FieldError, Features]]:
    """Crop and embed fields in turn; batches fill across them.

    Parameters
    ----------
    embedder : Embedder
        Encodes crops.
    finder : CellFinder
        Finds and crops cells.
    units : sequence of Unit
        The fields.

    Yields
    ------
    field, array of shape (N, dim), float32
        The field is without its raw crops; one that failed has no features and keeps its place.
    """
    yield from embedder.stream(_with_crops(finder, units))


def _with_crops(
    finder: CellFinder, units: Sequence[Unit]
) -> Iterator[tuple[FieldCells | FieldError, NDArray[np.float32]]]:
    survey = finder.survey
    intensities, side = survey.intensities(), survey.crop_scale().side_px
    for field in finder.fields(units):
        if isinstance(field, FieldError):
            yield field, np.empty((0, len(survey.channels), side, side), dtype=np.float32)
        else:
            # The raw pixels are not needed any more: only the normalised ones wait in the queue.
            crops = normalize(field.crops, intensities, headroom=True)
            yield replace(field, crops=field.crops[:0]), crops

"""Labelled crops of any source, in memory: what learners are taught by and tested on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from omero_hcs.imaging.crop import CropScale
from omero_hcs.imaging.normalize import Normalization
from omero_hcs.learning.embed import Embedder
from omero_hcs.learning.encoders import Encoder
from omero_hcs.learning.learners import Learner
from omero_hcs.results import Table
from omero_hcs.tasks.base import Progress, no_progress
from omero_hcs.tasks.embedding import embedder_of_params
from omero_hcs.tasks.qc_choices import LabelledParams
from omero_hcs.tasks.teaching import class_numbers, learner_by

_SHOWN_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Labelled:
    """Labelled crops of one source.

    Parameters
    ----------
    name : str
        What a person calls the source.
    crops : array, shape (N, C, S, S), float32
        Normalised.
    table : Table
        A row a crop: `label`, `plate`, `well`, `unit` (its field), `group` (what may not be on both
        sides of a test: its well, or its image) and `weak` (whether it has its field's label).
    classes : tuple of str
        The normal one first.
    channels : tuple of str
        Stains of the crops, in order.
    scale : CropScale, optional
        What a crop shows, where that is known.
    warnings : tuple of str
        What a user should know of the labels.
    normalization : Normalization, optional
        How grey values became intensities from 0 to 1, where that is known.
    labels_sha256 : str, optional
        Of the labels as they were found, which a model trained on them has on its card.
    """

    name: str
    crops: NDArray[np.float32]
    table: Table
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    scale: CropScale | None = None
    warnings: tuple[str, ...] = ()
    normalization: Normalization | None = None
    labels_sha256: str | None = None

    @cached_property
    def numbers(self) -> NDArray[np.int64]:
        """Class numbers of the crops, shape (N,)."""
        return class_numbers(self.table, self.classes)


@dataclass(frozen=True, eq=False)
class Seen:
    """Labelled crops as an encoder sees them: features, shape (N, D)."""

    encoder: Encoder
    embedder: Embedder
    features: NDArray[np.float32]


def seen_by(labelled: Labelled, params: LabelledParams, progress: Progress = no_progress) -> Seen:
    """Show labelled crops to an encoder, once.

    Raises
    ------
    WeightsNotFoundError, ChecksumError
        If the encoder's weights are nowhere, or not those that were named.
    """
    encoder, embedder = embedder_of_params(params, len(labelled.channels), measures=params.measures)
    return Seen(encoder, embedder, embedded(labelled.crops, embedder, progress))


def embedded(
    crops: NDArray[np.float32], embedder: Embedder, progress: Progress = no_progress
) -> NDArray[np.float32]:
    """Features of crops (N, C, S, S), shape (N, D)."""
    found = [np.empty((0, embedder.dim), dtype=np.float32)]
    stage = f"crops seen by {embedder.encoder.name}"
    for _, features in embedder.stream(_in_parts(crops)):
        found.append(features)
        progress(stage, sum(map(len, found)), len(crops))
    return np.concatenate(found)


def _in_parts(crops: NDArray[np.float32]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    for start in range(0, len(crops), _SHOWN_AT_ONCE):
        yield start, crops[start : start + _SHOWN_AT_ONCE]


def learner_of(
    labelled: Labelled,
    params: LabelledParams,
    seen: Seen | None = None,
    progress: Progress = no_progress,
) -> Learner:
    """Make what learns from labelled crops.

    Parameters
    ----------
    labelled : Labelled
        The crops.
    params : LabelledParams
        Which encoder and head.
    seen : Seen, optional
        The crops as that encoder sees them, where they were shown to it before.
    progress : callable
        See `tasks.base.Progress`.

    Raises
    ------
    WeightsNotFoundError, ChecksumError
        If the encoder's weights are nowhere, or not those that were named.
    """
    seen = seen or seen_by(labelled, params, progress)
    return learner_by(
        params,
        (seen.encoder, seen.embedder),
        labelled.crops if params.head == "finetune" else seen.features,
        labelled.table,
        labelled.classes,
        progress,
    )

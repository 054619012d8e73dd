"""Labelled crops of any source, in memory: what learners are taught by and tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from omero_hcs.imaging.crop import CropScale
from omero_hcs.learning.learners import FrozenLearner, Learner
from omero_hcs.results import Table
from omero_hcs.stores.base import PlateStore
from omero_hcs.tasks.base import Progress, all_units, names_of, no_progress
from omero_hcs.tasks.embedding import embedder_of_params
from omero_hcs.tasks.examples import examples_of, has_own_planes
from omero_hcs.tasks.label_places import check_labels
from omero_hcs.tasks.labels import ExampleParams, class_order, find_labels, label_sources
from omero_hcs.tasks.model_choice import ModelChoice
from omero_hcs.tasks.survey import survey_plate


class LabelledParams(ModelChoice, ExampleParams):
    """Which labelled cells there are, how they are cropped, and what learns from them."""


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
    """

    name: str
    crops: NDArray[np.float32]
    table: Table
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    scale: CropScale | None = None
    warnings: tuple[str, ...] = ()

    @cached_property
    def numbers(self) -> NDArray[np.int64]:
        """Class numbers of the crops, shape (N,)."""
        return class_numbers(self.table, self.classes)


def class_numbers(table: Table, names: Sequence[str]) -> NDArray[np.int64]:
    """Give the place of each label (N,) among `names`."""
    numbers = {name: number for number, name in enumerate(names)}
    return np.array([numbers[name] for name in table["label"].tolist()], dtype=np.int64)


def labelled_of_store(
    store: PlateStore, params: LabelledParams, progress: Progress = no_progress
) -> Labelled:
    """Crop what users labelled on the plates and images of a store.

    Raises
    ------
    LabelError
        If there are no labels, of one class only, or too few of a class.
    """
    targets = store.refs()
    found = find_labels(store, targets, label_sources(params))
    check_labels(store, targets, found.table, refuse=params.refuses, planes=has_own_planes(params))
    classes = class_order(found.table, params.normal_class)
    pairs, name = all_units(store, targets, params), names_of(store, targets)
    survey = survey_plate(store, pairs, params, name=name, progress=progress)
    examples = examples_of(store, targets, params, found.table, survey)
    crops = np.concatenate(list(examples.crops()))
    return Labelled(
        name=name,
        crops=crops,
        table=examples.table,
        classes=classes,
        channels=survey.channels,
        scale=survey.crop_scale(),
        warnings=(*found.warnings(), *survey.warnings, *examples.warnings()),
    )


def learner_of(labelled: Labelled, params: LabelledParams) -> Learner:
    """Show labelled crops to an encoder, once, and make what learns from them.

    Raises
    ------
    WeightsNotFoundError, ChecksumError
        If the encoder's weights are nowhere, or not those that were named.
    """
    _, embedder = embedder_of_params(params, len(labelled.channels))
    features = embedder.embed(labelled.crops)
    return FrozenLearner(params.new_head, features, labelled.numbers, len(labelled.classes))

"""What is taught by labelled cells: a head on an encoder as it is, or one with an encoder tuned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from omero_hcs.learning.embed import Embedder
from omero_hcs.learning.encoders import Encoder
from omero_hcs.learning.finetune import FineTuneLearner, Schedule, Told
from omero_hcs.learning.heads import Head
from omero_hcs.learning.learners import FrozenLearner
from omero_hcs.learning.lessons import Tensors
from omero_hcs.learning.tuned import PART, tuned_weights
from omero_hcs.results import Table
from omero_hcs.tasks.base import Progress
from omero_hcs.tasks.model_choice import ModelChoice

Crops = NDArray[np.float32]
Features = NDArray[np.float32]
Cells = NDArray[np.float32]
"""Features (N, D) or crops (N, C, S, S): what a learner of that head needs of labelled cells."""

Eyes = tuple[Encoder, Embedder]
"""The encoder as it was loaded, in float32, and what shows it crops in the run's precision."""


@dataclass(frozen=True, eq=False)
class Taught:
    """What a model is made of.

    `features` are those of the labelled cells by the encoder that will judge others, and `parts`
    what the model file has to have beside the head.
    """

    head: Head
    encoder: Encoder
    embedder: Embedder
    features: Features
    parts: dict[str, Tensors] = field(default_factory=dict)


def class_numbers(table: Table, names: Sequence[str]) -> NDArray[np.int64]:
    """Give the place of each label (N,) of a table among `names`."""
    numbers = {name: number for number, name in enumerate(names)}
    return np.array([numbers[name] for name in table["label"].tolist()], dtype=np.int64)


def gathered(params: ModelChoice, embedder: Embedder, crops: Iterable[Crops]) -> Cells:
    """Take in labelled cells as they are cropped: their features, or crops where views are made.

    Parameters
    ----------
    params : ModelChoice
        Which head.
    embedder : Embedder
        Sees them.
    crops : iterable of array, shape (N, C, S, S)
        Of one field after the other.

    Returns
    -------
    array, shape (N, D) or (N, C, S, S), float32
    """
    if params.head == "finetune":
        every = list(crops)
        return np.concatenate(every) if every else np.empty((0, 1, 1, 1), dtype=np.float32)
    found = [features for _, features in embedder.stream(enumerate(crops))]
    return np.concatenate([np.empty((0, embedder.dim), dtype=np.float32), *found])


def learner_by(
    params: ModelChoice,
    eyes: Eyes,
    cells: Cells,
    table: Table,
    names: Sequence[str],
    progress: Progress,
) -> FrozenLearner | FineTuneLearner:
    """Make what learns from labelled cells.

    Parameters
    ----------
    params : ModelChoice
        Which head.
    eyes : tuple of Encoder and Embedder
        The encoder.
    cells : array, shape (N, D) or (N, C, S, S)
        As `gathered` gives them.
    table : Table
        Their `label` and `group`, usually the well.
    names : sequence of str
        Of the classes.
    progress : callable
        Told of epochs.
    """
    encoder, embedder = eyes
    labels, classes = class_numbers(table, names), len(names)
    if params.head != "finetune":
        return FrozenLearner(params.new_head, cells, labels, classes, table["group"])
    return FineTuneLearner(
        encoder,
        embedder.recipe,
        cells,
        labels,
        classes,
        measures=embedder.measures,
        schedule=Schedule(class_weights=params.class_weights),
        told=_rounds(f"tuning {encoder.name}", progress),
    )


def taught_by_all(learner: FrozenLearner | FineTuneLearner, eyes: Eyes, *, seed: int) -> Taught:
    """Teach by every labelled cell."""
    encoder, embedder = eyes
    every = np.arange(len(learner.labels))
    if isinstance(learner, FrozenLearner):
        return Taught(learner.taught(every, seed=seed), encoder, embedder, learner.features)
    tuned = learner.taught(every, seed=seed)
    sees = Embedder(
        tuned.encoder,
        recipe=embedder.recipe,
        precision=embedder.precision,
        measures=learner.measures,
    )
    parts = {PART: tuned_weights(tuned.encoder)}
    return Taught(tuned.head, tuned.encoder, sees, sees.embed(learner.crops), parts)


def _rounds(what: str, progress: Progress) -> Told:
    """Count the rounds in which an encoder is tuned, one for each part that is held out."""
    begun = 0

    def told(done: int, total: int) -> None:
        nonlocal begun
        begun += done == 1
        progress(f"{what}, round {begun}", done, total)

    return told

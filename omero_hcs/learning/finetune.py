"""Fine-tuning: an encoder and a linear layer on top of it, taught together.

The layer takes the features of the network's last layer as they are, as the papers' does, whatever
the encoder pools. BatchNorm keeps the statistics of the encoder's own training, folded into its
convolutions. Measured on a simulated plate (80 labels, EfficientNet-Lite0 at 64 px, artefacts of
middle severity, 400 other cells): F1 0.82 so, 0.84 with BatchNorm kept apart, 0.79 where it learns
from batches, 0.76 with standardised features, against 0.75 of the same features untuned.

On a GPU convolutions run in TF32 where PyTorch does so by itself; nothing else is rounded.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from omero_hcs.errors import InputError
from omero_hcs.imaging.crop import Recipe, to_rgb
from omero_hcs.learning.augment import Augment
from omero_hcs.learning.embed import Crops, Embedder
from omero_hcs.learning.encoders import Encoder
from omero_hcs.learning.learners import Rows
from omero_hcs.learning.lessons import (
    ClassWeights,
    Features,
    Labels,
    check_lesson,
    weights_of_classes,
)
from omero_hcs.learning.linear import LinearHead, new_layer
from omero_hcs.learning.pooling import PooledNetwork
from omero_hcs.learning.tuned import as_kept

Told = Callable[[int, int], None]
"""Called after each epoch with (epochs done, epochs in all); it may raise to stop the tuning."""


def tell_nobody(done: int, total: int) -> None:
    """Show nothing."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast an encoder is tuned; the paper's schedule by default.

    Parameters
    ----------
    epochs, batch : int
        Passes over the labelled cells, and cells a step.
    rate, momentum : float
        Of stochastic gradient descent.
    drops : tuple of int
        Epochs after which the rate is divided by 10.
    augment : Augment
        Views of the cells, new ones in each epoch.
    class_weights : {"balanced", "none"}
        With "balanced", classes count alike in the cross-entropy however many labels each has.
    """

    epochs: int = 50
    batch: int = 32
    rate: float = 1e-3
    momentum: float = 0.9
    drops: tuple[int, ...] = (25, 40)
    augment: Augment = field(default_factory=Augment)
    class_weights: ClassWeights = "balanced"

    def __post_init__(self) -> None:
        if self.epochs < 1:
            msg = f"An encoder cannot be tuned for {self.epochs} epochs. Pass 1 or more."
            raise InputError(msg)


PAPER = Schedule()


@dataclass(frozen=True, eq=False)
class Tuned:
    """A tuned encoder, and the layer that was taught with it."""

    encoder: Encoder
    head: LinearHead


@dataclass(frozen=True, eq=False)
class FineTuneLearner:
    """Tunes an encoder anew for each set of labelled cells that it is taught by.

    Parameters
    ----------
    encoder : Encoder
        In float32; what tuning begins with.
    recipe : Recipe
        How the stains of a crop become RGB.
    crops : array, shape (N, C, S, S), float32
        Labelled cells, normalised.
    labels : array, shape (N,), int
        Class numbers.
    classes : int
        How many there are.
    schedule : Schedule
        How long and how fast.
    told : callable
        See `Told`.
    """

    encoder: Encoder
    recipe: Recipe
    crops: Crops
    labels: Labels
    classes: int
    schedule: Schedule = PAPER
    told: Told = tell_nobody

    def judge(self, train: Rows, test: Rows, *, seed: int) -> NDArray[np.float32]:
        """Tune the encoder on some cells, and judge others; see `Learner.judge`."""
        tuned = self.taught(train, seed=seed)
        embedder = Embedder(tuned.encoder, recipe=self.recipe, precision="fp32")
        return tuned.head.predict_proba(embedder.embed(self.crops[test]))

    def taught(self, train: Rows, *, seed: int) -> Tuned:
        """Give the encoder and head that learnt from the rows `train`."""
        pictures = _pictures(self.encoder, self.crops[train], self.recipe)
        labels = self.labels[train]
        return tune(
            self.encoder,
            pictures,
            labels,
            classes=self.classes,
            seed=seed,
            schedule=self.schedule,
            told=self.told,
        )


def tune(  # noqa: PLR0913  (what is tuned, on what, and how)
    encoder: Encoder,
    pictures: Tensor,
    labels: Labels,
    *,
    classes: int,
    seed: int,
    schedule: Schedule = PAPER,
    told: Told = tell_nobody,
) -> Tuned:
    """Teach an encoder and a new linear layer together.

    See the top of this file for what stays as it is.

    Parameters
    ----------
    encoder : Encoder
        In float32; it is left as it is.
    pictures : tensor, shape (N, P, 3, S, S), float32
        P passes of each cell, of the encoder's input size and on its device, in [0, 1].
    labels : array, shape (N,), int
        Class numbers.
    classes : int
        How many there are.
    seed : int
        Of the layer, the order of cells and their views: it gives the same weights on one device.
    schedule, told
        How long and how fast; see `Told`.

    Raises
    ------
    LabelError, InputError
        As `Head.fit` does.
    """
    generator = torch.Generator().manual_seed(seed)
    encoder = _of_last_layer(encoder)
    count = check_lesson(_features(encoder, pictures), labels, classes)
    width = encoder.dim * pictures.shape[1]
    student = _Student(encoder, new_layer(width, count, generator))
    target = torch.from_numpy(labels.astype(np.int64)).to(encoder.device)
    weights = weights_of_classes(labels, classes, schedule.class_weights)
    loss = nn.CrossEntropyLoss(weight=torch.from_numpy(weights).float().to(encoder.device))
    trained = [*student.network.parameters(), *student.layer.parameters()]
    optimizer = torch.optim.SGD(trained, lr=schedule.rate, momentum=schedule.momentum)
    rates = torch.optim.lr_scheduler.MultiStepLR(optimizer, list(schedule.drops), gamma=0.1)

    def step(rows: Tensor) -> None:
        optimizer.zero_grad()
        views = schedule.augment(pictures[rows].flatten(1, 2), generator)
        loss(student(views.unflatten(1, pictures.shape[1:3])), target[rows]).backward()
        optimizer.step()

    with torch.backends.cudnn.flags(deterministic=True, benchmark=False):
        for epoch in range(schedule.epochs):
            order = torch.randperm(len(target), generator=generator).to(encoder.device)
            for rows in order.split(schedule.batch):
                step(rows)
            rates.step()
            told(epoch + 1, schedule.epochs)
    return student.tuned(schedule)


class _Student(nn.Module):
    """An encoder's network with a new layer on top."""

    def __init__(self, encoder: Encoder, layer: nn.Linear) -> None:
        super().__init__()
        self.encoder = encoder
        self.network = copy.deepcopy(encoder.network).requires_grad_(requires_grad=True)
        self.layer = layer.to(encoder.device)

    def forward(self, views: Tensor) -> Tensor:
        """Logits (N, K) of views (N, P, 3, S, S)."""
        features = self.network(self.encoder.prepared(views.flatten(0, 1)))
        logits: Tensor = self.layer(features.reshape(len(views), -1))
        return logits

    def tuned(self, schedule: Schedule) -> Tuned:
        """Give what was learnt, in the precision in which it will be kept."""
        network = as_kept(self.network.requires_grad_(requires_grad=False))
        weight, bias = (part.detach().cpu().numpy() for part in self.layer.parameters())
        options = {"epochs": schedule.epochs, "class_weights": schedule.class_weights}
        return Tuned(
            replace(self.encoder, network=network), LinearHead.of_layer(weight, bias, **options)
        )


def _of_last_layer(encoder: Encoder) -> Encoder:
    """Give an encoder whose features are those of its last layer, of the same weights."""
    network = PooledNetwork(encoder.network.get_submodule("network"), "final").eval()
    alone = replace(encoder, network=network, pooling="final")
    probe = torch.zeros(1, 3, encoder.input_size, encoder.input_size)
    return replace(alone, dim=int(alone(probe).shape[1]))


def _pictures(encoder: Encoder, crops: Crops, recipe: Recipe) -> Tensor:
    """Crops (N, C, S, S) as pictures (N, P, 3, S, S) of the encoder's size, on its device."""
    rgb = to_rgb(np.clip(crops, 0, 1), recipe)
    parts = [
        encoder.resized(torch.from_numpy(np.ascontiguousarray(part.reshape(-1, *part.shape[2:]))))
        for part in np.array_split(rgb, max(1, len(rgb) // 256))
    ]
    pictures = torch.cat(parts)
    return pictures.reshape(-1, recipe.passes, *pictures.shape[1:])


def _features(encoder: Encoder, pictures: Tensor) -> Features:
    """Features (N, P x dim) of pictures (N, P, 3, S, S), before anything is learnt."""
    found = [encoder(part.flatten(0, 1)).reshape(len(part), -1) for part in pictures.split(64)]
    return np.asarray(torch.cat(found).cpu().numpy())


def seconds_a_cell(encoder: Encoder, recipe: Recipe, *, count: int = 16) -> float:
    """Time how long one labelled cell takes in one epoch, by a step on random pictures.

    Parameters
    ----------
    encoder : Encoder
        What would be tuned.
    recipe : Recipe
        How many pictures a cell has.
    count : int
        Cells of the step.
    """
    side = (3, encoder.input_size, encoder.input_size)
    noise = torch.rand(count, recipe.passes, *side, generator=torch.Generator().manual_seed(0))
    labels, once = np.arange(count) % 2, Schedule(epochs=1, batch=count)
    tune(encoder, noise[:4].to(encoder.device), labels[:4], classes=2, seed=0, schedule=once)
    started = time.monotonic()
    tune(encoder, noise.to(encoder.device), labels, classes=2, seed=0, schedule=once)
    return (time.monotonic() - started) / count

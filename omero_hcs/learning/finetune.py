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
from omero_hcs.learning.layer import standard
from omero_hcs.learning.learners import Rows
from omero_hcs.learning.lessons import (
    ClassWeights,
    Features,
    Labels,
    check_lesson,
    weights_of_classes,
)
from omero_hcs.learning.linear import LinearHead, new_layer
from omero_hcs.learning.measures import crop_measures
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
        With "balanced", the cross-entropy is weighted as `weights_of_classes` says.
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
    measures : bool
        Whether the layer sees `crop_measures` beside the encoder's features.
    """

    encoder: Encoder
    recipe: Recipe
    crops: Crops
    labels: Labels
    classes: int
    schedule: Schedule = PAPER
    told: Told = tell_nobody
    measures: bool = False

    def judge(self, train: Rows, test: Rows, *, seed: int) -> NDArray[np.float32]:
        """Tune the encoder on some cells, and judge others; see `Learner.judge`."""
        tuned = self.taught(train, seed=seed)
        embedder = Embedder(
            tuned.encoder, recipe=self.recipe, precision="fp32", measures=self.measures
        )
        return tuned.head.predict_proba(embedder.embed(self.crops[test]))

    def taught(self, train: Rows, *, seed: int) -> Tuned:
        """Give the encoder and head that learnt from the rows `train`."""
        cells = _seen(self.encoder, self.crops[train], self.recipe, measures=self.measures)
        return tune(
            self.encoder,
            cells,
            self.labels[train],
            classes=self.classes,
            seed=seed,
            schedule=self.schedule,
            told=self.told,
        )


@dataclass(frozen=True, eq=False)
class Cells:
    """What is shown of N labelled cells, on the encoder's device.

    Parameters
    ----------
    pictures : tensor, shape (N, P, 3, S, S), float32
        P passes of each cell, of the encoder's input size, in [0, 1].
    measured : tensor, shape (N, M), float32
        Measures that the layer sees beside the encoder's features; M may be 0.
    """

    pictures: Tensor
    measured: Tensor


def tune(  # noqa: PLR0913  (what is tuned, on what, and how)
    encoder: Encoder,
    cells: Cells,
    labels: Labels,
    *,
    classes: int,
    seed: int,
    schedule: Schedule = PAPER,
    told: Told = tell_nobody,
) -> Tuned:
    """Teach an encoder and a new linear layer together; see the top for what stays as it is.

    Parameters
    ----------
    encoder : Encoder
        In float32; it is left as it is.
    cells : Cells
        The labelled cells.
    labels : array, shape (N,), int
        Class numbers.
    classes, seed : int
        How many there are; and of the layer, the order of cells, their views: same seed, same
        weights on one device.
    schedule, told
        How long and how fast; see `Told`.

    Raises
    ------
    LabelError, InputError
        As `Head.fit` does.
    """
    generator = torch.Generator().manual_seed(seed)
    encoder, pictures = _of_last_layer(encoder), cells.pictures
    features = _features(encoder, cells)
    count = check_lesson(features, labels, classes)
    layer = new_layer(features.shape[1], count, generator)
    student = _Student(encoder, layer, _middle(features, cells.measured.shape[1]))
    target = torch.from_numpy(labels.astype(np.int64)).to(encoder.device)
    weights = weights_of_classes(labels, classes, schedule.class_weights)
    loss = nn.CrossEntropyLoss(weight=torch.from_numpy(weights).float().to(encoder.device))
    trained = [*student.network.parameters(), *student.layer.parameters()]
    optimizer = torch.optim.SGD(trained, lr=schedule.rate, momentum=schedule.momentum)
    rates = torch.optim.lr_scheduler.MultiStepLR(optimizer, list(schedule.drops), gamma=0.1)

    def step(rows: Tensor) -> None:
        optimizer.zero_grad()
        views = schedule.augment(pictures[rows].flatten(1, 2), generator)
        views = views.unflatten(1, pictures.shape[1:3])
        loss(student(views, cells.measured[rows]), target[rows]).backward()
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
    """An encoder's network with a new layer on top, and what is taken from features between."""

    def __init__(
        self, encoder: Encoder, layer: nn.Linear, middle: tuple[Features, Features]
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.network = copy.deepcopy(encoder.network).requires_grad_(requires_grad=True)
        self.layer = layer.to(encoder.device)
        self.middle = middle
        self.mean, self.scale = (torch.from_numpy(part).to(encoder.device) for part in middle)

    def forward(self, views: Tensor, measured: Tensor) -> Tensor:
        """Logits (N, K) of views (N, P, 3, S, S) and measures (N, M)."""
        features = self.network(self.encoder.prepared(views.flatten(0, 1)))
        joined = torch.cat([features.reshape(len(views), -1), measured], dim=1)
        logits: Tensor = self.layer((joined - self.mean) / self.scale)
        return logits

    def tuned(self, schedule: Schedule) -> Tuned:
        """Give what was learnt, in the precision in which it will be kept."""
        network = as_kept(self.network.requires_grad_(requires_grad=False))
        weight, bias = (part.detach().cpu().numpy() for part in self.layer.parameters())
        options = {"epochs": schedule.epochs, "class_weights": schedule.class_weights}
        head = LinearHead.of_layer(weight, bias, self.middle, **options)
        return Tuned(replace(self.encoder, network=network), head)


def _middle(features: Features, measures: int) -> tuple[Features, Features]:
    """Give mean and scale of features: those of the network stay as they are, measures do not."""
    mean, scale = np.zeros(features.shape[1], np.float32), np.ones(features.shape[1], np.float32)
    if measures:
        mean[-measures:], scale[-measures:] = standard(features[:, -measures:])
    return mean, scale


def _of_last_layer(encoder: Encoder) -> Encoder:
    """Give an encoder whose features are those of its last layer, of the same weights."""
    network = PooledNetwork(encoder.network.get_submodule("network"), "final").eval()
    alone = replace(encoder, network=network, pooling="final")
    probe = torch.zeros(1, 3, encoder.input_size, encoder.input_size)
    return replace(alone, dim=int(alone(probe).shape[1]))


def _seen(encoder: Encoder, crops: Crops, recipe: Recipe, *, measures: bool) -> Cells:
    """Bring crops (N, C, S, S) to the encoder's size and device, and measure them if asked."""
    pictures, measured = [], []
    for part in np.array_split(crops, max(1, len(crops) // 256)):
        rgb = to_rgb(part, recipe)
        flat = torch.from_numpy(np.ascontiguousarray(rgb.reshape(-1, *rgb.shape[2:])))
        pictures.append(encoder.resized(flat).clamp(0, 1).unflatten(0, rgb.shape[:2]))
        pixels = torch.from_numpy(np.ascontiguousarray(part)).to(encoder.device)
        measured.append(crop_measures(pixels) if measures else pixels.new_zeros((len(part), 0)))
    return Cells(torch.cat(pictures), torch.cat(measured))


def _features(encoder: Encoder, cells: Cells) -> Features:
    """Features and measures (N, P x dim + M) of cells, before anything is learnt."""
    parts = cells.pictures.split(64)
    seen = torch.cat([encoder(part.flatten(0, 1)).reshape(len(part), -1) for part in parts])
    return np.asarray(torch.cat([seen, cells.measured], dim=1).cpu().numpy())


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
    cells = Cells(noise.to(encoder.device), torch.zeros(count, 0, device=encoder.device))
    labels, once = np.arange(count) % 2, Schedule(epochs=1, batch=count)
    tune(encoder, cells, labels, classes=2, seed=0, schedule=once)  # the first one takes longer
    started = time.monotonic()
    tune(encoder, cells, labels, classes=2, seed=0, schedule=once)
    return (time.monotonic() - started) / count

"""One linear layer, trained by the paper's schedule, as a head."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from omero_hcs.errors import InputError
from omero_hcs.learning.layer import LayerHead, standard
from omero_hcs.learning.lessons import Features, Labels, check_lesson, weights_of_classes

EPOCHS, BATCH, RATE, MOMENTUM, DROPS = 150, 32, 1e-3, 0.9, (40, 70, 120)
"""The paper's schedule of the linear layer: the rate is divided by 10 after each of `DROPS`."""


class LinearHead(LayerHead):
    """One linear layer on centred features, trained by the paper's schedule.

    Parameters
    ----------
    epochs : int
        Passes over the labels; the rate drops at 40, 70 and 120.
    class_weights : {"balanced", "none"}
        With "balanced", the cross-entropy is weighted as `weights_of_classes` says.
    """

    kind = "linear"

    def __init__(self, epochs: int = EPOCHS, class_weights: str = "balanced") -> None:
        super().__init__(class_weights)
        if epochs < 1:
            msg = f"A linear head cannot train for {epochs} epochs. Pass 1 or more."
            raise InputError(msg)
        self.epochs = epochs

    def fit(
        self,
        features: Features,
        labels: Labels,
        *,
        seed: int = 0,
        classes: int | None = None,
        groups: NDArray[Any] | None = None,
    ) -> Self:
        """Train the layer; see `Head.fit`."""
        del groups
        count = check_lesson(features, labels, classes)
        mean, scale = standard(features)
        x = torch.from_numpy(np.asarray((features - mean) / scale, dtype=np.float32))
        y = torch.from_numpy(labels.astype(np.int64))
        weight = torch.from_numpy(weights_of_classes(labels, count, self.class_weights)).float()
        layer = _train_layer(x, y, weight, epochs=self.epochs, seed=seed)
        self._keep(layer.weight.detach().numpy(), layer.bias.detach().numpy(), (mean, scale))
        return self

    def config(self) -> dict[str, Any]:
        """Options, as JSON values."""
        return {"epochs": self.epochs, **super().config()}


def new_layer(features: int, classes: int, generator: torch.Generator) -> nn.Linear:
    """Make an untrained layer, small enough that no class is preferred."""
    layer = nn.Linear(features, classes)
    nn.init.normal_(layer.weight, std=0.01, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer


def _train_layer(
    x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor, *, epochs: int, seed: int
) -> nn.Linear:
    generator = torch.Generator().manual_seed(seed)
    layer = new_layer(x.shape[1], len(weight), generator)
    loss = nn.CrossEntropyLoss(weight=weight)
    optimizer = torch.optim.SGD(layer.parameters(), lr=RATE, momentum=MOMENTUM)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, list(DROPS), gamma=0.1)
    for _ in range(epochs):
        for rows in torch.randperm(len(y), generator=generator).split(BATCH):
            optimizer.zero_grad()
            loss(layer(x[rows]), y[rows]).backward()
            optimizer.step()
        schedule.step()
    return layer

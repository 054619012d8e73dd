"""What heads of one linear layer have in common, however the layer is taught."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from omero_hcs.errors import LabelError
from omero_hcs.learning.lessons import (
    ClassWeights,
    Features,
    Tensors,
    check_class_weights,
    finite,
    missing,
    spread,
    untrained,
)

TENSORS = ("weight", "bias", "mean", "scale")


class LayerHead:
    """One linear layer on centred features, and the softmax of what it gives.

    All features share one scale. Measured on 500 BBBC013 crops, half of them blurred by 2 px,
    25 + 25 labels: accuracy 0.999 and 99.95 % of verdicts alike in bf16 and fp32; with a scale for
    each feature, which blows up the noise of the silent ones, 0.965 and 96.5 %.

    Parameters
    ----------
    class_weights : {"balanced", "none"}
        With "balanced", labels are weighted as `weights_of_classes` says.
    """

    kind = "layer"

    def __init__(self, class_weights: str = "balanced") -> None:
        self.class_weights: ClassWeights = check_class_weights(class_weights)
        self._learnt: Tensors = {}

    @classmethod
    def of_layer(
        cls,
        weight: NDArray[Any],
        bias: NDArray[Any],
        middle: tuple[NDArray[Any], NDArray[Any]],
        **options: Any,
    ) -> Self:
        """Make a head of a layer (K, D) that was taught elsewhere; see `_keep`."""
        head = cls(**options)
        head._keep(weight, bias, middle)
        return head

    def predict_proba(self, features: Features) -> NDArray[np.float32]:
        """Probabilities (N, K), float32; rows sum to 1."""
        if not self._learnt:
            raise LabelError(untrained(self.kind))
        scaled = (finite(features) - self._learnt["mean"]) / self._learnt["scale"]
        logits = scaled @ self._learnt["weight"].T + self._learnt["bias"]
        proba = torch.softmax(torch.from_numpy(logits.astype(np.float32)), dim=1)
        return np.asarray(proba.numpy(), dtype=np.float32)

    def config(self) -> dict[str, Any]:
        """Options, as JSON values."""
        return {"class_weights": self.class_weights}

    def tensors(self) -> Tensors:
        """Give what was learnt, by name."""
        return dict(self._learnt)

    @classmethod
    def from_state(cls, config: Mapping[str, Any], tensors: Tensors) -> Self:
        """Read what `config` and `tensors` gave."""
        head = cls(**config)
        head._learnt = {name: tensors[name] for name in TENSORS}
        return head

    @staticmethod
    def faults(tensors: Tensors, *, classes: int) -> list[str]:
        """Why tensors are not those of such a head for that many classes."""
        if lacking := missing(tensors, TENSORS):
            return lacking
        weight = tensors["weight"]
        fits = (
            weight.ndim == 2
            and tensors["mean"].shape == tensors["scale"].shape == weight.shape[1:]
            and tensors["bias"].shape == weight.shape[:1] == (classes,)
        )
        return [] if fits else [f"its layer does not fit {classes} classes"]

    def _keep(
        self,
        weight: NDArray[Any],
        bias: NDArray[Any],
        middle: tuple[NDArray[Any], NDArray[Any]],
    ) -> None:
        """Keep a layer, and the mean and scale that features are brought to before it."""
        values = (weight, bias, *middle)
        self._learnt = {
            name: np.array(value, dtype=np.float32)
            for name, value in zip(TENSORS, values, strict=True)
        }


def standard(features: Features) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean of each feature, and one scale for all: features that hardly change stay small."""
    mean = features.mean(axis=0, dtype=np.float64)
    scale = np.full(features.shape[1], spread(features))
    return mean.astype(np.float32), scale.astype(np.float32)

"""Heads: what judges the features of an encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from omero_hcs.errors import InputError
from omero_hcs.learning.knn import KnnHead
from omero_hcs.learning.lessons import Features, Labels, Tensors
from omero_hcs.learning.linear import LinearHead
from omero_hcs.learning.logistic import LogisticHead

__all__ = ["HEADS", "Features", "Head", "Labels", "Tensors", "make_head"]


class Head(Protocol):
    """A classifier of features that a model file can keep."""

    @property
    def kind(self) -> str:
        """Name by which `make_head` and model files know it."""
        ...

    def fit(
        self,
        features: Features,
        labels: Labels,
        *,
        seed: int = 0,
        classes: int | None = None,
        groups: NDArray[Any] | None = None,
    ) -> Self:
        """Learn from features (N, D) and class numbers (N,); `classes` counts all there are.

        `groups` (N,), usually wells, says what is kept together where a head tries out its options
        on labels that it holds out.

        Raises
        ------
        LabelError
            If the labels are too few or of one class only.
        InputError
            If features are not finite, all alike, or the two differ in length.
        """
        ...

    def predict_proba(self, features: Features) -> NDArray[np.float32]:
        """Probabilities (N, K), float32; rows sum to 1."""
        ...

    def config(self) -> dict[str, Any]:
        """Options, as JSON values."""
        ...

    def tensors(self) -> Tensors:
        """Give what was learnt, by name."""
        ...

    @classmethod
    def from_state(cls, config: Mapping[str, Any], tensors: Tensors) -> Self:
        """Read what `config` and `tensors` gave."""
        ...

    @staticmethod
    def faults(tensors: Tensors, *, classes: int) -> list[str]:
        """Why tensors are not those of such a head for that many classes."""
        ...


HEADS: dict[str, type[KnnHead | LinearHead | LogisticHead]] = {
    "knn": KnnHead,
    "linear": LinearHead,
    "logistic": LogisticHead,
}


def make_head(kind: str, **options: Any) -> KnnHead | LinearHead | LogisticHead:
    """Make an untrained head by its name.

    Raises
    ------
    InputError
        If there is no such head, or it has no such option.
    """
    try:
        return HEADS[kind](**options)
    except KeyError:
        msg = f"There is no head {kind!r}. Pass one of: {', '.join(HEADS)}."
        raise InputError(msg) from None
    except TypeError as error:
        msg = f"Head {kind!r} does not take these options: {', '.join(options)} ({error})."
        raise InputError(msg) from error

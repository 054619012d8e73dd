"""What a model says of cells: classes, calibrated probabilities, and how far to trust them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from omero_hcs.results import Table

if TYPE_CHECKING:
    from omero_hcs.learning.modelfile import Model
    from omero_hcs.learning.nearest import Nearest
    from omero_hcs.learning.novelty import Novelty

VIEW = "view"
"""Column of what cells look like in a few numbers, by which different ones are picked."""

VIEW_AXES = 16

Features = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Judge:
    """Adds the verdict of a model to the cells of one field after the other.

    Parameters
    ----------
    model : Model
        What judges.
    has_view : bool
        Whether cells get the column `VIEW`, too, if the model can tell.
    """

    model: Model
    has_view: bool = False

    def __call__(self, cells: Table, features: Features) -> Table:
        """Add what the model says of the cells of a field.

        Parameters
        ----------
        cells : Table
            N cells.
        features : array, shape (N, D), float32
            Of the cells, by the model's encoder.

        Returns
        -------
        Table
            With `class`, `abnormal` (1 minus the probability of the normal class) and `p_...`, the
            probability of each class; with `novelty`, `why_1` to `why_3` and `why_1_similarity` if
            the model knows its plates and examples.
        """
        card = self.model.card
        classes = np.array(card.classes)
        chances = _probabilities(self.model, features)
        normal = card.classes.index(card.normal_class)
        chosen = classes[chances.argmax(axis=1)] if len(cells) else np.empty(0, dtype="<U1")
        return cells.with_columns(
            **{"class": chosen, "abnormal": (1.0 - chances[:, normal]).astype(np.float32)},
            **{f"p_{name}": chances[:, index] for index, name in enumerate(classes)},
            **self._trust(features),
        )

    def _trust(self, features: Features) -> dict[str, NDArray[Any]]:
        columns: dict[str, NDArray[Any]] = {}
        if self._novelty is not None:
            columns["novelty"] = self._novelty.scores(features)
            if self.has_view:
                columns[VIEW] = self._novelty.along_axes(features)[:, :VIEW_AXES]
        if self._nearest is not None:
            rows, similarity = self._nearest.find(features)
            columns |= {f"why_{place}": rows[:, place - 1] for place in range(1, rows.shape[1] + 1)}
            columns["why_1_similarity"] = similarity
        return columns

    @cached_property
    def _novelty(self) -> Novelty | None:
        from omero_hcs.learning.novelty import PART, Novelty

        part = self.model.parts.get(PART)
        return Novelty.from_tensors(part) if part else None

    @cached_property
    def _nearest(self) -> Nearest | None:
        from omero_hcs.learning.kept_examples import PART
        from omero_hcs.learning.nearest import Nearest

        part = self.model.parts.get(PART)
        return Nearest.from_tensors(part) if part else None


def _probabilities(model: Model, features: Features) -> Features:
    from omero_hcs.learning.calibration import calibrated_by

    if not len(features):
        return np.empty((0, len(model.card.classes)), dtype=np.float32)
    chances: Features = model.head.predict_proba(features)
    return np.asarray(calibrated_by(model.card.calibration, chances), dtype=np.float32)

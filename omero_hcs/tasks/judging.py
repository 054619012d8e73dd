"""What a model says of cells: classes, calibrated probabilities, and how far to trust them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from omero_hcs.results import Table

if TYPE_CHECKING:
    from omero_hcs.learning.modelfile import Model


def judge_cells(cells: Table, model: Model, features: NDArray[np.float32]) -> Table:
    """Add the verdict of a model to the cells of a field.

    Parameters
    ----------
    cells : Table
        N cells.
    model : Model
        What judges.
    features : array, shape (N, D), float32
        Of the cells, by the model's encoder.

    Returns
    -------
    Table
        With `class`, `abnormal` (1 minus the probability of the normal class) and `p_...`, the
        probability of each class.
    """
    classes = np.array(model.card.classes)
    chances = _probabilities(model, features)
    normal = model.card.classes.index(model.card.normal_class)
    chosen = classes[chances.argmax(axis=1)] if len(cells) else np.empty(0, dtype="<U1")
    columns: dict[str, NDArray[Any]] = {
        "class": chosen,
        "abnormal": (1.0 - chances[:, normal]).astype(np.float32),
        **{f"p_{name}": chances[:, index] for index, name in enumerate(classes)},
    }
    return cells.with_columns(**columns)


def _probabilities(model: Model, features: NDArray[np.float32]) -> NDArray[np.float32]:
    from omero_hcs.learning.calibration import calibrated_by

    if not len(features):
        return np.empty((0, len(model.card.classes)), dtype=np.float32)
    chances: NDArray[np.float32] = model.head.predict_proba(features)
    return np.asarray(calibrated_by(model.card.calibration, chances), dtype=np.float32)

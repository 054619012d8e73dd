"""How long it takes to tune an encoder, told before it begins, and in how many rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omero_hcs.settings import load_settings

if TYPE_CHECKING:
    from omero_hcs.tasks.train_qc import Params

FOLDS, FOLDS_WITHOUT_GPU = 5, 3
"""Parts that are held out in turn where the user asks for no number of them."""


def folds_of(params: Params) -> int:
    """Give the parts that are held out in turn: fewer where each takes many minutes."""
    if params.folds is not None:
        return params.folds
    return FOLDS_WITHOUT_GPU if params.head == "finetune" and not _has_gpu() else FOLDS


def tuning_seconds(params: Params, cells: int, channels: int) -> float | None:
    """Estimate how long an encoder will be tuned on this machine, by a step that is timed.

    Parameters
    ----------
    params : Params
        Which encoder, and in how many parts cells are held out.
    cells : int
        Labelled cells.
    channels : int
        Stains of a crop.

    Returns
    -------
    float or None
        None where no encoder is tuned.
    """
    if params.head != "finetune":
        return None
    from omero_hcs.learning.finetune import PAPER, seconds_a_cell
    from omero_hcs.tasks.embedding import embedder_of_params

    encoder, embedder = embedder_of_params(params, channels)
    # Each part is judged by an encoder that learns from all the others; then one learns from all.
    every = cells * folds_of(params)
    return seconds_a_cell(encoder, embedder.recipe) * every * PAPER.epochs


def _has_gpu() -> bool:
    from omero_hcs.learning.device import pick_device

    return pick_device(load_settings().values.device).type != "cpu"

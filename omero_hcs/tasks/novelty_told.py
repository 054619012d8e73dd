"""Whether a plate is unlike those that its model learnt from, told of wells and of the plate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omero_hcs.learning.modelcard import ModelCard
from omero_hcs.learning.novelty import MIN_WELLS, are_too_many, group_scores
from omero_hcs.results import Table

MIN_GROUPS = 4
"""On fewer wells, fields are counted: the threshold was found on wells of a field each."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class PlateNovelty:
    """How much of a plate is unlike what a model learnt from; `novelty` in its `run.json`.

    Parameters
    ----------
    counted : str
        What was counted: "wells", "fields".
    count, beyond : int
        How many there are, and how many of them are beyond the threshold.
    threshold : float
        The model's.
    warns : bool
        Whether that is more than chance explains.
    """

    counted: str
    count: int
    beyond: int
    threshold: float
    warns: bool

    @property
    def text(self) -> str:
        """Tell it in a line."""
        share = f" ({100 * self.beyond / self.count:.0f} %)" if self.count else ""
        few = "more than chance explains" if self.warns else "no more than chance explains"
        return f"{self.beyond} of {self.count} {self.counted}{share}, {few}"

    def warning(self, name: str) -> str:
        """Warn of a plate, by its name, and say what to do."""
        return (
            f"{name} looks unlike what the model learnt from: {self.text}. Its verdicts may be "
            "wrong, even where the model seems sure. Look at cells of these wells, label some of "
            "this plate (--suggest 40 picks the most useful) and train the model on both."
        )

    def as_json(self) -> dict[str, Any]:
        """Give it as a run's record has it."""
        return {**asdict(self), "text": self.text}


def plate_novelty(card: ModelCard, cells: Table) -> PlateNovelty | None:
    """Judge how new the cells of one plate or image set are to its model.

    Parameters
    ----------
    card : ModelCard
        The model's.
    cells : Table
        The judged cells, with `novelty` if the model can tell.

    Returns
    -------
    PlateNovelty or None
        None if the model cannot tell, or nothing was judged.
    """
    known = card.novelty
    if known is None or not len(cells) or "novelty" not in cells:
        return None
    cells = _counted_cells(cells)
    counted, groups = "wells", cells["well"]
    if len(np.unique(groups)) < MIN_GROUPS:
        counted, groups = "fields", cells["image"]
    _, scores = group_scores(cells["novelty"], groups)
    beyond = int((scores > known.threshold).sum())
    warns = are_too_many(beyond, len(scores), known=known.wells)
    return PlateNovelty(counted, len(scores), beyond, known.threshold, warns)


def novelty_of_wells(cells: Table, wells: Table) -> Floats:
    """Find the score of each well, shape (W,); NaN where a well has no cells."""
    found: dict[str, float] = {}
    if len(cells) and "novelty" in cells:
        cells = _counted_cells(cells)
        names, scores = group_scores(cells["novelty"], cells["well"])
        found = dict(zip(names.tolist(), scores.tolist(), strict=True))
    return np.array([found.get(name, np.nan) for name in wells["well"].tolist()], dtype=np.float32)


def novelty_line(card: ModelCard, found: Sequence[tuple[str, PlateNovelty]]) -> str:
    """Tell in the summary of a run what is new, or why that is not known."""
    if found:
        each = [f"{name}: {one.text}" if len(found) > 1 else one.text for name, one in found]
        return "; ".join(each)
    if card.novelty is not None:
        return "nothing judged"
    if card.schema_version < 3:
        return (
            f"not known: model {card.name} is of an older release, which kept nothing of its plates"
            " to compare others with. Train it again for that"
        )
    return (
        f"not known: model {card.name} learnt from fewer than {MIN_WELLS} wells or images, too few"
        " to say what is unlike them"
    )


def _counted_cells(cells: Table) -> Table:
    """Leave tiles of empty fields out, which are unlike any cell."""
    real = cells.where(cells["centre"] != "tile")
    return real if len(real) else cells

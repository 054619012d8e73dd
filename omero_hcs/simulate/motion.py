"""How cells move and divide from one time point to the next."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from omero_hcs.simulate.cells import (
    ANAPHASE,
    DAUGHTER,
    METAPHASE,
    PROPHASE,
    Cells,
    ellipses,
    join_cells,
)


def cells_at(cells: Cells, t: int) -> Cells:
    """Cells `t` time points after the first: moved a little, some divided.

    A cell keeps its label; the second daughter of a division gets a new one, above all others.
    """
    if t == 0 or not len(cells):
        return cells
    wander = np.sin(0.9 * t + cells.offset) - np.sin(cells.offset)
    y = cells.y + cells.speed[:, 0] * t + 0.8 * wander[:, 0]
    x = cells.x + cells.speed[:, 1] * t + 0.8 * wander[:, 1]
    turning = np.isin(cells.stage, (PROPHASE, METAPHASE, ANAPHASE))
    stage = np.where(turning, np.minimum(cells.stage + t, DAUGHTER), cells.stage)
    circle = ellipses(cells.diameter * 1.75, 1 + 0 * cells.diameter, cells.angle)
    round_up = turning & (stage >= METAPHASE)
    moved = replace(
        cells,
        y=y,
        x=x,
        stage=stage,
        body=np.where(round_up[:, None], np.minimum(cells.body, circle), cells.body),
    )
    moved = _line_up(moved, cells.stage)
    return _divide(moved, t - (DAUGHTER - cells.stage))


def _line_up(cells: Cells, before: np.ndarray) -> Cells:
    """Give cells that reached metaphase since the first time point their chromosome plate."""
    new = (before == PROPHASE) & (cells.stage >= METAPHASE)
    if not new.any():
        return cells
    bar = ellipses(cells.diameter * 0.62, np.full(len(cells), 2.6), cells.angle)
    return replace(
        cells,
        outline=np.where(new[:, None], bar, cells.outline),
        dna=cells.dna * np.where(new, 1.7, 1.0),
        texture=cells.texture * np.where(new, 0.4, 1.0),
    )


def _divide(cells: Cells, since: np.ndarray) -> Cells:
    """Replace cells whose division is over by two daughters that move apart and spread."""
    done = cells.stage == DAUGHTER
    if not done.any():
        return cells
    mothers = cells.take(done)
    age = np.maximum(0, since[done])
    apart = mothers.diameter * np.minimum(0.55 + 0.2 * age, 1.2)
    step_y, step_x = apart * np.cos(mothers.angle), -apart * np.sin(mothers.angle)
    size = mothers.diameter * np.minimum(0.6 + 0.08 * age, 0.85)
    young = replace(
        mothers,
        diameter=size,
        outline=ellipses(size, 1 + 0.5 / (1 + age), mothers.angle),
        body=ellipses(size * np.minimum(1.6 + 0.3 * age, 3.0), 1 + 0 * size, mothers.angle),
        dna=mothers.dna / (1 + 0.25 * age),
        texture=np.ones(len(mothers)),
    )
    first = replace(young, y=mothers.y + step_y, x=mothers.x + step_x)
    top = int(cells.id.max())
    # The label of a second daughter depends on its mother only, so that it lasts.
    second = replace(young, y=mothers.y - step_y, x=mothers.x - step_x, id=top + mothers.id)
    return join_cells(join_cells(cells.take(~done), first), second)

"""Stress fibres and filopodia: curved lines drawn point by point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from omero_hcs.simulate.cells import ANGLES, METAPHASE, Cells, FloatArray, IntArray

_POINTS = 48
_FIBRES, _FILOPODIA = 60, 8


@dataclass(frozen=True, eq=False)
class Fibres:
    """Lines as columns: the cell's id, points (F, POINTS) from the cell's centre, brightness.

    `free` lines may leave the cell (filopodia); the others end at its border.
    """

    cell: IntArray
    y: FloatArray
    x: FloatArray
    gain: FloatArray
    free: NDArray[np.bool_]


def grow_fibres(cells: Cells, rng: np.random.Generator) -> Fibres:
    """Fibres of every cell, mostly along its long axis, and filopodia on its rim."""
    inner = _stress_fibres(cells, rng)
    outer = _filopodia(cells, rng)
    cell, y, x, gain = (np.concatenate(pair) for pair in zip(inner, outer, strict=True))
    return Fibres(
        cell=cell,
        y=y,
        x=x,
        gain=gain,
        free=np.repeat([False, True], [len(inner[0]), len(outer[0])]),
    )


def _stress_fibres(
    cells: Cells, rng: np.random.Generator
) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
    row = np.repeat(np.arange(len(cells)), _FIBRES)
    reach = cells.body.mean(1)[row]
    spread = rng.uniform(0.06, 0.35, len(cells))[row]
    turn = cells.angle[row] + rng.normal(0, 1, len(row)) * spread
    middle = rng.normal(0, 0.42, (2, len(row))) * reach
    length = reach * rng.uniform(0.5, 1.9, len(row))
    bend = rng.normal(0, 0.3, len(row)) / reach
    gain = rng.gamma(0.9, 0.12, len(row)) * rng.lognormal(0, 0.3, len(cells))[row]
    return (cells.id[row], *_curves(middle, turn, length, bend), gain)


def _filopodia(
    cells: Cells, rng: np.random.Generator
) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
    row = np.repeat(np.arange(len(cells)), _FILOPODIA)
    turn = rng.uniform(0, 2 * np.pi, len(row))
    edge = cells.body[row, (turn * ANGLES / (2 * np.pi)).astype(np.int64) % ANGLES]
    middle = edge * np.stack([np.sin(turn), np.cos(turn)])
    length = rng.gamma(2.0, 3.0, len(row))
    gain = rng.gamma(1.2, 0.12, len(row))
    lean = turn + rng.normal(0, 0.4, len(row))
    return (cells.id[row], *_curves(middle, lean, length, 0 * length), gain)


def _curves(
    middle: FloatArray, turn: FloatArray, length: FloatArray, bend: FloatArray
) -> tuple[FloatArray, FloatArray]:
    along = np.linspace(-0.5, 0.5, _POINTS) * length[:, None]
    across = bend[:, None] * along**2
    sine, cosine = np.sin(turn)[:, None], np.cos(turn)[:, None]
    y = middle[0][:, None] + along * sine + across * cosine
    x = middle[1][:, None] + along * cosine - across * sine
    return y.astype(np.float32), x.astype(np.float32)


def draw_fibres(
    layer: NDArray[np.float32], fibres: Fibres, cells: Cells, owner: IntArray, signal: float
) -> None:
    """Add fibres to a layer, shape (Y, X), in place; `owner` has the row of the cell on top."""
    place = {int(label): row for row, label in enumerate(cells.id) if cells.lift[row] < 1}
    row = np.array([place.get(int(label), -1) for label in fibres.cell], dtype=np.int64)
    there = row >= 0
    if not there.any():
        return
    row, free = row[there], fibres.free[there]
    y = fibres.y[there] + cells.y[row][:, None].astype(np.float32)
    x = fibres.x[there] + cells.x[row][:, None].astype(np.float32)
    step = np.hypot(np.diff(y[:, :2])[:, 0], np.diff(x[:, :2])[:, 0])
    taper = np.sin(np.linspace(0.15, np.pi - 0.15, _POINTS))
    # Cells that are round, in division or death, have no stress fibres.
    holds = (1 - cells.lift) * (cells.stage < METAPHASE) * (1 - np.minimum(1, 1.5 * cells.death))
    weight = (fibres.gain[there] * (cells.actin * holds)[row] * step)[:, None] * taper * signal
    iy, ix = np.floor(y).astype(np.int64), np.floor(x).astype(np.int64)
    seen = (iy >= 0) & (ix >= 0) & (iy < layer.shape[0] - 1) & (ix < layer.shape[1] - 1)
    seen[seen] = _own_or_free(owner, (iy[seen], ix[seen]), row, free, seen)
    _splat(layer, (y[seen], x[seen]), (iy[seen], ix[seen]), weight[seen])


def _own_or_free(
    owner: IntArray,
    place: tuple[IntArray, IntArray],
    row: IntArray,
    free: NDArray[np.bool_],
    seen: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Which points of fibres lie in their own cell, or may leave it."""
    line = np.nonzero(seen)[0]
    inside: NDArray[np.bool_] = (owner[place] == row[line]) | free[line]
    return inside


def _splat(
    layer: NDArray[np.float32],
    at: tuple[FloatArray, FloatArray],
    corner: tuple[IntArray, IntArray],
    weight: FloatArray,
) -> None:
    """Add points between pixels: each to its four neighbours, by nearness."""
    fy, fx = at[0] - corner[0], at[1] - corner[1]
    flat = corner[0] * layer.shape[1] + corner[1]
    size = layer.size
    total = np.zeros(size)
    for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
        share = np.abs(1 - dy - fy) * np.abs(1 - dx - fx)
        total += np.bincount(flat + dy * layer.shape[1] + dx, weight * share, minlength=size)
    layer += total.reshape(layer.shape).astype(np.float32)

"""Nuclei as one or more lobes: whole, dividing, or broken up; and their chromatin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from omero_hcs.simulate.cells import ANAPHASE, Cells, FloatArray, IntArray, ellipses

_GOLDEN_ANGLE = 2.399963
_FRAGMENTS_FROM = 0.4


@dataclass(frozen=True, eq=False)
class Lobes:
    """Parts of nuclei as columns: the cell's row, centre, outline, brightness, chromatin."""

    row: IntArray
    y: FloatArray
    x: FloatArray
    outline: FloatArray
    gain: FloatArray
    texture: FloatArray


def split_lobes(cells: Cells) -> Lobes:
    """Lobes of all nuclei."""
    parts = [_lobes_of(cells, row) for row in range(len(cells))]
    rows = np.repeat(np.arange(len(cells)), [len(part[0]) for part in parts])
    if not len(rows):
        none = np.zeros(0)
        return Lobes(rows, none, none, cells.outline[:0], none, none)
    shift = np.concatenate([part[0] for part in parts])
    return Lobes(
        row=rows,
        y=cells.y[rows] + shift[:, 0],
        x=cells.x[rows] + shift[:, 1],
        outline=np.concatenate([part[1] for part in parts]),
        gain=cells.dna[rows],
        texture=cells.texture[rows],
    )


def _lobes_of(cells: Cells, row: int) -> tuple[FloatArray, FloatArray]:
    """Offsets, shape (L, 2), and outlines, shape (L, ANGLES), of one nucleus."""
    diameter, angle = float(cells.diameter[row]), float(cells.angle[row])
    outline = cells.outline[row][None]
    if cells.stage[row] == ANAPHASE:
        apart = 0.36 * diameter * np.array([np.cos(angle), -np.sin(angle)])
        bar = ellipses(np.array([0.5 * diameter]), np.array([2.4]), np.array([angle]))
        return np.stack([apart, -apart]), np.repeat(bar, 2, axis=0)
    broken = float(cells.death[row]) - _FRAGMENTS_FROM
    if broken <= 0:
        return np.zeros((1, 2)), outline
    return _fragments(outline, broken / (1 - _FRAGMENTS_FROM), int(cells.offset[row].sum()))


def _fragments(outline: FloatArray, share: float, seed: int) -> tuple[FloatArray, FloatArray]:
    """Apoptotic bodies: balls of falling size around the largest."""
    count = 1 + round(5 * share)
    order = np.arange(count)
    turn = seed + order * _GOLDEN_ANGLE
    radius = float(outline.mean())
    away = radius * np.where(order == 0, 0.0, 0.9 + 0.8 * share + 0.25 * (order % 3))
    size = np.where(order == 0, 1 - 0.25 * share, 0.28 + 0.3 * ((order * 7 + seed) % 5) / 5)
    offsets = np.stack([away * np.sin(turn), away * np.cos(turn)], axis=1)
    return offsets, np.where(order[:, None] == 0, outline, radius) * size[:, None]


def draw_nucleus(
    lobes: Lobes,
    index: int,
    grid: tuple[FloatArray, FloatArray, IntArray],
    textures: tuple[FloatArray, FloatArray],
) -> tuple[FloatArray, FloatArray]:
    """Draw one lobe on a small window.

    Parameters
    ----------
    lobes : Lobes
        All lobes.
    index : int
        Which one.
    grid : (dy, dx, directions)
        Distances of the window's pixels from the lobe's centre, and their directions.
    textures : (medium, coarse)
        Noise of unit variance for chromatin and nucleoli, of the window's shape.

    Returns
    -------
    depth, body : arrays of the window's shape
        Distance from the centre in radii, and brightness (about 1 inside).
    """
    dy, dx, turn = grid
    medium, coarse = textures
    distance = np.sqrt(dy**2 + dx**2)
    radius = lobes.outline[index].astype(np.float32)[turn]
    depth = distance / radius
    soft = np.clip((radius - distance) / 1.3 + 0.5, 0, 1)
    dome = 0.72 + 0.28 * np.sqrt(np.clip(1 - depth**2, 0, 1))
    contrast = np.float32(lobes.texture[index])
    # Where coarse noise is high there is a nucleolus: a round hole in the chromatin.
    holes = 0.34 * np.clip((coarse - 1.0) * 2.2, 0, 1) * np.clip((0.85 - depth) * 6, 0, 1)
    chromatin = 1 + contrast * (0.085 * medium + 0.05 * coarse - np.minimum(1, contrast) * holes)
    return depth, (np.float32(lobes.gain[index]) * soft * dome * np.maximum(chromatin, 0.15))

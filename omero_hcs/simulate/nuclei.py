"""Nuclei as one or more lobes: whole, dividing, or broken up; and their chromatin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from omero_hcs.simulate.cells import ANAPHASE, Cells, FloatArray, IntArray, ellipses

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
    return _fragments(outline, broken / (1 - _FRAGMENTS_FROM), int(cells.offset[row] @ (1, 257)))


def _fragments(outline: FloatArray, share: float, seed: int) -> tuple[FloatArray, FloatArray]:
    """Apoptotic bodies: a few unequal balls, touching or nearly so.

    They come from a seed of the cell's own, so that they are the same at every time point.
    """
    rng = np.random.default_rng(seed)
    count = 2 + int(rng.integers(0, 2 + round(4 * share)))
    radius = float(outline.mean())
    sizes = np.sort(rng.uniform(0.3, 0.75, count))[::-1]
    sizes[0] = 1 - 0.3 * share
    turn = rng.uniform(0, 2 * np.pi, count)
    away = radius * (sizes[0] + sizes) * rng.uniform(0.65, 1.0 + 0.3 * share, count)
    away[0] = 0
    offsets = np.stack([away * np.sin(turn), away * np.cos(turn)], axis=1)
    ball = 0.5 * (outline + radius)
    return offsets, ball * (sizes * (0.6 + 0.4 * (sizes == sizes[0])))[:, None]


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
    chromatin = 1 + contrast * (0.115 * medium + 0.06 * coarse - np.minimum(1, contrast) * holes)
    return depth, (np.float32(lobes.gain[index]) * soft * dome * np.maximum(chromatin, 0.15))

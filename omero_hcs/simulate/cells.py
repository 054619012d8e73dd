"""Where simulated cells lie, how they are shaped, and how a treatment changes them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omero_hcs.simulate.design import Mechanism

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.integer[Any]]

ANGLES = 256
"""Directions in which an outline's radius is kept."""

NUCLEUS_PX = 21.0
"""Mean nuclear diameter of an untreated G1 cell, in pixels."""

INTERPHASE, PROPHASE, METAPHASE, ANAPHASE, DAUGHTER = range(5)
_STAGE_SHARES = (0.970, 0.010, 0.013, 0.007)
_MIN_GAP, _TOUCHING_GAP = 1.12, 0.86


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells of one field as columns; positions are (y, x) on the canvas, lengths in pixels.

    Attributes
    ----------
    id : array, shape (N,)
        Label of each cell, from 1.
    y, x, diameter, angle : arrays, shape (N,)
        Centre, equivalent diameter and direction of the nucleus.
    outline, body : arrays, shape (N, ANGLES)
        Radius of nucleus and of cell in every direction.
    dna, actin, reporter : arrays, shape (N,)
        Brightness of the three stains, 1 is the mean of untreated cells.
    texture : array, shape (N,)
        Contrast of chromatin, 1 is usual, 0 is smooth.
    stage : array, shape (N,)
        INTERPHASE, PROPHASE, METAPHASE, ANAPHASE or DAUGHTER (just divided).
    nuclear : array, shape (N,)
        Share of the reporter protein that is in the nucleus, 0 to 1.
    death : array, shape (N,)
        How far a cell is condensed and broken up, 0 to 1.
    blur : array, shape (N,)
        Standard deviation of the defocus of cells above the plane.
    lift : array, shape (N,)
        How far a cell has let go of the ground, 0 (spread) to 1 (a ball).
    speed : array, shape (N, 2)
        Movement in pixels a time point.
    offset : array, shape (N, 2)
        Where a cell's textures begin in the texture tiles.
    """

    id: IntArray
    y: FloatArray
    x: FloatArray
    diameter: FloatArray
    angle: FloatArray
    outline: FloatArray
    body: FloatArray
    dna: FloatArray
    actin: FloatArray
    reporter: FloatArray
    texture: FloatArray
    stage: IntArray
    nuclear: FloatArray
    death: FloatArray
    blur: FloatArray
    lift: FloatArray
    speed: FloatArray
    offset: IntArray

    def __len__(self) -> int:
        return len(self.id)

    def take(self, rows: NDArray[Any]) -> Cells:
        """Cells chosen by a mask or by indices."""
        return Cells(**{item.name: getattr(self, item.name)[rows] for item in fields(self)})


@dataclass(frozen=True, slots=True)
class Population:
    """How many cells to draw and what has been done to them; `strength` goes from 0 to 1."""

    count: int
    shape: tuple[int, int]
    mechanism: Mechanism = "none"
    strength: float = 0.0


def join_cells(first: Cells, second: Cells) -> Cells:
    """Cells of both."""
    return Cells(
        **{
            item.name: np.concatenate([getattr(first, item.name), getattr(second, item.name)])
            for item in fields(Cells)
        }
    )


def draw_cells(population: Population, rng: np.random.Generator) -> Cells:
    """Draw cells: places, shapes, cell cycle, stains, and the treatment's effect.

    Returns
    -------
    Cells
        At most `population.count`; fewer where the field is full.
    """
    diameters, dna = _draw_diameters(population.count, rng)
    places = place_cells(diameters, population.shape, rng)
    count = len(places)
    cells = _draw_shapes(places, diameters[:count], dna[:count], rng)
    return _treat(_divide_some(cells, rng), population, rng)


def _draw_diameters(count: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Nuclear diameters and mean DNA brightness, from a cell cycle of G1, S and G2."""
    phase = rng.random(count)
    content = np.where(phase < 0.55, 1.0, np.where(phase < 0.8, 1 + (phase - 0.55) / 0.25, 2.0))
    # A G2 nucleus has twice the DNA on about 1.5 times the area, so it is a third brighter.
    diameter = NUCLEUS_PX * content**0.29 * rng.lognormal(0, 0.09, count)
    area = (diameter / NUCLEUS_PX) ** 2
    return diameter, content / area * rng.lognormal(0, 0.16, count)


def place_cells(
    diameters: FloatArray, shape: tuple[int, int], rng: np.random.Generator
) -> FloatArray:
    """Draw places of nuclei, shape (N, 2): some scattered, some beside others, few overlapping."""
    if not len(diameters):
        return np.zeros((0, 2))
    placed = np.empty((len(diameters), 2))
    count = 0
    for diameter in diameters:
        gap = _TOUCHING_GAP if rng.random() < 0.08 else _MIN_GAP
        for _ in range(12):
            candidate = _candidate(placed[:count], diameter, shape, rng)
            away = np.hypot(*(placed[:count] - candidate).T)
            if np.all(away > gap * (diameter + diameters[:count]) / 2):
                placed[count] = candidate
                count += 1
                break
    return placed[:count]


def _candidate(
    placed: FloatArray, diameter: float, shape: tuple[int, int], rng: np.random.Generator
) -> FloatArray:
    if len(placed) and rng.random() < 0.4:
        reach = diameter * rng.uniform(1.1, 2.2)
        turn = rng.uniform(0, 2 * np.pi)
        mother = placed[rng.integers(len(placed))]
        beside = mother + reach * np.array([np.sin(turn), np.cos(turn)])
        inside: FloatArray = np.clip(beside, 0, np.array(shape) - 1.0)
        return inside
    return rng.uniform((0, 0), shape)


def _draw_shapes(
    places: FloatArray, diameter: FloatArray, dna: FloatArray, rng: np.random.Generator
) -> Cells:
    count = len(places)
    angle = rng.uniform(0, np.pi, count)
    ratio = 1 + np.abs(rng.normal(0.38, 0.24, count))
    outline = ellipses(diameter, ratio, angle) * _wobble(rng, count, (0.03, 2, 5))
    # Cell outlines turn with the nucleus, loosely, and have lobes and a few thin protrusions.
    body_angle = angle + rng.normal(0, 0.35, count)
    reach = diameter * rng.uniform(2.6, 3.7, count)
    body = ellipses(reach, ratio + rng.gamma(2.0, 0.18, count), body_angle)
    body *= _wobble(rng, count, (0.09, 2, 5)) * _protrusions(rng, count)
    ones = np.ones(count)
    return Cells(
        id=np.arange(1, count + 1), y=places[:, 0], x=places[:, 1], diameter=diameter, angle=angle,
        outline=outline, body=np.maximum(body, 1.12 * outline), dna=dna,
        actin=rng.lognormal(0, 0.28, count), reporter=rng.lognormal(0, 0.3, count),
        texture=rng.lognormal(0, 0.2, count), stage=np.zeros(count, dtype=np.int64),
        nuclear=np.clip(rng.normal(0.06, 0.03, count), 0, 1), death=0 * ones, blur=0 * ones,
        lift=0 * ones,
        speed=rng.normal(0, 1.3, (count, 2)),
        offset=rng.integers(0, 256, (count, 2)),
    )  # fmt: skip


def ellipses(diameter: FloatArray, ratio: FloatArray, angle: FloatArray) -> FloatArray:
    """Radius in every direction, shape (N, ANGLES), of ellipses of equal area as the circle."""
    turns = np.arange(ANGLES) * (2 * np.pi / ANGLES) - angle[:, None]
    long, short = np.sqrt(ratio)[:, None], 1 / np.sqrt(ratio)[:, None]
    unit = 1 / np.sqrt((np.cos(turns) / long) ** 2 + (np.sin(turns) / short) ** 2)
    radii: FloatArray = unit * diameter[:, None] / 2
    return radii


def _wobble(rng: np.random.Generator, count: int, harmonics: tuple[float, int, int]) -> FloatArray:
    """Irregular outlines around 1: a few harmonics of falling size."""
    size, first, last = harmonics
    orders = np.arange(first, last + 1)
    phases = rng.uniform(0, 2 * np.pi, (count, len(orders), 1))
    sizes = rng.normal(0, size, (count, len(orders), 1)) * (first / orders)[:, None] ** 0.7
    turns = np.arange(ANGLES) * (2 * np.pi / ANGLES)
    waves = (sizes * np.cos(orders[:, None] * turns + phases)).sum(1)
    factors: FloatArray = np.clip(1 + waves, 0.5, 1.8)
    return factors


def _protrusions(rng: np.random.Generator, count: int) -> FloatArray:
    turns = np.arange(ANGLES) * (2 * np.pi / ANGLES)
    where = rng.uniform(0, 2 * np.pi, (count, 3, 1))
    size = rng.gamma(1.0, 0.22, (count, 3, 1))
    width = rng.uniform(14, 60, (count, 3, 1))
    factors: FloatArray = 1 + (size * np.exp(width * (np.cos(turns - where) - 1))).sum(1)
    return factors


def _divide_some(cells: Cells, rng: np.random.Generator) -> Cells:
    """Put a few cells into mitosis: rounded up, chromatin condensed."""
    stage = rng.choice(4, len(cells), p=_STAGE_SHARES)
    round_up = np.isin(stage, (METAPHASE, ANAPHASE))
    circle = ellipses(cells.diameter * 1.75, 1 + 0 * cells.diameter, cells.angle)
    bar = ellipses(cells.diameter * 0.64, rng.uniform(2.0, 2.9, len(cells)), cells.angle)
    bar *= _wobble(rng, len(cells), (0.07, 2, 6))
    return replace(
        cells,
        stage=stage,
        outline=np.where((stage == METAPHASE)[:, None], bar, cells.outline),
        body=np.where(round_up[:, None], circle, cells.body),
        dna=cells.dna * np.choose(stage, (1.0, 1.35, 2.0, 1.8)),
        texture=cells.texture * np.choose(stage, (1.0, 2.2, 0.8, 0.8)),
        actin=cells.actin * np.where(round_up, 1.6, 1.0),
        reporter=cells.reporter * np.where(round_up, 1.5, 1.0),
        nuclear=np.where(round_up, 0.25, cells.nuclear),
    )


def _treat(cells: Cells, population: Population, rng: np.random.Generator) -> Cells:
    """Change cells as the compound does, each cell a little differently."""
    mechanism = population.mechanism
    if mechanism == "none" or population.strength <= 0:
        return cells
    strength = np.clip(population.strength + rng.normal(0, 0.1, len(cells)), 0, 1)
    resting = cells.stage == INTERPHASE
    strength = np.where(resting, strength, 0)
    if mechanism == "translocation":
        return replace(cells, nuclear=cells.nuclear + (0.85 - cells.nuclear) * strength)
    if mechanism == "toxicity":
        shrink = 1 - 0.2 * strength
        return replace(
            cells,
            diameter=cells.diameter * shrink,
            outline=cells.outline * shrink[:, None],
            body=np.maximum(cells.body * (1 - 0.35 * strength)[:, None], 1.12 * cells.outline),
            dna=cells.dna * (1 + 0.35 * strength),
        )
    # Actin loss: no fibres, and cells that draw in to arms around the nucleus.
    round_body = ellipses(cells.diameter * 2.1, 1 + 0 * cells.diameter, cells.angle)
    share = (0.6 * strength)[:, None]
    return replace(
        cells,
        body=np.maximum(cells.body * (1 - share) + share * round_body, 1.1 * cells.outline),
        actin=cells.actin * (1 - 0.75 * strength),
    )


def survivors(count: int, mechanism: Mechanism, strength: float) -> int:
    """How many of `count` cells a treatment leaves; only toxicity kills."""
    return round(count * (1 - 0.65 * strength)) if mechanism == "toxicity" else count

"""Which fields and cells go wrong, and what that does to cells and to light."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from omero_hcs.model import Plate
from omero_hcs.simulate.cells import INTERPHASE, Cells, FloatArray, IntArray, ellipses
from omero_hcs.simulate.design import SimulationSettings, stable_generator
from omero_hcs.simulate.scene import SIGNAL, Scene, Tiles, window
from omero_hcs.simulate.severity import EMPTY, SCALES, Fault, fault, measured, worse

FIELD_FAULTS = (
    "out_of_focus", "saturation", "noise", "out_of_focus", "autofluorescence", "saturation",
    "noise", "out_of_focus", EMPTY, "debris",
)  # fmt: skip
"""Field-wide artefacts, dealt in this order: what is common comes more often."""

CELL_FAULTS = ("dead", "floating", "clump", "debris", "autofluorescence", "saturation")
"""Artefacts of single cells, equally likely."""

_BRIGHT = 0.8
_SPREADING = ("clump", "autofluorescence")

Faults = dict[int, Fault]
"""What is wrong with each cell by its label; a cell that is not there is normal."""


def plan_faults(settings: SimulationSettings, plate: Plate) -> dict[str, Fault]:
    """Field-wide artefacts of a plate by image id.

    Kinds come in fixed shares and severities of one kind are spread evenly over 0 to 1, so that a
    small plate, too, has mild and gross ones of each kind.
    """
    rng = stable_generator(settings.seed, plate.id, "faults")
    images = [site.image.id for site in plate.sites()]
    count = int(settings.artefact_fraction * len(images) + rng.random())
    chosen = rng.permutation(len(images))[:count]
    kinds = [FIELD_FAULTS[index % len(FIELD_FAULTS)] for index in range(count)]
    faults: dict[str, Fault] = {}
    for kind in dict.fromkeys(kinds):
        places = [images[place] for place, name in zip(chosen, kinds, strict=True) if name == kind]
        levels = (rng.permutation(len(places)) + rng.random(len(places))) / len(places)
        for place, level in zip(places, levels.tolist(), strict=True):
            faults[place] = _empty(level) if kind == EMPTY else fault(kind, level)
    return faults


def _empty(level: float) -> Fault:
    """Fault of an empty field; its physical size is the number of cells drawn, 5 to 0."""
    return Fault(EMPTY, level, float(round(5 * (1 - level) ** 2)))


def cells_left(count: int, trouble: Fault) -> int:
    """How many cells a field keeps; an empty one has a few at most."""
    return int(trouble.physical) if trouble.label == EMPTY else count


def spoil_cells(
    cells: Cells, fraction: float, death: float, rng: np.random.Generator
) -> tuple[Cells, Faults]:
    """Give single cells an artefact of their own.

    Parameters
    ----------
    cells : Cells
        Healthy cells of one field.
    fraction : float
        Expected share of cells to spoil.
    death : float
        Share of cells that die besides, from a toxic treatment.
    rng : numpy Generator
        Draws kinds and severities.

    Returns
    -------
    Cells, Faults
        Cells as they are drawn, and what is wrong with each. Debris, autofluorescence and
        saturation are only noted here: they are added to the light.
    """
    faults: Faults = {}
    hit = np.flatnonzero(rng.random(len(cells)) < fraction)
    kinds = rng.choice(CELL_FAULTS, len(hit))
    # A clump takes three to six cells and a glow reaches about as many: fewer of them are drawn,
    # so that all kinds end up with about the same number of cells.
    keep = ~np.isin(kinds, _SPREADING) | (rng.random(len(hit)) < 0.25)
    hit, kinds = hit[keep], kinds[keep]
    dying = np.flatnonzero(rng.random(len(cells)) < death)
    hit = np.concatenate([hit, dying])
    kinds = np.concatenate([kinds, np.repeat("dead", len(dying))])
    for row, kind, level in zip(hit.tolist(), kinds.tolist(), rng.random(len(hit)), strict=True):
        trouble = fault(kind, float(level))
        rows = np.array([row])
        if kind == "clump":
            rows, cells = _pile_up(cells, row, trouble, rng)
        elif kind in ("dead", "floating"):
            cells = _condense(cells, row, trouble) if kind == "dead" else _lift(cells, row, trouble)
        for label in cells.id[rows].tolist():
            faults[label] = worse(faults.get(label), trouble)
    return cells, faults


def _set(column: NDArray[Any], row: int, value: float | FloatArray) -> NDArray[Any]:
    changed = column.copy()
    changed[row] = value
    return changed


def _condense(cells: Cells, row: int, trouble: Fault) -> Cells:
    """Death: a small, round, bright, smooth nucleus that breaks up in a shrunken cell."""
    level, shrink = trouble.severity, trouble.physical
    diameter = cells.diameter[row] * shrink
    circle = np.full(cells.outline.shape[1], diameter / 2)
    share = min(1.0, 1.6 * level)
    outline = (1 - share) * cells.outline[row] * shrink + share * circle
    body = cells.body[row] * (1 - 0.55 * level)
    return replace(
        cells,
        diameter=_set(cells.diameter, row, diameter),
        outline=_set(cells.outline, row, outline),
        body=_set(cells.body, row, np.maximum((1 - share) * body + share * 2 * circle, outline)),
        dna=_set(cells.dna, row, cells.dna[row] * (1 + 2.2 * level)),
        texture=_set(cells.texture, row, cells.texture[row] * (1 - level)),
        actin=_set(cells.actin, row, cells.actin[row] * (1 + 0.5 * level)),
        reporter=_set(cells.reporter, row, cells.reporter[row] * (1 + 0.8 * level)),
        nuclear=_set(cells.nuclear, row, cells.nuclear[row] * (1 - level) + 0.35 * level),
        death=_set(cells.death, row, level),
        stage=_set(cells.stage, row, INTERPHASE),
    )


def _lift(cells: Cells, row: int, trouble: Fault) -> Cells:
    """Lift a cell that lost its hold: round, bright, and out of focus above the others."""
    level = trouble.severity
    rounded = min(1.0, 2 * level)
    diameter = np.array([cells.diameter[row] * (1 - 0.12 * level)])
    angle = cells.angle[row : row + 1]
    nucleus = ellipses(diameter, np.array([1.08]), angle)[0]
    ball = ellipses(diameter * 1.55, np.array([1.1]), angle)[0]
    return replace(
        cells,
        diameter=_set(cells.diameter, row, diameter[0]),
        outline=_set(cells.outline, row, _blend(cells.outline[row], nucleus, rounded)),
        body=_set(cells.body, row, _blend(cells.body[row], ball, rounded)),
        dna=_set(cells.dna, row, cells.dna[row] * (1 + level)),
        actin=_set(cells.actin, row, cells.actin[row] * (1 + 1.2 * level)),
        reporter=_set(cells.reporter, row, cells.reporter[row] * (1 + 1.4 * level)),
        nuclear=_set(cells.nuclear, row, _blend(cells.nuclear[row], 0.2, rounded)),
        blur=_set(cells.blur, row, trouble.physical),
        lift=_set(cells.lift, row, rounded),
        stage=_set(cells.stage, row, INTERPHASE),
    )


def _blend(first: Any, second: Any, share: float) -> Any:
    return (1 - share) * first + share * second


def _pile_up(
    cells: Cells, row: int, trouble: Fault, rng: np.random.Generator
) -> tuple[IntArray, Cells]:
    """Move a cell's neighbours on to it; returns their rows too."""
    away = np.hypot(cells.y - cells.y[row], cells.x - cells.x[row])
    rows = np.argsort(away, kind="stable")[: int(rng.integers(3, 7))]
    gap = trouble.physical * float(cells.diameter[rows].mean())
    # One in the middle and the others side by side around it: each is one gap from its neighbours.
    turn = rng.uniform(0, 2 * np.pi) + np.arange(len(rows)) * np.pi / 3
    reach = gap * (np.arange(len(rows)) > 0)
    body = cells.body.copy()
    body[rows] = np.maximum(body[rows] * (1 - 0.35 * trouble.severity), cells.outline[rows] * 1.1)
    y, x = cells.y.copy(), cells.x.copy()
    y[rows] = cells.y[row] + reach * np.sin(turn)
    x[rows] = cells.x[row] + reach * np.cos(turn)
    # Cells of a clump lie on each other, so most of them are above the plane.
    blur = cells.blur.copy()
    blur[rows] = 2.5 * trouble.severity * rng.random(len(rows))
    return rows, replace(cells, y=y, x=x, body=body, blur=blur)


@dataclass(frozen=True, slots=True)
class Foreign:
    """Something in the field that is no cell: its kind, place (y, x), and size of its fault."""

    y: float
    x: float
    trouble: Fault
    seed: int


def scatter_foreign(
    cells: Cells, faults: Faults, field_trouble: Fault, rng: np.random.Generator
) -> list[Foreign]:
    """Debris and glowing blobs: one on every cell that has that fault, several in such a field."""
    foreign = []
    for label in sorted(faults):
        trouble = faults[label]
        if trouble.label in ("debris", "autofluorescence"):
            row = int(np.flatnonzero(cells.id == label)[0])
            shift = rng.normal(0, 0.3 * cells.diameter[row], 2)
            place = cells.y[row] + shift[0], cells.x[row] + shift[1]
            foreign.append(Foreign(*place, trouble, int(rng.integers(2**32))))
    if field_trouble.label in ("debris", "autofluorescence"):
        for _ in range(int(rng.integers(4, 10))):
            row = int(rng.integers(max(1, len(cells))))
            near = (cells.y[row], cells.x[row]) if len(cells) else (200.0, 200.0)
            drawn = rng.normal(near, 30)
            foreign.append(Foreign(drawn[0], drawn[1], field_trouble, int(rng.integers(2**32))))
    return foreign


def add_foreign(scene: Scene, foreign: list[Foreign], tiles: Tiles, diameter: float) -> Faults:
    """Add debris and blobs to a scene, and note which nuclei they touch.

    Parameters
    ----------
    scene : Scene
        Changed in place.
    foreign : list of Foreign
        What to add.
    tiles : Tiles
        Textures.
    diameter : float
        Nuclear diameter that sizes are measured in, in pixels.

    Returns
    -------
    Faults
        Nuclei in reach: debris within a quarter of a nucleus, or light above the lowest severity.
    """
    faults: Faults = {}
    for item in foreign:
        rng = np.random.default_rng(item.seed)
        draw = _draw_debris if item.trouble.label == "debris" else _draw_glow
        for label, trouble in draw(scene, item, (tiles.medium, diameter), rng).items():
            faults[label] = worse(faults.get(label), trouble)
    return faults


def sprinkle(scene: Scene, rng: np.random.Generator) -> None:
    """Add the few faint specks that every real field has, far below what counts as debris."""
    count = int(rng.poisson(12))
    places = rng.uniform((0, 0), scene.labels.shape, (count, 2))
    for (y, x), width in zip(places, rng.uniform(0.5, 1.3, count), strict=True):
        place, dy, dx = window(float(y), float(x), 5, scene.labels.shape)
        speck = rng.gamma(1.0, 0.05) * np.exp(-0.5 * (dy**2 + dx**2) / width**2)
        for channel, share in enumerate(rng.dirichlet((1, 1, 1)) * 2):
            scene.light[channel][place] += (SIGNAL[channel] * share * speck).astype(np.float32)


def _draw_debris(
    scene: Scene, item: Foreign, scale: tuple[FloatArray, float], rng: np.random.Generator
) -> Faults:
    size = item.trouble.physical * scale[1]
    blur = float(rng.gamma(1.5, 0.6))
    place, dy, dx = window(item.y, item.x, size * 0.75 + 6 + 4 * blur, scene.labels.shape)
    if not dy.size or not dx.size:
        return {}
    is_fibre = rng.random() < 0.45
    shape = _fibre(dy, dx, size, rng) if is_fibre else _particle(dy, dx, size, rng)
    shape = ndimage.gaussian_filter(shape, blur, mode="constant")
    shape /= max(float(shape.max()), 0.05)
    strength = rng.lognormal(-0.3, 0.4) * (0.4 + item.trouble.severity)
    for channel, share in enumerate(rng.dirichlet((1.2, 1.2, 1.0)) * 1.8):
        scene.light[channel][place] += (SIGNAL[channel] * strength * share * shape).astype(
            np.float32
        )
    reach = max(3, round(scale[1] / 4))
    near = ndimage.maximum_filter(shape > 0.15 * shape.max(initial=0.01), size=2 * reach + 1)
    return {int(label): item.trouble for label in np.unique(scene.labels[place][near]) if label}


def _fibre(dy: FloatArray, dx: FloatArray, size: float, rng: np.random.Generator) -> FloatArray:
    """Draw a bent thread as long as `size`, one to three pixels wide."""
    turn = rng.uniform(0, np.pi)
    along = dy * np.sin(turn) + dx * np.cos(turn)
    across = dy * np.cos(turn) - dx * np.sin(turn)
    bend = rng.normal(0, 0.5) / max(size, 8)
    wave = rng.uniform(0, 0.06) * size * np.sin(along * rng.uniform(3, 9) / max(size, 8))
    width = rng.uniform(0.8, 1.9)
    inside = np.clip((size / 2 - np.abs(along)) / 1.5 + 0.5, 0, 1)
    thread: FloatArray = inside * np.exp(-(((across - bend * along**2 - wave) / width) ** 2))
    return thread.astype(np.float32)


def _particle(dy: FloatArray, dx: FloatArray, size: float, rng: np.random.Generator) -> FloatArray:
    """Draw a jagged speck of diameter `size`, brighter in parts."""
    turn = np.arctan2(dy, dx)
    phases = rng.uniform(0, 2 * np.pi, 6)
    sizes = rng.normal(0, 0.3, 6) / np.arange(2, 8) ** 0.9
    edge = 1 + sum(
        s * np.cos((k + 2) * turn + p) for k, (s, p) in enumerate(zip(sizes, phases, strict=True))
    )
    distance = np.sqrt(dy**2 + dx**2)
    inside = np.clip((np.maximum(edge, 0.3) * size / 2 - distance) / 1.2 + 0.5, 0, 1)
    grain = ndimage.gaussian_filter(rng.standard_normal(inside.shape), 1.2) * 1.6
    speck: FloatArray = (inside * np.clip(0.75 + grain, 0.1, 2.5)).astype(np.float32)
    return speck


def _draw_glow(
    scene: Scene, item: Foreign, scale: tuple[FloatArray, float], rng: np.random.Generator
) -> Faults:
    """Add a broad blob of light, smooth or grainy like a precipitate, strongest in one channel."""
    width = scale[1] * rng.uniform(0.7, 2.2)
    place, dy, dx = window(item.y, item.x, 3 * width, scene.labels.shape)
    if not dy.size or not dx.size:
        return {}
    blob = np.exp(-(dy**2 + dx**2) / (2 * width**2))
    if rng.random() < 0.4:
        start = rng.integers(0, 128, 2)
        grain = scale[0][start[0] :, start[1] :][: dy.size, : dx.size]
        if grain.shape == blob.shape:
            blob = blob * np.clip(0.55 + 0.7 * grain, 0, 3)
    shares = rng.uniform(0.05, 0.5, 3)
    shares[rng.integers(3)] = 1.0
    for channel, share in enumerate(shares):
        amount = SIGNAL[channel] * item.trouble.physical * share
        scene.light[channel][place] += (amount * blob).astype(np.float32)
    labels = scene.labels[place]
    reached = np.unique(labels[labels > 0])
    peaks = ndimage.maximum(blob, labels, reached) if len(reached) else []
    local = {int(n): item.trouble.physical * float(p) for n, p in zip(reached, peaks, strict=True)}
    lowest = SCALES["autofluorescence"].first
    return {n: measured("autofluorescence", v) for n, v in local.items() if v >= lowest}


def defocus_map(
    trouble: Fault, shape: tuple[int, int], rng: np.random.Generator
) -> FloatArray | float:
    """Defocus of a field in pixels: everywhere, or (two times in five) growing to one side."""
    if trouble.label != "out_of_focus":
        return 0.0
    if rng.random() < 0.6:
        return trouble.physical
    turn = rng.uniform(0, 2 * np.pi)
    y = np.linspace(-1, 1, shape[0])[:, None] * np.sin(turn)
    x = np.linspace(-1, 1, shape[1])[None, :] * np.cos(turn)
    ramp: FloatArray = np.clip((y + x + 0.1) / 0.9, 0, 1)
    return trouble.physical * ramp


def over_expose(light: FloatArray, labels: NDArray[np.int32], limit: float, share: float) -> float:
    """Factor on the light that brings `share` of a bright nucleus above `limit` electrons.

    Nuclei of a field differ in brightness, so that most have a smaller share.
    """
    boxes = ndimage.find_objects(labels)
    levels = [
        float(np.quantile(light[box][labels[box] == label], 1 - share))
        for label, box in enumerate(boxes, 1)
        if box is not None
    ]
    bright = float(np.quantile(levels, _BRIGHT)) if levels else SIGNAL[0]
    return max(1.0, limit / bright)


def over_stain(light: FloatArray, labels: NDArray[np.int32], limit: float, faults: Faults) -> None:
    """Brighten single nuclei, in place, until their share of saturation is above `limit`."""
    boxes = ndimage.find_objects(labels)
    for label, trouble in faults.items():
        box = boxes[label - 1] if label <= len(boxes) else None
        if trouble.label != "saturation" or box is None:
            continue
        wide = tuple(slice(max(0, part.start - 8), part.stop + 8) for part in box)
        inside = labels[wide] == label
        factor = limit / float(np.quantile(light[wide][inside], 1 - trouble.physical))
        near = ndimage.gaussian_filter(ndimage.binary_dilation(inside, iterations=2) * 1.0, 2.0)
        light[wide] *= 1 + max(0.0, factor - 1) * np.minimum(1, near * 1.15)

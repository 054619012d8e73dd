"""Draw cells as fluorophores on a canvas, in focus and without noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from omero_hcs.simulate.cells import ANGLES, Cells, FloatArray, IntArray
from omero_hcs.simulate.fibres import Fibres, draw_fibres
from omero_hcs.simulate.nuclei import Lobes, draw_nucleus, split_lobes

SIGNAL = (1700.0, 1500.0, 1400.0)
"""Electrons a pixel that a typical nucleus, actin rim and perinuclear region give."""

TILE = 256
_FAR = 9.0


@dataclass(frozen=True, eq=False)
class Tiles:
    """Periodic noise of unit variance, shape (TILE, TILE), at three grain sizes."""

    fine: FloatArray
    medium: FloatArray
    coarse: FloatArray


@dataclass(eq=False)
class Scene:
    """A canvas: `light` (C, Y, X) in electrons, `labels` (Y, X) of nuclei, 0 is background."""

    light: NDArray[np.float32]
    labels: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class _Bodies:
    """Per pixel of the canvas: the row of the cell on top (-1 for none) and where in it."""

    owner: IntArray
    rim: FloatArray
    joint: FloatArray
    outside: FloatArray


def draw_tiles(rng: np.random.Generator) -> Tiles:
    """Make the noise that all textures of a field are cut from."""
    noise = rng.standard_normal((3, TILE, TILE)).astype(np.float32)
    smooth = [
        ndimage.gaussian_filter(layer, sigma, mode="wrap")
        for layer, sigma in zip(noise, (1.1, 1.8, 3.6), strict=True)
    ]
    return Tiles(*(layer / layer.std() for layer in smooth))


def draw_scene(cells: Cells, fibres: Fibres, tiles: Tiles, shape: tuple[int, int]) -> Scene:
    """Draw all cells of a field at one time point.

    Parameters
    ----------
    cells : Cells
        Their places are on the canvas.
    fibres : Fibres
        Stress fibres of the cells, by row.
    tiles : Tiles
        Textures.
    shape : (int, int)
        Of the canvas, (Y, X).
    """
    scene = Scene(np.zeros((3, *shape), np.float32), np.zeros(shape, np.int32))
    settled = np.flatnonzero(cells.lift < 1)
    bodies = _lay_out(cells, settled, shape)
    _draw_cytoplasm(scene, cells, bodies, tiles)
    draw_fibres(scene.light[1], fibres, cells, bodies.owner, SIGNAL[1])
    lobes = split_lobes(cells)
    nearest = np.full(shape, _FAR, np.float32)
    for index in np.argsort(cells.blur[lobes.row], kind="stable"):
        _draw_lobe(scene, nearest, (cells, lobes, int(index)), tiles)
    for row in np.flatnonzero(cells.lift > 0):
        _draw_floating_body(scene, cells, int(row))
    return scene


def window(
    y: float, x: float, reach: float, shape: tuple[int, int]
) -> tuple[tuple[slice, slice], FloatArray, FloatArray]:
    """Part of the canvas around a point, and the (y, x) distances of its pixels from the point."""
    top, bottom = max(0, int(y - reach)), min(shape[0], int(y + reach) + 2)
    left, right = max(0, int(x - reach)), min(shape[1], int(x + reach) + 2)
    dy = np.arange(top, max(top, bottom), dtype=np.float32)[:, None] - np.float32(y)
    dx = np.arange(left, max(left, right), dtype=np.float32)[None, :] - np.float32(x)
    return (slice(top, max(top, bottom)), slice(left, max(left, right))), dy, dx


def directions(dy: FloatArray, dx: FloatArray) -> IntArray:
    """Index into an outline for each pixel."""
    turn = np.arctan2(dy, dx) * np.float32(ANGLES / (2 * np.pi))
    index: IntArray = turn.astype(np.int16) % ANGLES
    return index


def cut(tile: FloatArray, cells: Cells, row: int, place: tuple[slice, slice]) -> FloatArray:
    """Texture of one cell: the tile moves with the cell."""
    y0, x0 = cells.offset[row] - np.rint((cells.y[row], cells.x[row])).astype(np.int64)
    ys = np.arange(place[0].start, place[0].stop) + y0
    xs = np.arange(place[1].start, place[1].stop) + x0
    part: FloatArray = tile[(ys % TILE)[:, None], (xs % TILE)[None, :]]
    return part


def _lay_out(cells: Cells, rows: IntArray, shape: tuple[int, int]) -> _Bodies:
    """Divide the canvas between cells: each pixel to the cell that it is deepest in."""
    first = np.full(shape, _FAR, np.float32)
    second = first.copy()
    owner = np.full(shape, -1, np.int32)
    rim = np.full(shape, -_FAR, np.float32)
    outside = np.full(shape, _FAR, np.float32)
    # A cell that lets go leaves its ground to its neighbours.
    body = (cells.body * (1 - 0.85 * cells.lift)[:, None]).astype(np.float32)
    for row in rows:
        reach = float(body[row].max()) * 1.15
        place, dy, dx = window(cells.y[row], cells.x[row], reach, shape)
        distance = np.sqrt(dy**2 + dx**2)
        turn = directions(dy, dx)
        radius = body[row][turn]
        depth = distance / radius
        wins = depth < first[place]
        second[place] = np.where(wins, first[place], np.minimum(second[place], depth))
        first[place][wins] = depth[wins]
        owner[place][wins] = row
        rim[place][wins] = (radius - distance)[wins]
        nucleus = cells.outline[row].astype(np.float32)[turn]
        outside[place][wins] = (distance - nucleus)[wins]
    owner[first >= 1] = -1
    return _Bodies(owner, rim, (np.minimum(second, 1.2) - first) * 30, outside)


def _draw_cytoplasm(scene: Scene, cells: Cells, bodies: _Bodies, tiles: Tiles) -> None:
    inside = bodies.owner >= 0
    if not inside.any():
        return
    ys, xs = np.nonzero(inside)
    row = bodies.owner[inside]
    ty = (ys - np.rint(cells.y).astype(np.int64)[row] + cells.offset[row, 0]) % TILE
    tx = (xs - np.rint(cells.x).astype(np.int64)[row] + cells.offset[row, 1]) % TILE
    fine, medium, coarse = (tile[ty, tx] for tile in (tiles.fine, tiles.medium, tiles.coarse))
    rim, joint, outside = bodies.rim[inside], bodies.joint[inside], bodies.outside[inside]
    size = cells.diameter.astype(np.float32)[row]
    flat = (1 - cells.lift).astype(np.float32)[row]
    soft = np.clip(rim / 1.5, 0, 1)
    # Cells are thick over the nucleus and thin towards the rim.
    thick = soft * np.sqrt(np.clip(rim / (0.9 * size), 0.04, 1))
    ruffle = np.clip(0.55 + 0.6 * coarse, 0.08, 2)
    edge = np.exp(-((rim / 2.0) ** 2)) * ruffle + 0.5 * np.exp(-((joint / 1.6) ** 2)) * soft
    cortex = soft * (0.13 + 0.22 * thick * (1 + 0.2 * medium + 0.15 * fine)) + 0.5 * edge
    # Ruffles and adhesions: bright patches near the rim.
    cortex += 0.45 * soft * np.exp(-rim / 6) * np.clip(medium - 0.9, 0, 1.5)
    scene.light[1][inside] += SIGNAL[1] * flat * cells.actin.astype(np.float32)[row] * cortex
    # Zero crossings of smooth noise make a net of thin threads: the reticulum.
    net = np.exp(-2 * np.abs(fine)) + 0.35 + 0.3 * np.exp(-2 * np.abs(medium))
    net += 0.8 * np.clip(fine - 1.9, 0, 2)
    nucleus = np.clip(0.5 - outside / 1.4, 0, 1)
    near = 0.2 + np.exp(-np.maximum(outside, 0) / (0.5 * size)) * (1 + 0.15 * coarse)
    near += _golgi(cells, row, (ys, xs))
    share = cells.nuclear.astype(np.float32)[row]
    cytosol = thick * near * net * (1 - 0.85 * share) * (1 - 0.86 * nucleus)
    inner = nucleus * (0.1 + 1.5 * share) * (1 + 0.08 * medium - 0.3 * (coarse > 1.3))
    scene.light[2][inside] += (
        SIGNAL[2] * flat * cells.reporter.astype(np.float32)[row] * (cytosol + inner)
    )
    scene.light[0][inside] += SIGNAL[0] * 0.012 * thick


def _golgi(cells: Cells, row: IntArray, place: tuple[IntArray, IntArray]) -> FloatArray:
    """Brightness of the Golgi apparatus, a cap at one side of each nucleus."""
    turn = cells.angle + 0.1 * cells.offset[:, 0]
    reach = 0.72 * cells.diameter
    dy = place[0] - (cells.y + reach * np.sin(turn))[row]
    dx = place[1] - (cells.x + reach * np.cos(turn))[row]
    width = (0.3 * cells.diameter)[row]
    cap: FloatArray = 0.9 * np.exp(-0.5 * (dy**2 + dx**2) / width**2)
    return cap.astype(np.float32)


def _draw_lobe(
    scene: Scene, nearest: FloatArray, which: tuple[Cells, Lobes, int], tiles: Tiles
) -> None:
    """Draw one lobe of a nucleus; most nuclei have one, anaphase two, apoptosis several."""
    cells, lobes, index = which
    row = int(lobes.row[index])
    sigma = float(cells.blur[row])
    reach = float(lobes.outline[index].max()) + 3 + 4 * sigma
    place, dy, dx = window(lobes.y[index], lobes.x[index], reach, nearest.shape)
    if not dy.size or not dx.size:
        return
    textures = (cut(tiles.medium, cells, row, place), cut(tiles.coarse, cells, row, place))
    depth, body = draw_nucleus(lobes, index, (dy, dx, directions(dy, dx)), textures)
    on_top = depth < (1.0 if sigma > 0 else np.minimum(nearest[place], 1.0))
    scene.labels[place][on_top] = cells.id[row]
    nearest[place] = np.minimum(nearest[place], depth)
    if sigma > 0:
        body = ndimage.gaussian_filter(body, sigma, mode="constant")
    scene.light[0][place] += SIGNAL[0] * body


def _draw_floating_body(scene: Scene, cells: Cells, row: int) -> None:
    """Draw a rounded cell above the plane: a ball with a bright rim, out of focus."""
    sigma = float(cells.blur[row])
    radius = float(cells.body[row].mean())
    place, dy, dx = window(cells.y[row], cells.x[row], radius + 3 + 4 * sigma, scene.labels.shape)
    if not dy.size or not dx.size:
        return
    distance = np.sqrt(dy**2 + dx**2)
    ball = np.sqrt(np.clip(1 - (distance / radius) ** 2, 0, 1))
    shell = np.exp(-(((distance - radius + 1.5) / 2.2) ** 2))
    actin = 0.5 * ball + 0.3 * shell
    for channel, strength, layer in ((1, cells.actin, actin), (2, cells.reporter, ball)):
        blurred = ndimage.gaussian_filter(layer.astype(np.float32), sigma, mode="constant")
        amount = SIGNAL[channel] * float(strength[row] * cells.lift[row])
        scene.light[channel][place] += amount * blurred


def nuclear_pixels(labels: NDArray[Any]) -> dict[int, tuple[slice, slice]]:
    """Bounding box of every label."""
    boxes = ndimage.find_objects(labels)
    return {index: box for index, box in enumerate(boxes, 1) if box is not None}

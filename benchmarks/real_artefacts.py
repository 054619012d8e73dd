"""Artefacts put on real cells, with severities even from invisible to gross.

Each chosen nucleus of a real field gives two crops: one photographed anew as it is, one with an
artefact of the simulated plate's scales (`simulate.severity`), through the same optics and camera
(`simulate.optics`). What is known of a crop is what was done to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from real_fields import BACKGROUND, Scene
from scipy import fft, ndimage

from omero_hcs.imaging.crop import CropScale
from omero_hcs.imaging.normalize import IntensitySurvey, normalize
from omero_hcs.results import Table
from omero_hcs.simulate.cells import NUCLEUS_PX
from omero_hcs.simulate.optics import Optics, defocus_transfer, expose
from omero_hcs.simulate.severity import ARTEFACTS, EMPTY, NORMAL, Fault, fault
from omero_hcs.tasks.labelled import Labelled

SIDE = 3 * round(NUCLEUS_PX)
"""Side of a crop in pixels: three nuclei, the default of all tasks."""

CEILING, OFFSET, READ, QUARTER = 65535, 180.0, 2.5, 16_000.0
"""Camera: largest count, count without light, read noise; counts of a usual nucleus."""

_MARGIN = 26  # pixels around a crop, so that blur and debris cross its border
_PATCH = SIDE + 2 * _MARGIN
_MIDDLE = _PATCH // 2

Light = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Patch:
    """Surroundings of one nucleus (P, P), their `light` (C, P, P) in electrons, and their fate."""

    scene: Scene
    light: Light
    nucleus: NDArray[np.bool_]
    others: NDArray[np.bool_]
    pieces: Sequence[Light]
    trouble: Fault
    exposure: NDArray[np.float64]


def spoiled(
    scenes: Sequence[Scene],
    pieces: Mapping[str, list[Light]],
    *,
    name: str,
    each: int = 40,
    seed: int = 0,
) -> tuple[Labelled, NDArray[np.uint16], dict[str, IntensitySurvey]]:
    """Make crops of real cells with and without artefacts.

    Parameters
    ----------
    scenes : sequence of Scene
        Fields of the same stains.
    pieces : mapping of str to list of array
        Debris by field, from `real_fields.shares_of`.
    name : str
        What the set is called.
    each : int
        Nuclei a field, at most: those whose crop lies within the field.
    seed : int
        Draws nuclei, artefacts and noise.

    Returns
    -------
    Labelled, array, dict of str to IntensitySurvey
        The crops, their camera counts, shape (N, C, SIDE, SIDE), and intensities by source.
        Classes are the artefacts; `table` also has `severity`, `physical` (see
        `simulate.severity.SCALES`; NaN for an empty crop, which has no degree) and `source`.
        Crops are normalised by their source's fields.
    """
    rows: list[dict[str, Any]] = []
    crops: list[NDArray[np.float32]] = []
    raw: list[NDArray[np.uint16]] = []
    surveys: dict[str, IntensitySurvey] = {}
    for source in dict.fromkeys(scene.source for scene in scenes):
        own = [scene for scene in scenes if scene.source == source]
        rng = np.random.default_rng([seed, *source.encode()])
        photos, found = _photographed(own, pieces, each, rng)
        surveys[source] = _survey(own, rng)
        crops.append(normalize(photos, surveys[source].qc(), headroom=True))
        raw.append(photos)
        rows += found
    stains = scenes[0].light.shape[0]
    labelled = Labelled(
        name=name,
        crops=np.concatenate(crops),
        table=Table.from_rows(rows),
        classes=(NORMAL, *ARTEFACTS, EMPTY),
        channels=("DNA", "actin", "body")[:stains],
        scale=CropScale(SIDE, side_nuclei=3.0),
    )
    return labelled, np.concatenate(raw), surveys


def _photographed(
    scenes: Sequence[Scene], pieces: Mapping[str, list[Light]], each: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint16], list[dict[str, Any]]]:
    photos, rows = [], []
    for scene in scenes:
        places = _inside(scene.light.shape[1:], scene.centers)
        chosen = rng.permutation(places)[:each]
        kinds = _dealt(len(chosen), rng)
        for row, kind in zip(chosen, kinds, strict=True):
            empty = _empty_place(scene, rng) if kind == EMPTY else None
            trouble = Fault(EMPTY, float("nan"), float("nan")) if kind == EMPTY else Fault()
            if kind not in (EMPTY, NORMAL):
                trouble = fault(kind, float(rng.random()))
            for what, where in ((Fault(), scene.centers[row]), (trouble, empty)):
                point = scene.centers[row] if where is None else where
                if what.label == EMPTY and empty is None:
                    continue
                photos.append(_photo(_patch(scene, point, what, pieces[scene.name]), rng))
                rows.append(_row(scene, point, what))
    return np.stack(photos), rows


def _dealt(count: int, rng: np.random.Generator) -> list[str]:
    """Artefacts for so many cells, each as often as the others."""
    kinds = (*ARTEFACTS, EMPTY)
    first = int(rng.integers(len(kinds)))
    return [kinds[(first + place) % len(kinds)] for place in rng.permutation(count)]


def _inside(shape: tuple[int, ...], centers: NDArray[np.float64]) -> NDArray[np.intp]:
    half = SIDE // 2 + 1
    fits = (centers >= half) & (centers < np.array(shape) - half)
    return np.flatnonzero(fits.all(axis=1))


def _empty_place(scene: Scene, rng: np.random.Generator) -> NDArray[np.float64] | None:
    """Find a crop that shows no cell in any stain, if the field has one."""
    lit = (scene.labels > 0) | (scene.light > BACKGROUND + 0.2 * scene.signal[:, None, None]).any(0)
    taken = ndimage.maximum_filter(lit, SIDE, mode="constant", cval=1)
    ys, xs = np.nonzero(~taken)
    if not len(ys):
        return None
    place = int(rng.integers(len(ys)))
    return np.array([ys[place], xs[place]], dtype=np.float64)


def _row(scene: Scene, point: NDArray[np.float64], trouble: Fault) -> dict[str, Any]:
    return {
        "label": trouble.label, "plate": scene.source, "well": scene.name, "unit": scene.name,
        "group": scene.name, "weak": False, "user": "made", "y": float(point[0]),
        "x": float(point[1]), "severity": trouble.severity, "physical": trouble.physical,
        "source": scene.source,
    }  # fmt: skip


def _patch(
    scene: Scene, point: NDArray[np.float64], trouble: Fault, pieces: Sequence[Light]
) -> Patch:
    y, x = np.rint(point).astype(int)
    # Only the margin, which the crop does not show, can lie outside the field.
    ys, xs = (
        _mirrored(place - _MIDDLE + np.arange(_PATCH), size)
        for place, size in zip((y, x), scene.labels.shape, strict=True)
    )
    light, labels = scene.light[:, ys[:, None], xs], scene.labels[ys[:, None], xs]
    label = scene.labels[y, x] or -1
    nucleus = labels == label
    others = (labels > 0) & ~nucleus
    return Patch(scene, light, nucleus, others, pieces, trouble, np.ones((len(light), 2)))


def _mirrored(places: NDArray[np.intp], size: int) -> NDArray[np.intp]:
    last = size - 1
    return np.abs(last - np.abs(last - np.abs(places)))


def _photo(patch: Patch, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Spoil and photograph a patch; the crop in its middle, shape (C, SIDE, SIDE)."""
    done = SPOIL[patch.trouble.label](patch, rng)
    gains = QUARTER / patch.scene.signal
    counts = []
    for stain, gain in enumerate(gains):
        optics = _camera(float(gain))
        light = np.maximum(done.light[stain : stain + 1], 0)
        counts.append(expose(light, optics, done.exposure[stain : stain + 1], rng)[0])
    middle = slice(_MARGIN, _MARGIN + SIDE)
    return np.stack(counts)[:, middle, middle]


def _camera(gain: float) -> Optics:
    one = np.ones(1)
    light = np.ones((1, 1, 1), dtype=np.float32)
    return Optics(one, 0 * one, light, 0 * one, gain, OFFSET, READ, CEILING)


def _survey(scenes: Sequence[Scene], rng: np.random.Generator) -> IntensitySurvey:
    """Gather intensities of a source, from all its fields photographed as they are."""
    survey = IntensitySurvey([str(stain) for stain in range(len(scenes[0].light))])
    for scene in scenes:
        planes = [
            expose(np.maximum(plane[None], 0), _camera(float(gain)), np.ones((1, 2)), rng)[0]
            for plane, gain in zip(scene.light, QUARTER / scene.signal, strict=True)
        ]
        survey.add(np.stack(planes), scene.labels > 0)
    return survey


def _as_it_is(patch: Patch, rng: np.random.Generator) -> Patch:
    del rng
    return patch


def _out_of_focus(patch: Patch, rng: np.random.Generator) -> Patch:
    del rng
    return replace(patch, light=_defocused(patch.light, patch.trouble.physical))


def _defocused(light: Light, sigma: float) -> Light:
    """Blur (C, Y, X) as the simulated microscope does."""
    size_y, size_x = light.shape[1:]
    cycles = np.hypot(fft.fftfreq(size_y)[:, None], fft.rfftfreq(size_x)[None, :])
    spectrum = fft.rfft2(light) * defocus_transfer(cycles, sigma)
    return np.asarray(fft.irfft2(spectrum, s=(size_y, size_x)), dtype=np.float32)


def _saturation(patch: Patch, rng: np.random.Generator) -> Patch:
    """Expose the nuclear stain, or in half of the cases all, until so much of the nucleus is full.

    The camera's offset is subtracted from its ceiling, as in the simulated plate.
    """
    limit = (CEILING - OFFSET) / (QUARTER / patch.scene.signal[0])
    level = float(np.quantile(patch.light[0][patch.nucleus], 1 - patch.trouble.physical))
    exposure = patch.exposure.copy()
    exposure[: len(exposure) if rng.random() < 0.5 else 1, 0] = max(1.0, limit / level)
    return replace(patch, exposure=exposure)


def _noise(patch: Patch, rng: np.random.Generator) -> Patch:
    del rng
    share = patch.trouble.physical
    return replace(patch, exposure=np.tile([share, 1 / share], (len(patch.light), 1)))


def _debris(patch: Patch, rng: np.random.Generator) -> Patch:
    """Paste a bit of another cell's body: turned, brought to size, a little out of focus."""
    size = patch.trouble.physical * NUCLEUS_PX
    spans = np.array([max(piece.shape) for piece in patch.pieces])
    near = np.argsort(np.abs(np.log(spans / size)), kind="stable")[:5]
    piece = patch.pieces[int(rng.choice(near))]
    bit = ndimage.zoom(piece, size / max(piece.shape), order=1)
    bit = ndimage.rotate(bit, float(rng.uniform(0, 360)), order=1)
    blur = float(rng.gamma(1.5, 0.6))
    shift = rng.normal(0, 0.3 * NUCLEUS_PX, 2)
    canvas = _pasted(bit, shift)
    canvas = ndimage.gaussian_filter(canvas, blur)
    canvas /= max(float(canvas.max()), 0.05)
    strength = float(rng.lognormal(-0.3, 0.4)) * (0.4 + patch.trouble.severity)
    stains = len(patch.light)
    shares = rng.dirichlet((1.2, 1.2, 1.0)) * 1.8 if stains == 3 else np.ones(stains)
    amount = patch.scene.signal * shares * strength
    return replace(patch, light=patch.light + _over(amount, canvas))


def _over(amount: NDArray[np.float64], canvas: Light) -> Light:
    return np.asarray(amount[:, None, None] * canvas, dtype=np.float32)


def _pasted(bit: Light, shift: NDArray[np.float64]) -> Light:
    """Put a bit on an empty patch, its middle `shift` (y, x) off the patch's."""
    canvas = np.zeros((_PATCH, _PATCH), dtype=np.float32)
    top, left = (
        round(_MIDDLE + off - side / 2) for off, side in zip(shift, bit.shape, strict=True)
    )
    ys = slice(max(0, top), min(_PATCH, top + bit.shape[0]))
    xs = slice(max(0, left), min(_PATCH, left + bit.shape[1]))
    canvas[ys, xs] = bit[ys.start - top : ys.stop - top, xs.start - left : xs.stop - left]
    return canvas


def _glow(patch: Patch, rng: np.random.Generator) -> Patch:
    """Add a broad blob of light over the nucleus, strongest in one stain."""
    width = NUCLEUS_PX * rng.uniform(0.7, 2.2)
    shift = rng.normal(0, 0.3 * NUCLEUS_PX, 2)
    dy, dx = np.indices((_PATCH, _PATCH), dtype=np.float32) - _MIDDLE
    blob = np.exp(-((dy - shift[0]) ** 2 + (dx - shift[1]) ** 2) / (2 * width**2))
    if patch.nucleus.any():
        blob /= blob[patch.nucleus].max()
    shares = rng.uniform(0.05, 0.5, len(patch.light))
    shares[rng.integers(len(shares))] = 1.0
    amount = patch.scene.signal * shares * patch.trouble.physical
    return replace(patch, light=patch.light + _over(amount, blob))


def _cell(light: Light, nucleus: NDArray[np.bool_]) -> Light:
    """Light of one cell alone: its nucleus in the nuclear stain, its surroundings in others."""
    near = ndimage.binary_dilation(nucleus, iterations=3)
    reach = ndimage.binary_dilation(nucleus, iterations=round(0.4 * NUCLEUS_PX))
    cell = np.zeros_like(light)
    for stain, plane in enumerate(light):
        region = near if stain == 0 else reach
        above = np.maximum(plane - _without(plane, region), 0)
        cell[stain] = above * ndimage.gaussian_filter(region * 1.0, 1.0)
    return cell


def _without(plane: Light, region: NDArray[np.bool_]) -> Light:
    """Fill a region by what surrounds it."""
    kept = np.asarray(~region, dtype=np.float32)
    width = NUCLEUS_PX / 3
    weight = ndimage.gaussian_filter(kept, width, mode="nearest")
    around = ndimage.gaussian_filter(plane * kept, width, mode="nearest")
    filled = around / np.maximum(weight, 1e-3)
    return np.where(region, filled, plane).astype(np.float32)


def _dead(patch: Patch, rng: np.random.Generator) -> Patch:
    """Shrink the cell about its nucleus' middle, brighter and smoother; it is not made round."""
    del rng
    level, shrink = patch.trouble.severity, patch.trouble.physical
    cell = _cell(patch.light, patch.nucleus)
    middle = ndimage.center_of_mass(patch.nucleus)
    done = []
    for stain, plane in enumerate(cell):
        scale = shrink if stain == 0 else 1 - 0.55 * level
        offset = [centre * (1 - 1 / scale) for centre in middle]
        small = ndimage.affine_transform(plane, [1 / scale, 1 / scale], offset, order=1)
        smooth = ndimage.gaussian_filter(small, 1.5 * level)
        done.append(smooth * (1 + (2.2 if stain == 0 else 0.6) * level))
    return replace(patch, light=patch.light - cell + np.stack(done))


def _floating(patch: Patch, rng: np.random.Generator) -> Patch:
    """Blur and brighten one cell of the field, as if it lay above the others."""
    del rng
    cell = _cell(patch.light, patch.nucleus)
    lifted = _defocused(cell, patch.trouble.physical) * np.float32(1 + patch.trouble.severity)
    return replace(patch, light=patch.light - cell + lifted)


def _clump(patch: Patch, rng: np.random.Generator) -> Patch:
    """Put two to five other cells of the field around this one, some of them out of focus.

    Nuclei that were there make room. Where nuclei lie on each other their light adds up; bodies,
    which share their ground, give the brighter one's.
    """
    count = min(int(rng.integers(2, 6)), len(patch.scene.centers))
    others = rng.choice(len(patch.scene.centers), count, replace=False)
    gap = patch.trouble.physical * NUCLEUS_PX
    turn = rng.uniform(0, 2 * np.pi) + np.arange(count) * np.pi / 3
    light = patch.light.copy()
    light[0] = _without(light[0], ndimage.binary_dilation(patch.others, iterations=3))
    for row, angle in zip(others, turn, strict=True):
        other = _patch(patch.scene, patch.scene.centers[row], Fault(), ())
        sigma = 2.5 * patch.trouble.severity * float(rng.random())
        cell = _defocused(_cell(other.light, other.nucleus), sigma)
        moved = ndimage.shift(cell, (0, gap * np.sin(angle), gap * np.cos(angle)), order=1)
        light[0] += moved[0]
        light[1:] = np.maximum(light[1:], moved[1:] + np.float32(BACKGROUND))
    return replace(patch, light=light)


SPOIL: dict[str, Callable[[Patch, np.random.Generator], Patch]] = {
    NORMAL: _as_it_is,
    EMPTY: _as_it_is,
    "out_of_focus": _out_of_focus,
    "saturation": _saturation,
    "debris": _debris,
    "noise": _noise,
    "autofluorescence": _glow,
    "dead": _dead,
    "floating": _floating,
    "clump": _clump,
}
"""What each artefact does to a patch."""

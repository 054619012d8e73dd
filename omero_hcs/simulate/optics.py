"""From fluorophores to camera counts: focus, haze, uneven light, shot noise, ceiling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special

from omero_hcs.model import Plate, Site
from omero_hcs.simulate.cells import FloatArray
from omero_hcs.simulate.design import SimulationSettings, stable_generator

MARGIN = 32
"""Pixels simulated around a field, so that cells and blur cross its border."""

Z_STEP_SIGMA = 1.1
"""Defocus that one z step adds, as standard deviation in pixels."""

_HAZE_PX = 11.0


@dataclass(frozen=True, eq=False)
class Optics:
    """Microscope and camera for one field.

    Attributes
    ----------
    psf : array, shape (C,)
        Standard deviation of the point spread in focus, in pixels.
    haze : array, shape (C,)
        Share of the light that is spread widely (out-of-focus light of a wide-field microscope).
    light : array, shape (C, Y, X)
        Illumination on the canvas, about 1 in the middle.
    background : array, shape (C,)
        Background, in electrons.
    gain : float
        Counts an electron.
    offset, read : float
        Counts without light, and read noise in electrons.
    ceiling : int
        Largest count.
    """

    psf: FloatArray
    haze: FloatArray
    light: FloatArray
    background: FloatArray
    gain: float
    offset: float
    read: float
    ceiling: int


def site_optics(
    settings: SimulationSettings, plate: Plate, site: Site, rng: np.random.Generator
) -> Optics:
    """Optics of one field: the plate's batch, the well's place on it, and a little drift.

    Staining, background and point spread differ between plates; brightness rises along one
    direction of the plate and falls at its edge, where wells dry out.
    """
    batch = stable_generator(settings.seed, plate.id, site.acquisition or "", "batch")
    stain = batch.lognormal(0, 0.12, 3) * _place_factor(plate, site, batch)
    shape = (settings.size_y + 2 * MARGIN, settings.size_x + 2 * MARGIN)
    light = _illumination(shape, batch) * (stain * rng.lognormal(0, 0.04, 3))[:, None, None]
    psf = np.array([0.95, 0.9, 1.05]) * batch.lognormal(0, 0.06)
    # A usual nucleus fills about a quarter of the camera's range, as in well-exposed real plates.
    gain = 9.0 if settings.bit_depth == 16 else 0.56
    return Optics(
        psf=np.hypot(psf, abs(rng.normal(0, 0.2))),
        haze=np.array([0.10, 0.16, 0.14]) * batch.lognormal(0, 0.15),
        light=light.astype(np.float32),
        background=np.array([45.0, 60.0, 50.0]) * batch.lognormal(0, 0.25, 3) / stain,
        gain=gain,
        offset=float(batch.uniform(90, 280)),
        read=float(batch.uniform(1.6, 3.6)),
        ceiling=settings.ceiling,
    )


def _place_factor(plate: Plate, site: Site, batch: np.random.Generator) -> float:
    slope = batch.normal(0, 0.08, 2)
    edge = batch.uniform(0.02, 0.12)
    if site.well is None:
        return 1.0
    row = site.well.row / max(plate.rows - 1, 1) - 0.5
    column = site.well.column / max(plate.columns - 1, 1) - 0.5
    at_edge = site.well.row in (0, plate.rows - 1) or site.well.column in (0, plate.columns - 1)
    return float(np.exp(slope @ (row, column)) * (1 - edge * at_edge))


def _illumination(shape: tuple[int, int], batch: np.random.Generator) -> FloatArray:
    """Vignetting of each channel, shape (C, Y, X): a parabola about a point near the middle."""
    centre = batch.normal(0, 0.08, (3, 2))
    depth = batch.uniform(0.08, 0.26, 3)
    y = np.linspace(-1, 1, shape[0])[None, :, None] - centre[:, 0, None, None]
    x = np.linspace(-1, 1, shape[1])[None, None, :] - centre[:, 1, None, None]
    light: FloatArray = 1 - depth[:, None, None] * (y**2 + x**2) / 2
    return light


def spread(scene: FloatArray, optics: Optics, defocus: FloatArray | float) -> FloatArray:
    """Light that reaches the camera plane, in electrons, shape (C, Y, X).

    Parameters
    ----------
    scene : array, shape (C, Y, X)
        Fluorophores on the canvas, in electrons that they would give in focus.
    optics : Optics
        Of this field.
    defocus : float, or array of shape (Y, X)
        Standard deviation of the defocus in pixels; an array for a tilted or bent plane.
    """
    spectrum = fft.rfft2(scene.astype(np.float32))
    frequency = _frequencies(scene.shape[1], scene.shape[2])
    if isinstance(defocus, np.ndarray):
        return _spread_unevenly(spectrum, frequency, optics, defocus)
    return _spread_evenly(spectrum, frequency, optics, float(defocus))


def _spread_evenly(
    spectrum: NDArray[Any], frequency: FloatArray, optics: Optics, defocus: float
) -> FloatArray:
    shape = (spectrum.shape[1], optics.light.shape[2])
    blurred = defocus_transfer(frequency, defocus)
    halo = np.exp(-2 * (np.pi * _HAZE_PX * frequency) ** 2)
    light = np.empty(optics.light.shape, dtype=np.float32)
    for channel, (psf, haze) in enumerate(zip(optics.psf, optics.haze, strict=True)):
        sharp = np.exp(-2 * (np.pi * psf * frequency) ** 2) * blurred
        transfer = (1 - haze) * sharp + haze * halo * blurred
        light[channel] = fft.irfft2(spectrum[channel] * transfer.astype(np.float32), s=shape)
    light += optics.background[:, None, None].astype(np.float32)
    light *= optics.light
    return np.maximum(light, 0, out=light)


def _spread_unevenly(
    spectrum: NDArray[Any], frequency: FloatArray, optics: Optics, defocus: FloatArray
) -> FloatArray:
    """Blend a few evenly blurred images: exact at their sigmas, close in between."""
    levels = np.linspace(np.sqrt(defocus.min()), np.sqrt(defocus.max()), 5) ** 2
    place = np.interp(defocus, levels, np.arange(5.0)).astype(np.float32)
    result = np.zeros(optics.light.shape, dtype=np.float32)
    for index, level in enumerate(levels):
        weight = np.clip(1 - np.abs(place - index), 0, 1)
        result += weight * _spread_evenly(spectrum, frequency, optics, float(level))
    return result


def _frequencies(size_y: int, size_x: int) -> FloatArray:
    cycles: FloatArray = np.hypot(fft.fftfreq(size_y)[:, None], fft.rfftfreq(size_x)[None, :])
    return cycles


def defocus_transfer(frequency: FloatArray, sigma: float) -> FloatArray:
    """Transfer function of defocus: a disc and a Gaussian, each with half the variance.

    Light out of focus fills a disc, softened by diffraction; a disc of radius R has a standard
    deviation of R / 2 in each direction.
    """
    if sigma <= 0:
        return np.ones_like(frequency)
    part = sigma / np.sqrt(2)
    argument = np.maximum(2 * np.pi * 2 * part * frequency, 1e-6)
    disc: FloatArray = 2 * special.j1(argument) / argument
    disc *= np.exp(-2 * (np.pi * part * frequency) ** 2)
    return disc


def expose(
    light: FloatArray, optics: Optics, exposure: FloatArray, rng: np.random.Generator
) -> NDArray[np.uint16]:
    """Camera counts for light in electrons, shape (C, Y, X).

    Parameters
    ----------
    light : array, shape (C, Y, X)
        Electrons at the usual exposure.
    optics : Optics
        Gives gain, offset, read noise and ceiling.
    exposure : array, shape (C, 2)
        Factor on the light and factor on the gain, per channel: (10, 1) over-exposes, (0.1, 10)
        gives the same picture from a tenth of the light.
    rng : numpy Generator
        Draws the noise.
    """
    electrons = rng.poisson(light * exposure[:, :1, None]).astype(np.float32)
    electrons += optics.read * rng.standard_normal(light.shape, dtype=np.float32)
    counts = electrons * (optics.gain * exposure[:, 1:, None]).astype(np.float32) + optics.offset
    limited: FloatArray = np.clip(np.rint(counts), 0, optics.ceiling)
    return limited.astype(np.uint16)

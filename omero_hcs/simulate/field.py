"""One simulated field: cells, artefacts, optics, camera; and the truth about every cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omero_hcs.model import Plate, Site
from omero_hcs.results import Table
from omero_hcs.simulate import artefacts
from omero_hcs.simulate.cells import Cells, FloatArray, Population, draw_cells, survivors
from omero_hcs.simulate.design import SimulationSettings, compound_of
from omero_hcs.simulate.fibres import Fibres, grow_fibres
from omero_hcs.simulate.motion import cells_at
from omero_hcs.simulate.optics import MARGIN, Z_STEP_SIGMA, Optics, expose, site_optics, spread
from omero_hcs.simulate.scene import Scene, Tiles, draw_scene, draw_tiles
from omero_hcs.simulate.severity import SCALES, Fault, measured, worse

TRUTH_COLUMNS = (
    "well", "field", "acquisition", "z", "t", "cell", "y", "x", "diameter", "label", "severity",
    "physical",
)  # fmt: skip
"""Columns of the truth about cells, one row per nucleus, z and t."""

FIELD_TRUTH_COLUMNS = ("well", "field", "acquisition", "label", "severity", "physical", "cells")
"""Columns of the truth about fields: one row."""

_MIN_VISIBLE_PX = 20
_MIN_SATURATED = 0.005
_FIELD_AREA = 512 * 512


@dataclass(frozen=True, eq=False)
class SimulatedField:
    """One field and all that is true of it.

    Attributes
    ----------
    pixels : array, shape (T, C, Z, Y, X), uint16
        Camera counts.
    labels : array, shape (T, Y, X), int32
        Nuclei: 0 is background; a cell keeps its label over time.
    truth : Table
        One row per nucleus, z and t, with `TRUTH_COLUMNS`.
    field_truth : Table
        One row with `FIELD_TRUTH_COLUMNS`.
    """

    pixels: NDArray[np.uint16]
    labels: NDArray[np.int32]
    truth: Table
    field_truth: Table

    @property
    def nuclei(self) -> NDArray[np.int32]:
        """Label image of the first time point, shape (Y, X)."""
        first: NDArray[np.int32] = self.labels[0]
        return first


@dataclass(frozen=True, eq=False)
class _Stage:
    """What stays the same over time in one field."""

    settings: SimulationSettings
    optics: Optics
    cells: Cells
    fibres: Fibres
    tiles: Tiles
    foreign: list[artefacts.Foreign]
    faults: artefacts.Faults
    trouble: Fault
    defocus: FloatArray | float
    over_all: bool
    specks: int


def simulate_field(
    settings: SimulationSettings,
    plate: Plate,
    site: Site,
    rng: np.random.Generator,
    *,
    field_faults: Mapping[str, Fault] | None = None,
) -> SimulatedField:
    """Make one field.

    Parameters
    ----------
    settings : SimulationSettings
        What to simulate.
    plate : Plate
        From `plan_plate`.
    site : Site
        One of the plate's sites.
    rng : numpy Generator
        From `site_generator`; the field depends on it alone, not on other fields.
    field_faults : mapping of image id to Fault, optional
        Field-wide artefacts; by default those of `plan_faults`.

    Returns
    -------
    SimulatedField
    """
    if field_faults is None:
        field_faults = artefacts.plan_faults(settings, plate)
    stage = _set_up(settings, (plate, site), field_faults.get(site.image.id, Fault()), rng)
    frames = [_take_frame(stage, t, rng) for t in range(settings.t)]
    truth = Table.from_rows(
        [_where(site) | row for frame in frames for row in frame.rows], TRUTH_COLUMNS
    )
    labels = np.stack([frame.labels for frame in frames])
    trouble = stage.trouble
    field_row = _where(site) | {
        "label": trouble.label, "severity": trouble.severity, "physical": trouble.physical,
        "cells": int(len(np.unique(labels[0])) - (labels[0] == 0).any()),
    }  # fmt: skip
    pixels = np.stack([frame.pixels for frame in frames])
    return SimulatedField(pixels, labels, truth, Table.from_rows([field_row]))


def _where(site: Site) -> dict[str, Any]:
    well = site.well.name if site.well else ""
    return {"well": well, "field": site.field, "acquisition": site.acquisition or ""}


def _set_up(
    settings: SimulationSettings,
    where: tuple[Plate, Site],
    trouble: Fault,
    rng: np.random.Generator,
) -> _Stage:
    plate, site = where
    optics = site_optics(settings, plate, site, rng)
    shape = optics.light.shape[1], optics.light.shape[2]
    mechanism, strength = compound_of(site.well)
    usual = settings.density * shape[0] * shape[1] / _FIELD_AREA
    count = survivors(round(usual * rng.lognormal(0, 0.22)), mechanism, strength)
    count = artefacts.cells_left(count, trouble)
    cells = draw_cells(Population(count, shape, mechanism, strength), rng)
    death = 0.12 * strength if mechanism == "toxicity" else 0.0
    cells, faults = artefacts.spoil_cells(cells, settings.artefact_fraction / 2, death, rng)
    return _Stage(
        settings=settings, optics=optics, cells=cells, fibres=grow_fibres(cells, rng),
        tiles=draw_tiles(rng), foreign=artefacts.scatter_foreign(cells, faults, trouble, rng),
        faults=faults, trouble=trouble, defocus=artefacts.defocus_map(trouble, shape, rng),
        over_all=bool(rng.random() < 0.5), specks=int(rng.integers(2**32)),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Frame:
    pixels: NDArray[np.uint16]
    labels: NDArray[np.int32]
    rows: list[dict[str, Any]]


def _take_frame(stage: _Stage, t: int, rng: np.random.Generator) -> _Frame:
    shape = stage.optics.light.shape[1], stage.optics.light.shape[2]
    scene = draw_scene(cells_at(stage.cells, t), stage.fibres, stage.tiles, shape)
    usual = float(np.median(stage.cells.diameter)) if len(stage.cells) else 21.0
    artefacts.sprinkle(scene, np.random.default_rng(stage.specks))
    faults = dict(stage.faults)
    for label, trouble in artefacts.add_foreign(scene, stage.foreign, stage.tiles, usual).items():
        faults[label] = worse(faults.get(label), trouble)
    nuclei = _Nuclei.of(scene.labels)
    planes, rows = [], []
    for z in range(stage.settings.z):
        # Focus faults shift the plane that is sharp; the sign says to which side.
        defocus = np.abs(stage.defocus + Z_STEP_SIGMA * (z - (stage.settings.z - 1) // 2))
        plane = _photograph(stage, scene, defocus if defocus.ndim else float(defocus), rng)
        planes.append(plane)
        verdicts = _judge(stage, faults, nuclei, (plane[0], defocus))
        rows += [{"z": z, "t": t} | row for row in nuclei.rows(verdicts)]
    return _Frame(np.stack(planes, axis=1), nuclei.labels, rows)


def _crop(canvas: NDArray[Any]) -> NDArray[Any]:
    return canvas[..., MARGIN:-MARGIN, MARGIN:-MARGIN]


def _photograph(
    stage: _Stage, scene: Scene, defocus: FloatArray | float, rng: np.random.Generator
) -> NDArray[np.uint16]:
    """Camera counts of one plane, shape (C, Y, X)."""
    optics = stage.optics
    light = spread(scene.light, optics, defocus)
    limit = (optics.ceiling - optics.offset) / optics.gain
    artefacts.over_stain(light[0], scene.labels, limit, stage.faults)
    exposure = np.ones((3, 2))
    trouble = stage.trouble
    if trouble.label == "saturation":
        factor = artefacts.over_expose(
            _crop(light[0]), _crop(scene.labels), limit, trouble.physical
        )
        exposure[: 3 if stage.over_all else 1, 0] = factor
    if trouble.label == "noise":
        exposure[:] = trouble.physical, 1 / trouble.physical
    return expose(_crop(light), optics, exposure, rng)


@dataclass(frozen=True, eq=False)
class _Nuclei:
    """Nuclei that can be seen in a field: label image, labels, and where each is."""

    labels: NDArray[np.int32]
    ids: NDArray[np.int64]
    y: FloatArray
    x: FloatArray
    diameter: FloatArray

    @classmethod
    def of(cls, canvas: NDArray[np.int32]) -> _Nuclei:
        """Nuclei of a canvas that the field shows; slivers at its border count as background."""
        size = int(canvas.max()) + 1
        whole = np.bincount(canvas.ravel(), minlength=size)
        labels = np.ascontiguousarray(_crop(canvas))
        seen = np.bincount(labels.ravel(), minlength=size)
        labels[(seen < _MIN_VISIBLE_PX)[labels]] = 0
        ids = np.flatnonzero(seen >= _MIN_VISIBLE_PX)
        ids = ids[ids > 0]
        ys, xs = np.nonzero(labels)
        owner = labels[ys, xs]
        y = np.bincount(owner, ys, minlength=size)[ids] / seen[ids]
        x = np.bincount(owner, xs, minlength=size)[ids] / seen[ids]
        return cls(labels, ids, y, x, 2 * np.sqrt(whole[ids] / np.pi))

    def rows(self, verdicts: Mapping[int, Fault]) -> list[dict[str, Any]]:
        """Truth rows without place and time."""
        columns = zip(self.ids, self.y, self.x, self.diameter, strict=True)
        return [
            {"cell": int(cell), "y": float(y), "x": float(x), "diameter": float(diameter)}
            | _verdict(verdicts.get(int(cell), Fault()))
            for cell, y, x, diameter in columns
        ]


def _verdict(trouble: Fault) -> dict[str, Any]:
    return {
        "label": trouble.label, "severity": trouble.severity, "physical": trouble.physical,
    }  # fmt: skip


def _judge(
    stage: _Stage,
    faults: artefacts.Faults,
    nuclei: _Nuclei,
    plane: tuple[NDArray[np.uint16], FloatArray],
) -> artefacts.Faults:
    """Judge each nucleus in one plane: its own fault, or the field's where that is worse."""
    dna, defocus = plane
    size = int(nuclei.labels.max()) + 1
    at_top = nuclei.labels[dna >= stage.optics.ceiling]
    area = np.maximum(np.bincount(nuclei.labels.ravel(), minlength=size), 1)
    saturated = np.bincount(at_top, minlength=size) / area
    result: artefacts.Faults = {}
    for cell, y, x in zip(nuclei.ids.tolist(), nuclei.y, nuclei.x, strict=True):
        trouble = _with_saturation(faults.get(cell), float(saturated[cell]), stage.trouble)
        blur = float(defocus if not defocus.ndim else defocus[int(y) + MARGIN, int(x) + MARGIN])
        if blur >= SCALES["out_of_focus"].first:
            trouble = worse(trouble, measured("out_of_focus", blur))
        if stage.trouble.label == "noise":
            trouble = worse(trouble, stage.trouble)
        if trouble is not None:
            result[cell] = trouble
    return result


def _with_saturation(own: Fault | None, share: float, field_trouble: Fault) -> Fault | None:
    """Fault of a nucleus with `share` of it at the ceiling: what was planned gives way to that.

    A dead cell or a precipitate that is bright enough to saturate keeps its name, unless the
    whole field is over-exposed.
    """
    if own is not None and own.label == "saturation":
        return measured("saturation", share)
    if share < _MIN_SATURATED or (own is not None and field_trouble.label != "saturation"):
        return own
    return worse(own, measured("saturation", share))

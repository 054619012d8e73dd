"""From one field to its cells: read, find centres, crop, measure. Used by every cell task."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omero_hcs.errors import DataError
from omero_hcs.imaging.centers import grid_centers, label_centers
from omero_hcs.imaging.crop import at_border, crop_cells, neighbours_in_crop
from omero_hcs.imaging.focus import field_metrics
from omero_hcs.imaging.segment import Nuclei, segment_nuclei
from omero_hcs.jobs.identity import unit_generator
from omero_hcs.model import RunSpec, Site, Unit
from omero_hcs.results import Table
from omero_hcs.stores.base import PlateStore
from omero_hcs.tasks.base import CellParams, sites_by_image
from omero_hcs.tasks.readahead import read_ahead
from omero_hcs.tasks.survey import PlateSurvey

MAX_TILES = 64
"""Tiles that are looked at in a field without nuclei: enough to judge it, and still quick."""


@dataclass(frozen=True, eq=False)
class FieldCells:
    """The cells of one field.

    `table` has `results.CELL_COLUMNS` and measures, sorted by (y, x); `crops` are the raw pixels,
    shape (N, C, side, side). `nuclei` is the label image where one was made.
    """

    unit: Unit
    table: Table
    crops: NDArray[Any]
    metrics: Mapping[str, float | int | str]
    nuclei: NDArray[np.int32] | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class FieldError:
    """A field that could not be read or cropped, and why."""

    unit: Unit
    error: Exception


@dataclass(frozen=True, eq=False)
class CellFinder:
    """Finds and crops the cells of fields, the same way for training and for judging.

    Parameters
    ----------
    store : PlateStore
        Where the fields are.
    params : CellParams
        What crops are centred on.
    survey : PlateSurvey
        Channels, crop scale and intensities of the run.
    sites : mapping
        Sites by (target id, image id).
    annotated : Table, optional
        Annotated positions, for `centres="roi"`.
    """

    store: PlateStore
    params: CellParams
    survey: PlateSurvey
    sites: Mapping[tuple[str, str], Site]
    annotated: Table | None = None
    tiles_for_empty: bool = False
    _scale: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_scale", self.survey.crop_scale())

    def fields(self, units: Sequence[Unit]) -> Iterator[FieldCells | FieldError]:
        """Cells of each unit in turn; one that cannot be read gives a `FieldError`.

        The pixels of the next units are read meanwhile, in as many threads as the store has
        `readers`; close the iterator to end them before its end.
        """
        for unit, read in read_ahead(self._read, units, threads=self.store.readers):
            yield self._outcome(unit, read)

    def _outcome(self, unit: Unit, read: Callable[[], _Pixels]) -> FieldCells | FieldError:
        try:
            return self._field(unit, read())
        except Exception as error:  # noqa: BLE001  (recorded, reported; the others go on)
            return FieldError(unit, error)

    def field(self, unit: Unit) -> FieldCells:
        """Find the cells of one field.

        Raises
        ------
        DataError
            If its pixels cannot be read.
        """
        return self._field(unit, self._read(unit))

    def _field(self, unit: Unit, pixels: _Pixels) -> FieldCells:
        started = time.monotonic()
        site, stains, nuclei = pixels.site, pixels.stains, pixels.segmented()
        shape = (stains.shape[1], stains.shape[2])
        found = self._centers(unit, site, nuclei, shape)
        return FieldCells(
            unit=unit,
            table=self._table(unit, site, found, shape),
            crops=crop_cells(stains, found.centers, size=self._scale.side_px),
            metrics=self._metrics(stains, nuclei),
            nuclei=nuclei.labels if nuclei else None,
            seconds=pixels.seconds + time.monotonic() - started,
        )

    def crops_at(
        self, unit: Unit, points: NDArray[np.float64], reach: NDArray[np.float64] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.bool_]]:
        """Crop a field at given points, each moved onto the nucleus it is meant for.

        Parameters
        ----------
        unit : Unit
            The field.
        points : array, shape (N, 2)
            Where users labelled, (y, x) in pixels.
        reach : array, shape (N, 2), optional
            How far the region that a user drew goes from there; NaN where it was a point. A nucleus
            outside is not meant by a region, however near it is.

        Returns
        -------
        crops : array, shape (N, C, side, side)
        centers : array, shape (N, 2)
            Where they were cut.
        alone : array, shape (N,), bool
            Points with no such centre within half a crop, cropped where they are.
        """
        pixels = self._read(unit)
        stains, nuclei = pixels.stains, pixels.segmented()
        found = self._centers(unit, pixels.site, nuclei, (stains.shape[1], stains.shape[2]))
        nearest = _nearest(points, found.centers, self._boxes(points, reach))
        alone = nearest < 0
        centers = points.copy()
        centers[~alone] = found.centers[nearest[~alone]]
        return crop_cells(stains, centers, size=self._scale.side_px), centers, alone

    def _boxes(
        self, points: NDArray[np.float64], reach: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """How far (y, x) a centre may be from each point, and the distance that it may have."""
        half = self._scale.side_px / 2
        boxes = np.full((len(points), 3), half)
        if reach is not None and self.params.centres != "grid":
            # What is drawn on a part of a nucleus means that nucleus.
            radius = (self.survey.nuclear_diameter or 0.0) / 2
            boxes[:, :2] = np.where(np.isnan(reach), half, np.maximum(reach, radius))
        return boxes

    def _read(self, unit: Unit) -> _Pixels:
        started = time.monotonic()
        site = self.sites.get((unit.target.id, unit.image or ""))
        if site is None:
            msg = (
                f"Image {unit.image} of {unit.target.kind} {unit.target.id} ({unit.id}) is no "
                "longer there: it was deleted or moved after the run had been planned."
            )
            raise DataError(msg)
        image = site.image
        indices = [image.channel(name).index for name in self.survey.channels]
        extra = [] if self.survey.nuclear is None else [image.channel(self.survey.nuclear).index]
        pixels = self.store.read(image, channels=[*indices, *extra], z=unit.z, t=unit.t)
        if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
            msg = f"{site.label} has pixels that are no numbers (NaN or infinite)."
            raise DataError(msg)
        nuclear = pixels[-1] if extra else None
        return _Pixels(site, pixels[: len(indices)], nuclear, time.monotonic() - started)

    def _centers(
        self, unit: Unit, site: Site, nuclei: Nuclei | None, shape: tuple[int, int]
    ) -> _Found:
        """Centres, and for each of them what it is the centre of."""
        if self.params.centres == "nuclei" and nuclei is not None:
            found = _found(nuclei.centers, "nucleus", nuclei)
        elif self.params.centres == "labels":
            plane = unit.z if isinstance(unit.z, int) else 0
            labels = self.store.label_image(site.image, z=plane, t=unit.t)
            found = _found(label_centers(labels), "label")
        elif self.params.centres == "roi":
            found = _found(self._annotated_centers(unit), "roi")
        else:
            found = _found(grid_centers(shape, size=self._scale.side_px), "tile")
        if self.tiles_for_empty and len(found.centers) < self.survey.few_nuclei:
            found = found.plus_tiles(self._tiles(unit, shape))
        return found.in_order()

    def _tiles(self, unit: Unit, shape: tuple[int, int]) -> NDArray[np.float64]:
        tiles = grid_centers(shape, size=self._scale.side_px)
        if len(tiles) <= MAX_TILES:
            return tiles
        rng = unit_generator(self.params.seed, unit.id)
        return tiles[np.sort(rng.choice(len(tiles), MAX_TILES, replace=False))]

    def _annotated_centers(self, unit: Unit) -> NDArray[np.float64]:
        if self.annotated is None:
            return np.empty((0, 2))
        rows = rows_of_unit(self.annotated, unit)
        return np.stack([self.annotated["y"][rows], self.annotated["x"][rows]], axis=1)

    def _metrics(self, stains: NDArray[Any], nuclei: Nuclei | None) -> dict[str, float | int | str]:
        intensities = self.survey.intensities()
        measures = field_metrics(
            stains, ceiling=intensities.ceiling, names=list(self.survey.channels)
        )
        return {**measures, "nuclei": len(nuclei.centers) if nuclei else 0}

    def _table(self, unit: Unit, site: Site, found: _Found, shape: tuple[int, int]) -> Table:
        side = self._scale.side_px
        return Table(
            {
                **_identity_columns(unit, site, found.centers),
                "centre": found.kinds,
                **{f"nucleus_{name}": values for name, values in found.measures.items()},
                "at_border": at_border(shape, found.centers, size=side),
                "cells_in_crop": neighbours_in_crop(found.centers, size=side).astype(np.int32),
            }
        )


@dataclass(frozen=True, eq=False)
class _Pixels:
    """What was read of one field: stains, shape (C, Y, X), and where there is one the nuclear."""

    site: Site
    stains: NDArray[Any]
    nuclear: NDArray[Any] | None
    seconds: float

    def segmented(self) -> Nuclei | None:
        """Nuclei of the nuclear channel, if there is one."""
        return None if self.nuclear is None else segment_nuclei(self.nuclear)


@dataclass(frozen=True, eq=False)
class _Found:
    """Centres of one field, shape (N, 2), what each is the centre of, and its nucleus' measures."""

    centers: NDArray[np.float64]
    kinds: NDArray[np.str_]
    measures: Mapping[str, NDArray[np.float32]]

    def plus_tiles(self, tiles: NDArray[np.float64]) -> _Found:
        """Add tiles, which have no nucleus to measure."""
        blank = np.full(len(tiles), np.nan, dtype=np.float32)
        return _Found(
            np.concatenate([self.centers, tiles]),
            np.append(self.kinds, np.full(len(tiles), "tile")),
            {name: np.append(values, blank) for name, values in self.measures.items()},
        )

    def in_order(self) -> _Found:
        """Sort by (y, x), so that rows and cell ids are the same with every engine."""
        order = np.lexsort((self.centers[:, 1], self.centers[:, 0]))
        measures = {name: values[order] for name, values in self.measures.items()}
        return _Found(self.centers[order], self.kinds[order], measures)


def _nearest(
    points: NDArray[np.float64], centers: NDArray[np.float64], boxes: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Nearest of the centres that each point may mean, shape (N,); -1 where there is none."""
    if not len(centers):
        return np.full(len(points), -1)
    away = np.abs(centers[None] - points[:, None])
    distance = np.hypot(away[..., 0], away[..., 1])
    meant = (away <= boxes[:, None, :2]).all(axis=-1) & (distance <= boxes[:, None, 2])
    distance[~meant] = np.inf
    return np.where(meant.any(axis=1), distance.argmin(axis=1), -1)


def _found(centers: NDArray[np.float64], kind: str, nuclei: Nuclei | None = None) -> _Found:
    blank = np.full(len(centers), np.nan, dtype=np.float32)
    measures = {
        name: blank if nuclei is None else np.asarray(getattr(nuclei, name), dtype=np.float32)
        for name in ("diameter", "area", "mean_intensity")
    }
    return _Found(np.asarray(centers, dtype=np.float64), np.full(len(centers), kind), measures)


def _identity_columns(
    unit: Unit, site: Site, centers: NDArray[np.float64]
) -> dict[str, NDArray[Any]]:
    count = len(centers)
    plane = unit.z if isinstance(unit.z, int) else -1
    return {
        "cell": np.array([f"{unit.id}/c{index:05d}" for index in range(count)], dtype=str),
        "plate": np.full(count, unit.target.id),
        "well": np.full(count, unit.well or ""),
        "field": np.full(count, unit.field, dtype=np.int32),
        "acquisition": np.full(count, unit.acquisition or ""),
        "image": np.full(count, site.image.id),
        "z": np.full(count, plane, dtype=np.int32),
        "t": np.full(count, unit.t, dtype=np.int32),
        "y": centers[:, 0].astype(np.float64),
        "x": centers[:, 1].astype(np.float64),
    }


def rows_of_unit(table: Table, unit: Unit) -> NDArray[np.intp]:
    """Rows of a label table that are about a unit, by image id or by well and field."""
    by_image = table["image"] == (unit.image or "")
    by_place = (
        (table["image"] == "")
        & (table["well"] == (unit.well or ""))
        & (table["field"] == unit.field)
    )
    plates = (table["plate"] == "") | (table["plate"] == unit.target.id)
    return np.flatnonzero((by_image | by_place) & plates & (table["t"] == unit.t))


def finder_of(
    store: PlateStore,
    spec: RunSpec,
    params: CellParams,
    *,
    annotated: Table | None = None,
    tiles_for_empty: bool = False,
) -> CellFinder:
    """Make the cell finder of a run from its spec."""
    return CellFinder(
        store=store,
        params=params,
        survey=PlateSurvey.model_validate(spec.context["survey"]),
        sites=sites_by_image(store, spec.targets),
        annotated=annotated,
        tiles_for_empty=tiles_for_empty,
    )

"""What a report shows, gathered by a task: values and small pictures, no store and no model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omero_hcs.report.measures import WellMeasure
from omero_hcs.report.places import PlaceEffect
from omero_hcs.results import Table

Box = tuple[float, float, float, float, bool]
"""One cell on a field: (y0, x0, y1, x1) in pixels of the original image, and whether abnormal."""


@dataclass(frozen=True, slots=True)
class LikeIt:
    """A labelled cell that one of a gallery is like: its JPEG, its class, and what to say of it."""

    jpeg: bytes
    label: str
    about: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class GalleryItem:
    """One cell of a gallery.

    Parameters
    ----------
    image : array, shape (Y, X, 3), uint8
        The crop as `gallery.crop_to_rgb` makes it.
    caption : str
        Where it is and what it was called: "B03 field 1, debris".
    score : float, optional
        The model's probability that the cell is abnormal, from 0 to 1.
    href : str
        Page of its image, "" for none; as everywhere here, of the web alone.
    like : tuple of LikeIt
        The labelled cells that it is most like, the nearest first.
    """

    image: NDArray[np.uint8]
    caption: str
    score: float | None = None
    href: str = ""
    like: tuple[LikeIt, ...] = ()


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """One field in small, with its cells' boxes.

    Parameters
    ----------
    label : str
        The field's name: "B03 field 1".
    jpeg : bytes
        The picture as `gallery.field_thumbnail` makes it.
    boxes : tuple of Box
        The judged cells, in pixels of the original image.
    size : (int, int)
        Height and width of the original image, in pixels.
    caption : str
        What to say of the field: "212 cells, 9 % abnormal".
    href : str
        Page of its image.
    """

    label: str
    jpeg: bytes
    boxes: tuple[Box, ...]
    size: tuple[int, int]
    caption: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True)
class PlateVerdict:
    """The verdict on a plate, and why; both "" where there is none."""

    verdict: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class MetricsBeside:
    """How hand-made metrics agree with the model on fields: counts, and fields that differ.

    `both` and `neither` are fields that both, or none, take for bad; the lists have those that
    only the model, or only the metrics, take for bad.
    """

    both: int
    neither: int
    model_alone: tuple[FailedField, ...]
    metrics_alone: tuple[FailedField, ...]


@dataclass(frozen=True, slots=True)
class FailedField:
    """A field that has no verdict from its cells, why, and the page of its image."""

    label: str
    reason: str
    href: str = ""


def _no_rows() -> Table:
    return Table({})


@dataclass(frozen=True, slots=True, eq=False)
class ReportData:
    """All that one report shows.

    Parameters
    ----------
    title : str
        The report's heading: "Quality of plate BBBC013".
    run_id, task, plate_name : str
        The run, its task's name, and the plate or image set it ran on.
    created : str
        When the run ended, as it shall be shown: "2026-11-21 06:30 UTC".
    summary : tuple of (str, str)
        Key numbers, shown as tiles: ("cells", "23,456").
    rows, columns : int
        The plate's size; 0 for an image set without wells.
    wells : Table, optional
        One row a well. `well` ("B03") is needed. Known columns: `treatment`, `dose`, `dose_unit`,
        `role`, `cells`, `abnormal_fraction` (0 to 1), `n_<class>`, `verdict`; others are shown too.
        NaN and "" mean that there is no value.
    fields : Table
        One row a field, failed ones left out. Columns as above, with `image` or `well`; `field`
        counts from 0, as everywhere inside, and is shown from 1.
    plate : PlateVerdict
        The verdict on the plate.
    kept : str
        How many cells are fit to be measured, in a sentence.
    thresholds : str
        From when on things warn and fail, in a line.
    effects : tuple of PlaceEffect
        Effects of places on the plate.
    place_notes : tuple of str
        What cannot be told about places.
    beside : MetricsBeside, optional
        What hand-made metrics say of the fields.
    measures : tuple of WellMeasure
        What else the plate is shown by, in small.
    href : str
        Page of the plate or image set.
    well_pages, image_pages : mapping of str to str
        Pages by the values of the tables' columns `well` and `image`.
    class_counts : mapping of str to int
        Cells by class, in the model's order.
    abnormal_gallery, normal_gallery : tuple of GalleryItem
        The most abnormal cells, worst first; normal cells drawn at random.
    to_label : tuple of GalleryItem
        Cells that were picked to be labelled next, the most useful first.
    thumbnails : tuple of Thumbnail
        Fields with boxes. The page shows some of them and tells by which rule.
    fields_without_nuclei, failed : tuple of FailedField
        Fields with no (or too few) nuclei, and fields that could not be judged, with reasons.
    model_card : mapping, optional
        What the model file says of itself; values may be nested mappings and lists.
    calibration : tuple of (cells, mean probability, share that was right)
        How far the model's probabilities mean what they say; see `reliability_figure`.
    warnings : tuple of str
        What the user should know before believing the numbers; shown first.
    params : mapping
        The task's parameters.
    versions : mapping of str to str
        Software and its versions.
    color_note : str
        What the colours of the pictures are, as `gallery.color_note` says it.
    """

    title: str
    run_id: str
    task: str
    plate_name: str
    created: str
    summary: tuple[tuple[str, str], ...] = ()
    rows: int = 0
    columns: int = 0
    wells: Table | None = None
    fields: Table = field(default_factory=_no_rows)
    plate: PlateVerdict = PlateVerdict()
    kept: str = ""
    thresholds: str = ""
    effects: tuple[PlaceEffect, ...] = ()
    place_notes: tuple[str, ...] = ()
    beside: MetricsBeside | None = None
    measures: tuple[WellMeasure, ...] = ()
    href: str = ""
    well_pages: Mapping[str, str] = field(default_factory=dict)
    image_pages: Mapping[str, str] = field(default_factory=dict)
    class_counts: Mapping[str, int] = field(default_factory=dict)
    abnormal_gallery: tuple[GalleryItem, ...] = ()
    normal_gallery: tuple[GalleryItem, ...] = ()
    to_label: tuple[GalleryItem, ...] = ()
    thumbnails: tuple[Thumbnail, ...] = ()
    fields_without_nuclei: tuple[FailedField, ...] = ()
    failed: tuple[FailedField, ...] = ()
    model_card: Mapping[str, Any] | None = None
    calibration: tuple[tuple[int, float, float], ...] = ()
    warnings: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    color_note: str = ""

"""Fill the report of a quality run: galleries, thumbnails, failed fields, the model's card."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omero_hcs.errors import DataError, ImageNotFoundError
from omero_hcs.imaging.crop import crop_cells
from omero_hcs.imaging.normalize import normalize
from omero_hcs.jobs.identity import unit_generator
from omero_hcs.model import ObjectRef, Plate, Site, ZChoice
from omero_hcs.report.data import (
    Box,
    FailedField,
    GalleryItem,
    MetricsBeside,
    PlateVerdict,
    ReportData,
    Thumbnail,
)
from omero_hcs.report.gallery import color_note, crop_to_rgb, field_thumbnail
from omero_hcs.report.gallery_sheet import SheetText, gallery_sheet, suggestion_sheet
from omero_hcs.report.measures import well_measures
from omero_hcs.report.page import render_report
from omero_hcs.report.places import PlaceEffect
from omero_hcs.report.plate_view import abnormal_heatmap
from omero_hcs.results import ResultFile, Table
from omero_hcs.settings import Thresholds
from omero_hcs.stores.base import Linked, LinkedKind, PlateStore
from omero_hcs.tasks.base import Progress, layout_of
from omero_hcs.tasks.card_lines import calibration_bins, shown_card
from omero_hcs.tasks.hand_metrics import agreement
from omero_hcs.tasks.plate_record import effects_of, kept_line, notes_of
from omero_hcs.tasks.report_tables import class_counts, field_columns, well_columns
from omero_hcs.tasks.suggest import PICTURE_FILE
from omero_hcs.tasks.survey import PlateSurvey
from omero_hcs.tasks.thresholds import described, thresholds_used
from omero_hcs.tasks.why import Likenesses

REPORT, HEATMAP, GALLERY_SHEET = "report.html", "heatmap.png", "gallery.png"
"""Files of a report, by their names."""

GALLERY = 24
_CROP_SIDE = 176  # pixels of a crop in the pictures: sharp at the sheet's size
MAX_THUMBNAILS = 192
"""Fields that are drawn; of a larger plate, those with the most and the least abnormal cells."""


def report_files(
    store: PlateStore,
    target: ObjectRef,
    tables: Mapping[str, Table],
    record: bytes,
    progress: Progress,
) -> tuple[ResultFile, ...]:
    """Make the report of one plate or image set: the page, its heat-map, its gallery.

    What has no images has none.

    Parameters
    ----------
    store : PlateStore
        Where the pixels of galleries and thumbnails come from.
    target : ObjectRef
        What the report is about.
    tables : mapping of str to Table
        "cells", "fields" and, for a plate, "wells".
    record : bytes
        The run's `run.json`.
    progress : callable
        Told after every field that is drawn.
    """
    pictures = _Pictures(store, target, json.loads(record))
    if not pictures.sites:
        return ()
    data = pictures.report(tables, progress)
    about = f"Quality check: report of {data.plate_name}, one page"
    heatmap = abnormal_heatmap(data)
    files = [ResultFile(REPORT, "text/html", render_report(data, heatmap=heatmap), about)]
    if heatmap:
        about = "Quality check: share of abnormal cells in each well"
        files.append(ResultFile(HEATMAP, "image/png", heatmap, about))
    if data.abnormal_gallery or data.normal_gallery:
        about = "Quality check: the most abnormal cells beside normal ones"
        files.append(ResultFile(GALLERY_SHEET, "image/png", _gallery_sheet(data), about))
    if data.to_label:
        about = "Quality check: cells whose labels would teach the model most"
        files.append(ResultFile(PICTURE_FILE, "image/png", _suggestion_sheet(data), about))
    return tuple(files)


def _gallery_sheet(data: ReportData) -> bytes:
    note = f"run {data.run_id}, {data.created}. Colours: {data.color_note}"
    text = SheetText(f"{data.plate_name}: most abnormal cells beside normal ones", note)
    return gallery_sheet(data.abnormal_gallery, data.normal_gallery, text)


def _suggestion_sheet(data: ReportData) -> bytes:
    note = f"run {data.run_id}, {data.created}. Colours: {data.color_note}"
    return suggestion_sheet(data.to_label, SheetText(f"{data.plate_name}: label these next", note))


@dataclass(frozen=True)
class _Pictures:
    """Draws cells and fields of one target, each field read once."""

    store: PlateStore
    target: ObjectRef
    record: dict[str, Any]

    @cached_property
    def sites(self) -> dict[str, Site]:
        """Images by their ids."""
        return {site.image.id: site for site in layout_of(self.store, self.target).sites()}

    def report(self, tables: Mapping[str, Table], progress: Progress) -> ReportData:
        layout, sites = layout_of(self.store, self.target), self.sites
        cells, fields = tables["cells"], tables["fields"]
        counts, wells = class_counts(cells, self.record["classes"]), tables.get("wells")
        read = fields.where(fields["status"] == "done")
        chosen = (*self._chosen(cells), self._suggested(cells))
        crops, thumbnails = self._draw(sites, cells, read, chosen, progress)
        abnormal, normal, to_label = (
            tuple(crops[index] for index in rows if index in crops) for rows in chosen
        )
        is_plate, plate = isinstance(layout, Plate), self.record.get("plate") or {}
        effects = tuple(
            PlaceEffect(item["measure"], item["check"], item["text"])
            for item in effects_of(self.record)
        )
        example = next(iter(sites.values())).image
        return ReportData(
            title=f"Quality of {'plate' if is_plate else 'image set'} {layout.name}",
            run_id=self.record["run_id"],
            task=self.record["task"],
            plate_name=layout.name,
            created=_written(self.record["run_id"]),
            summary=self._summary(cells, read, wells),
            rows=layout.rows if isinstance(layout, Plate) else 0,
            columns=layout.columns if isinstance(layout, Plate) else 0,
            wells=None if wells is None else well_columns(wells),
            fields=field_columns(read),
            measures=() if wells is None else tuple(well_measures(wells, read, counts, effects)),
            plate=PlateVerdict(plate.get("verdict", ""), plate.get("why", "")),
            kept=kept_line(fields),
            thresholds=described(self._limits, assay=self.record["params"].get("assay")),
            effects=effects,
            place_notes=tuple(notes_of(self.record)),
            beside=self._beside(read),
            href=self._page("plate", self.target.id) if is_plate else "",
            well_pages=self._well_pages(wells),
            image_pages={image: self._page("image", image) for image in sites},
            class_counts=counts,
            abnormal_gallery=abnormal,
            normal_gallery=normal,
            to_label=to_label,
            thumbnails=thumbnails,
            fields_without_nuclei=self._without_nuclei(read),
            failed=self._failed(fields),
            model_card=shown_card(self.record["card"]),
            calibration=calibration_bins(self.record["card"]),
            warnings=tuple(self.record["warnings"]),
            params=self.record["params"],
            versions={"omero-hcs": self.record["package_version"]},
            color_note=color_note(self._survey.channels, self._colors(example)),
        )

    def _page(self, kind: LinkedKind, object_id: str) -> str:
        return self.store.link(kind, object_id) if isinstance(self.store, Linked) else ""

    def _well_pages(self, wells: Table | None) -> dict[str, str]:
        names = [] if wells is None or not len(wells) else wells["well"].tolist()
        return {name: self._page("well", f"{self.target.id}/{name}") for name in names}

    def _beside(self, fields: Table) -> MetricsBeside | None:
        """Compare metrics and model field by field, where the run has metrics."""
        found = agreement(fields) if len(fields) else None
        if found is None:
            return None
        rows = {row["unit"]: row for row in fields.rows()}
        bad = [(rows[unit], "{verdict}: {why}") for unit in found.model_alone]
        odd = [(rows[unit], "{hand_finding}") for unit in found.metrics_alone]
        model, metrics = (
            tuple(self._listed(row, text.format(**row)) for row, text in differing)
            for differing in (bad, odd)
        )
        return MetricsBeside(found.both, found.neither, model, metrics)

    @cached_property
    def _likenesses(self) -> Likenesses:
        return Likenesses(self.record)

    @cached_property
    def _limits(self) -> Thresholds:
        return thresholds_used(self.record)

    def _without_nuclei(self, fields: Table) -> tuple[FailedField, ...]:
        found = (row for row in fields.rows() if row["finding"])
        return tuple(self._listed(row, f"{row['finding']}: {row['nuclei']} found") for row in found)

    def _failed(self, fields: Table) -> tuple[FailedField, ...]:
        failed = (row for row in fields.rows() if row["status"] == "failed")
        return tuple(self._listed(row, row["reason"]) for row in failed)

    def _listed(self, row: Mapping[str, Any], reason: str) -> FailedField:
        is_there = row["image"] in self.sites
        return FailedField(
            _label(row), reason, self._page("image", row["image"]) if is_there else ""
        )

    @property
    def _survey(self) -> PlateSurvey:
        return PlateSurvey.model_validate(self.record["survey"])

    def _colors(self, image: Any) -> list[str | None]:
        return [image.channel(name).color for name in self._survey.channels]

    def _chosen(self, cells: Table) -> tuple[list[int], list[int]]:
        """Rows of the most abnormal cells, and of normal ones drawn by chance."""
        if not len(cells):
            return [], []
        normal = ~np.isin(cells["class"], self._limits.artefacts or ())
        real = cells["centre"] != "tile"
        shown = real if real.any() else ~real
        rng = unit_generator(int(self.record["params"]["seed"]), "galleries")
        # Many cells share the highest score; by chance, not by place, or one well would fill it.
        ties = rng.random(len(cells))
        worst = np.lexsort((ties, -np.round(cells["abnormal"], 3)))
        abnormal = worst[(shown & ~normal)[worst]][:GALLERY]
        pool = np.flatnonzero(shown & normal)
        drawn = rng.choice(pool, min(GALLERY, len(pool)), replace=False)
        return abnormal.tolist(), sorted(drawn.tolist())

    def _suggested(self, cells: Table) -> list[int]:
        """Rows of the cells that were picked to be labelled, in their order."""
        wanted = self.record.get("suggested") or []
        rows = {cell: row for row, cell in enumerate(cells["cell"].tolist())} if wanted else {}
        return [rows[cell] for cell in wanted if cell in rows]

    def _draw(
        self,
        sites: Mapping[str, Site],
        cells: Table,
        fields: Table,
        chosen: Sequence[list[int]],
        progress: Progress,
    ) -> tuple[dict[int, GalleryItem], tuple[Thumbnail, ...]]:
        shown = _shown_fields(fields)
        wanted = _by_unit(cells, sorted({row for rows in chosen for row in rows}))
        todo = [row for row in fields.rows() if row["unit"] in shown or row["unit"] in wanted]
        boxes = _by_unit(cells, range(len(cells)))
        crops: dict[int, GalleryItem] = {}
        thumbnails: list[Thumbnail] = []
        for number, row in enumerate(todo, 1):
            progress("drawing the report", number, len(todo))
            # It was read when it was judged; a picture less is no reason to fail.
            site = sites.get(row["image"])
            if site is None:
                continue
            try:
                image = self._read(site, row)
            except (DataError, ImageNotFoundError):
                continue
            rows = wanted.get(row["unit"], [])
            crops |= dict(self._items(image, site, cells, rows))
            if row["unit"] in shown:
                own = cells.where(np.array(boxes.get(row["unit"], []), dtype=np.intp))
                thumbnails.append(self._thumbnail(image, site, own, row))
        return crops, tuple(thumbnails)

    def _read(self, site: Site, row: Mapping[str, Any]) -> NDArray[np.float32]:
        survey = self._survey
        indices = [site.image.channel(name).index for name in survey.channels]
        plane: ZChoice = int(row["z"]) if row["z"].isdigit() else row["z"]
        pixels = self.store.read(site.image, channels=indices, z=plane, t=row["t"])
        return normalize(pixels, survey.intensities())

    def _items(
        self, image: NDArray[np.float32], site: Site, cells: Table, rows: Sequence[int]
    ) -> Iterator[tuple[int, GalleryItem]]:
        own = cells.where(np.array(rows, dtype=np.intp))
        centers = np.stack([own["y"], own["x"]], axis=1) if rows else np.empty((0, 2))
        crops = crop_cells(image, centers, size=self._survey.crop_scale().side_px)
        colors = self._colors(site.image)
        for index, crop, row in zip(rows, crops, own.rows(), strict=True):
            caption = f"{site.label}, {row['class']}"
            picture = crop_to_rgb(crop, colors=colors, size=_CROP_SIDE)
            page = self._page("image", site.image.id)
            like = self._likenesses.of(row)
            yield index, GalleryItem(picture, caption, row["abnormal"], page, like)

    def _thumbnail(
        self, image: NDArray[np.float32], site: Site, cells: Table, row: Mapping[str, Any]
    ) -> Thumbnail:
        half = self._survey.crop_scale().side_px / 2
        artefacts = self._limits.artefacts or ()
        boxes: tuple[Box, ...] = (
            tuple(
                (y - half, x - half, y + half, x + half, name in artefacts)
                for y, x, name in zip(
                    cells["y"].tolist(), cells["x"].tolist(), cells["class"].tolist(), strict=True
                )
            )
            if len(cells)
            else ()
        )
        caption = (
            row["finding"] or f"{row['cells']} cells, {_percent(row['abnormal_fraction'])} abnormal"
        )
        return Thumbnail(
            label=site.label,
            jpeg=field_thumbnail(image, colors=self._colors(site.image)),
            boxes=boxes,
            size=(site.image.size_y, site.image.size_x),
            caption=caption,
            href=self._page("image", site.image.id),
        )

    def _summary(
        self, cells: Table, fields: Table, wells: Table | None
    ) -> tuple[tuple[str, str], ...]:
        survey = self._survey
        real = int((cells["centre"] != "tile").sum()) if len(cells) else 0
        rows = [("cells", f"{real or len(cells):,}"), ("fields", f"{len(fields):,}")]
        if wells is not None:
            rows.insert(0, ("wells", f"{len(wells):,}"))
        rows.append(("crop", f"{survey.scale['side_px']} px"))
        if survey.nuclear:
            rows.append(("nuclear channel", survey.nuclear))
        return tuple(rows)


def _written(run_id: str) -> str:
    """Show the time in a run id: "2026-11-21 06:30 UTC"."""
    moment = time.strptime(run_id.partition("-")[0], "%Y%m%dT%H%M%SZ")
    return time.strftime("%Y-%m-%d %H:%M UTC", moment)


def _percent(fraction: float) -> str:
    return "none" if np.isnan(fraction) else f"{100 * fraction:.0f} %"


def _shown_fields(fields: Table) -> set[str]:
    """Units of the fields to draw: all, or the most and the least abnormal of a large plate."""
    if len(fields) <= MAX_THUMBNAILS:
        return set(fields["unit"].tolist()) if len(fields) else set()
    order = np.argsort(-np.nan_to_num(fields["abnormal_fraction"], nan=2.0), kind="stable")
    ends = np.concatenate([order[: MAX_THUMBNAILS * 3 // 4], order[-MAX_THUMBNAILS // 4 :]])
    return set(fields["unit"][ends].tolist())


def _by_unit(cells: Table, rows: Sequence[int]) -> dict[str, list[int]]:
    """Row numbers by unit; a cell's id begins with its unit's."""
    grouped: dict[str, list[int]] = {}
    names = cells["cell"] if len(cells) else np.empty(0, dtype=str)
    for row in rows:
        grouped.setdefault(str(names[row]).rpartition("/")[0], []).append(row)
    return grouped


def _label(row: Mapping[str, Any]) -> str:
    return f"{row['well']} field {row['field'] + 1}" if row["well"] else str(row["image"])

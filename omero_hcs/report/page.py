"""One self-contained HTML page a run: no network, no other file, safe against names with markup."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from omero_hcs.report.card import card_entries
from omero_hcs.report.columns import ShownTable, show_table, verdict_style
from omero_hcs.report.data import GalleryItem, LikeIt, ReportData
from omero_hcs.report.gallery import jpeg_bytes
from omero_hcs.report.headline import headline, totals
from omero_hcs.report.overlay import field_views
from omero_hcs.report.plate_view import abnormal_heatmap, plate_view
from omero_hcs.report.reliability import reliability_figure
from omero_hcs.report.small_plate import small_plates
from omero_hcs.results import Table

MAX_GALLERY = 48
"""Cells shown of each gallery."""

MAX_FIELD_ROWS = 800
"""Rows shown of the fields' table."""

MAX_LISTED = 500
"""Fields listed without nuclei, or failed."""

MAX_DIFFERING = 40
"""Fields listed on which model and metrics differ, of each kind."""


@dataclass(frozen=True, slots=True)
class _ShownItem:
    picture: str
    caption: str
    score: str
    href: str
    like: tuple[LikeIt, ...] = ()


@dataclass(frozen=True, slots=True)
class _ClassCount:
    name: str
    count: int
    percent: float


def render_report(data: ReportData, *, heatmap: bytes | None = None) -> bytes:
    """Write the page of one run.

    Every text is escaped, and the page's own policy lets the browser load nothing from elsewhere
    and run no script but the one that sorts tables. Sections without content are left out, except
    where their absence is itself a result ("no abnormal cells").

    Parameters
    ----------
    data : ReportData
        What to show.
    heatmap : bytes, optional
        What `abnormal_heatmap` made of it, where that is there already.

    Returns
    -------
    bytes
        HTML, UTF-8; the same bytes for the same data. Under 5 MB for 96 wells, 15 MB for 1536.
    """
    return rendered(
        "report.html.j2",
        data=data,
        headline=headline(data),
        has_cells=totals(data).cells > 0 or bool(data.abnormal_gallery or data.normal_gallery),
        plate=plate_view(data, heatmap or abnormal_heatmap(data)),
        measures=small_plates(data.rows, data.columns, data.measures, data.effects)
        if data.rows
        else [],
        beside=data.beside,
        verdict_style=verdict_style(data.plate.verdict),
        max_differing=MAX_DIFFERING,
        classes=_class_counts(data),
        abnormal=_gallery(data.abnormal_gallery),
        normal=_gallery(data.normal_gallery),
        to_label=_gallery(data.to_label),
        wells=_shown(data.wells, data, anchor="well"),
        field_rows=_shown(_first(data.fields), data),
        thumbnails=field_views(data.thumbnails),
        model=card_entries(data.model_card or {}),
        reliability=_reliability(data),
        params=card_entries(data.params, ordered=False),
        versions=card_entries(data.versions, ordered=False),
        max_gallery=MAX_GALLERY,
        max_listed=MAX_LISTED,
    )


def _reliability(data: ReportData) -> bytes:
    """Draw how far probabilities mean what they say; nothing where that is not known."""
    if not data.calibration:
        return b""
    labels = sum(count for count, _, _ in data.calibration)
    note = f"{labels} labels of the training plates, each judged by what others taught."
    return reliability_figure(
        data.calibration, title="Do the probabilities mean what they say?", note=note
    )


def rendered(template: str, **values: Any) -> bytes:
    """Fill a template in: every text is escaped, and the page loads nothing from elsewhere.

    Parameters
    ----------
    template : str
        Its name; it gets `style`, `script` and `policy` besides the values.
    **values
        What it shows.
    """
    environment = _environment()
    script = _source(environment, "sort.js")
    page = environment.get_template(template).render(
        policy=_policy(script), script=script, style=_source(environment, "style.css"), **values
    )
    return page.encode("utf-8")


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("omero_hcs", "report/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["data_uri"] = _data_uri
    return environment


def _source(environment: Environment, name: str) -> str:
    loader: Any = environment.loader
    text: str = loader.get_source(environment, name)[0]
    return text


def _policy(script: str) -> str:
    """Allow this page's script by its hash, and nothing from outside."""
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def _data_uri(content: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def _gallery(items: Sequence[GalleryItem]) -> tuple[_ShownItem, ...]:
    return tuple(
        _ShownItem(
            _data_uri(jpeg_bytes(item.image), "image/jpeg"),
            item.caption,
            "" if item.score is None else f"{item.score:.2f}",
            item.href,
            item.like,
        )
        for item in items[:MAX_GALLERY]
    )


def _class_counts(data: ReportData) -> tuple[_ClassCount, ...]:
    total = sum(data.class_counts.values())
    return tuple(
        _ClassCount(name, count, 100 * count / total if total else 0.0)
        for name, count in data.class_counts.items()
    )


def _first(fields: Table) -> Table:
    return fields.where(np.arange(min(len(fields), MAX_FIELD_ROWS)))


def _shown(
    table: Table | None, data: ReportData, *, anchor: str | None = None
) -> ShownTable | None:
    if table is None or not len(table):
        return None
    pages = {"well": data.well_pages, "image": data.image_pages}
    return show_table(table, anchor=anchor, pages=pages)

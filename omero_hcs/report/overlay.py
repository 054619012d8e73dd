"""Field thumbnails on the page: which of them, and their cells' boxes as lines over the picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from omero_hcs.report.data import Box, Thumbnail

MOST_ABNORMAL, LEAST_ABNORMAL = 36, 12
MAX_BYTES = 1_800_000
"""Of pictures and boxes; what the page grows by is a third more, as base64."""


@dataclass(frozen=True, slots=True)
class FieldView:
    """One thumbnail with its boxes as SVG paths, in pixels of the original image."""

    thumbnail: Thumbnail
    abnormal: int
    normal_path: str
    abnormal_path: str


@dataclass(frozen=True, slots=True)
class FieldViews:
    """The thumbnails that are shown, and by which rule."""

    views: tuple[FieldView, ...]
    rule: str


def field_views(thumbnails: Sequence[Thumbnail]) -> FieldViews:
    """Choose thumbnails and draw their boxes.

    All are shown up to `MOST_ABNORMAL + LEAST_ABNORMAL`; of more, the fields with the highest share
    of abnormal cells and, to compare with, those with the lowest. `MAX_BYTES` bounds both.
    """
    ranked = sorted(thumbnails, key=lambda item: (-_share(item), -_abnormal(item), item.label))
    chosen = ranked
    if len(ranked) > MOST_ABNORMAL + LEAST_ABNORMAL:
        chosen = ranked[:MOST_ABNORMAL] + ranked[-LEAST_ABNORMAL:]
    views = tuple(_within_bytes([_view(item) for item in chosen]))
    return FieldViews(views, _rule(len(views), len(thumbnails)))


def _rule(shown: int, total: int) -> str:
    order = "those with the highest share of abnormal cells first"
    if shown == total:
        return f"All {total:,} fields, {order}." if total > 1 else ""
    if shown == MOST_ABNORMAL + LEAST_ABNORMAL:
        return (
            f"{shown} of {total:,} fields: the {MOST_ABNORMAL} with the highest share of abnormal "
            f"cells, then, to compare with, the {LEAST_ABNORMAL} with the lowest."
        )
    return f"{shown} of {total:,} fields, {order}, as many as keep this page small."


def _abnormal(item: Thumbnail) -> int:
    return sum(box[4] for box in item.boxes)


def _share(item: Thumbnail) -> float:
    return _abnormal(item) / len(item.boxes) if item.boxes else 0.0


def _view(item: Thumbnail) -> FieldView:
    return FieldView(
        item,
        _abnormal(item),
        _path(box for box in item.boxes if not box[4]),
        _path(box for box in item.boxes if box[4]),
    )


def _path(boxes: Iterable[Box]) -> str:
    # One path for all boxes: a fifth of the size of as many <rect> elements.
    return "".join(
        f"M{round(x0)} {round(y0)}h{round(x1 - x0)}v{round(y1 - y0)}h{-round(x1 - x0)}z"
        for y0, x0, y1, x1, _ in boxes
    )


def _within_bytes(views: Sequence[FieldView]) -> Iterable[FieldView]:
    used = 0
    for view in views:
        used += len(view.thumbnail.jpeg) + len(view.normal_path) + len(view.abnormal_path)
        if used > MAX_BYTES:
            return
        yield view

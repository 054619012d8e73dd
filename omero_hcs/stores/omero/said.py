"""What one user said about one place, whichever kind of annotation it was said with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from omero_hcs.model import Layout
from omero_hcs.stores.omero.record import OURS

NOT_OURS = f"(a.ns is null or a.ns not like '{OURS}%')"
"""Condition of queries on annotations `a`: what a run made is never a label."""


@dataclass(frozen=True, slots=True)
class Said:
    """One text, and what it is about.

    Parameters
    ----------
    image : str
        Id of the image.
    text : str
        What was said.
    user : str
        Who said it.
    time : str
        When, in ISO format, UTC.
    object_id : str
        With which object: "Shape:123", "TagAnnotation:45".
    y, x : float
        Where; NaN means the whole image.
    z, t : int
        On which plane.
    reach : tuple of float
        How far the region goes from there, as (y, x); NaN where it is none.
    """

    image: str
    text: str
    user: str
    time: str
    object_id: str
    y: float = math.nan
    x: float = math.nan
    z: int = 0
    t: int = 0
    reach: tuple[float, float] = (math.nan, math.nan)


def iso_time(milliseconds: int | None) -> str:
    """Time of an event for a label table: "2026-01-31T12:00:00.123Z"; all sort as texts."""
    moment = datetime.fromtimestamp((milliseconds or 0) / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def image_ids(layout: Layout) -> list[int]:
    """Ids of a layout's images, in its order."""
    return [int(site.image.id) for site in layout.sites()]

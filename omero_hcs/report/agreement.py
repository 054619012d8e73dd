"""The page of how far labellers agree: numbers, confusions, and the cells that they dispute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from omero_hcs.report.card import card_entries
from omero_hcs.report.columns import NO_VALUE, is_missing
from omero_hcs.report.gallery import RgbImage, jpeg_bytes
from omero_hcs.report.page import rendered

MAX_SHOWN = 300
"""Disputed cells that the page shows; the CSV file has all."""


@dataclass(frozen=True, slots=True, eq=False)
class PairShown:
    """Two labellers, with so many cells that both labelled, and what the first and second said."""

    users: tuple[str, str]
    agreement: float
    kappa: float
    interval: tuple[float, float]
    classes: tuple[str, ...]
    counts: NDArray[np.int64]

    @property
    def cells(self) -> int:
        """How many both labelled."""
        return int(self.counts.sum())

    @property
    def rows(self) -> list[tuple[str, list[tuple[int, bool]]]]:
        """Rows of the confusion table: a class, counts, and whether they agree there."""
        return [
            (name, [(int(count), number == other) for other, count in enumerate(row)])
            for number, (name, row) in enumerate(zip(self.classes, self.counts, strict=True))
        ]


@dataclass(frozen=True, slots=True, eq=False)
class DisputeShown:
    """A cell or field of which different things were said.

    Parameters
    ----------
    place : str
        What a person calls it.
    said : tuple of (user, label, time)
        In the order of time; "" where one is not known.
    href : str
        Page of its image.
    picture : array, shape (Y, X, 3), uint8, optional
        Its crop.
    """

    place: str
    said: tuple[tuple[str, str, str], ...]
    href: str = ""
    picture: RgbImage | None = None

    @property
    def jpeg(self) -> bytes | None:
        """The picture, as the page has it."""
        return None if self.picture is None else jpeg_bytes(self.picture)


@dataclass(frozen=True, slots=True, eq=False)
class AgreementPart:
    """What was said of cells, or of whole fields.

    Parameters
    ----------
    what : str
        "cells" or "fields".
    labellers : mapping of str to int
        How many each labelled.
    pairs : tuple of PairShown
        Those who share some.
    alpha : float
        Krippendorff's, of all together.
    selves : tuple of (user, cells, changed)
        Who labelled some more than once.
    disputed, changed : tuple of DisputeShown
        Of which people differ, the most disputed first; of which one person said two things.
    """

    what: str
    labellers: Mapping[str, int]
    pairs: tuple[PairShown, ...] = ()
    alpha: float = float("nan")
    selves: tuple[tuple[str, int, int], ...] = ()
    disputed: tuple[DisputeShown, ...] = ()
    changed: tuple[DisputeShown, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class AgreementData:
    """All that the page shows.

    Parameters
    ----------
    name : str
        Of the plates.
    headline, warnings : sequence of str
        What came out; what to know before relying on it.
    parts : tuple of AgreementPart
        Cells first.
    color_note : str
        What the colours of the pictures are.
    versions : mapping of str to str
        Software and its versions.
    """

    name: str
    headline: Sequence[str]
    parts: tuple[AgreementPart, ...]
    warnings: Sequence[str] = ()
    color_note: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


def render_agreement(data: AgreementData) -> bytes:
    """Write the page, as self-contained and as safe as the report of a run.

    Returns
    -------
    bytes
        HTML, UTF-8; the same bytes for the same data.
    """
    return rendered(
        "agreement.html.j2",
        data=data,
        percent=percent,
        number=decimal,
        max_shown=MAX_SHOWN,
        versions=card_entries(data.versions, ordered=False),
    )


def percent(share: float) -> str:
    """Show a share: "87.5 %"."""
    return NO_VALUE if is_missing(share) else f"{100 * share:.1f} %"


def decimal(value: float) -> str:
    """Show a kappa or an alpha: "0.74"."""
    return NO_VALUE if is_missing(value) else f"{value:.2f}"

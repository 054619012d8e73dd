"""How labellers' agreement is told: sentences for everyone, and the page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version

import numpy as np

from omero_hcs.report.agreement import (
    AgreementData,
    AgreementPart,
    DisputeShown,
    PairShown,
    decimal,
    percent,
    render_agreement,
)
from omero_hcs.report.gallery import RgbImage, color_note, crop_to_rgb
from omero_hcs.tasks.agree import FoundAgreement
from omero_hcs.tasks.agreement import UNKNOWN, Agreement, LabelledCell, PairAgreement

_SIDE = 192  # pixels of a crop in the page: sharp on screens of any kind
_PAIRS = 3
_ISO_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)")


def parts_of(found: FoundAgreement) -> Iterator[tuple[str, Agreement]]:
    """Give what was labelled at all, and its name: "cells" before "fields"."""
    both = {"cells": found.cells, "fields": found.fields}
    yield from ((what, agreement) for what, agreement in both.items() if agreement.labelled)


def sentences(found: FoundAgreement) -> tuple[str, ...]:
    """Say what came out, the most important first."""
    return tuple(text for what, own in parts_of(found) for text in _sentences(what, own))


def when(time: str) -> str:
    """Show a time of a label to the minute: "2026-01-31 12:00"."""
    match = _ISO_TIME.match(time)
    return f"{match[1]} {match[2]}" if match else time


def agreement_page(found: FoundAgreement) -> bytes:
    """Make the page: HTML, UTF-8."""
    colors = next((crop.colors for crop in found.crops.values()), ())
    return render_agreement(
        AgreementData(
            name=found.name,
            headline=sentences(found),
            parts=tuple(_part(found, what, own) for what, own in parts_of(found)),
            warnings=found.notes,
            color_note=color_note(found.channels, colors) if colors else "",
            versions={"omero-hcs": version("omero-hcs")},
        )
    )


def _sentences(what: str, own: Agreement) -> Iterator[str]:
    users = own.labellers
    if own.pairs:
        yield (
            f"People differ on {len(own.disputed)} of {_count(len(own.shared), what)} that two of "
            "them or more labelled."
        )
        if len(users) > 2:
            yield f"All {len(users)} labellers: Krippendorff's alpha {decimal(own.alpha)}."
    else:
        yield _nobody(what, users)
    yield from (_pair_told(pair, what) for pair in own.pairs[:_PAIRS])
    for one in own.selves:
        yield (
            f"{one.user} labelled {_count(one.cells, what)} more than once, {one.changed} of "
            "them differently."
        )


def _nobody(what: str, users: Mapping[str, int]) -> str:
    counts = ", ".join(f"{user} {count}" for user, count in users.items())
    if len(users) > 1:
        return f"None of the {what} was labelled by two people: {counts}. Nothing can be compared."
    (user, count), *_ = users.items()
    who = "Nobody that is named" if user == UNKNOWN else f"One person alone, {user},"
    return f"{who} labelled {_count(count, what)}. Nothing can be compared."


def _pair_told(pair: PairAgreement, what: str) -> str:
    same, (low, high) = int(pair.counts.trace()), pair.kappa_interval
    within = "" if np.isnan(low) else f" (95 %: {decimal(low)} to {decimal(high)})"
    return (
        f"{' and '.join(pair.users)} say the same of {same} of {_count(pair.cells, what)} "
        f"({percent(pair.agreement)}), kappa {decimal(pair.kappa)}{within}."
    )


def _count(count: int, what: str) -> str:
    return f"{count} {what.removesuffix('s') if count == 1 else what}"


def _part(found: FoundAgreement, what: str, own: Agreement) -> AgreementPart:
    return AgreementPart(
        what=what,
        labellers=own.labellers,
        pairs=tuple(
            PairShown(
                pair.users,
                pair.agreement,
                pair.kappa,
                pair.kappa_interval,
                pair.classes,
                pair.counts,
            )
            for pair in own.pairs
        ),
        alpha=own.alpha,
        selves=tuple((one.user, one.cells, one.changed) for one in own.selves),
        disputed=_shown(found, own.disputed),
        changed=_shown(found, own.changed),
    )


def _shown(found: FoundAgreement, cells: Sequence[LabelledCell]) -> tuple[DisputeShown, ...]:
    return tuple(
        DisputeShown(
            place=cell.name,
            said=tuple((one.user or UNKNOWN, one.label, when(one.time)) for one in cell.said),
            href=found.links[cell.image],
            picture=_picture(found, cell),
        )
        for cell in cells
    )


def _picture(found: FoundAgreement, cell: LabelledCell) -> RgbImage | None:
    crop = found.crops.get(cell)
    return None if crop is None else crop_to_rgb(crop.pixels, colors=crop.colors, size=_SIDE)

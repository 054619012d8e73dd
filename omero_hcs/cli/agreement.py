"""What the command line shows of labellers' agreement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omero_hcs.cli.terminal import echo

if TYPE_CHECKING:
    from omero_hcs.tasks.agree import FoundAgreement
    from omero_hcs.tasks.agreement import Agreement, LabelledCell

_SHOWN = 10


def show_agreement(found: FoundAgreement) -> None:
    """Print what came out, and the most disputed cells."""
    from omero_hcs.tasks.agree_page import parts_of, sentences, when

    for text in sentences(found):
        echo(text)
    for note in found.notes:
        echo(f"  note: {note}", error=True)
    for what, own in parts_of(found):
        for one in own.disputed[:_SHOWN]:
            said = ", ".join(
                " ".join(filter(None, (each.user, repr(each.label), when(each.time))))
                for each in one.said
            )
            echo("  ".join(filter(None, (f"  {one.name}: {said}", found.links[one.image]))))
        more = len(own.disputed) - _SHOWN
        if more > 0:
            echo(f"  ... and {more} more {what}; --output shows all, --csv lists them")


def agreement_told(found: FoundAgreement) -> dict[str, Any]:
    """Give all of it as JSON has it; what is not known is null."""
    return {
        "name": found.name,
        "notes": list(found.notes),
        "cells": _told(found, found.cells),
        "fields": _told(found, found.fields),
    }


def _told(found: FoundAgreement, own: Agreement) -> dict[str, Any]:
    return {
        "labellers": own.labellers,
        "shared": len(own.shared),
        "alpha": _known(own.alpha),
        "pairs": [
            {
                "users": list(pair.users),
                "both": pair.cells,
                "agreement": pair.agreement,
                "kappa": _known(pair.kappa),
                "kappa_interval": [_known(end) for end in pair.kappa_interval],
                "classes": list(pair.classes),
                "counts": pair.counts.tolist(),
            }
            for pair in own.pairs
        ],
        "selves": [
            {"user": one.user, "labelled_again": one.cells, "changed": one.changed}
            for one in own.selves
        ],
        "disputed": [_item(found, one) for one in own.disputed],
        "changed": [_item(found, one) for one in own.changed],
    }


def _item(found: FoundAgreement, one: LabelledCell) -> dict[str, Any]:
    said = [
        {"user": each.user, "label": each.label, "time": each.time, "object_id": each.object_id}
        for each in one.said
    ]
    place = {"y": _known(one.y), "x": _known(one.x), "link": found.links[one.image]}
    return {"place": one.place, "image": one.image, **place, "said": said}


def _known(value: float) -> float | None:
    return value if value == value else None

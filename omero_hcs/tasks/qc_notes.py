"""What a quality run notes on a plate, its wells and its images: tags and key-values."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, cast

import numpy as np

from omero_hcs.model import ObjectRef
from omero_hcs.results import KeyValues, Table, Tag
from omero_hcs.tasks.plate_record import effects_of
from omero_hcs.tasks.thresholds import described, thresholds_used

NAMESPACE = "omero-hcs/qc"
"""Of all key-values of a quality run."""

TAG = "QC: {verdict}"
"""Text of a tag, where nothing else is asked for."""

TAGGED = ("warn", "fail")
"""Verdicts that need a look, and so get a tag."""

KeyValuesFor = Literal["none", "plate", "wells", "all"]
"""What gets key-values: nothing, the plate, its wells too, or its images as well."""

_WORST_FIRST = ("fail", "warn", "unknown", "pass")
_Kind = Literal["plate", "well", "image"]


def check_tag(text: str) -> str:
    """Check the text of tags; the value is the text.

    Raises
    ------
    ValueError
        If it has another placeholder than {verdict}.
    """
    try:
        names = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
    except ValueError:
        names = {"{"}
    if names - {"verdict"} or len(text) > 200:
        msg = (
            "Input should be at most 200 characters, with no other placeholder than {verdict}, "
            f"such as {TAG!r}; empty for no tags"
        )
        raise ValueError(msg)
    return text


def qc_tags(run: Mapping[str, Any], target: ObjectRef, tables: Mapping[str, Table]) -> list[Tag]:
    """Tag wells that need a look, and images where that was asked for; a pass needs no tag.

    Parameters
    ----------
    run : mapping
        The run's `run.json`.
    target : ObjectRef
        The plate or image set.
    tables : mapping of str to Table
        "fields" and, for a plate, "wells".
    """
    params = run["params"]
    text = str(params.get("tag", TAG))
    if not text:
        return []
    found: list[tuple[_Kind, str, str]] = []
    if "wells" in tables:
        found += [
            ("well", f"{target.id}/{row['well']}", row["verdict"]) for row in tables["wells"].rows()
        ]
    if params.get("tag_images", False):
        found += [("image", row["image"], row["verdict"]) for row in image_rows(tables["fields"])]
    return [
        Tag(kind, number, text.replace("{verdict}", verdict))
        for kind, number, verdict in found
        if verdict in TAGGED
    ]


def qc_key_values(
    run: Mapping[str, Any], target: ObjectRef, tables: Mapping[str, Table]
) -> list[KeyValues]:
    """Say in key-values what the run came to, as far down as was asked for; see `qc_tags`."""
    wanted = cast("KeyValuesFor", run["params"].get("key_values", "plate"))
    notes: list[KeyValues] = []
    if "wells" in tables and wanted != "none":
        notes.append(KeyValues("plate", target.id, NAMESPACE, _of_plate(run, tables)))
    if "wells" in tables and wanted in ("wells", "all"):
        notes += _of_rows("well", tables["wells"].rows(), run, prefix=f"{target.id}/")
    if wanted == "all":
        notes += _of_rows("image", image_rows(tables["fields"]), run)
    return notes


def _of_plate(run: Mapping[str, Any], tables: Mapping[str, Table]) -> tuple[tuple[str, str], ...]:
    cells, wells = tables["cells"], tables["wells"]
    found = cells.where(cells["centre"] != "tile") if "centre" in cells else cells
    cells = found if len(found) else cells  # as the run's summary counts them
    limits, plate = thresholds_used(run), run.get("plate") or {}
    abnormal = float(np.isin(cells["class"], limits.artefacts or ()).mean()) if len(cells) else 0.0
    verdicts = Counter(wells["verdict"].tolist()) if len(wells) else Counter()
    pairs = (
        ("run", str(run["run_id"])),
        ("model", str(run["model"]["name"])),
        ("verdict", str(plate.get("verdict", ""))),
        ("why", str(plate.get("why", ""))),
        ("cells", str(len(cells))),
        ("cells kept", str(int(cells["kept"].sum())) if "kept" in cells else ""),
        ("abnormal fraction", f"{abnormal:.4f}"),
        *((f"wells: {name}", str(count)) for name, count in sorted(verdicts.items())),
        ("novelty", str((run.get("novelty") or {}).get("text", ""))),
        ("position effects", " ".join(str(effect["text"]) for effect in effects_of(run))),
        ("thresholds", described(limits, assay=run["params"].get("assay"))),
    )
    return _told(pairs)


def _of_rows(
    kind: _Kind, rows: Iterable[Mapping[str, Any]], run: Mapping[str, Any], *, prefix: str = ""
) -> Iterator[KeyValues]:
    for row in rows:
        fraction = row["abnormal_fraction"]
        pairs = (
            ("run", str(run["run_id"])),
            ("verdict", str(row["verdict"])),
            ("why", str(row.get("why", ""))),
            ("abnormal fraction", "" if np.isnan(fraction) else f"{fraction:.4f}"),
            ("cells", str(row["cells"])),
        )
        yield KeyValues(kind, f"{prefix}{row[kind]}", NAMESPACE, _told(pairs))


def _told(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Leave out what has no value."""
    return tuple((name, value) for name, value in pairs if value)


def image_rows(fields: Table) -> list[dict[str, Any]]:
    """Judge each image by its planes and time points: all their cells, and the worst verdict.

    Parameters
    ----------
    fields : Table
        A row a field, plane and time point; those that could not be read are left out.

    Returns
    -------
    list of dict
        "image", "verdict", "abnormal_fraction" and "cells", in the order of the fields.
    """
    by_image: dict[str, list[dict[str, Any]]] = {}
    for row in fields.where(fields["status"] == "done").rows():
        by_image.setdefault(row["image"], []).append(row)
    return [_joined(image, rows) for image, rows in by_image.items()]


def _joined(image: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    fractions = np.array([row["abnormal_fraction"] for row in rows], dtype=np.float64)
    # A plane without nuclei was judged by its tiles, and counts as one cell.
    weights = np.array([max(row["cells"], 1) for row in rows], dtype=np.float64)
    known = ~np.isnan(fractions)
    mean = np.average(fractions[known], weights=weights[known]) if known.any() else np.nan
    return {
        "image": image,
        "verdict": min((row["verdict"] for row in rows), key=_WORST_FIRST.index),
        "abnormal_fraction": float(mean),
        "cells": sum(row["cells"] for row in rows),
    }

"""What a measurement of quality models leaves: tables, a figure, and all that it rests on."""

from __future__ import annotations

import hashlib
import math
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from omero_hcs.errors import InputError
from omero_hcs.learning.device import describe_device, pick_device
from omero_hcs.results import Table
from omero_hcs.settings import load_settings
from omero_hcs.tasks.export_folder import ExportFolder
from omero_hcs.tasks.labelled import Labelled, Seen
from omero_hcs.tasks.model_card import package_versions

DETAILS = "details.json"

SCORES = ("accuracy", "f1", "auc")
"""What is measured of judgements, in the order of tables."""

RANDOM = "random weights: no quality"
"""Said wherever the scores of an untrained encoder are shown."""


@dataclass(frozen=True, eq=False)
class Measurement:
    """What a command measured.

    Parameters
    ----------
    tables : mapping of str to Table
        By the name of its file, without ".csv".
    text : str
        The tables as Markdown, for people.
    figures : mapping of str to bytes
        PNG by the name of its file.
    details : mapping
        What it rests on: see `details_of`.
    lines : mapping of str to str
        What a person wants to see at once.
    warnings : tuple of str
        What he has to know.
    """

    tables: Mapping[str, Table]
    text: str
    figures: Mapping[str, bytes]
    details: Mapping[str, Any]
    lines: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def folder_for(verb: str, where: Sequence[str], output: Path | None, *, overwrite: bool) -> Path:
    """Decide where a measurement goes, before it is made.

    Parameters
    ----------
    verb : str
        "evaluate".
    where : sequence of str
        The sources.
    output : Path, optional
        What the user named; a folder called after verb and source by default.
    overwrite : bool
        Whether an earlier measurement there may be replaced.

    Raises
    ------
    InputError
        If there is one that may not, or something else.
    """
    name = Path(where[0].rstrip("/")).name.removesuffix(".zarr")
    source = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_") or "source"
    place = output or Path(f"qc-{verb}-{source}")
    if place.exists() and not overwrite:
        msg = f"{place} exists already. Pass --overwrite to replace it, or another --output."
        raise InputError(msg)
    ExportFolder(place, DETAILS)
    return place


def write_measurement(measured: Measurement, place: Path) -> tuple[str, ...]:
    """Write all files of a measurement, or none; an earlier one there is replaced.

    Returns
    -------
    tuple of str
        Paths of the files.

    Raises
    ------
    InputError, WriteError
        If something else is there, or it cannot be written.
    """
    export = ExportFolder(place, DETAILS)
    with export as folder:
        for name, table in measured.tables.items():
            (folder / f"{name}.csv").write_text(table.to_csv(), encoding="utf-8")
        (folder / "table.md").write_text(measured.text, encoding="utf-8")
        for name, content in measured.figures.items():
            (folder / f"{name}.png").write_bytes(content)
        rows = {name: len(table) for name, table in measured.tables.items()}
        return (*export.keep(measured.details, rows), str(place.absolute() / DETAILS))


def details_of(
    verb: str, where: Sequence[str], params: BaseModel, labelled: Sequence[Labelled]
) -> dict[str, Any]:
    """Write down what a measurement rests on: machine, versions, labels, parameters.

    Parameters
    ----------
    verb : str
        "evaluate".
    where : sequence of str
        The sources.
    params : BaseModel
        What was asked for.
    labelled : sequence of Labelled
        The crops, a source each.
    """
    return {
        "command": f"omero-hcs qc {verb}",
        "sources": list(where),
        "parameters": params.model_dump(mode="json"),
        "machine": {
            "system": platform.platform(),
            "device": describe_device(pick_device(load_settings().values.device)),
        },
        "versions": package_versions(),
        "labels": [_facts(one) for one in labelled],
    }


def _facts(labelled: Labelled) -> dict[str, Any]:
    names, counts = np.unique(labelled.table["label"], return_counts=True)
    columns = ("label", "plate", "well", "unit", "y", "x")
    text = Table({name: labelled.table[name] for name in columns}).to_csv()
    pixels = np.ascontiguousarray(labelled.crops)
    return {
        "name": labelled.name,
        "counts": dict(zip(names.tolist(), counts.tolist(), strict=True)),
        "wells": len(np.unique(labelled.table["group"])),
        "fields": len(np.unique(labelled.table["unit"])),
        "channels": list(labelled.channels),
        "crop_px": labelled.crops.shape[-1],
        "scale": labelled.scale.to_dict() if labelled.scale else None,
        "normalization": labelled.normalization.to_dict() if labelled.normalization else None,
        "labels_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "crops_sha256": hashlib.sha256(pixels.data).hexdigest(),
    }


def encoder_facts(seen: Seen) -> dict[str, Any]:
    """Write down which encoder saw the crops."""
    encoder = seen.encoder
    return {
        "name": encoder.name,
        "sha256": encoder.sha256,
        "source": encoder.source,
        "input_size": encoder.input_size,
        "pooling": encoder.pooling,
        "precision": seen.embedder.precision,
        "recipe": seen.embedder.recipe.kind,
    }


def encoder_name(seen: Seen) -> str:
    """Name an encoder; one with random weights so that nobody takes it for a result."""
    return seen.encoder.name + (f" ({RANDOM})" if seen.encoder.source == "random" else "")


def with_ends(metrics: Mapping[str, Any], name: str) -> tuple[float, float, float]:
    """Give a score and the ends of its interval; NaN where they are not known."""
    value, low, high = (
        float(metrics.get(f"{name}{end}", math.nan)) for end in ("", "_low", "_high")
    )
    return value, low, high


def told_scores(metrics: Mapping[str, Any], *, digits: int = 3) -> dict[str, str]:
    """Show accuracy, F1 and AUC with their intervals: "0.964 (0.912 to 1.000)"."""
    return {name: told_score(metrics, name, digits=digits) for name in SCORES}


def told_score(metrics: Mapping[str, Any], name: str, *, digits: int = 3) -> str:
    """Show a score with its interval, or that it cannot be measured."""
    value, low, high = with_ends(metrics, name)
    if not math.isfinite(value):
        return "not measurable"
    if not (math.isfinite(low) and math.isfinite(high)):
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Make a table of Markdown; what stands in cells is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines) + "\n"


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def document(parts: Sequence[str], warnings: Sequence[str]) -> str:
    """Join parts of Markdown, and list below them what a reader has to know."""
    told = "".join(f"\n- {_cell(text)}" for text in dict.fromkeys(warnings))
    return "\n".join(parts) + (f"\n## Notes\n{told}\n" if told else "")


HELD_OUT = {
    "well": "whole wells held out",
    "field": "whole fields held out, wells not apart",
    "crop": "EACH CROP ALONE: cells of one field on both sides",
}
"""How results are marked, by what was kept apart."""

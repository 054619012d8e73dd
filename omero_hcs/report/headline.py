"""The first lines of a report: what came out, in plain words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from omero_hcs.report.columns import is_missing
from omero_hcs.report.data import ReportData
from omero_hcs.results import Table


@dataclass(frozen=True, slots=True)
class Totals:
    """Cells judged and cells found abnormal; `abnormal` is None where no table says."""

    cells: int
    abnormal: int | None


def totals(data: ReportData) -> Totals:
    """Count over the wells, else over the fields, else over the classes."""
    for table in (data.wells, data.fields):
        if table is not None and "cells" in table and "abnormal_fraction" in table:
            return _count(table)
    return Totals(sum(data.class_counts.values()), None)


def headline(data: ReportData) -> tuple[str, ...]:
    """Sentences that say what the run found, the most important first.

    Returns
    -------
    tuple of str
        One to five sentences.
    """
    sentences = [
        _cells_sentence(data),
        _verdict_sentence(data.wells),
        f"{data.kept}." if data.kept else "",
        _places_sentence(data),
        _left_out_sentence(data),
    ]
    return tuple(sentence for sentence in sentences if sentence)


def _count(table: Table) -> Totals:
    cells = np.nan_to_num(table["cells"].astype(float))
    abnormal = np.nan_to_num(table["abnormal_fraction"].astype(float)) * cells
    return Totals(int(cells.sum()), int(np.rint(abnormal).sum()))


def _cells_sentence(data: ReportData) -> str:
    found = totals(data)
    judged = len(data.fields)
    if not found.cells:
        if data.failed and not judged and not data.fields_without_nuclei:
            return f"No field could be judged: {_all(len(data.failed))} failed."
        return "No cell could be judged: no nuclei were found. This is not a pass."
    if found.abnormal is None:
        return f"{_cells(found.cells)} judged."
    if not found.abnormal:
        return f"None of the {found.cells:,} judged cells looks abnormal."
    share = 100 * found.abnormal / found.cells
    verb = "looks" if found.abnormal == 1 else "look"
    return f"{found.abnormal:,} of {_cells(found.cells)} ({_percent(share)}) {verb} abnormal."


def _verdict_sentence(wells: Table | None) -> str:
    if wells is None or "verdict" not in wells or not len(wells):
        return ""
    counts = Counter(str(verdict) for verdict in wells["verdict"] if not is_missing(verdict))
    parts = [f"{count:,} {verdict}" for verdict, count in counts.most_common()]
    none = len(wells) - counts.total()
    parts += [f"{none:,} without a verdict"] if none else []
    return f"{'Well' if len(wells) == 1 else 'Wells'}: {', '.join(parts)}."


def _places_sentence(data: ReportData) -> str:
    """Name what goes with places on the plate: "Places matter: abnormal cells (edge), ..."."""
    if not data.effects:
        return ""
    found: dict[str, list[str]] = {}
    for effect in data.effects:
        found.setdefault(effect.measure, []).append(effect.check)
    told = ", ".join(f"{measure} ({', '.join(checks)})" for measure, checks in found.items())
    return f"Places on the plate have an effect on: {told}."


def _left_out_sentence(data: ReportData) -> str:
    empty, failed = len(data.fields_without_nuclei), len(data.failed)
    if failed and not empty and not len(data.fields):
        return "The reasons are listed below."
    parts = []
    if empty:
        parts.append(f"{_fields(empty)} had no or too few nuclei")
    if failed:
        parts.append(f"{_fields(failed)} could not be judged")
    return f"{' and '.join(parts)}; the reasons are listed below." if parts else ""


def _percent(share: float) -> str:
    return "less than 0.1 %" if share < 0.1 else f"{share:.1f} %"


def _cells(count: int) -> str:
    return f"{count:,} cell{'' if count == 1 else 's'}"


def _fields(count: int) -> str:
    return f"{count:,} field{'' if count == 1 else 's'}"


def _all(count: int) -> str:
    return "the only one" if count == 1 else f"all {count:,}"

"""From cells to fields and wells: counts, abnormal fractions, pass, warn or fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from omero_hcs.results import Table

Verdict = Literal["pass", "warn", "fail", "unknown"]


def verdict_of(fraction: float, *, warn: float, fail: float) -> Verdict:
    """Judge an abnormal fraction; NaN (nothing was judged) is unknown.

    Parameters
    ----------
    fraction : float
        Abnormal cells over all judged cells.
    warn, fail : float
        Fractions from which on it warns, and fails.
    """
    if np.isnan(fraction):
        return "unknown"
    if fraction >= fail:
        return "fail"
    return "warn" if fraction >= warn else "pass"


def field_row(
    cells: Table, classes: Sequence[str], *, few_nuclei: float, warn: float, fail: float
) -> dict[str, Any]:
    """Judge one field by its cells.

    A field with no, or implausibly few, nuclei is never a pass: its tiles say what is there
    instead, and `finding` says so.

    Parameters
    ----------
    cells : Table
        The field's cells and tiles, with columns `centre`, `abnormal` and `class`.
    classes : sequence of str
        Classes of the model, the normal one first.
    few_nuclei : float
        Fewer nuclei than this are implausible on this plate; 0 where none are expected.
    """
    tiles = cells["centre"] == "tile" if len(cells) else np.zeros(0, dtype=bool)
    nuclei = cells.where(~tiles) if few_nuclei else cells
    short = len(nuclei) < few_nuclei
    judged = cells if short else nuclei
    fraction = float((judged["class"] != classes[0]).mean()) if len(judged) else float("nan")
    verdict: Verdict = "fail" if short else verdict_of(fraction, warn=warn, fail=fail)
    finding = "" if not short else ("no nuclei" if not len(nuclei) else "few nuclei")
    counts = {name: int((nuclei["class"] == name).sum()) if len(nuclei) else 0 for name in classes}
    return {
        "cells": len(nuclei),
        "tiles": int(tiles.sum()) if few_nuclei else 0,
        "abnormal_fraction": fraction,
        **{f"n_{name}": count for name, count in counts.items()},
        "verdict": verdict,
        "finding": finding,
    }


def well_rows(
    fields: Table,
    classes: Sequence[str],
    facts: Mapping[tuple[str, str], Mapping[str, Any]],
    *,
    warn: float,
    fail: float,
) -> list[dict[str, Any]]:
    """Judge each well by all its cells; one of which nothing could be judged is unknown.

    Parameters
    ----------
    fields : Table
        One row a field, with the columns of `field_row` and `plate`, `well`, `status`.
    facts : mapping
        Treatment, dose and role by (plate, well).
    """
    rows = []
    for (plate, well), known in facts.items():
        own = fields.where((fields["plate"] == plate) & (fields["well"] == well))
        if not len(own):
            continue
        read = own.where(own["status"] == "done")
        good = read.where(read["finding"] == "")
        cells = int(good["cells"].sum())
        normal = int(good[f"n_{classes[0]}"].sum())
        fraction = (cells - normal) / cells if cells else float("nan")
        empty = int((read["finding"] != "").sum())
        rows.append(
            {
                "plate": plate,
                "well": well,
                **known,
                "fields": len(own),
                "fields_failed": len(own) - len(read),
                "fields_without_nuclei": empty,
                "cells": int(read["cells"].sum()),
                "abnormal_fraction": fraction,
                **{f"n_{name}": int(read[f"n_{name}"].sum()) for name in classes},
                "verdict": _well_verdict(fraction, len(read), empty, warn=warn, fail=fail),
            }
        )
    return rows


def _well_verdict(fraction: float, read: int, empty: int, *, warn: float, fail: float) -> Verdict:
    """Let a field without nuclei lower a well's verdict, in proportion to the well's fields."""
    by_cells = verdict_of(fraction, warn=warn, fail=fail)
    if not empty:
        return by_cells
    share = empty / read
    by_fields = verdict_of(share, warn=min(warn, share), fail=fail)
    order: tuple[Verdict, ...] = ("unknown", "pass", "warn", "fail")
    return max(by_cells, by_fields, key=order.index)

"""From cells to fields, wells and plates: what is counted, pass, warn or fail, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from omero_hcs.results import Table
from omero_hcs.settings import Thresholds

Verdict = Literal["pass", "warn", "fail", "unknown"]

_WORST_LAST: tuple[Verdict, ...] = ("unknown", "pass", "warn", "fail")


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
    cells: Table, classes: Sequence[str], *, few_nuclei: float, limits: Thresholds
) -> dict[str, Any]:
    """Judge one field by its cells.

    A field with no, or implausibly few, nuclei is never a pass: its tiles say what is there
    instead, and `finding` says so. A field that only warns keeps its good cells.

    Parameters
    ----------
    cells : Table
        The field's cells and tiles, with columns `centre`, `abnormal` and `class`.
    classes : sequence of str
        Classes of the model, the normal one first.
    few_nuclei : float
        Fewer nuclei than this are implausible on this plate; 0 where none are expected.
    limits : Thresholds
        With `artefacts`: cells of these classes are abnormal.
    """
    artefacts = artefacts_of(limits, classes)
    few_nuclei = max(few_nuclei, limits.min_cells) if few_nuclei else 0.0
    tiles = cells["centre"] == "tile" if len(cells) else np.zeros(0, dtype=bool)
    nuclei = cells.where(~tiles) if few_nuclei else cells
    short = len(nuclei) < few_nuclei
    judged = cells if short else nuclei
    bad = np.isin(judged["class"], artefacts) if len(judged) else np.zeros(0, dtype=bool)
    fraction = float(bad.mean()) if len(judged) else float("nan")
    verdict: Verdict = "fail" if short else verdict_of(fraction, warn=limits.warn, fail=limits.fail)
    finding = "" if not short else ("no nuclei" if not len(nuclei) else "few nuclei")
    least = f": {len(nuclei)}, where {np.ceil(few_nuclei):.0f} are the least" if len(nuclei) else ""
    why = [f"{finding}{least}"] if short else []
    if verdict in ("warn", "fail") and bad.any():
        why.append(_mostly(_counts(judged, artefacts), len(judged)))
    counts = _counts(nuclei, classes)
    kept = 0 if verdict == "fail" else len(nuclei) - sum(counts[name] for name in artefacts)
    return {
        "cells": len(nuclei),
        "tiles": int(tiles.sum()) if few_nuclei else 0,
        "abnormal_fraction": fraction,
        "cells_kept": kept,
        **{f"n_{name}": count for name, count in counts.items()},
        "verdict": verdict,
        "finding": finding,
        "why": "; ".join(why),
    }


def artefacts_of(limits: Thresholds, classes: Sequence[str]) -> tuple[str, ...]:
    """Classes whose cells are abnormal: those of the thresholds, else all but the normal one."""
    return limits.artefacts or tuple(classes[1:])


def kept_cells(cells: Table, fields: Table, artefacts: Sequence[str]) -> NDArray[np.bool_]:
    """Tell which cells are fit to be measured: good ones, in a field that has not failed.

    Parameters
    ----------
    cells : Table
        With `cell` (which begins with its unit's id), `class` and `centre`.
    fields : Table
        One row a field, with `unit`, `verdict` and `tiles`.

    Returns
    -------
    array, shape (N,), bool
    """
    if not len(cells):
        return np.zeros(0, dtype=bool)
    failed = set(fields["unit"][fields["verdict"] == "fail"].tolist())
    units = (cell.rpartition("/")[0] for cell in cells["cell"].tolist())
    out = np.fromiter((unit in failed for unit in units), dtype=bool, count=len(cells))
    # Tiles stand for cells where no nuclei are looked for; else they only say what is there.
    beside = (cells["centre"] == "tile") & bool(fields["tiles"].any())
    kept: NDArray[np.bool_] = ~np.isin(cells["class"], list(artefacts)) & ~out & ~beside
    return kept


def well_rows(
    fields: Table,
    classes: Sequence[str],
    facts: Mapping[tuple[str, str], Mapping[str, Any]],
    *,
    limits: Thresholds,
) -> list[dict[str, Any]]:
    """Judge each well by all its cells, and by its fields that fail.

    One of which nothing could be judged is unknown.

    Parameters
    ----------
    fields : Table
        One row a field, with the columns of `field_row` and `plate`, `well`, `status`.
    facts : mapping
        Treatment, dose and role by (plate, well).
    limits : Thresholds
        See `field_row`.
    """
    rows = []
    for (plate, well), known in facts.items():
        own = fields.where((fields["plate"] == plate) & (fields["well"] == well))
        if len(own):
            row = _well_row(own, classes, limits)
            rows.append({"plate": plate, "well": well, **known, **row})
    return rows


def _well_row(own: Table, classes: Sequence[str], limits: Thresholds) -> dict[str, Any]:
    read = own.where(own["status"] == "done")
    good = read.where(read["finding"] == "")
    cells = int(good["cells"].sum())
    bad = {name: int(good[f"n_{name}"].sum()) for name in artefacts_of(limits, classes)}
    fraction = sum(bad.values()) / cells if cells else float("nan")
    failed = int((read["verdict"] == "fail").sum())
    by_cells = verdict_of(fraction, warn=limits.warn, fail=limits.fail)
    by_fields: Verdict = "unknown"
    if failed:
        by_fields = "fail" if failed / len(read) >= limits.well_fail else "warn"
    why = [_mostly(bad, cells)] if by_cells in ("warn", "fail") and cells else []
    why += [_of(failed, len(read), "field", "failed")] if failed else []
    unread = len(own) - len(read)
    why += [_of(unread, len(own), "field", "could not be read")] if unread else []
    return {
        "fields": len(own),
        "fields_failed": unread,
        "fields_without_nuclei": int((read["finding"] != "").sum()),
        "fields_kept": int(np.isin(read["verdict"], ["pass", "warn"]).sum()),
        "cells": int(read["cells"].sum()),
        "cells_kept": int(read["cells_kept"].sum()),
        "abnormal_fraction": fraction,
        **{f"n_{name}": int(read[f"n_{name}"].sum()) for name in classes},
        "verdict": max(by_cells, by_fields, key=_WORST_LAST.index),
        "why": "; ".join(why),
    }


def plate_verdict(wells: Table, limits: Thresholds) -> dict[str, Any]:
    """Judge a plate by the share of its wells that fail.

    Parameters
    ----------
    wells : Table
        One row a well, with `verdict`.
    limits : Thresholds
        With `plate_warn` and `plate_fail`.

    Returns
    -------
    dict
        "verdict" and "why". A plate with a well of which nothing could be judged is no pass.
    """
    total = len(wells)
    count = {name: int((wells["verdict"] == name).sum()) for name in ("fail", "unknown")}
    judged = total - count["unknown"]
    share = count["fail"] / judged if judged else float("nan")
    verdict = verdict_of(share, warn=limits.plate_warn, fail=limits.plate_fail)
    if verdict == "pass" and count["unknown"]:
        verdict = "warn"
    why = [_of(count["fail"], judged, "well", "failed")] if judged else []
    if count["unknown"]:
        why.append(_of(count["unknown"], total, "well", "could not be judged"))
    return {"verdict": verdict, "why": "; ".join(why)}


def _counts(cells: Table, names: Sequence[str]) -> dict[str, int]:
    return {name: int((cells["class"] == name).sum()) if len(cells) else 0 for name in names}


def _mostly(counts: Mapping[str, int], cells: int) -> str:
    """Tell how many cells are abnormal, and of which class: "62 % abnormal, mostly debris"."""
    bad = sum(counts.values())
    text = f"{_percent(bad / cells)} abnormal"
    ranked = sorted(counts, key=lambda name: -counts[name])
    if len(counts) < 2 or not bad:
        return text
    if counts[ranked[0]] > bad / 2:
        return f"{text}, mostly {ranked[0]}"
    return f"{text}: {ranked[0]} and {ranked[1]}"


def _of(count: int, total: int, noun: str, verb: str) -> str:
    """Tell a share: "2 of 4 fields failed (50 %)"."""
    many = noun if total == 1 else f"{noun}s"
    return f"{count} of {total} {many} {verb} ({_percent(count / total)})"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 or not share else "less than 1 %"

"""Hand-made field metrics beside the model: fields that stand out from their plate.

They change no verdict: treatments change focus, brightness and how much of a field is empty, too,
and no label says from where on that is a fault. Where metrics and model differ, a person looks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from omero_hcs.imaging.normalize import MIN_FIELDS
from omero_hcs.results import Table

FLAG = 5.0
"""A field stands out from this many robust standard deviations on."""

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class HandMetric:
    """One measure of `imaging.focus.field_metrics`, and from when on it is a finding.

    Parameters
    ----------
    name : str
        The measure: its columns are ``"<name>_<channel>"``.
    finding : str
        What a field that stands out is called.
    side : int
        1 where high values are bad, -1 where low ones are.
    floor : float
        Least standard deviation that is believed: where all fields are alike, a small difference is
        none. Of shares as it is; else as a share of the median.
    scale : str
        A "share" from 0 to 1; "grey" values, which come in steps; or a "ratio", of which half is as
        far as double.
    """

    name: str
    finding: str
    side: int
    floor: float
    scale: Literal["share", "grey", "ratio"]


METRICS = (
    HandMetric("focus", "out of focus", -1, 0.05, "ratio"),
    HandMetric("saturation", "saturated", 1, 0.001, "share"),
    HandMetric("noise", "noisy", 1, 0.05, "grey"),
    HandMetric("background", "bright background", 1, 0.05, "grey"),
    HandMetric("empty", "little foreground", 1, 0.02, "share"),
)


@dataclass(frozen=True)
class Agreement:
    """How often model and metrics say the same of a field; units on which they do not.

    Those that only the model finds bad are told worst first.
    """

    both: int
    neither: int
    model_alone: tuple[str, ...]
    metrics_alone: tuple[str, ...]


def with_hand_metrics(
    fields: Table, channels: Sequence[str], controls: Mask | None = None
) -> Table:
    """Add to a table of fields how far each stands out, and what is found so.

    Parameters
    ----------
    fields : Table
        Of one plate or image set, with `status` and the columns of `field_metrics`. Each field is
        compared with those of its own `acquisition`, `z` and `t`, where there are such columns.
    channels : sequence of str
        Channels of those columns.
    controls : array, shape (N,), bool, optional
        Fields of negative controls: what others are compared with, if there are enough of them.

    Returns
    -------
    Table
        With ``z_<measure>_<channel>`` (robust standard deviations from the median; NaN where less
        than `MIN_FIELDS` fields can be compared) and `hand_finding`, "" for none.
    """
    read = fields["status"] == "done"
    groups = list(_groups(fields, read, controls))
    columns: dict[str, Values] = {}
    findings: list[list[str]] = [[] for _ in range(len(fields))]
    for channel in channels:
        z = {
            metric.name: _robust_z(fields[f"{metric.name}_{channel}"], metric, groups)
            for metric in METRICS
            if f"{metric.name}_{channel}" in fields
        }
        columns |= {f"z_{name}_{channel}": values for name, values in z.items()}
        for row, found in enumerate(_found(z, read)):
            findings[row] += [f"{finding} ({channel})" for finding in found]
    texts = np.array([", ".join(found) for found in findings], dtype=str)
    return fields.with_columns(**columns, hand_finding=texts)


def agreement(fields: Table) -> Agreement | None:
    """Compare the model's verdicts on fields with the metrics' findings; None where there are none.

    Parameters
    ----------
    fields : Table
        With `unit`, `status`, `verdict`, `abnormal_fraction` and `hand_finding`.
    """
    if "hand_finding" not in fields:
        return None
    read = fields.where(fields["status"] == "done")
    model = np.isin(read["verdict"], ["warn", "fail"])
    metrics = read["hand_finding"] != ""
    # By the alphabet "fail" comes before "warn".
    worst = np.lexsort((-np.nan_to_num(read["abnormal_fraction"]), read["verdict"]))
    alone = worst[(model & ~metrics)[worst]]
    return Agreement(
        both=int((model & metrics).sum()),
        neither=int((~model & ~metrics).sum()),
        model_alone=tuple(read["unit"][alone].tolist()),
        metrics_alone=tuple(read["unit"][~model & metrics].tolist()),
    )


def _groups(fields: Table, read: Mask, controls: Mask | None) -> Iterator[tuple[Mask, Mask]]:
    """Fields that were taken alike, and those of them that say what is usual."""
    numbers = np.zeros(len(fields), dtype=np.intp)
    for name in ("acquisition", "z", "t"):
        if name in fields:
            _, own = np.unique(fields[name], return_inverse=True)
            numbers = numbers * (int(own.max(initial=0)) + 1) + own
    for number in np.unique(numbers):
        rows = numbers == number
        usual = rows & read if controls is None else rows & read & controls
        yield rows, usual if usual.sum() >= MIN_FIELDS else rows & read


def _robust_z(values: Values, metric: HandMetric, groups: Sequence[tuple[Mask, Mask]]) -> Values:
    scaled = _logarithm(values) if metric.scale == "ratio" else values.astype(np.float64)
    z = np.full(len(values), np.nan)
    for rows, usual in groups:
        known = scaled[usual & np.isfinite(scaled)]
        if len(known) >= MIN_FIELDS:
            middle = float(np.median(known))
            spread = 1.4826 * float(np.median(np.abs(known - middle)))
            z[rows] = (scaled[rows] - middle) / max(spread, _least(known, middle, metric))
    return z


def _least(known: Values, middle: float, metric: HandMetric) -> float:
    """Least standard deviation to believe in; the step of grey values is none, nor below it."""
    if metric.scale != "grey":
        return metric.floor
    # 8-bit pixels have a median of 3 or 4, and nothing between: most fields then seem alike.
    steps = np.diff(np.unique(known))
    step = float(steps.min()) if len(steps) else 0.0
    return max(metric.floor * abs(middle), step, 1e-9)


def _logarithm(values: Values) -> Values:
    """Logarithm of values that may be 0: a blank field has no focus."""
    positive = values[np.isfinite(values) & (values > 0)]
    least = 1e-3 * float(np.median(positive)) if len(positive) else 1.0
    logs: Values = np.log(np.maximum(values.astype(np.float64), least))
    return logs


def _found(z: dict[str, Values], read: Mask) -> list[list[str]]:
    """List the findings of each field in one channel; of an empty one, none is about focus."""
    flagged = {
        metric.name: read & (metric.side * z[metric.name] >= FLAG)
        for metric in METRICS
        if metric.name in z
    }
    if {"focus", "empty"} <= set(flagged):
        flagged["focus"] &= ~flagged["empty"]
    return [
        [metric.finding for metric in METRICS if metric.name in flagged and flagged[metric.name][i]]
        for i in range(len(read))
    ]

"""Whether a plate's numbers go with places on it: edge wells, rows, columns, reading order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from omero_hcs.model import Plate, row_name
from omero_hcs.results import Table
from omero_hcs.tasks.rank_tests import (
    RankTest,
    Values,
    cliffs_delta,
    holm,
    mean_slope,
    pair_slope,
    rank_test,
)

CHANCE = 0.05
"""Largest p, corrected for all checks of the plate, of an effect that is told."""

MIN_DELTA, MIN_RHO, MIN_STAND_OUT = 0.33, 0.3, 0.6
"""Smallest effects that are told: of the edge, of trends, of one row or column."""

MIN_POINTS, MIN_CHANGE = 0.02, 0.1
"""Smallest changes that are told: of shares, and of all else as a share of the plate's median."""

MIN_WELLS, MIN_COMPARED = 24, 12
"""A plate of fewer wells says too little about places, and so do fewer that can be compared: wells
of treatments that are at several places."""

MIN_KEPT = 0.1
"""Where treatments leave less than this of a place's variance, it cannot be told from them."""

LIBRARY = 20
"""As many treatments with one well each are taken for a library, laid out by chance."""

Check = Literal["edge", "row trend", "column trend", "rows", "columns", "reading order"]


@dataclass(frozen=True)
class PositionEffect:
    """One effect of places.

    `effect` is Cliff's delta (edge; a row or column) or Spearman's rho (trends, reading order);
    `change` is a share (abnormal cells) or relative to the plate's median; `p` is
    corrected for all checks of the plate. `place` is the row or column that stands out.
    """

    measure: str
    check: Check
    effect: float
    change: float
    p: float
    wells: int
    text: str
    place: int | None = None


@dataclass(frozen=True)
class PositionReport:
    """What was found on a plate, what cannot be told there, and how many checks were made."""

    effects: tuple[PositionEffect, ...] = ()
    notes: tuple[str, ...] = ()
    checks: int = 0


@dataclass(frozen=True)
class _Measure:
    """A number a well; `more` and `less` say what it is to have more, or less, of it."""

    name: str
    values: Values
    more: str
    less: str
    is_share: bool = False
    in_order: bool = False

    @property
    def unit(self) -> float:
        middle = float(np.nanmedian(self.values)) if np.isfinite(self.values).any() else 0.0
        return 1.0 if self.is_share else middle

    @property
    def least(self) -> float:
        return MIN_POINTS if self.is_share else MIN_CHANGE

    def told(self, change: float) -> str:
        words = self.more if change > 0 else self.less
        size = f"{100 * abs(change):.0f} {'percentage points' if self.is_share else '%'}"
        return f"{size} {words}"


@dataclass(frozen=True, eq=False)
class _Places:
    """Where the wells are, and which of them are comparable."""

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    edge: NDArray[np.bool_]
    groups: NDArray[np.intp]
    order: Values


@dataclass(frozen=True, eq=False)
class _Tried:
    measure: _Measure
    check: Check
    predictor: Values
    known: NDArray[np.bool_]
    test: RankTest


def check_positions(
    plate: Plate, wells: Table, fields: Table, *, nuclear: str = ""
) -> PositionReport:
    """Look for effects of the edge, of rows and columns, and of the order of reading.

    Wells are compared with those of the same treatment and dose, or all of a library; so a trend
    that treatments could have made is not told, but that it cannot be told.

    Parameters
    ----------
    plate : Plate
        Its size and what is in its wells.
    wells : Table
        One row a well, with `well`, `cells`, `abnormal_fraction`.
    fields : Table
        One row a field, with `well`, `status` and the field metrics.
    nuclear : str
        Channel on which focus is looked at; the first by default.
    """
    used = _usable(plate, wells)
    if len(used) < MIN_WELLS:
        note = f"Places on the plate are not compared: that takes {MIN_WELLS} wells with cells."
        return PositionReport(notes=(note,))
    places = _places(plate, used)
    tried = [
        one
        for measure in _measures(used, fields, nuclear)
        for one in _tests(measure, places)
        if np.isfinite(one.test.p)
    ]
    corrected = holm(np.array([one.test.p for one in tried]))
    effects = [
        effect
        for one, p in zip(tried, corrected, strict=True)
        if p < CHANCE and (effect := _effect(one, places, float(p))) is not None
    ]
    notes = _notes(places, has_effects=bool(effects))
    return PositionReport(tuple(_without_echoes(effects, places)), notes, len(tried))


def _usable(plate: Plate, wells: Table) -> Table:
    """Leave out wells that are empty on purpose, and those without a single read field."""
    empty = [well.name for well in plate.wells if well.role == "empty"]
    read = wells["fields"] > wells["fields_failed"] if len(wells) else np.zeros(0, dtype=bool)
    return wells.where(read & ~np.isin(wells["well"], empty)) if len(wells) else wells


def _places(plate: Plate, wells: Table) -> _Places:
    where = {well.name: well for well in plate.wells}
    own = [where[name] for name in wells["well"].tolist()]
    rows = np.array([well.row for well in own])
    columns = np.array([well.column for well in own])
    edge = np.isin(rows, (0, plate.rows - 1)) | np.isin(columns, (0, plate.columns - 1))
    # Microscopes go back and forth: every other row from right to left.
    along = np.where(rows % 2, plate.columns - 1 - columns, columns)
    times = Counter(well.treatment for well in own)
    single = {name for name, count in times.items() if name and count == 1}
    library = single if len(single) >= LIBRARY else set()
    keys = [
        "library"
        if well.treatment in library
        else (well.role, well.treatment, well.dose, well.dose_unit)
        for well in own
    ]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    groups = np.array([numbers[key] for key in keys])
    return _Places(rows, columns, edge, groups, (rows * plate.columns + along).astype(float))


def _measures(wells: Table, fields: Table, nuclear: str) -> Iterator[_Measure]:
    read = fields.where(fields["status"] == "done")
    number = wells["fields"] - wells["fields_failed"]
    share = wells["abnormal_fraction"].astype(float)
    yield _Measure(
        "abnormal cells", share, "more abnormal cells", "fewer abnormal cells", is_share=True
    )
    yield _Measure("cells", wells["cells"] / number, "more cells", "fewer cells")
    channels = [name.removeprefix("p99_") for name in read.columns if name.startswith("p99_")]
    focus = nuclear if nuclear in channels else next(iter(channels), "")
    if f"focus_{focus}" in read:
        values = _by_well(wells, read, read[f"focus_{focus}"])
        yield _Measure(f"focus of {focus}", values, f"sharper {focus}", f"less sharp {focus}")
    for name in channels:
        if f"background_{name}" in read:
            values = _by_well(wells, read, read[f"p99_{name}"] - read[f"background_{name}"])
            yield _Measure(
                f"brightness of {name}", values, f"brighter {name}", f"darker {name}", in_order=True
            )


def _by_well(wells: Table, fields: Table, values: Values) -> Values:
    """Median of the fields of each well; NaN where there is none."""
    known = np.isfinite(values)
    names, own = np.unique(fields["well"][known], return_inverse=True)
    ends = np.cumsum(np.bincount(own, minlength=len(names)))[:-1]
    parts = np.split(values[known][np.argsort(own, kind="stable")], ends)
    # Without a single value there are no names, but one part, which is empty.
    found = {name: np.median(part) for name, part in zip(names, parts, strict=False)}
    return np.array([found.get(well, np.nan) for well in wells["well"]])


def _tests(measure: _Measure, places: _Places) -> Iterator[_Tried]:
    known = np.isfinite(measure.values)
    if known.sum() < MIN_WELLS:
        return
    predictors: dict[Check, Values] = {
        "edge": places.edge.astype(float),
        "row trend": places.rows.astype(float),
        "column trend": places.columns.astype(float),
        "rows": _levels(places.rows),
        "columns": _levels(places.columns),
    }
    if measure.in_order:
        predictors["reading order"] = places.order
    _, groups = np.unique(places.groups[known], return_inverse=True)
    for check, predictor in predictors.items():
        test = rank_test(measure.values[known], predictor[known], groups)
        if not _is_hidden(test):
            yield _Tried(measure, check, predictor, known, test)


def _is_hidden(test: RankTest) -> bool:
    """Whether treatments leave too little of a place to tell the two apart."""
    return test.kept < MIN_KEPT or test.wells < MIN_COMPARED


def _levels(numbers: NDArray[np.intp]) -> Values:
    levels: Values = (numbers[:, None] == np.unique(numbers)[None, :]).astype(float)
    return levels


def _effect(tried: _Tried, places: _Places, p: float) -> PositionEffect | None:
    """Size an effect that chance does not explain, and leave it out if it is small."""
    values = tried.measure.values[tried.known]
    predictor, groups = tried.predictor[tried.known], places.groups[tried.known]
    slope = mean_slope if tried.measure.is_share else pair_slope
    place = None
    if tried.check == "edge":
        effect, least = cliffs_delta(values, predictor > 0, groups), MIN_DELTA
        change = slope(values, predictor, groups)
    elif tried.check in ("rows", "columns"):
        # One column of 24 is a small part of a plate's variance, however bad it is.
        levels = np.unique(places.rows if tried.check == "rows" else places.columns)
        apart = [cliffs_delta(values, level > 0, groups) for level in predictor.T]
        worst = int(np.argmax(np.abs(apart)))
        place, effect, least = int(levels[worst]), apart[worst], MIN_STAND_OUT
        change = slope(values, predictor[:, worst], groups)
    else:
        effect, least = tried.test.effect, MIN_RHO
        change = slope(values, predictor, groups) * float(np.ptp(predictor))
    change /= tried.measure.unit or 1.0
    if abs(effect) < least or abs(change) < tried.measure.least:
        return None
    text = _sentence(tried, places, effect, change, p, place)
    return PositionEffect(
        tried.measure.name, tried.check, effect, change, p, tried.test.wells, text, place
    )


def _sentence(
    tried: _Tried, places: _Places, effect: float, change: float, p: float, place: int | None
) -> str:
    told = tried.measure.told(change)
    chance = "p < 0.001" if p < 0.001 else f"p {p:.2g}"
    if tried.check == "edge":
        size = f"(Cliff's delta {effect:.2f}, {chance})"
        return f"Wells at the edge have {told} than inner wells {size}."
    if place is not None:
        name = f"Row {row_name(place)}" if tried.check == "rows" else f"Column {place + 1}"
        size = f"(Cliff's delta {effect:.2f}, {tried.check} differ, {chance})"
        return f"{name} stands out: {told} than the others {size}."
    rho = f"(Spearman {effect:.2f}, {chance})"
    if tried.check == "row trend":
        first, last = row_name(int(places.rows.min())), row_name(int(places.rows.max()))
        return f"From row {first} to row {last}: {told} {rho}."
    if tried.check == "column trend":
        first, last = str(places.columns.min() + 1), str(places.columns.max() + 1)
        return f"From column {first} to column {last}: {told} {rho}."
    return f"From the first well to the last in the order of reading: {told} {rho}."


def _without_echoes(effects: list[PositionEffect], places: _Places) -> Iterator[PositionEffect]:
    """Leave out what another effect of the same measure explains."""
    told = {(effect.measure, effect.check) for effect in effects}
    ends = {
        "rows": {int(places.rows.min()), int(places.rows.max())},
        "columns": {int(places.columns.min()), int(places.columns.max())},
    }
    for effect in effects:
        has = {check for measure, check in told if measure == effect.measure}
        axis = {"rows": "row trend", "columns": "column trend"}.get(effect.check)
        by_edge = "edge" in has and effect.place in ends.get(effect.check, ())
        by_order = effect.check == "reading order" and "row trend" in has
        if not (axis in has or by_edge or by_order):
            yield effect


def _notes(places: _Places, *, has_effects: bool) -> tuple[str, ...]:
    """Say what the layout of the treatments hides."""
    hidden = {
        "Columns": (places.columns, "a trend along columns"),
        "Rows": (places.rows, "a trend along rows"),
        "Edge wells": (places.edge, "an effect of the edge"),
    }
    none = np.zeros(len(places.rows))
    notes = [
        f"{name} carry treatments of their own: {what} cannot be told from theirs."
        for name, (predictor, what) in hidden.items()
        if np.ptp(predictor.astype(float))
        and _is_hidden(rank_test(none, predictor.astype(float), places.groups))
    ]
    if has_effects and not places.groups.any():
        notes.append(
            "All wells are of one treatment, or none is known: if there are several, they"
            " may be what is seen here."
        )
    return tuple(notes)

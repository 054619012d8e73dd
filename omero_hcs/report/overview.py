"""The overview of a screen: a page and a picture of all its plates on one scale of colours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from omero_hcs.model import parse_well
from omero_hcs.report.card import card_entries
from omero_hcs.report.colors import gradient, scale_ends
from omero_hcs.report.columns import (
    NO_VALUE,
    ShownCell,
    ShownColumn,
    ShownTable,
    is_missing,
    show_number,
    verdict_style,
)
from omero_hcs.report.measures import Position
from omero_hcs.report.page import rendered
from omero_hcs.report.small_plate import plate_paths
from omero_hcs.results import Table

VERDICTS = ("pass", "warn", "fail", "unknown")


@dataclass(frozen=True, slots=True, eq=False)
class PlateLine:
    """One plate of a screen.

    Parameters
    ----------
    name : str
        The plate's name.
    rows, columns : int
        Its size in wells; 0 where it has no results.
    wells : Table, optional
        One row a well: `well`, `cells`, `abnormal_fraction`, `verdict`; None without results.
    fields, failed, without_nuclei : int
        Fields that were asked for, that could not be judged, and that have no or few nuclei.
    run_id : str
        The run whose results these are.
    note : str
        Why there are none: "no quality check yet".
    href, report : str
        Pages of the plate and of its report, "" for none.
    verdict : str
        That on the plate as a whole, "" for none.
    """

    name: str
    rows: int = 0
    columns: int = 0
    wells: Table | None = None
    fields: int = 0
    failed: int = 0
    without_nuclei: int = 0
    run_id: str = ""
    note: str = ""
    href: str = ""
    report: str = ""
    verdict: str = ""

    @property
    def cells(self) -> int:
        """Cells of all wells."""
        return 0 if self.wells is None else int(self.wells["cells"].sum())

    @property
    def abnormal(self) -> float:
        """Share of abnormal cells, 0 to 1; NaN where none was judged."""
        if self.wells is None or not self.cells:
            return float("nan")
        share = np.nan_to_num(self.wells["abnormal_fraction"].astype(float))
        return float((share * self.wells["cells"]).sum() / self.cells)

    @property
    def verdicts(self) -> Counter[str]:
        """Wells by verdict."""
        return Counter() if self.wells is None else Counter(self.wells["verdict"].tolist())

    @property
    def values(self) -> dict[Position, float | None]:
        """Percentage of abnormal cells of each well that was imaged."""
        if self.wells is None:
            return {}
        return {
            parse_well(row["well"]): None
            if is_missing(row["abnormal_fraction"]) or not row["cells"]
            else 100 * row["abnormal_fraction"]
            for row in self.wells.rows()
        }


@dataclass(frozen=True, slots=True, eq=False)
class OverviewData:
    """All that an overview shows.

    Parameters
    ----------
    screen : str
        Name of the screen.
    created : str
        When it was made, as it shall be shown.
    plates : sequence of PlateLine
        In the order of the screen.
    href : str
        Page of the screen.
    warnings : tuple of str
        What to know before relying on the numbers.
    versions : mapping of str to str
        Software and its versions.
    """

    screen: str
    created: str
    plates: Sequence[PlateLine]
    href: str = ""
    warnings: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def judged(self) -> tuple[PlateLine, ...]:
        """Plates that have results."""
        return tuple(plate for plate in self.plates if plate.wells is not None)

    @property
    def runs(self) -> tuple[str, ...]:
        """Runs whose results these are."""
        return tuple(sorted({plate.run_id for plate in self.judged}))

    @property
    def ends(self) -> tuple[float, float]:
        """Both ends of the scale of colours, in percent: one for all plates."""
        known = [value for plate in self.judged for value in plate.values.values()]
        return scale_ends([value for value in known if value is not None], percent=True)


@dataclass(frozen=True, slots=True)
class _Map:
    """A plate in small, with what is written below it."""

    plate: PlateLine
    paths: tuple[tuple[str, str], ...]
    caption: str


def render_overview(data: OverviewData) -> bytes:
    """Write the page of a screen, as self-contained and as safe as the report of a run.

    Returns
    -------
    bytes
        HTML, UTF-8; the same bytes for the same data.
    """
    ends = data.ends
    return rendered(
        "overview.html.j2",
        data=data,
        headline=overview_headline(data),
        table=_table(data),
        maps=[
            _Map(plate, plate_paths(plate.values, ends, "abnormal"), plate_caption(plate))
            for plate in data.judged
        ],
        without=[plate for plate in data.plates if plate.wells is None],
        low=show_number(ends[0]),
        high=show_number(ends[1]),
        gradient=gradient(),
        versions=card_entries(data.versions, ordered=False),
    )


def plate_caption(plate: PlateLine) -> str:
    """Say in a few words what came out of a plate: "12.3 % of 4,567 cells"."""
    if is_missing(plate.abnormal):
        return "no cell judged"
    return f"{100 * plate.abnormal:.1f} % of {plate.cells:,} cells"


def overview_headline(data: OverviewData) -> tuple[str, ...]:
    """Sentences that say what came out, the most important first."""
    judged, cells = data.judged, sum(plate.cells for plate in data.judged)
    abnormal = sum(np.nan_to_num(plate.abnormal) * plate.cells for plate in judged)
    verdicts = sum((plate.verdicts for plate in judged), Counter())
    sentences = []
    if cells:
        share = f"{100 * abnormal / cells:.1f} %"
        sentences.append(f"{share} of {cells:,} cells on {_plates(len(judged))} look abnormal.")
    elif judged:
        sentences.append(f"No cell could be judged on {_plates(len(judged))}.")
    on_plates = Counter(plate.verdict for plate in judged if plate.verdict)
    sentences += [
        f"{noun}: {', '.join(f'{counts[name]:,} {name}' for name in _order(counts))}."
        for noun, counts in (("Plates", on_plates), ("Wells", verdicts))
        if counts
    ]
    none = len(data.plates) - len(judged)
    if none:
        sentences.append(f"{_plates(none)} {'has' if none == 1 else 'have'} no results.")
    return tuple(sentences)


def _order(verdicts: Mapping[str, int]) -> list[str]:
    known = [name for name in ("fail", "warn", "pass", "unknown") if verdicts.get(name)]
    return known + sorted(name for name in verdicts if name not in VERDICTS)


def _plates(count: int) -> str:
    return f"{count:,} plate{'' if count == 1 else 's'}"


def _table(data: OverviewData) -> ShownTable:
    others = sorted({v for plate in data.judged for v in plate.verdicts} - set(VERDICTS))
    verdicts = (*VERDICTS, *others)
    numbers = ["Wells", "Fields", "Cells", "Abnormal (%)", *map(str.capitalize, verdicts)]
    numbers += ["Failed fields", "Fields without nuclei"]
    more = ["Report"] * any(plate.report for plate in data.plates)
    more += ["Run"] * (len(data.runs) > 1)
    is_judged = any(plate.verdict for plate in data.plates)
    columns = [ShownColumn("Plate", "text")]
    columns += [ShownColumn("Verdict", "verdict")] * is_judged
    columns += [ShownColumn(name, "number") for name in numbers]
    columns += [ShownColumn(name, "text") for name in more]
    rows = tuple(
        (
            ShownCell(plate.name, href=plate.href),
            *[ShownCell(plate.verdict or NO_VALUE, style=_style(plate.verdict))] * is_judged,
            *(_numbers(plate, verdicts) or [ShownCell(NO_VALUE)] * len(numbers)),
            *(_link(plate, name) for name in more),
        )
        for plate in data.plates
    )
    return ShownTable(tuple(columns), rows, ("",) * len(rows))


def _style(verdict: str) -> str:
    return verdict_style(verdict) if verdict else ""


def _numbers(plate: PlateLine, verdicts: Sequence[str]) -> list[ShownCell]:
    if plate.wells is None:
        return []
    share = NO_VALUE if is_missing(plate.abnormal) else f"{100 * plate.abnormal:.1f}"
    counts = [len(plate.wells), plate.fields, plate.cells]
    rest = [*(plate.verdicts[verdict] for verdict in verdicts), plate.failed]
    return [
        *map(_count, counts),
        ShownCell(share),
        *map(_count, [*rest, plate.without_nuclei]),
    ]


def _link(plate: PlateLine, column: str) -> ShownCell:
    if column == "Run":
        return ShownCell(plate.run_id or NO_VALUE)
    return ShownCell("report" if plate.report else NO_VALUE, href=plate.report)


def _count(number: int) -> ShownCell:
    return ShownCell(f"{number:,}", sort=number)

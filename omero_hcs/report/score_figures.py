"""Pictures of how well models judge: scores with intervals, learning curves, confusions."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator
from numpy.typing import NDArray

from omero_hcs.report.colors import SERIES, colormap
from omero_hcs.report.letters import drawable

DPI = 160
_TITLE, _BOTTOM = 0.75, 0.95  # inches above and below the panels
_MARKERS = "osD^vPX*"
_GREY, _DARK = "#666666", "#222222"


@dataclass(frozen=True)
class Scored:
    """One line of a figure of scores.

    Parameters
    ----------
    group : str
        What lines are put together by, such as the encoder.
    series : str
        What has a colour and a sign, such as the head.
    scores : mapping of str to (value, low, high)
        By the name of the score.
    hollow : bool
        Drawn without a filling: not to be taken for a result.
    """

    group: str
    series: str
    scores: Mapping[str, tuple[float, float, float]]
    hollow: bool = False


def scores_figure(lines: Sequence[Scored], *, title: str, note: str = "") -> bytes:
    """Draw scores with their intervals, a panel a score.

    Parameters
    ----------
    lines : sequence of Scored
        At least one; all with the same scores.
    title, note : str
        Above and below.

    Returns
    -------
    bytes
        A PNG.
    """
    groups = list(dict.fromkeys(line.group for line in lines))
    series = list(dict.fromkeys(line.series for line in lines))
    names = list(lines[0].scores)
    shown = ["\n".join(_short(part) for part in group.split("\n")) for group in groups]
    room = 0.3 + 0.17 * len(series)
    figure = _figure(9.6, _TITLE + _BOTTOM + room * len(groups), title, note)
    left = 0.03 + 0.0088 * max(len(part) for text in shown for part in text.split("\n"))
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    _place(figure, left, 0.98, wspace=0.14)
    known = [low for line in lines for _, low, _ in line.scores.values() if math.isfinite(low)]
    for axes, name in zip(panels, names, strict=True):
        for line in lines:
            number = series.index(line.series)
            at = groups.index(line.group) + _offset(number, len(series))
            _draw_interval(axes, at, line.scores[name], number, hollow=line.hollow)
        _name_panel(axes, name)
        _scale(axes.set_xlim, axes.xaxis, known)
    panels[0].set_ylim(len(groups) - 0.5, -0.5)
    panels[0].set_yticks(range(len(groups)), shown, parse_math=False)
    if len(series) > 1:
        _legend(figure, series)
    return _png(figure)


def curve_figure(rows: Sequence[Mapping[str, Any]], *, title: str, note: str = "") -> bytes:
    """Draw scores by how many labels were learnt from, with the range of all draws.

    Parameters
    ----------
    rows : sequence of mapping
        With `pick`, `count`, and of each score its mean, `_low` and `_high`.
    title, note : str
        Above and below.

    Returns
    -------
    bytes
        A PNG.
    """
    picks = list(dict.fromkeys(row["pick"] for row in rows))
    figure = _figure(9.6, 5.1, title, note)
    panels = figure.subplots(1, 2, squeeze=False)[0]
    _place(figure, 0.07, 0.98, wspace=0.2, below=0.2)
    for axes, name in zip(panels, ("f1", "auc"), strict=True):
        for number, picked in enumerate(picks):
            _draw_curve(axes, [row for row in rows if row["pick"] == picked], name, number)
        counts = sorted({row["count"] for row in rows})
        axes.set_xscale("log")
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.minorticks_off()
        axes.set_xlabel("labels learnt from", fontsize=10, color=_DARK)
        lows = [row[f"{name}_low"] for row in rows if math.isfinite(row[f"{name}_low"])]
        _scale(axes.set_ylim, axes.yaxis, lows)
        _name_panel(axes, name)
    if len(picks) > 1:
        _legend(figure, picks, lines=True)
    return _png(figure)


def confusion_figure(by_class: Sequence[Mapping[str, Any]], *, title: str, note: str = "") -> bytes:
    """Draw as what the cells of each class were judged, and how often that was right.

    Parameters
    ----------
    by_class : sequence of mapping
        As `learning.evaluate.class_scores` gives them.
    title, note : str
        Above and below.

    Returns
    -------
    bytes
        A PNG.
    """
    names = [str(one["class"]) for one in by_class]
    counts = np.array([[one["judged"][name] for name in names] for one in by_class])
    side = max(2.6, 0.48 * len(names))
    longest = 0.085 * max(len(_short(name)) for name in names)
    width, height = side + 5.0 + longest, side + _TITLE + _BOTTOM + 0.35 + longest * 0.5
    figure = _figure(width, height, title, note)
    bottom = (_BOTTOM + 0.2 + longest * 0.5) / height
    table = figure.add_axes(((0.55 + longest) / width, bottom, side / width, side / height))
    _draw_counts(table, counts, names)
    start = 0.55 + longest + side + 0.45
    bars = figure.add_axes((start / width, bottom, (width - start - 0.35) / width, side / height))
    for place, name in enumerate(("precision", "recall")):
        for row, one in enumerate(by_class):
            value = one[name]
            at = row + _offset(place, 2)
            _draw_interval(bars, at, (value, value, value), place, hollow=False)
    bars.set_ylim(len(names) - 0.5, -0.5)
    bars.set_yticks(range(len(names)), [])
    bars.set_xlim(0, 1.02)
    _name_panel(bars, "of each class")
    _legend(figure, ["precision: judged so, and right", "recall: found of all there are"])
    return _png(figure)


def _figure(width: float, height: float, title: str, note: str) -> Figure:
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(
        0.5, 1 - 0.12 / height, "\n".join(textwrap.wrap(drawable(title), int(width * 9.5))[:2]),
        ha="center", va="top", fontsize=12, fontweight="bold", color=_DARK, parse_math=False,
    )  # fmt: skip
    if note:
        figure.text(
            0.5, 0.06 / height, "\n".join(textwrap.wrap(drawable(note), int(width * 13.5))[:2]),
            ha="center", va="bottom", fontsize=8.5, color=_GREY, parse_math=False,
        )  # fmt: skip
    return figure


def _place(figure: Figure, left: float, right: float, *, wspace: float, below: float = 0) -> None:
    height = figure.get_size_inches()[1]
    top, bottom = 1 - _TITLE / height, (_BOTTOM + below) / height
    figure.subplots_adjust(left=left, right=right, top=top, bottom=bottom, wspace=wspace)


def _scale(limit: Callable[[float, float], Any], axis: Axis, lows: Sequence[float]) -> None:
    """Let an axis of scores end at 1 and begin below the lowest, with a round number a step."""
    start = max(0.0, math.floor(min(lows, default=0.0) * 20 - 0.2) / 20)
    limit(start, 1 + 0.02 * (1 - start))
    step = next(step for step in (0.02, 0.05, 0.1, 0.2) if (1 - start) / step <= 6)
    axis.set_major_locator(MultipleLocator(step))


def _draw_interval(
    axes: Axes, at: float, score: tuple[float, float, float], number: int, *, hollow: bool
) -> None:
    value, low, high = score
    color = SERIES[number % len(SERIES)]
    if not math.isfinite(value):
        return
    if math.isfinite(low) and high > low:
        axes.plot([low, high], [at, at], color=color, lw=2, solid_capstyle="butt", alpha=0.75)
    axes.plot(
        [value], [at], marker=_MARKERS[number % len(_MARKERS)], ms=7, color=color,
        mfc="white" if hollow else color, mew=1.5, clip_on=False,
    )  # fmt: skip


def _draw_curve(axes: Axes, rows: Sequence[Mapping[str, Any]], name: str, number: int) -> None:
    rows = sorted(rows, key=lambda row: int(row["count"]))
    counts = [row["count"] for row in rows]
    color = SERIES[number % len(SERIES)]
    low, mean, high = ([row[f"{name}{end}"] for row in rows] for end in ("_low", "", "_high"))
    axes.fill_between(counts, low, high, color=color, alpha=0.15, lw=0)
    axes.plot(counts, mean, color=color, lw=2, marker=_MARKERS[number % len(_MARKERS)], ms=6)


def _draw_counts(axes: Axes, counts: NDArray[Any], names: Sequence[str]) -> None:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap=colormap("amount"), vmin=0, vmax=1, aspect="equal")
    size = 10 if len(names) <= 6 else 7
    for row, column in np.ndindex(*counts.shape):
        color = "white" if shares[row, column] > 0.6 else _DARK
        text = str(counts[row, column])
        axes.text(column, row, text, ha="center", va="center", fontsize=size, color=color)
    shown = [_short(name) for name in names]
    axes.set_xticks(
        range(len(names)), shown, rotation=30, ha="right", rotation_mode="anchor", parse_math=False
    )
    axes.set_yticks(range(len(names)), shown, parse_math=False)
    axes.tick_params(length=0, labelsize=9, labelcolor=_DARK)
    axes.set_title("labelled (rows) and judged (columns)", fontsize=10, color=_DARK)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _name_panel(axes: Axes, name: str) -> None:
    axes.set_title({"f1": "F1", "auc": "AUC"}.get(name, name), fontsize=11, color=_DARK)
    axes.grid(axis="both" if axes.get_xscale() == "log" else "x", color="#DDDDDD", lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=9.5, labelcolor=_DARK)
    for spine in axes.spines.values():
        spine.set(color="#BBBBBB", linewidth=0.8)


def _legend(figure: Figure, series: Sequence[str], *, lines: bool = False) -> None:
    handles = [
        figure.axes[0].plot(
            [], [], color=SERIES[number % len(SERIES)], marker=_MARKERS[number % len(_MARKERS)],
            lw=2 if lines else 0, ms=7,
        )[0]
        for number in range(len(series))
    ]  # fmt: skip
    height = figure.get_size_inches()[1]
    figure.legend(
        handles, [drawable(name) for name in series], loc="lower center", ncols=min(4, len(series)),
        bbox_to_anchor=(0.5, 0.32 / height), frameon=False, fontsize=10,
    )  # fmt: skip


def _offset(place: int, count: int) -> float:
    """Where in its group a line is, around 0."""
    return (place - (count - 1) / 2) * min(0.22, 0.75 / count)


def _short(text: str) -> str:
    text = drawable(text)
    return text if len(text) <= 34 else text[:33] + "…"


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
    return stream.getvalue()

"""Whether probabilities mean what they say, as a small picture."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from omero_hcs.report.colors import SERIES
from omero_hcs.report.letters import drawable

Bins = Sequence[tuple[int, float, float]]

DPI = 160
_GREY, _DARK = "#666666", "#222222"
_Z = 1.96  # of a 95 % interval


def reliability_figure(bins: Bins, *, title: str, note: str = "") -> bytes:
    """Draw how often cells were what they were called, against how probable that was said to be.

    Parameters
    ----------
    bins : sequence of (cells, mean probability, share that was right)
        As a model's card has them.
    title, note : str
        Above and below.

    Returns
    -------
    bytes
        A PNG, 800 pixels wide.
    """
    figure = Figure(figsize=(5.0, 4.7), dpi=DPI, layout=None)
    FigureCanvasAgg(figure)
    figure.text(0.03, 0.965, drawable(title), weight="bold", size=10, color=_DARK, va="top")
    figure.text(0.03, 0.02, textwrap.fill(drawable(note), 88), size=7, color=_GREY, va="bottom")
    upper = figure.add_axes((0.13, 0.375, 0.83, 0.52))
    lower = figure.add_axes((0.13, 0.185, 0.83, 0.15), sharex=upper)
    _draw_shares(upper, bins)
    _draw_counts(lower, bins)
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def share_interval(right: float, count: int) -> tuple[float, float]:
    """Find the 95 % interval of a share (Wilson's), which holds where all were right, too.

    Parameters
    ----------
    right : float
        The share.
    count : int
        Of how many.
    """
    middle = (right + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    half = _Z * math.sqrt(right * (1 - right) / count + _Z**2 / (4 * count**2))
    half /= 1 + _Z**2 / count
    return max(0.0, middle - half), min(1.0, middle + half)


def _draw_shares(axes: Axes, bins: Bins) -> None:
    low, said = _lowest(bins), [one[1] for one in bins]
    axes.plot((low, 1), (low, 1), "--", color=_GREY, linewidth=1, label="right as often as said")
    ends = [share_interval(right, count) for count, _, right in bins]
    for place, (lower, upper) in zip(said, ends, strict=True):
        axes.plot((place, place), (lower, upper), color=SERIES[0], linewidth=1.4)
    shares = [one[2] for one in bins]
    name = "cells held out, with 95 % interval"
    axes.plot(said, shares, "o-", linewidth=0, color=SERIES[0], markersize=6, label=name)
    axes.set_ylabel("were right", size=8, color=_DARK)
    axes.set_ylim(min([low, *(lower for lower, _ in ends)]) - 0.03, 1.04)
    axes.tick_params(labelbottom=False)
    axes.legend(loc="lower right", fontsize=7, labelcolor=_DARK, framealpha=0.9)
    _finish(axes, low)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def _draw_counts(axes: Axes, bins: Bins) -> None:
    for count, said, _ in bins:
        axes.bar(said, count, width=0.03, color=SERIES[5])
        axes.text(said, count, f" {count}", size=6.5, color=_DARK, ha="center", va="bottom")
    most = max((count for count, _, _ in bins), default=1)
    axes.set_ylim(0, 1.35 * most)
    axes.set_yticks([])
    axes.set_ylabel("cells", size=8, color=_DARK)
    axes.set_xlabel("probability of the class that was chosen", size=8, color=_DARK)
    _finish(axes, _lowest(bins))
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def _lowest(bins: Bins) -> float:
    """Give the left end of the axis: with two classes nothing below a half is ever chosen."""
    said = min((one[1] for one in bins), default=0.5)
    return 0.47 if said >= 0.5 else 0.0


def _finish(axes: Axes, low: float) -> None:
    axes.set_xlim(low, 1.03)
    axes.tick_params(labelsize=7, colors=_DARK)
    axes.grid(color="#E4E7EA", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)

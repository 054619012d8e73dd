"""A model's card and a run's parameters as nested, readable entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omero_hcs.report.columns import NO_VALUE, is_missing

_MAX_ITEMS = 60
_LABELS = {
    "auc": "AUC",
    "f1": "F1",
    "omero_hcs": "omero-hcs",
    "side_nuclei": "side (nuclear diameters)",
}
_FIRST = (
    "name",
    "classes",
    "normal_class",
    "metrics",
    "calibration",
    "labels",
    "training",
    "channels",
    "nuclear_channel",
    "crop_scale",
    "normalization",
    "recipe",
    "encoder",
    "head",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a card: a text, or entries of its own."""

    label: str
    text: str = ""
    entries: tuple[Entry, ...] = ()


def card_entries(card: Mapping[str, Any], *, ordered: bool = True) -> tuple[Entry, ...]:
    """Turn nested mappings into entries.

    Parameters
    ----------
    card : mapping
        What a model file says, or a task's parameters: strings, numbers, lists and mappings.
        `f1`, `f1_low` and `f1_high` become one number with its 95 % interval, and so does a mapping
        with `value`, `low` and `high`.
    ordered : bool
        Whether what a reader asks for first (classes, encoder, labels, metrics) comes first.
    """
    folded = _fold_intervals(card)
    keys = list(folded)
    if ordered:
        keys.sort(key=lambda key: _FIRST.index(key) if key in _FIRST else len(_FIRST))
    return tuple(_entry(_label(str(key)), folded[key]) for key in keys)


def _fold_intervals(card: Mapping[str, Any]) -> dict[str, Any]:
    """Join `f1`, `f1_low` and `f1_high` to one value with its interval."""
    folded = dict(card)
    for name in card:
        ends = f"{name}_low", f"{name}_high"
        if all(end in card for end in ends):
            low, high = (folded.pop(end) for end in ends)
            folded[name] = {"value": card[name], "low": low, "high": high}
    return folded


def _label(key: str) -> str:
    return _LABELS.get(key) or key.replace("_um", " (µm)").replace("_px", " (px)").replace("_", " ")


def _entry(label: str, value: Any) -> Entry:
    if isinstance(value, Mapping):
        interval = _interval(value)
        if interval:
            return Entry(label, interval)
        return Entry(label, NO_VALUE if not value else "", card_entries(value, ordered=False))
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return _list_entry(label, value)
    return Entry(label, _text(value))


def _list_entry(label: str, values: Sequence[Any]) -> Entry:
    shown, rest = values[:_MAX_ITEMS], len(values) - _MAX_ITEMS
    if any(isinstance(value, Mapping) for value in shown):
        entries = tuple(_entry(str(index), value) for index, value in enumerate(shown, 1))
        more = (Entry(f"and {rest} more"),) if rest > 0 else ()
        return Entry(label, "", entries + more)
    text = ", ".join(_text(value) for value in shown) or NO_VALUE
    return Entry(label, text + (f" and {rest} more" if rest > 0 else ""))


def _interval(value: Mapping[str, Any]) -> str:
    if not {"value", "low", "high"} <= set(value):
        return ""
    middle, low, high = (_measure(value[key]) for key in ("value", "low", "high"))
    rest = {key: item for key, item in value.items() if key not in {"value", "low", "high"}}
    extra = "".join(f"; {_label(key)} {_text(item)}" for key, item in rest.items())
    return f"{middle} (95 % interval {low} to {high}{extra})"


def _measure(value: Any) -> str:
    # An interval's ends are compared digit by digit, so they have the same number of them.
    return f"{value:.3f}" if isinstance(value, float) and abs(value) < 10 else _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if is_missing(value):
        return NO_VALUE
    return f"{value:.4g}" if isinstance(value, float) else str(value)

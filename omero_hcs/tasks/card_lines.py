"""A model's card in the words of people, for a terminal and for the page of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Bins = tuple[tuple[int, float, float], ...]


def shown_card(card: Mapping[str, Any]) -> dict[str, Any]:
    """Give a card (as JSON) with a line in place of what is too long to read.

    Parameters
    ----------
    card : mapping
        Of any version.

    Returns
    -------
    dict
        Labels and examples are counted, and the calibration is told by `calibration_line`.
    """
    shown = {**card, "labels": _shown_labels(card["labels"]), "calibration": calibration_line(card)}
    if card.get("examples"):
        shown["examples"] = f"{len(card['examples']['label'])} labelled cells, with a picture each"
    return shown


def _shown_labels(labels: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in labels.items() if name != "provenance"}
    listed = len(labels.get("provenance", {}).get("label", ()))
    if listed:
        kept["listed"] = f"{listed}, with who, when and in which object: models show --json"
    return kept


def calibration_line(card: Mapping[str, Any]) -> str:
    """Tell whether probabilities mean what they say, and how far off they were and are."""
    from omero_hcs.learning.calibration import MIN_LABELS

    counts = (card.get("labels") or {}).get("counts", {})
    known, count = card.get("calibration"), sum(counts.values())
    if known:
        errors = f"{known['error_before']:.2f} -> {known['error_after']:.2f}"
        return f"calibrated on {known['labels']} labels: error {errors}"
    if count < MIN_LABELS:
        return f"uncalibrated: {count} labels, {MIN_LABELS} are needed"
    return f"uncalibrated, as models of before are: train it again on its {count} labels"


def calibration_bins(card: Mapping[str, Any]) -> Bins:
    """Give what a picture of the calibration is drawn from; empty where there is none."""
    return tuple((n, said, was) for n, said, was in (card.get("calibration") or {}).get("bins", ()))

"""The card of a freshly trained quality model: what it is, and how good it seems."""

from __future__ import annotations

import importlib.metadata
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omero_hcs.learning.modelcard import (
    EncoderCard,
    HeadCard,
    LabelsCard,
    ModelCard,
    PlateCard,
    Provenance,
)
from omero_hcs.model import RunSpec
from omero_hcs.results import Table
from omero_hcs.tasks.card_lines import calibration_line
from omero_hcs.tasks.examples import Examples
from omero_hcs.tasks.labels import count_by_class, count_by_user
from omero_hcs.tasks.survey import PlateSurvey
from omero_hcs.tasks.teaching import Taught

_PACKAGES = ("omero-hcs", "torch", "timm", "numpy", "scikit-learn", "scikit-image")

PROVENANCE_ROWS = 5000
"""Labels that a card lists one by one: about 300 kB, and more than anyone draws by hand."""


def make_card(
    spec: RunSpec,
    examples: Examples,
    taught: Taught,
    *,
    metrics: Mapping[str, float | int],
) -> ModelCard:
    """Write down all that is known about a model.

    Parameters
    ----------
    spec : RunSpec
        The training run.
    examples : Examples
        The cells that were learnt from.
    taught : Taught
        Encoder and head.
    metrics : mapping
        Held-out scores, as `learning.evaluate.scores` gives them.
    """
    survey = PlateSurvey.model_validate(spec.context["survey"])
    encoder, embedder, head = taught.encoder, taught.embedder, taught.head
    return ModelCard(
        name=spec.params["name"],
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        versions=package_versions(),
        classes=tuple(spec.context["classes"]),
        normal_class=spec.params["normal_class"],
        channels=survey.channels,
        nuclear_channel=survey.nuclear,
        recipe=embedder.recipe.kind,
        crop_scale=survey.scale,
        input_size=encoder.input_size,
        normalization=survey.normalization,
        encoder=EncoderCard(
            name=encoder.name,
            sha256=encoder.sha256,
            source=encoder.source,
            pooling=encoder.pooling,
            interpolation=encoder.interpolation,
            seed=spec.params["seed"],
            tuned=bool(taught.parts),
            measures=embedder.measures,
        ),
        head=HeadCard(kind=head.kind, config=head.config()),
        precision=embedder.precision,
        labels=_labels_card(examples, spec.labels_sha256),
        metrics={name: _finite(value) for name, value in metrics.items()},
        training=PlateCard(
            name=spec.context["plate"],
            nuclear_diameter_px=survey.nuclear_diameter,
            pixel_size_um=survey.pixel_size_um,
            fields=survey.fields,
        ),
    )


def package_versions() -> dict[str, str]:
    """Which versions of what decides about a model are installed."""
    return {name: importlib.metadata.version(name) for name in _PACKAGES}


def _labels_card(examples: Examples, sha256: str | None) -> LabelsCard:
    table, labels = examples.table, examples.labels
    weak = table.where(table["weak"])
    times = _distinct(labels["time"].tolist())
    return LabelsCard(
        counts=count_by_class(table),
        weak=count_by_class(weak),
        weak_fields=count_by_class(labels.where(examples.used == "field")),
        kind=",".join(examples.params.kinds),
        sources=_distinct(labels["source"].tolist()),
        users=_distinct(labels["user"].tolist()),
        by_user=count_by_user(labels),
        wells=_distinct(table["well"].tolist()),
        first=times[0] if times else None,
        last=times[-1] if times else None,
        conflicts=len(examples.conflicts),
        rule=examples.params.rule,
        sha256=sha256,
        provenance=_provenance(labels, examples.used),
    )


def _provenance(labels: Table, used: NDArray[np.str_]) -> Provenance:
    """List labels, those that were used first if there are too many."""
    order = np.argsort(used == "unused", kind="stable")[:PROVENANCE_ROWS]
    rows = np.sort(order)
    columns = {
        name: tuple(map(str, labels[name][rows])) for name in ("label", "user", "time", "object_id")
    }
    return Provenance(**columns, used=tuple(used[rows].tolist()), left_out=len(labels) - len(rows))


def describe_card(card: ModelCard) -> dict[str, str]:
    """Give the lines that a user wants to see after training."""
    weights = f"{card.encoder.name} ({card.encoder.source}, {card.encoder.sha256[:12]}...)"
    own = {
        name: count - card.labels.weak.get(name, 0) for name, count in card.labels.counts.items()
    }
    lines = {
        "labels": _counted(own),
        "labelled by": "; ".join(
            f"{user}: {_counted(counts)}" for user, counts in card.labels.by_user.items()
        ),
        "from whole fields": _counted(card.labels.weak),
        "encoder": weights,
        "head": _head(card),
        **{name: interval(card.metrics, name) for name in ("accuracy", "f1", "auc")},
    }
    if card.labels.weak:
        lines["fields judged as labelled"] = interval(card.metrics, "field_accuracy")
    lines["probabilities"] = calibration_line(card.model_dump())
    if card.encoder.source == "random":
        lines["note"] = "random weights: this proves the path, and says nothing about quality"
    return lines


def _head(card: ModelCard) -> str:
    """Name the head, and what it was found to need."""
    if card.encoder.tuned:
        return f"finetune (a layer and its encoder, {card.head.config['epochs']} epochs)"
    strength = card.head.config.get("strength")
    return card.head.kind + (f" (strength {strength:g})" if strength else "")


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


def interval(metrics: Mapping[str, Any], name: str) -> str:
    """Show a score with its 95 % interval: "0.964 (0.912 to 1.000)"."""
    value, low, high = (metrics.get(key) for key in (name, f"{name}_low", f"{name}_high"))
    if value is None:
        return "not measurable"
    return f"{value:.3f}" + (f" (95 %: {low:.3f} to {high:.3f})" if None not in (low, high) else "")


def _distinct(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted({value for value in values if value}))


def _finite(value: float) -> float | int | None:
    return value if math.isfinite(value) else None

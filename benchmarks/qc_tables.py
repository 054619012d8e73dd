"""The paper's Tables 1 and 2 over crops of which everything is known."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qc_scores import (
    HOW_TESTED,
    ByKind,
    Regression,
    Values,
    against_target,
    by_third,
    found_rows,
    hardest,
    row_of,
    spread,
    too_easy,
)
from qc_sets import SEED, Known

from omero_hcs.learning.evaluate import score_values
from omero_hcs.learning.learners import Learner
from omero_hcs.learning.weights import RANDOM
from omero_hcs.tasks.labelled import LabelledParams, Seen, learner_of, seen_by

LITE0 = "tf_efficientnet_lite0"
TRAINED = (LITE0, "tf_efficientnet_lite1", "tf_efficientnet_lite2")
UNTRAINED = ("vgg16", "resnet18", "convnext_atto")
HEADS = ("knn", "linear", "logistic")
TARGETS = {"knn": 0.96, "linear": 0.98}
LABELS, DRAWS = 350, 5
COUNTS = (350, 100, 50, 25, 10)
FEW, FEW_TARGET = 10, 0.93
SUBSET = 500
"""Crops that untrained encoders see: half of them teach."""

BASELINE = "hand-made metrics"


def tables(known: Known) -> dict[str, Any]:
    """Measure Table 1 (encoders x heads), Table 2 (few labels), and what is found of each kind.

    Parameters
    ----------
    known : Known
        Crops of many wells or source fields.
    """
    baseline = _baseline(known)
    rows: list[dict[str, Any]] = []
    seen: Seen | None = None
    lite0: dict[str, Values] = {}
    for encoder in TRAINED:
        params = LabelledParams(encoder=encoder, seed=SEED)
        view = _timed(known, params)
        found = _heads(known, params, view[0])
        rows += [_row(encoder, "ImageNet", head, values, view) for head, values in found.items()]
        if encoder == LITE0:
            seen, lite0 = view[0], found
            rows += _taught_kinds(known, params, view)
    rows.append({"encoder": "none", "head": "logistic regression on hand-made metrics"} | row_of(
        baseline[LABELS]
    ))  # fmt: skip
    rows += _untrained(known)
    return {
        "how tested": HOW_TESTED,
        "crops": len(known.kinds),
        "groups": len(np.unique(known.groups)),
        "is it hard enough": too_easy(baseline[LABELS]),
        **_verdicts(lite0),
        "why: found least of, middle third, Lite0, linear": hardest(lite0["linear"]),
        f"table 1: encoders and heads, {LABELS} labels, {DRAWS} draws": rows,
        f"table 2: fewer labels, F1 of the middle third, Lite0, {DRAWS} draws": (
            _few_labels(known, seen, baseline)
        ),
        f"found of each artefact, Lite0, linear, {LABELS} labels": found_rows(lite0["linear"]),
        f"found of each artefact, hand-made metrics, {LABELS} labels": found_rows(baseline[LABELS]),
        "which artefact it is, Lite0": _kinds(known, seen),
    }


def _verdicts(found: Mapping[str, Values]) -> dict[str, str]:
    return {
        f"target, Lite0, {head}, {LABELS} labels": against_target(found[head], target)
        for head, target in TARGETS.items()
    }


def _timed(known: Known, params: LabelledParams) -> tuple[Seen, float]:
    """Show crops to an encoder; with crops a second."""
    started = time.perf_counter()
    seen = seen_by(known.labelled, params)
    return seen, len(known.kinds) / (time.perf_counter() - started)


def _heads(known: Known, params: LabelledParams, seen: Seen) -> dict[str, Values]:
    return {
        head: by_third(
            known,
            learner_of(known.labelled, params.model_copy(update={"head": head}), seen),
            count=LABELS,
            draws=DRAWS,
        )
        for head in HEADS
    }


def _taught_kinds(
    known: Known, params: LabelledParams, view: tuple[Seen, float]
) -> list[dict[str, Any]]:
    """Teach heads the name of each artefact, and ask them for abnormal cells all the same."""
    plain, rows = known.by_kind(), []
    for head in HEADS:
        learner = learner_of(plain, params.model_copy(update={"head": head}), view[0])
        values = by_third(known, ByKind(learner), count=LABELS, draws=DRAWS)
        rows.append(_row(LITE0, "ImageNet", f"{head}, taught the kinds", values, view))
    return rows


def _row(
    encoder: str, weights: str, head: str, values: Values, view: tuple[Seen, float]
) -> dict[str, Any]:
    seen, speed = view
    return {
        "encoder": encoder,
        "weights": weights,
        "head": head,
        **row_of(values),
        "features": seen.features.shape[1],
        "crops a second": round(speed),
    }


def _untrained(known: Known) -> list[dict[str, Any]]:
    """Prove the path of encoders whose weights are not at hand; this is no quality of theirs."""
    some = known.balanced(np.random.default_rng(SEED), SUBSET)
    rows = []
    for encoder in UNTRAINED:
        params = LabelledParams(encoder=encoder, weights=RANDOM, seed=SEED)
        view = _timed(some, params)
        weights = f"random: no quality, {len(some.kinds)} crops"
        found = _heads(some, params, view[0])
        rows += [_row(encoder, weights, head, values, view) for head, values in found.items()]
    return rows


def _baseline(known: Known) -> dict[int, Values]:
    learner = Regression(known.metrics(), known.labelled.numbers, 2)
    return {count: by_third(known, learner, count=count, draws=DRAWS) for count in COUNTS}


def _few_labels(
    known: Known, seen: Seen | None, baseline: Mapping[int, Values]
) -> list[dict[str, Any]]:
    rows = []
    for head in HEADS:
        params = LabelledParams(encoder=LITE0, head=head, seed=SEED)
        learner = learner_of(known.labelled, params, seen)
        row: dict[str, Any] = {"head": head}
        for count in COUNTS:
            found = [
                by_third(known, learner, count=count, draws=1, first=number)["middle f1"]
                for number in range(DRAWS)
            ]
            row[f"{count} labels"] = spread(found)
            last = float(np.mean(found))
        row["target with 10"] = against_target({"middle f1": last}, FEW_TARGET)
        rows.append(row)
    return [
        *rows,
        {"head": BASELINE}
        | {f"{count} labels": f"{baseline[count]['middle f1']:.3f}" for count in COUNTS},
    ]


def _kinds(known: Known, seen: Seen | None) -> list[dict[str, Any]]:
    """Tell artefacts apart: how many of each were named right, of those that can be seen."""
    plain = known.by_kind()
    visible = ~(known.severity < 1 / 3) | ~known.abnormal
    rows: list[dict[str, Any]] = []
    for head in HEADS:
        params = LabelledParams(encoder=LITE0, head=head, seed=SEED)
        learner = learner_of(plain, params, seen)
        rows.append({"head": head} | named_right(known, learner, plain.classes, visible))
    return rows


def named_right(
    known: Known, learner: Learner, classes: Sequence[str], visible: NDArray[np.bool_]
) -> dict[str, Any]:
    """Accuracy and weighted F1 over all kinds, and the share of each that was named right."""
    found: list[dict[str, float]] = []
    for number in range(DRAWS):
        rng = np.random.default_rng([SEED, 2, number])
        groups = np.unique(known.groups)
        teach = np.isin(known.groups, rng.choice(groups, len(groups) // 2, replace=False))
        train, test = np.flatnonzero(teach & visible), np.flatnonzero(~teach & visible)
        proba = learner.judge(train, test, seed=number)
        truth, said = learner.labels[test], proba.argmax(axis=1)
        each = {
            name: float((said[truth == place] == place).mean())
            for place, name in enumerate(classes)
            if (truth == place).any()
        }
        found.append({"labels": float(len(train)), **score_values(truth, proba), **each})
    names = dict.fromkeys(name for row in found for name in row)
    return {
        name: round(float(np.mean([row[name] for row in found if name in row])), 3)
        for name in names
    }

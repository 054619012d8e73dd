"""Whether quality control knows when not to be trusted: other plates, calibration, what to label.

A simulated plate teaches. Its sisters (another batch of stains, background and focus each) say how
often the out-of-domain warning comes without need; plates that were changed, and real cells with
the same artefacts, how often it comes where F1 falls by more than 0.05.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qc_crossing import LABELS, LOSS, Plate, Watch, rows_like_a_plate, seen, watch_of
from qc_scores import draw, draw_from
from qc_sets import HOW_MADE, SEED, Known, debris_of, made, simulated
from real_fields import scenes_of
from scipy import ndimage

from omero_hcs.imaging.normalize import Normalization, normalize
from omero_hcs.learning.calibration import calibrate, calibrated_by, calibration_error
from omero_hcs.learning.evaluate import score_values
from omero_hcs.learning.folds import choose_folds
from omero_hcs.learning.learners import FrozenLearner, cross_validate
from omero_hcs.simulate.design import SimulationSettings
from omero_hcs.tasks.labelled import LabelledParams
from omero_hcs.tasks.qc_learning_curve import learning_curve

HEADS = ("knn", "linear", "logistic")
SISTERS, CHANGED, DRAWS, EACH = 6, 2, 3, 30
COUNTS = (20, 50, 100, 200, 350)
Rows = NDArray[np.intp]


def measure() -> dict[str, Any]:
    """Measure the warning, calibration, and picking."""
    teacher = seen("the plate itself", _some(simulated(_settings(96, SEED))[0]))
    sisters = [
        seen(f"sister {number}", _some(known))
        for number, known in enumerate(simulated(_settings(24, SEED + 1, plates=SISTERS)), 1)
    ]
    others = _changed([plate.known for plate in sisters[:CHANGED]]) | _foreign(teacher.known)
    plates = [seen(name, known) for name, known in others.items()]
    return {
        "what": f"Lite0, linear head, {LABELS} labels of what can be seen, {DRAWS} draws; F1 of "
        "each plate's abnormal cells, of all severities, and as many normal ones; loss against the "
        f"mean of {SISTERS} sister plates",
        "how real sets are made": HOW_MADE,
        **_warnings(teacher, sisters, plates),
        "calibration error on other wells": _calibration(teacher),
        "labels saved by picking what the model is least sure of": _picking(teacher),
    }


def _settings(wells: int, seed: int, **more: Any) -> SimulationSettings:
    return SimulationSettings(wells=wells, fields=1, seed=seed, **more)


def _some(known: Known) -> Known:
    """Take some cells of each well, drawn without a look at them."""
    rng = np.random.default_rng(SEED)
    groups = known.groups
    kept = [rng.permutation(np.flatnonzero(groups == name))[:EACH] for name in np.unique(groups)]
    return known.where(np.sort(np.concatenate(kept)))


Pixels = NDArray[np.float32]
Change = Callable[[Pixels, Normalization], tuple[Pixels, Normalization]]


def _with(known: Known, change: Change) -> Known:
    """Change the camera counts of a plate, or the points that it is scaled by."""
    (levels,) = known.as_qc.values()
    raw, levels = change(known.raw.astype(np.float32), levels)
    crops = normalize(raw, levels, headroom=True)
    return replace(known, labelled=replace(known.labelled, crops=crops))


def _blurred(sigma: float) -> Change:
    return lambda raw, levels: (ndimage.gaussian_filter(raw, (0, 0, sigma, sigma)), levels)


def _noisy(raw: Pixels, levels: Normalization) -> tuple[Pixels, Normalization]:
    grain = np.random.default_rng(SEED).standard_normal(raw.shape, dtype=np.float32)
    full = np.array(levels.white) - np.array(levels.black)
    return raw + 0.05 * full.astype(np.float32)[:, None, None] * grain, levels


def _brighter(factor: float) -> Change:
    """Scale by the points of a plate that was so much darker."""

    def change(raw: Pixels, levels: Normalization) -> tuple[Pixels, Normalization]:
        pairs = zip(levels.black, levels.white, strict=True)
        white = tuple(black + (white - black) / factor for black, white in pairs)
        return raw, replace(levels, white=white)

    return change


def _enlarged(raw: Pixels, levels: Normalization) -> tuple[Pixels, Normalization]:
    wide = ndimage.zoom(raw, (1, 1, 1.4, 1.4), order=1)
    edge, side = (wide.shape[-1] - raw.shape[-1]) // 2, raw.shape[-1]
    return np.ascontiguousarray(wide[..., edge : edge + side, edge : edge + side]), levels


def _swapped(raw: Pixels, levels: Normalization) -> tuple[Pixels, Normalization]:
    order = [0, 2, 1]
    black, white = (tuple(np.array(each)[order]) for each in (levels.black, levels.white))
    return np.ascontiguousarray(raw[:, order]), replace(levels, black=black, white=white)


CHANGES: dict[str, Change] = {
    "blurred by 1 px": _blurred(1.0),
    "blurred by 2 px": _blurred(2.0),
    "noise of 5 % of full scale": _noisy,
    "half as bright, scaled by the model's plate": _brighter(0.5),
    "twice as bright, scaled by the model's plate": _brighter(2.0),
    "enlarged 1.4 times": _enlarged,
    "stains swapped": _swapped,
}
"""What is done to all crops of a plate, normal and abnormal ones alike."""


def _changed(plates: Sequence[Known]) -> dict[str, Known]:
    """Change sister plates, and simulate ones with other severities."""
    found = {
        f"{name} ({number})": _with(known, change)
        for name, change in CHANGES.items()
        for number, known in enumerate(plates, 1)
    }
    crowded = simulated(_settings(24, SEED + 2, artefact_fraction=0.7))[0]
    found["artefacts in 70 % of fields"] = _some(crowded)
    for name, low, high in (("only mild artefacts", 0, 1 / 3), ("only gross ones", 2 / 3, 1)):
        for number, known in enumerate(plates, 1):
            kept = ~known.abnormal | ((known.severity >= low) & (known.severity <= high))
            found[f"{name} ({number})"] = known.where(kept)
    return found


def _foreign(teacher: Known) -> dict[str, Known]:
    """Make the same artefacts on real cells, scaled as apply-qc would."""
    sources = {name: scenes_of(name, stains=3) for name in ("NF1", "Cell Painting")}
    bodies = [scene for scenes in sources.values() for scene in scenes]
    pieces = debris_of([*bodies, *scenes_of("ExampleHuman", stains=2)], *sources.values())
    return {
        name: made(scenes, pieces, name=name).by_model(teacher) for name, scenes in sources.items()
    }


def _warnings(teacher: Plate, sisters: Sequence[Plate], others: Sequence[Plate]) -> dict[str, Any]:
    watch = watch_of(teacher)
    usual = [_told(teacher, plate, watch) for plate in sisters]
    own = float(np.mean([row["F1"] for row in usual]))
    rows = [_told(teacher, plate, watch) for plate in others]
    for row in (*usual, *rows):
        row["loss"] = round(own - row["F1"], 3)
    worse = [row for row in rows if row["loss"] > LOSS]
    warned = [row for row in worse if row["warned"] == "yes"]
    beyond = float(np.mean([row["share beyond"] for row in usual]))
    return {
        "false alarms: share of sisters' wells beyond the threshold (target 0.05)": beyond,
        "false alarms: sister plates warned of": (
            f"{sum(row['warned'] == 'yes' for row in usual)} of {len(usual)}"
        ),
        f"detection: changed plates warned of, of those that lose more than {LOSS}": (
            f"{len(warned)} of {len(worse)}"
        ),
        "missed": ", ".join(row["plate"] for row in worse if row["warned"] == "no") or "none",
        "warned of without such a loss": (
            ", ".join(r["plate"] for r in rows if r["loss"] <= LOSS and r["warned"] == "yes")
            or "none"
        ),
        "plates": [{k: v for k, v in r.items() if k != "share beyond"} for r in (*usual, *rows)],
    }


def _told(teacher: Plate, plate: Plate, watch: Watch) -> dict[str, Any]:
    found = round(_plate_f1(teacher, plate), 3)
    return {"plate": plate.name, "F1": found, "loss": 0.0, **watch.of(plate)}


def _learner(plates: Sequence[Plate], head: str) -> FrozenLearner:
    params = LabelledParams(head=head, seed=SEED)
    parts = [(plate.features, plate.known.labelled.numbers, plate.known.groups) for plate in plates]
    features, numbers, groups = (np.concatenate(part) for part in zip(*parts, strict=True))
    return FrozenLearner(params.new_head, features, numbers, 2, groups)


def _plate_f1(teacher: Plate, plate: Plate) -> float:
    learner, first = _learner((teacher, plate), "linear"), len(teacher.features)
    bad = np.flatnonzero(plate.known.abnormal)
    found = []
    for number in range(DRAWS):
        rng = np.random.default_rng([SEED, number])
        train = draw_from(teacher.known, np.ones(first, dtype=bool), LABELS, rng)
        normal = rng.permutation(np.flatnonzero(~plate.known.abnormal))[: len(bad)]
        test = np.concatenate([normal, bad])
        proba = learner.judge(train, first + test, seed=number)
        found.append(score_values(plate.known.labelled.numbers[test], proba)["f1"])
    return float(np.mean(found))


def _calibration(plate: Plate) -> list[dict[str, Any]]:
    """Find the calibration error of labels like those taught, and of the plate as it is."""
    rows = []
    for head in HEADS:
        learner, known = _learner((plate,), head), plate.known
        found: list[Mapping[str, float]] = []
        for number in range(DRAWS):
            drawn = draw(known, LABELS, number)
            rng = np.random.default_rng([SEED, 5, number])
            others = np.isin(np.arange(len(known.kinds)), drawn.test)
            alike = draw_from(known, others, len(drawn.test), rng)
            natural = np.intersect1d(drawn.test, rows_like_a_plate(known, rng))
            found.append(_errors(learner, drawn.train, (alike, natural), rng))
        rows.append({"head": head} | {name: _mean(found, name) for name in found[0]})
    return rows


def _errors(
    learner: FrozenLearner, train: Rows, tests: tuple[Rows, Rows], rng: np.random.Generator
) -> dict[str, float]:
    """Calibrate by cross-validation of the labels, as train-qc does, and test on other wells."""
    own = FrozenLearner(
        learner.make_head,
        learner.features[train],
        learner.labels[train],
        learner.classes,
        None if learner.groups is None else learner.groups[train],
    )
    folds = choose_folds(own.labels, own.groups, rng=rng)
    card = calibrate(cross_validate(own, folds.held_out, rng=rng), own.labels, folds.held_out)
    found: dict[str, float] = {}
    names = ("visible, half abnormal", "all severities, a quarter abnormal")
    for name, test in zip(names, tests, strict=True):
        proba, truth = learner.judge(train, test, seed=0), learner.labels[test]
        found[f"before: {name}"] = calibration_error(proba, truth)
        found[f"after: {name}"] = calibration_error(calibrated_by(card, proba), truth)
    return found


def _mean(rows: Sequence[Mapping[str, float]], name: str) -> float:
    return round(float(np.mean([row[name] for row in rows])), 3)


def _picking(plate: Plate) -> dict[str, Any]:
    """Label one after the other: by chance, what the model is least sure of, or some of each."""
    learner = _learner((plate,), "linear")
    curve = learning_curve(
        plate.known.labelled,
        learner,
        counts=COUNTS,
        seeds=5,
        picks=("random", "uncertain", "diverse"),
        seed=SEED,
    )
    rows = curve.rows()
    by_pick = {
        pick: [row for row in rows if row["pick"] == pick]
        for pick in ("random", "uncertain", "diverse")
    }
    return {
        "what": f"linear head; {curve.tested} cells of other wells test, at the plate's own shares",
        f"to be as good (F1) as chance with {COUNTS[-1]} labels": {
            pick: _labels_needed(own, by_pick["random"][-1]["f1"])
            for pick, own in by_pick.items()
            if pick != "random"
        },
        "scores": [
            {name: row[name] for name in ("pick", "count", "draws", "f1", "f1_sd", "auc")}
            for row in rows
        ],
    }


def _labels_needed(rows: Sequence[Mapping[str, Any]], goal: float) -> str:
    """Labels at which a curve reaches a score, between its points on a straight line."""
    counts = [row["count"] for row in rows]
    best = np.maximum.accumulate([row["f1"] for row in rows])
    if best[-1] < goal:
        return f"not reached with {counts[-1]}"
    needed = float(np.interp(goal, best, counts))
    return f"{needed:.0f} labels: {100 * (1 - needed / counts[-1]):.0f} % saved"


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))

"""Taught on one plate, tested on others: what is lost, and whether the warning says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qc_scores import Values, draw, draw_from, one_draw
from qc_sets import SEED, Known

from omero_hcs.learning.learners import FrozenLearner
from omero_hcs.learning.novelty import Novelty, are_too_many, group_scores, learn_novelty
from omero_hcs.tasks.known_cells import CELLS_A_FIELD, SAMPLED_FIELDS
from omero_hcs.tasks.labelled import LabelledParams, seen_by

LABELS, DRAWS = 350, 3
LOSS = 0.05
"""Loss of F1 that a user should be warned of."""

Features = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Plate:
    """Crops of one plate, and their features."""

    name: str
    known: Known
    features: Features


def seen(name: str, known: Known) -> Plate:
    """Show the crops of a plate to Lite0."""
    return Plate(name, known, seen_by(known.labelled, LabelledParams(seed=SEED)).features)


@dataclass(frozen=True, eq=False)
class Watch:
    """What a model knows of its plate, so as to notice others."""

    novelty: Novelty
    threshold: float
    wells: int

    def of(self, plate: Plate) -> dict[str, Any]:
        """Judge a plate of which a quarter of the cells is abnormal, as on any."""
        rng = np.random.default_rng([SEED, 3])
        rows = rows_like_a_plate(plate.known, rng)
        scores = self.novelty.scores(plate.features[rows])
        _, scores = group_scores(scores, plate.known.groups[rows])
        beyond = int((scores > self.threshold).sum())
        return {
            "wells beyond": f"{beyond} of {len(scores)}",
            "warned": "yes" if are_too_many(beyond, len(scores), known=self.wells) else "no",
            "share beyond": beyond / len(scores),
        }


def watch_of(plate: Plate) -> Watch:
    """Learn a plate as train-qc does: labelled cells, and some of each well, whatever they are."""
    rng = np.random.default_rng([SEED, 4])
    rows = rows_like_a_plate(plate.known, rng)
    groups = plate.known.groups[rows]
    wells = rng.permutation(np.unique(groups))[:SAMPLED_FIELDS]
    drawn = np.concatenate(
        [rng.permutation(rows[groups == name])[:CELLS_A_FIELD] for name in wells]
    )
    taught = draw_from(plate.known, np.ones(len(plate.features), dtype=bool), LABELS, rng)
    kept = np.union1d(drawn, taught)
    learnt = learn_novelty(
        plate.features[kept], plate.known.groups[kept], np.isin(kept, drawn), rng=rng
    )
    if learnt is None:
        msg = f"{plate.name} has too few wells to learn from."
        raise ValueError(msg)
    novelty, card = learnt
    return Watch(novelty, card.threshold, card.wells)


def rows_like_a_plate(known: Known, rng: np.random.Generator, share: float = 0.25) -> NDArray[Any]:
    """Rows of all normal crops, and of so many abnormal ones as are on a usual plate."""
    normal, bad = np.flatnonzero(~known.abnormal), np.flatnonzero(known.abnormal)
    count = min(len(bad), round(len(normal) * share / (1 - share)))
    return np.sort(np.concatenate([normal, rng.choice(bad, count, replace=False)]))


def crossed(teacher: Plate, tested: Plate, head: str) -> Values:
    """Teach by labels of one plate, and test on another, or on other wells of the same."""
    found: list[Mapping[str, float]] = []
    same = teacher is tested
    features = np.concatenate([teacher.features, tested.features])
    numbers = np.concatenate([teacher.known.labelled.numbers, tested.known.labelled.numbers])
    groups = np.concatenate([teacher.known.groups, tested.known.groups])
    params = LabelledParams(head=head, seed=SEED)
    learner = FrozenLearner(params.new_head, features, numbers, 2, groups)
    for number in range(DRAWS):
        if same:
            drawn = draw(teacher.known, LABELS, number)
            train, test = drawn.train, drawn.test
        else:
            rng = np.random.default_rng([SEED, number])
            train = draw_from(teacher.known, np.ones(len(teacher.features), bool), LABELS, rng)
            test = np.arange(len(tested.features))
        proba = learner.judge(train, test + len(teacher.features), seed=number)
        found.append(one_draw(tested.known, test, proba, np.random.default_rng([SEED, 1, number])))
    names = dict.fromkeys(name for row in found for name in row)
    return {name: float(np.nanmean([row.get(name, np.nan) for row in found])) for name in names}


def visible_f1(values: Values) -> float:
    """F1 of what a user would mind: mean of the middle and the gross third."""
    return (values["middle f1"] + values["gross f1"]) / 2


def crossings(
    teacher: Plate, others: Sequence[Plate], heads: Sequence[str]
) -> list[dict[str, Any]]:
    """Test each head on its own plate and on others: a row a plate, F1 and its loss by head."""
    watch = watch_of(teacher)
    own = {head: visible_f1(crossed(teacher, teacher, head)) for head in heads}
    rows: list[dict[str, Any]] = [
        {"taught on": teacher.name, "tested on": f"{teacher.name}, other wells"}
        | {f"{head} F1": round(own[head], 3) for head in heads}
    ]
    for plate in others:
        row: dict[str, Any] = {"taught on": teacher.name, "tested on": plate.name}
        for head in heads:
            found = visible_f1(crossed(teacher, plate, head))
            row[f"{head} F1"] = round(found, 3)
            row[f"{head} loss"] = round(own[head] - found, 3)
        verdict = watch.of(plate)
        rows.append(row | {name: verdict[name] for name in ("wells beyond", "warned")})
    return rows

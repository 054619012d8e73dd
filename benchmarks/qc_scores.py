"""How a benchmark of quality control teaches, tests, and writes scores down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qc_sets import SEED, THIRDS, Known
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from omero_hcs.learning.evaluate import scores
from omero_hcs.learning.learners import Learner
from omero_hcs.tasks.truth import VISIBLE

Rows = NDArray[np.intp]
Values = dict[str, float]

HOW_TESTED = (
    "Half of the groups (wells, or source fields) teach and the other half test, drawn anew each "
    f"time; labels are half normal, half abnormal, of severity {VISIBLE:.2f} and more, as nobody "
    "labels what cannot be seen; each severity third is tested with as many normal cells, as in "
    "the paper. Accuracy, F1 and AUC are class-weighted; intervals (95 %) by bootstrap over "
    "groups; all are means over draws."
)


@dataclass(frozen=True, eq=False)
class Regression:
    """Logistic regression on hand-made metrics: the baseline, with the face of a learner."""

    metrics: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: int

    def judge(self, train: Rows, test: Rows, *, seed: int) -> NDArray[np.float32]:
        """Learn from the rows `train`, and judge the rows `test`."""
        del seed
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
        model.fit(self.metrics[train], self.labels[train])
        return np.asarray(model.predict_proba(self.metrics[test]), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class ByKind:
    """A learner that is taught which artefact a cell has, and asked whether it has one.

    A cell is abnormal if an artefact is its most probable class, as apply-qc has it.
    """

    learner: Learner
    classes: int = 2

    @property
    def labels(self) -> NDArray[np.int64]:
        """1 for abnormal cells, shape (N,)."""
        return (self.learner.labels > 0).astype(np.int64)

    def judge(self, train: Rows, test: Rows, *, seed: int) -> NDArray[np.float32]:
        """Learn the kinds of the rows `train`, and judge the rows `test`."""
        proba = self.learner.judge(train, test, seed=seed)
        pair = np.stack([proba[:, 0], proba[:, 1:].max(axis=1)], axis=1)
        return np.asarray(pair / pair.sum(axis=1, keepdims=True), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Drawn:
    """Rows that teach, and rows of the groups that test."""

    train: Rows
    test: Rows


def draw(known: Known, count: int, number: int) -> Drawn:
    """Draw so many labels, half of each class, from half of the groups."""
    rng = np.random.default_rng([SEED, number])
    groups = np.unique(known.groups)
    teach = np.isin(known.groups, rng.choice(groups, len(groups) // 2, replace=False))
    return Drawn(draw_from(known, teach, count, rng), np.flatnonzero(~teach))


def draw_from(known: Known, pool: NDArray[np.bool_], count: int, rng: np.random.Generator) -> Rows:
    """Draw so many labels, half of each class, from some of the crops."""
    seen = ~(known.severity < VISIBLE)  # an empty crop, which has no severity, is seen too
    pools = np.flatnonzero(pool & ~known.abnormal), np.flatnonzero(pool & known.abnormal & seen)
    # The first labels of a long list are those of a short one.
    return np.concatenate([rng.permutation(rows)[: count // 2] for rows in pools])


def by_third(known: Known, learner: Learner, *, count: int, draws: int, first: int = 0) -> Values:
    """Scores of each severity third, means over draws; `first` is the number of the first draw.

    Returns
    -------
    dict
        "middle f1", "middle f1_low", ..., also for accuracy and auc, mild and gross; "false
        alarms", the share of normal cells called abnormal; "found <artefact>, <third>", the share
        that was called abnormal; "f1 at the plate's own shares", of the middle third.
    """
    rows = []
    for number in range(first, first + draws):
        drawn = draw(known, count, number)
        proba = learner.judge(drawn.train, drawn.test, seed=number)
        rows.append(one_draw(known, drawn.test, proba, np.random.default_rng([SEED, 1, number])))
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: float(np.nanmean([row.get(name, np.nan) for row in rows])) for name in names}


def one_draw(known: Known, test: Rows, proba: NDArray[Any], rng: np.random.Generator) -> Values:
    """Score one draw; see `by_third`."""
    truth, severity = known.abnormal[test].astype(np.int64), known.severity[test]
    kinds, groups, called = known.kinds[test], known.groups[test], proba.argmax(axis=1) == 1
    found: Values = {"false alarms": float(called[truth == 0].mean())}
    normal = rng.permutation(np.flatnonzero(truth == 0))
    for third, low, high in THIRDS:
        bad = np.flatnonzero((truth == 1) & (severity > low) & (severity <= high))
        part = np.concatenate([normal[: len(bad)], bad])
        values = scores(
            truth[part], proba[part], ("normal", "abnormal"), groups[part], rng=rng, draws=300
        )
        found |= {f"{third} {name}": float(value) for name, value in values.items()}
        for kind in np.unique(kinds[bad]):
            found[f"found {kind}, {third}"] = float(called[bad][kinds[bad] == kind].mean())
        if third == "middle":
            whole = np.concatenate([normal, bad])
            weights = np.where(truth[whole] == 0, known.thinned, 1.0)
            found["f1 at own shares"] = float(
                f1_score(truth[whole], called[whole], average="weighted", sample_weight=weights)
            )
    empty = kinds == "empty"
    if empty.any():
        found["found empty"] = float(called[empty].mean())
    return found


def row_of(values: Values) -> dict[str, Any]:
    """Columns of a table: the middle third with its interval, the others, false alarms."""
    return {
        "middle F1": _with_interval(values, "middle f1"),
        "accuracy": round(values["middle accuracy"], 3),
        "AUC": round(values["middle auc"], 3),
        "mild F1": round(values["mild f1"], 3),
        "gross F1": round(values["gross f1"], 3),
        "middle F1, normal cells as many as there are": round(values["f1 at own shares"], 3),
        "false alarms": round(values["false alarms"], 3),
    }


def found_rows(values: Values) -> list[dict[str, Any]]:
    """Share of each artefact that was found, by severity third."""
    kinds = sorted({name[6:].partition(",")[0] for name in values if name.startswith("found ")})
    return [
        {"artefact": kind}
        | {third: _rounded(values.get(f"found {kind}, {third}")) for third, _, _ in THIRDS}
        | ({"without a severity": _rounded(values["found empty"])} if kind == "empty" else {})
        for kind in kinds
    ]


def hardest(values: Values, third: str = "middle") -> str:
    """Name the artefacts of which the smallest shares were found."""
    rows = [row for row in found_rows(values) if row.get(third, "") != ""]
    rows.sort(key=lambda row: row[third])
    return ", ".join(f"{row['artefact']} {row[third]:.2f}" for row in rows[:4])


def _rounded(value: float | None) -> float | str:
    return "" if value is None else round(value, 3)


def _with_interval(values: Values, name: str) -> str:
    low, high = values[f"{name}_low"], values[f"{name}_high"]
    return f"{values[name]:.3f} ({low:.3f}-{high:.3f})"


def against_target(values: Values, target: float) -> str:
    """Say whether the F1 of the middle third reaches a target, and else by how much not."""
    found = values["middle f1"]
    if found >= target:
        return f"{target:.2f} reached"
    return f"{target:.2f} missed by {target - found:.3f}"


def too_easy(values: Values) -> str:
    """Judge by the baseline whether a set proves anything."""
    found = values["middle f1"]
    return (
        f"hand-made metrics reach F1 {found:.3f} in the middle third: "
        + ("too easy to prove anything (0.95 or more)" if found >= 0.95 else "not too easy")
    )  # fmt: skip


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation over draws."""
    many = np.array(values)
    return f"{many.mean():.3f} ± {many.std(ddof=1):.3f}" if len(many) > 1 else f"{many[0]:.3f}"

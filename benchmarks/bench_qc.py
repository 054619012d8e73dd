"""Quality control on a simulated plate: 25 + 25 labels, by artefact and severity third.

Truth is known, severities are even from invisible to gross, and wells of labels and of test cells
are never the same. Beside it, a logistic regression on hand-made metrics of the same crops.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from omero_hcs.imaging.cell_metrics import cell_metrics
from omero_hcs.imaging.crop import crop_recipe
from omero_hcs.imaging.normalize import Normalization, normalize
from omero_hcs.learning.embed import Embedder
from omero_hcs.learning.encoders import load_encoder
from omero_hcs.learning.evaluate import scores
from omero_hcs.learning.heads import make_head
from omero_hcs.results import Table
from omero_hcs.settings import load_settings
from omero_hcs.simulate.design import SimulationSettings
from omero_hcs.stores.beside import results_root
from omero_hcs.tasks import crop_cells
from omero_hcs.tasks.driver import run_task
from omero_hcs.tasks.simulate import simulate
from omero_hcs.tasks.truth import NORMAL, VISIBLE, match_truth, read_truth

SEED, DRAWS, EACH = 2026, 5, 25
THIRDS = (("mild", 0.0, 1 / 3), ("middle", 1 / 3, 2 / 3), ("gross", 2 / 3, 1.0))
Judge = Callable[[NDArray[Any], NDArray[Any], NDArray[Any]], NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Plate:
    """Crops of one simulated plate, and the truth about each of them."""

    crops: NDArray[np.float32]
    raw: NDArray[Any]
    ceiling: float | None
    labels: NDArray[Any]
    severity: NDArray[np.float64]
    wells: NDArray[Any]
    recall: dict[str, Any]


def measure() -> dict[str, Any]:
    """Simulate, crop, embed in both recipes, and judge by each head and by the baseline."""
    plate = _plate()
    encoder = load_encoder("tf_efficientnet_lite0")
    features = {
        recipe: Embedder(encoder, recipe=crop_recipe(3, recipe), precision="fp32").embed(
            plate.crops
        )
        for recipe in ("composite", "concat")
    }
    hand, _ = cell_metrics(plate.raw, ceiling=plate.ceiling)
    found = {
        f"lite0, {recipe}, {head}": _judged(plate, values, _by_head(head))
        for recipe, values in features.items()
        for head in ("knn", "linear")
    }
    found["hand-made metrics, logistic regression"] = _judged(plate, hand, _by_regression)
    return {
        "what": f"{EACH} + {EACH} labels (severity {VISIBLE:.2f} and more), {DRAWS} draws of them "
        "and of wells; half of the wells for labels, half for the test; F1 and others are "
        "class-weighted, intervals by bootstrap over wells, mean over draws",
        "target": "F1 >= 0.95 in the middle third",
        "cells": len(plate.crops),
        "segmentation recall": plate.recall,
        "methods": found,
    }


def _plate() -> Plate:
    settings = SimulationSettings(wells=96, fields=2, seed=SEED)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plate.zarr"
        truth = read_truth(simulate(path, settings)[0].truth)
        own = load_settings({"state_dir": Path(folder) / "state"}).values
        run = run_task("crop_cells", path, crop_cells.Params(), settings=own)
        results = results_root(path) / "runs" / run.run_id
        cells = Table.from_parquet(results / "cells.parquet")
        survey = json.loads((results / "run.json").read_text(encoding="utf-8"))["survey"]
        raw = _pixels(results, cells, survey["scale"]["side_px"])
    rows = match_truth(cells, truth, radius=10.0)
    known = rows >= 0
    norm = Normalization.from_dict(survey["normalization"])
    return Plate(
        crops=normalize(raw[known], norm),
        raw=raw[known],
        ceiling=norm.ceiling,
        labels=truth["label"][rows[known]],
        severity=truth["severity"][rows[known]],
        wells=cells["well"][known],
        recall=_recall(truth, rows[known]),
    )


def _pixels(results: Path, cells: Table, side: int) -> NDArray[Any]:
    by_id: dict[str, NDArray[Any]] = {}
    for path in results.glob("units/*/crops.parquet"):
        table = Table.from_parquet(path)
        by_id |= dict(zip(table["cell"].tolist(), table[crop_cells.PIXELS], strict=True))
    return np.stack([by_id[cell] for cell in cells["cell"].tolist()]).reshape(-1, 3, side, side)


def _recall(truth: Table, found_rows: NDArray[np.intp]) -> dict[str, Any]:
    """Share of true cells that got a crop, by artefact and severity third."""
    found = np.zeros(len(truth), dtype=bool)
    found[found_rows] = True
    shares: dict[str, Any] = {}
    for name in sorted(set(truth["label"].tolist())):
        own = truth["label"] == name
        shares[name] = {"cells": int(own.sum()), "all": round(float(found[own].mean()), 3)}
        if name != NORMAL:
            for third, low, high in THIRDS:
                part = own & (truth["severity"] > low) & (truth["severity"] <= high)
                shares[name][third] = round(float(found[part].mean()), 3) if part.any() else None
    return shares


def _by_head(kind: str) -> Judge:
    def judge(train: NDArray[Any], labels: NDArray[Any], test: NDArray[Any]) -> NDArray[Any]:
        return make_head(kind).fit(train, labels).predict_proba(test)

    return judge


def _by_regression(train: NDArray[Any], labels: NDArray[Any], test: NDArray[Any]) -> NDArray[Any]:
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    proba: NDArray[Any] = model.fit(train, labels).predict_proba(test)
    return proba


def _judged(plate: Plate, features: NDArray[Any], judge: Judge) -> dict[str, Any]:
    abnormal = (plate.labels != NORMAL).astype(np.int64)
    wells = np.unique(plate.wells)
    rows: list[dict[str, Any]] = []
    for draw in range(DRAWS):
        rng = np.random.default_rng([SEED, draw])
        for_labels = np.isin(plate.wells, rng.choice(wells, len(wells) // 2, replace=False))
        seen = for_labels & (abnormal == 1) & (plate.severity >= VISIBLE)
        pools = (np.flatnonzero(for_labels & (abnormal == 0)), np.flatnonzero(seen))
        taught = np.concatenate([rng.choice(pool, EACH, replace=False) for pool in pools])
        test = np.flatnonzero(~for_labels)
        proba = judge(features[taught], abnormal[taught], features[test])
        rows.append(_draw_scores(plate, abnormal, test, proba, rng))
    return {key: _mean([row[key] for row in rows]) for key in rows[0]}


def _draw_scores(
    plate: Plate,
    abnormal: NDArray[np.int64],
    test: NDArray[np.intp],
    proba: NDArray[Any],
    rng: np.random.Generator,
) -> dict[str, Any]:
    truth, severity, names = abnormal[test], plate.severity[test], plate.labels[test]
    wells, called = plate.wells[test], proba[:, 1] > 0.5
    found: dict[str, Any] = {}
    for third, low, high in THIRDS:
        part = (truth == 0) | ((severity > low) & (severity <= high))
        result = scores(
            truth[part], proba[part], (NORMAL, "abnormal"), wells[part], rng=rng, draws=300
        )
        for name in ("accuracy", "f1", "auc"):
            keys = ("", "_low", "_high")
            found[f"{third} {name}"] = [result[f"{name}{key}"] for key in keys]
    found["false alarms"] = float(called[truth == 0].mean())
    for name in sorted(set(names.tolist()) - {NORMAL}):
        for third, low, high in THIRDS:
            part = (names == name) & (severity > low) & (severity <= high)
            found[f"found: {name}, {third}"] = float(called[part].mean()) if part.any() else np.nan
    return found


def _mean(values: list[Any]) -> Any:
    means = np.nanmean(np.array(values, dtype=np.float64), axis=0)
    if np.ndim(means) == 0:
        return round(float(means), 3)
    value, low, high = (round(float(item), 3) for item in means)
    return {"value": value, "low": low, "high": high}


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))

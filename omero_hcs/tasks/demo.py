"""The demonstration: a plate is simulated, a model is taught by 25 + 25 labels, and judges it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import f1_score

from omero_hcs.model import parse_well
from omero_hcs.results import Table
from omero_hcs.settings import Settings
from omero_hcs.simulate.design import SimulationSettings
from omero_hcs.stores.beside import results_root
from omero_hcs.tasks import apply_qc, train_qc
from omero_hcs.tasks.base import Progress, no_progress
from omero_hcs.tasks.driver import RunOutcome, run_task
from omero_hcs.tasks.simulate import simulate
from omero_hcs.tasks.truth import ABNORMAL, NORMAL, VISIBLE, draw_labels, match_truth, read_truth

LABELS_EACH = 25
MATCH_RADIUS_PX = 10.0
MODEL = "demo"


@dataclass(frozen=True)
class DemoOutcome:
    """Where everything is, and five lines that say what came out."""

    plate: Path
    report: str
    lines: tuple[str, ...]


def run_demo(
    folder: str | Path,
    settings: Settings,
    *,
    simulation: SimulationSettings | None = None,
    progress: Progress = no_progress,
) -> DemoOutcome:
    """Simulate a plate, label 25 + 25 cells from its truth, train, apply, and report.

    Parameters
    ----------
    folder : str or Path
        Where the plate and its results go; an earlier demonstration there is replaced.
    settings : Settings
        Those of the installation.
    simulation : SimulationSettings, optional
        96 wells with one field each by default.
    progress : callable
        See `tasks.base.Progress`.
    """
    simulation = simulation or SimulationSettings(wells=96, fields=1)
    path = Path(folder) / "plate.zarr"
    made = simulate(path, simulation, overwrite=True, progress=progress)[0]
    truth = read_truth(made.truth)
    rng = np.random.default_rng(simulation.seed)
    labels = draw_labels(truth, plate="plate", each=LABELS_EACH, rng=rng)
    (results_root(path) / "labels.csv").write_text(labels.to_csv(), encoding="utf-8")
    # Each stain alone is three passes a cell, and on this plate far better than one composite; with
    # it, kNN gives half as many false alarms (docs/benchmarks.md, quality on the simulated plate).
    model = train_qc.Params(
        recipe="concat",
        head="knn",
        name=MODEL,
        output=str(Path(folder) / f"{MODEL}.safetensors"),
    )
    trained = run_task("train_qc", path, model, settings=settings, again=True, progress=progress)
    judge = apply_qc.Params(model=trained.places[0])
    judged = run_task("apply_qc", path, judge, settings=settings, again=True, progress=progress)
    report = next(place for place in judged.places if place.endswith("report.html"))
    cells, wells = (_table(judged, name) for name in ("cells.parquet", "wells.parquet"))
    lines = (
        *lines_of(trained.summary, judged.summary),
        against_truth(cells, truth, labels),
        worst_wells(wells),
    )
    return DemoOutcome(path, report, lines)


def _table(judged: RunOutcome, name: str) -> Table:
    return Table.from_parquet(next(place for place in judged.places if place.endswith(name)))


def lines_of(trained: Mapping[str, Any], judged: Mapping[str, Any]) -> tuple[str, ...]:
    """Tell what a model was taught and what it judged, from the summaries of both runs."""
    encoder = trained["encoder"].partition(" ")[0]
    model = f"{trained['head']} on {encoder}, {trained['labels']}"
    plate = f"{judged['wells']} wells, {judged['fields']} fields, {judged['cells']} cells"
    empty = f"{judged['fields without nuclei']} fields have no or too few nuclei"
    return (
        f"model: {model}, held-out F1 {trained['f1']}",
        f"plate: {plate}, crop {judged['crop']}",
        f"verdict: {judged['abnormal']} of the cells look abnormal; {empty}",
    )


def against_truth(cells: Table, truth: Table, labels: Table) -> str:
    """Compare verdicts with the truth, over cells of which no label was given."""
    rows = match_truth(cells, truth, radius=MATCH_RADIUS_PX)
    taught = match_truth(cells, labels, radius=MATCH_RADIUS_PX) >= 0
    known = (rows >= 0) & ~taught & (cells["centre"] != "tile")
    actual, severity = truth["label"][rows] != NORMAL, truth["severity"][rows]
    clear = known & (~actual | (severity >= VISIBLE))
    score = f1_score(actual[clear], cells["class"][clear] == ABNORMAL, average="weighted")
    return (
        f"against the truth: F1 {score:.3f} over {int(clear.sum())} cells that are normal or "
        f"visibly abnormal (severity {VISIBLE:.2f} and more)"
    )


def worst_wells(wells: Table) -> str:
    """Name the five wells with the most abnormal cells."""
    fractions = np.nan_to_num(wells["abnormal_fraction"], nan=-1.0)
    order = np.argsort(-fractions, kind="stable")[:5]
    worst = sorted(order, key=lambda index: parse_well(str(wells["well"][index])))
    shown = ", ".join(f"{wells['well'][index]} {fractions[index]:.0%}" for index in worst)
    return f"worst wells: {shown}"

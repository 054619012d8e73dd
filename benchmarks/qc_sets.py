"""Crops of which everything is known: of simulated plates, and artefacts made on real cells."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from real_artefacts import CEILING, spoiled
from real_fields import Scene, pieces_of, scenes_of, shares_of

from omero_hcs.imaging.cell_metrics import cell_metrics
from omero_hcs.imaging.crop import CropScale
from omero_hcs.imaging.normalize import MIN_FIELDS, Normalization, normalize
from omero_hcs.results import Table
from omero_hcs.settings import load_settings
from omero_hcs.simulate.design import SimulationSettings
from omero_hcs.simulate.severity import ARTEFACTS
from omero_hcs.stores.beside import results_root
from omero_hcs.stores.open import open_store
from omero_hcs.tasks import crop_cells
from omero_hcs.tasks.base import all_units, no_progress
from omero_hcs.tasks.driver import run_task
from omero_hcs.tasks.labelled import Labelled
from omero_hcs.tasks.simulate import SimulatedPlate, simulate
from omero_hcs.tasks.survey import survey_plate
from omero_hcs.tasks.truth import ABNORMAL, NORMAL, match_truth, read_truth

SEED = 2026
"""Of the final numbers; methods were developed on other seeds."""

THIRDS = (("mild", 0.0, 1 / 3), ("middle", 1 / 3, 2 / 3), ("gross", 2 / 3, 1.0))
"""Severities of an artefact, from above the first number to the second."""

HOW_MADE = (
    "Each nucleus that was drawn from a real field gives a normal crop and one with an artefact of "
    "a severity drawn evenly from 0 to 1 (simulate/severity.py: defocus 0.5-6 px, 2-60 % of the "
    "nucleus at the ceiling, debris of 0.2-3 nuclei, 70-1 % of the light, glow of 0.05-3 nuclear "
    "signals, nuclei shrunk to 0.97-0.45, floating 0.5-6 px, neighbours at 1.10-0.45 diameters; an "
    "empty crop has no severity). Fields are brought to nuclei of 21 px, their noise is taken off, "
    "and every crop gets the simulated camera's; debris is cut from bodies of other real cells, "
    "each piece for one field only. Labels say what was done; cells that are dead or dividing in "
    "the real field count as normal. Crops are centred on the nuclei of the sound field."
)


@dataclass(frozen=True, eq=False)
class Known:
    """Crops, and what is true of each.

    Attributes
    ----------
    labelled : Labelled
        Classes "normal" and "abnormal".
    raw : array, shape (N, C, S, S)
        Camera counts.
    ceiling : float
        The camera's largest count.
    kinds : array, shape (N,), str
        Which artefact each crop has, or "normal".
    severity : array, shape (N,)
        0 for normal crops, NaN for empty ones.
    recall : mapping
        Simulated plates: share of true cells that got a crop, by artefact and third.
    as_qc, as_simsearch : mapping
        Black and white points by plate: those of the crops, and by SimSearch's rule.
    thinned : float
        For how many normal crops of the plate each of these stands, if an abnormal one is one.
    """

    labelled: Labelled
    raw: NDArray[Any]
    ceiling: float | None
    kinds: NDArray[Any]
    severity: NDArray[np.float64]
    recall: Mapping[str, Any]
    as_qc: Mapping[str, Normalization]
    as_simsearch: Mapping[str, Normalization]
    thinned: float = 1.0

    @property
    def abnormal(self) -> NDArray[np.bool_]:
        """Crops with an artefact, shape (N,)."""
        return np.asarray(self.kinds != NORMAL)

    @property
    def groups(self) -> NDArray[Any]:
        """What may not be on both sides of a test, shape (N,): well, or source field."""
        return self.labelled.table["group"]

    def metrics(self) -> NDArray[np.float32]:
        """Hand-made measures of the raw crops, shape (N, F)."""
        return cell_metrics(self.raw, ceiling=self.ceiling)[0]

    def where(self, rows: NDArray[Any]) -> Known:
        """Take some of the crops."""
        rows = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        own = self.labelled
        return replace(
            self,
            labelled=replace(own, crops=own.crops[rows], table=own.table.where(rows)),
            raw=self.raw[rows],
            kinds=self.kinds[rows],
            severity=self.severity[rows],
        )

    def balanced(self, rng: np.random.Generator, most: int | None = None) -> Known:
        """Take as many normal crops as abnormal ones, drawn by chance."""
        pools = np.flatnonzero(~self.abnormal), np.flatnonzero(self.abnormal)
        count = min(*map(len, pools), (most or len(self.kinds)) // 2)
        drawn = [rng.choice(pool, count, replace=False) for pool in pools]
        thinned = self.thinned * len(pools[0]) / len(pools[1])
        return replace(self.where(np.sort(np.concatenate(drawn))), thinned=thinned)

    def one_stain(self) -> Known:
        """Take the nuclear stain alone."""
        own = self.labelled
        alone = replace(own, crops=own.crops[:, :1], channels=own.channels[:1])
        first = [
            {name: _first_stain(levels) for name, levels in each.items()}
            for each in (self.as_qc, self.as_simsearch)
        ]
        return replace(
            self, labelled=alone, raw=self.raw[:, :1], as_qc=first[0], as_simsearch=first[1]
        )

    def by_simsearch(self) -> Known:
        """Normalise the crops by SimSearch's rule instead; those are then the plate's points."""
        return replace(self.scaled(self.as_simsearch), as_qc=self.as_simsearch)

    def by_model(self, teacher: Known) -> Known:
        """Normalise as apply-qc does: a plate of few fields by the points of the model's plate."""
        (points,) = teacher.as_qc.values()
        few = {name: own.fields < MIN_FIELDS for name, own in self.as_qc.items()}
        return self.scaled({name: points if few[name] else self.as_qc[name] for name in few})

    def scaled(self, points: Mapping[str, Normalization]) -> Known:
        """Normalise the crops by these points, by plate."""
        crops = np.empty(self.raw.shape, dtype=np.float32)
        plates = self.labelled.table["plate"]
        for name, levels in points.items():
            own = plates == name
            crops[own] = normalize(self.raw[own], levels, headroom=True)
        return replace(self, labelled=replace(self.labelled, crops=crops))

    def by_kind(self) -> Labelled:
        """Label the crops by their artefacts."""
        table = self.labelled.table.with_columns(label=self.kinds)
        found = [kind for kind in (*ARTEFACTS, "empty") if kind in self.kinds]
        return replace(self.labelled, table=table, classes=(NORMAL, *found))


def _first_stain(levels: Normalization) -> Normalization:
    return replace(
        levels, channels=levels.channels[:1], black=levels.black[:1], white=levels.white[:1]
    )


def simulated(settings: SimulationSettings) -> list[Known]:
    """Simulate plates, find and crop their cells by the task, and match each with its truth."""
    with tempfile.TemporaryDirectory() as folder:
        made = simulate(Path(folder) / "plate.zarr", settings)
        return [_cropped(plate, Path(folder) / "state") for plate in made]


def _cropped(plate: SimulatedPlate, state: Path) -> Known:
    own = load_settings({"state_dir": state}).values
    run = run_task("crop_cells", plate.path, crop_cells.Params(), settings=own)
    results = results_root(plate.path) / "runs" / run.run_id
    cells = Table.from_parquet(results / "cells.parquet")
    survey = json.loads((results / "run.json").read_text(encoding="utf-8"))["survey"]
    scale = CropScale.from_dict(survey["scale"])
    truth = read_truth(plate.truth)
    rows = match_truth(cells, truth, radius=10.0)
    known = np.flatnonzero(rows >= 0)
    raw = _pixels(results, cells, scale.side_px)[known]
    norm = Normalization.from_dict(survey["normalization"])
    matched = truth.where(rows[known])
    labelled = Labelled(
        name=plate.plate.name,
        crops=normalize(raw, norm, headroom=True),
        table=_labels(cells.where(known), matched["label"], plate.plate.id),
        classes=(NORMAL, ABNORMAL),
        channels=tuple(survey["channels"]),
        scale=scale,
    )
    return Known(
        labelled=labelled,
        raw=raw,
        ceiling=norm.ceiling,
        kinds=matched["label"],
        severity=matched["severity"],
        recall=_recall(truth, rows[known]),
        as_qc={plate.plate.id: norm},
        as_simsearch={plate.plate.id: _simsearch(plate)},
    )


def _simsearch(plate: SimulatedPlate) -> Normalization:
    store = open_store(str(plate.path))
    params = crop_cells.Params()
    pairs = all_units(store, store.refs(), params)
    survey = survey_plate(
        store, pairs, params, name=plate.plate.name, progress=no_progress, scaling="simsearch"
    )
    return survey.intensities()


def _labels(cells: Table, kinds: NDArray[Any], plate: str) -> Table:
    count = len(cells)
    field = np.array([f"{well} {f}" for well, f in zip(cells["well"], cells["field"], strict=True)])
    return Table(
        {
            "label": np.where(kinds == NORMAL, NORMAL, ABNORMAL),
            "plate": np.full(count, plate),
            "well": cells["well"],
            "unit": field,
            "group": np.array([f"{plate} {well}" for well in cells["well"]]),
            "weak": np.zeros(count, dtype=bool),
            "user": np.full(count, "truth"),
            "y": cells["y"],
            "x": cells["x"],
        }
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
        for third, low, high in THIRDS:
            part = own & (truth["severity"] > low) & (truth["severity"] <= high)
            shares[name][third] = round(float(found[part].mean()), 3) if part.any() else ""
    return shares


def nuclear_scenes(fields: int = 12) -> list[Scene]:
    """Fields of the nuclear stain: BBBC006 in focus, BBBC013, and RPE1 and U2OS nuclei."""
    return [
        scene
        for source in ("BBBC006", "BBBC013", "RPE1", "U2OS")
        for scene in scenes_of(source, fields=fields)
    ]


def made(
    scenes: Sequence[Scene], pieces: Mapping[str, list[Any]], *, name: str, seed: int = SEED
) -> Known:
    """Put artefacts on cells of real fields; see `HOW_MADE`."""
    labelled, raw, surveys = spoiled(scenes, pieces, name=name, seed=seed)
    kinds, severity = labelled.table["label"], labelled.table["severity"]
    table = labelled.table.with_columns(label=np.where(kinds == NORMAL, NORMAL, ABNORMAL))
    binary = replace(labelled, table=table, classes=(NORMAL, ABNORMAL))
    return Known(
        labelled=binary,
        raw=raw,
        ceiling=float(CEILING),
        kinds=kinds,
        severity=severity,
        recall={},
        as_qc={source: survey.qc() for source, survey in surveys.items()},
        as_simsearch={source: survey.simsearch() for source, survey in surveys.items()},
    )


def debris_of(bodies: Sequence[Scene], *scenes: Sequence[Scene]) -> dict[str, list[Any]]:
    """Deal pieces of cell bodies to the fields of all sets of a benchmark."""
    return shares_of(pieces_of(bodies), [scene.name for some in scenes for scene in some])

"""Focus: real defocus found by hand-made metrics, and the smallest blur that they notice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import bbbc006_focus, blur_series, camera_noise
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from omero_hcs.imaging.cell_metrics import cell_metrics
from omero_hcs.imaging.centers import grid_centers
from omero_hcs.imaging.crop import crop_cells
from omero_hcs.imaging.focus import field_metrics, focus_score
from omero_hcs.imaging.segment import segment_nuclei

SIGMAS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0)
TILE = 116
FALSE_ALARMS = 0.05
_NOTE = (
    "All in-focus fields come from the z-aligned series and all out-of-focus ones from z=00 of "
    "another, so series and class coincide: 24 of 24 is the floor, not an achievement. "
    "Well A01, there both ways, is left out as one group."
)


def measure(seed: int = 0) -> dict[str, Any]:
    """Measure all of it; half a minute on one core."""
    fields = bbbc006_focus()
    sharp = [field for field in fields if field.in_focus]
    planes = [field.plane for field in sharp]
    tiles, groups = tile_places(planes)
    rng = np.random.default_rng(seed)
    series = blur_series(planes, (0.0, *SIGMAS), rng)
    series = {sigma: cut(copies, tiles) for sigma, copies in series.items()}
    noise = camera_noise(planes)
    return {
        "bbbc006_leave_one_well_out": leave_one_well_out(),
        "note": _NOTE,
        "camera_noise": {"gain": round(noise.gain, 3), "offset": round(noise.offset, 1)},
        "tiles": {"px": TILE, "with_a_nucleus": len(groups), "fields": len(planes)},
        "focus_score": smallest_blur(series, groups, _focus_scores),
        "logistic_regression": smallest_blur(series, groups, _metric_scores),
    }


def leave_one_well_out() -> dict[str, Any]:
    """Fields told right by logistic regression on field metrics, their well never seen."""
    fields = bbbc006_focus()
    rows = [field_metrics(field.plane[None], ceiling=4095, names=["DNA"]) for field in fields]
    features = np.array([list(row.values()) for row in rows])
    truth = np.array([field.in_focus for field in fields])
    model = make_pipeline(StandardScaler(), LogisticRegression())
    wells = [field.well for field in fields]
    told = cross_val_predict(model, features, truth, groups=wells, cv=LeaveOneGroupOut())
    scores = np.array([row["focus_DNA"] for row in rows])
    return {
        "right": int((told == truth).sum()),
        "of": len(fields),
        "focus_score_in_focus": _range(scores[truth]),
        "focus_score_out_of_focus": _range(scores[~truth]),
    }


def _range(values: NDArray[np.float64]) -> list[float]:
    return [round(float(values.min()), 4), round(float(values.max()), 4)]


def tile_places(
    planes: Sequence[NDArray[Any]],
) -> tuple[list[NDArray[np.float64]], NDArray[np.intp]]:
    """Centres of the tiles of each field that hold a whole nucleus, and each tile's field."""
    places = []
    for plane in planes:
        grid = grid_centers(plane.shape, size=TILE)
        nuclei = segment_nuclei(plane).centers
        inside = np.abs(grid[:, None] - nuclei[None]).max(axis=2) < TILE / 2 - 15
        places.append(grid[inside.any(axis=1)])
    groups = np.repeat(np.arange(len(places)), [len(centers) for centers in places])
    return places, groups


def cut(
    planes: Sequence[NDArray[Any]], places: Sequence[NDArray[np.float64]]
) -> NDArray[np.float32]:
    """Tiles of all fields, shape (N, 1, TILE, TILE)."""
    crops = [crop_cells(p[None], at, size=TILE) for p, at in zip(planes, places, strict=True)]
    return np.concatenate(crops).astype(np.float32)


def smallest_blur(
    series: dict[float, NDArray[np.float32]], groups: NDArray[np.intp], detector: Any
) -> dict[str, Any]:
    """Share of tiles that a detector calls blurred, by sigma, at 5 % false alarms.

    Each field is judged by a detector and a threshold of the other fields.
    """
    found: dict[float, float] = {}
    alarms = []
    for sigma in (sigma for sigma in series if sigma > 0):
        called, false = detector(series[0.0], series[sigma], groups)
        found[sigma] = round(float(called.mean()), 3)
        alarms.append(float(false.mean()))
    return {
        "found_by_sigma": found,
        "false_alarms_on_unseen_fields": [round(min(alarms), 3), round(max(alarms), 3)],
        "smallest_sigma_found_50": _first(found, 0.5),
        "smallest_sigma_found_95": _first(found, 0.95),
    }


def _first(found: dict[float, float], share: float) -> float | None:
    """Smallest sigma from which on at least that share is found."""
    reached = None
    for sigma in sorted(found, reverse=True):
        if found[sigma] < share:
            break
        reached = sigma
    return reached


def _focus_scores(
    sharp: NDArray[np.float32], blurred: NDArray[np.float32], groups: NDArray[np.intp]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """One number a tile; below the 5th percentile of the other fields' sharp tiles is blurred."""
    scores = [np.array([focus_score(tile[0]) for tile in tiles]) for tiles in (sharp, blurred)]
    limits = np.array(
        [np.quantile(scores[0][groups != group], FALSE_ALARMS) for group in np.unique(groups)]
    )[groups]
    return scores[1] < limits, scores[0] < limits


def _metric_scores(
    sharp: NDArray[np.float32], blurred: NDArray[np.float32], groups: NDArray[np.intp]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Logistic regression trained for this very blur on the other fields' tiles."""
    one, two = (cell_metrics(tiles, ceiling=4095)[0] for tiles in (sharp, blurred))
    called, false = np.zeros((2, len(groups)), dtype=np.bool_)
    for group in np.unique(groups):
        rest = groups != group
        train = np.concatenate([one[rest], two[rest]])
        truth = np.repeat([False, True], rest.sum())
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(train, truth)
        limit = np.quantile(model.decision_function(one[rest]), 1 - FALSE_ALARMS)
        called[~rest] = model.decision_function(two[~rest]) > limit
        false[~rest] = model.decision_function(one[~rest]) > limit
    return called, false


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))

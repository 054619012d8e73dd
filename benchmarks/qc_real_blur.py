"""BBBC006's own bad images, judged by a model that was taught artefacts made on other cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qc_sets import SEED, Known
from real_artefacts import SIDE
from real_images import bbbc006_focus
from skimage.transform import rescale

from omero_hcs.imaging.crop import crop_cells
from omero_hcs.imaging.normalize import IntensitySurvey, Normalization, normalize
from omero_hcs.imaging.segment import median_diameter, segment_nuclei
from omero_hcs.learning.embed import Embedder
from omero_hcs.learning.heads import Head
from omero_hcs.simulate.cells import NUCLEUS_PX
from omero_hcs.tasks.labelled import LabelledParams, seen_by
from omero_hcs.tasks.truth import VISIBLE

EACH, LABELS = 20, 350


def real_blur(known: Known) -> dict[str, Any]:
    """Judge fields in focus and 32 um out of it.

    The degraded crops beside them are left out: one cell, seen so large that at nuclei of 21 px its
    picture is smaller than a crop, and with it the blur.

    Parameters
    ----------
    known : Known
        Crops of the nuclear stain; those of BBBC006 teach nothing here.
    """
    teachers = known.where(known.labelled.table["source"] != "BBBC006")
    fields = bbbc006_focus()
    width = median_diameter([segment_nuclei(field.plane) for field in fields if field.in_focus])
    zoom = NUCLEUS_PX / (width or NUCLEUS_PX)
    planes = [_small(field.plane, zoom) for field in fields]
    sharp = np.array([field.in_focus for field in fields])
    crops = [_cells(plane) for plane in planes]
    levels = _levels(planes)
    found: dict[str, Any] = {
        "what": f"taught by {LABELS} labels of made artefacts on BBBC013, RPE1 and U2OS cells; "
        f"tested on untouched pixels of BBBC006, up to {EACH} cells a field, normalised as one "
        "plate of all 24 fields",
        "fields out of focus without a nucleus (never a pass)": int(
            sum(len(some) == 0 for some, good in zip(crops, sharp, strict=True) if not good)
        ),
    }
    rows = []
    for head in ("knn", "linear", "logistic"):
        judge = _Judge(teachers, head)
        called = [judge.abnormal(some, levels) > 0.5 for some in crops]
        rows.append({"head": head} | _shares(called, sharp))
    found["cells"] = rows
    return found


class _Judge:
    """A head on Lite0, taught by some of the known crops."""

    def __init__(self, known: Known, head: str) -> None:
        params = LabelledParams(head=head, seed=SEED)
        seen = seen_by(known.labelled, params)
        rng = np.random.default_rng(SEED)
        pools = (~known.abnormal, known.abnormal & ~(known.severity < VISIBLE))
        rows = [rng.permutation(np.flatnonzero(pool))[: LABELS // 2] for pool in pools]
        drawn = np.concatenate(rows)
        self.head: Head = params.new_head().fit(
            seen.features[drawn], known.labelled.numbers[drawn], seed=SEED, classes=2
        )
        self.embedder: Embedder = seen.embedder

    def abnormal(self, raw: NDArray[np.float32], levels: Normalization) -> NDArray[np.float32]:
        """Probability of abnormal of raw crops (N, 1, S, S)."""
        if not len(raw):
            return np.empty(0, dtype=np.float32)
        return self.head.predict_proba(self.embedder.embed(normalize(raw, levels, headroom=True)))[
            :, 1
        ]


def _shares(called: Sequence[NDArray[np.bool_]], sharp: NDArray[np.bool_]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, wanted in (("in focus", True), ("out of focus", False)):
        own = [each for each, good in zip(called, sharp, strict=True) if good == wanted]
        cells = np.concatenate(own)
        found[f"cells {name}"] = len(cells)
        found[f"called abnormal, {name}"] = round(float(cells.mean()), 3)
        bad = sum(bool(each.mean() > 0.5) if len(each) else True for each in own)
        found[f"fields mostly abnormal, {name}"] = f"{bad} of {len(own)}"
    return found


def _small(plane: NDArray[Any], zoom: float) -> NDArray[np.float32]:
    changed = rescale(plane.astype(np.float32), zoom, order=1, anti_aliasing=True)
    return np.asarray(changed, dtype=np.float32)


def _cells(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    centers = segment_nuclei(plane).centers
    rng = np.random.default_rng(SEED)
    return crop_cells(plane[None], rng.permutation(centers)[:EACH], size=SIDE)


def _levels(planes: Sequence[NDArray[np.float32]]) -> Normalization:
    survey = IntensitySurvey(["DNA"])
    for plane in planes:
        survey.add(np.rint(plane[None]).astype(np.uint16), segment_nuclei(plane).labels > 0)
    return survey.qc()

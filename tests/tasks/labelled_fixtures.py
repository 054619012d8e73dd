"""Labelled crops whose features are known, so that no encoder has to look at them."""

from __future__ import annotations

import numpy as np

from omero_hcs.imaging.crop import CropScale
from omero_hcs.learning.heads import make_head
from omero_hcs.learning.learners import FrozenLearner
from omero_hcs.results import Table
from omero_hcs.tasks.labelled import Labelled


def make_labelled(name="plate", *, wells=12, each=6, classes=("normal", "blurred"), **changed):
    """Crops of some wells, two fields each, classes in turn."""
    count = wells * each
    well = np.repeat([f"{'ABCDEFGH'[n // 12]}{n % 12 + 1:02d}" for n in range(wells)], each)
    field = np.tile(np.arange(each) % 2, wells)
    table = Table(
        {
            "label": np.array(classes)[np.arange(count) // 2 % len(classes)],
            "plate": np.full(count, name),
            "well": well,
            "unit": np.array([f"{name}/{w}/f{f}" for w, f in zip(well, field, strict=True)]),
            "group": np.array([f"{name}/{w}" for w in well]),
            "weak": np.zeros(count, dtype=bool),
            "y": np.arange(count, dtype=float),
            "x": np.arange(count, dtype=float),
            "user": np.full(count, "ann"),
            "image": np.full(count, "i"),
            "link": np.full(count, ""),
        }
    )
    table = table.with_columns(**changed)
    rng = np.random.default_rng(count)
    crops = rng.random((count, 1, 8, 8), dtype=np.float32)
    return Labelled(name, crops, table, tuple(classes), ("DNA",), CropScale(8, 4.0, 3.0))


def make_learner(labelled, *, apart=2.0, seed=0, kind="knn"):
    """A head on features that tell the classes apart by so many spreads."""
    rng = np.random.default_rng(seed)
    centers = apart * np.eye(8)[labelled.numbers]
    features = rng.normal(size=(len(centers), 8)) + centers
    return FrozenLearner(
        lambda: make_head(kind),
        features.astype(np.float32),
        labelled.numbers,
        len(labelled.classes),
    )

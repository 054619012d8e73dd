"""Quality control on a simulated plate: the paper's Tables 1 and 2, by artefact and severity third.

Truth is known, severities are even from invisible to gross, and wells of labels and of test cells
are never the same. Beside it, a logistic regression on hand-made metrics of the same crops.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from qc_sets import SEED, simulated
from qc_tables import tables

from omero_hcs.simulate.design import SimulationSettings

MOST = 3000
"""Crops that encoders see: abnormal and as many normal ones, drawn by chance."""


def measure() -> dict[str, Any]:
    """Simulate, crop by the task, embed, and judge by each head and by the baseline."""
    plate = simulated(SimulationSettings(wells=96, fields=2, seed=SEED))[0]
    known = plate.balanced(np.random.default_rng(SEED), MOST)
    recall = [{"artefact": name} | dict(shares) for name, shares in plate.recall.items()]
    return {
        "how made": "seed 2026, 96 wells of 2 fields; a quarter of the fields has an artefact all "
        "over, and an eighth of the cells one of their own; nuclei found and cropped by crop-cells",
        "cells with a crop": len(plate.kinds),
        **tables(known),
        "segmentation recall: share of true cells that got a crop": recall,
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))

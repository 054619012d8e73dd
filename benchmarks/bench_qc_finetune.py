"""Fine-tuned encoders: the paper's schedule on few labels of a simulated plate.

One draw of labels each, for a run takes minutes on two cores; the frozen heads are taught by the
same labels and tested on the same cells.
"""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
from qc_scores import HOW_TESTED, against_target, by_third, row_of
from qc_sets import SEED, Known, simulated
from qc_tables import LITE0

from omero_hcs.learning.weights import RANDOM
from omero_hcs.simulate.design import SimulationSettings
from omero_hcs.tasks.labelled import LabelledParams, learner_of, seen_by

MOST = 1600
COUNTS = (350, 50, 10)
TARGET = 0.99
UNTRAINED, FEW = "resnet18", 10


def measure() -> dict[str, Any]:
    """Tune Lite0 on 350, 50 and 10 labels, and an untrained encoder on 10."""
    plate = simulated(SimulationSettings(wells=96, fields=1, seed=SEED))[0]
    known = plate.balanced(np.random.default_rng(SEED), MOST)
    lite0 = LabelledParams(encoder=LITE0, seed=SEED)
    seen = seen_by(known.labelled, lite0)
    rows = []
    for count in COUNTS:
        rows += [_row(known, lite0, head, count, seen) for head in ("linear", "finetune")]
    untrained = LabelledParams(encoder=UNTRAINED, weights=RANDOM, seed=SEED)
    rows.append(_row(known, untrained, "finetune", FEW, None))
    return {
        "how tested": HOW_TESTED.replace("; all are means over draws", "; one draw"),
        "crops": len(known.kinds),
        f"target, Lite0, fine-tuned, {COUNTS[0]} labels": against_target(rows[1]["_"], TARGET),
        "heads": [{name: value for name, value in row.items() if name != "_"} for row in rows],
    }


def _row(known: Known, params: LabelledParams, head: str, count: int, seen: Any) -> dict[str, Any]:
    chosen = params.model_copy(update={"head": head})
    learner = learner_of(known.labelled, chosen, seen)
    started = time.perf_counter()
    values = by_third(known, learner, count=count, draws=1)
    weights = "random: no quality" if params.weights == RANDOM else "ImageNet"
    return {
        "encoder": params.encoder,
        "weights": weights,
        "head": head,
        "labels": count,
        **row_of(values),
        "teaching and judging, s": round(time.perf_counter() - started),
        "_": values,
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))

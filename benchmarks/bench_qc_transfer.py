"""Quality control taught on one assay and tested on others: the paper's Table 3.

The same artefacts on a simulated plate, on BBBC006, and on real cells of NF1 and Cell Painting.
Beside each, whether the out-of-domain warning comes; and SimSearch's normalisation instead.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from qc_crossing import DRAWS, LABELS, crossings, seen
from qc_sets import HOW_MADE, SEED, Known, debris_of, made, simulated
from real_fields import scenes_of

from omero_hcs.simulate.design import SimulationSettings

HEADS = ("knn", "linear", "logistic")
MOST = 2400
ONE, THREE = "nuclear stain", "three stains"
CROSSED = ((f"simulated, {ONE}", ONE), (f"BBBC006, {ONE}", ONE), (f"simulated, {THREE}", THREE))


def measure() -> dict[str, Any]:
    """Make the sets, and cross them."""
    sets = _sets()
    return {
        "what": f"Lite0, {LABELS} labels of what can be seen, {DRAWS} draws; F1 is the mean of the "
        "middle and the gross third, each with as many normal cells; loss against other wells of "
        "the plate that was learnt from. Three stains are DNA, actin, and a third of the body "
        "(simulated reporter; ER). Plates of fewer than 8 fields, NF1 and Cell Painting here, are "
        "normalised by the points of the plate that was learnt from, as apply-qc does.",
        "how real sets are made": HOW_MADE,
        "crops": {name: len(known.kinds) for name, known in sets.items()},
        "table 3, QC normalisation": _table(sets),
        "table 3, SimSearch's normalisation": _table(
            {name: known.by_simsearch() for name, known in sets.items()}
        ),
    }


def _table(sets: dict[str, Known]) -> list[dict[str, Any]]:
    rows = []
    for source, stains in CROSSED:
        teacher = seen(source, sets[source])
        names = [f"{assay}, {stains}" for assay in ("NF1", "Cell Painting")]
        targets = [seen(name, sets[name].by_model(teacher.known)) for name in names]
        rows += crossings(teacher, targets, HEADS)
    return rows


def _sets() -> dict[str, Known]:
    plate = simulated(SimulationSettings(wells=96, fields=1, seed=SEED))[0]
    plate = plate.balanced(np.random.default_rng(SEED), MOST)
    sources = {
        f"BBBC006, {ONE}": scenes_of("BBBC006"),
        f"NF1, {ONE}": scenes_of("NF1"),
        f"Cell Painting, {ONE}": scenes_of("Cell Painting"),
        f"NF1, {THREE}": scenes_of("NF1", stains=3),
        f"Cell Painting, {THREE}": scenes_of("Cell Painting", stains=3),
    }
    bodies = [
        *sources[f"NF1, {THREE}"],
        *sources[f"Cell Painting, {THREE}"],
        *scenes_of("ExampleHuman", stains=2),
    ]
    pieces = debris_of(bodies, *sources.values())
    return {
        f"simulated, {ONE}": plate.one_stain(),
        f"simulated, {THREE}": plate,
        **{name: made(scenes, pieces, name=name) for name, scenes in sources.items()},
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))

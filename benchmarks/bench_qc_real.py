"""Quality control on real cells: artefacts made on them, the paper's Tables 1 and 2.

Real nuclei of BBBC006 (in focus), BBBC013, and RPE1 and U2OS cells (nuclear stain alone); fields
that teach and fields that test are never the same. Beside them, real defocus.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from qc_real_blur import real_blur
from qc_sets import HOW_MADE, debris_of, made, nuclear_scenes
from qc_tables import tables
from real_fields import scenes_of


def measure() -> dict[str, Any]:
    """Make the set, and measure both tables and real defocus."""
    scenes = nuclear_scenes()
    bodies = [*scenes_of("NF1", stains=3), *scenes_of("ExampleHuman", stains=2)]
    known = made(scenes, debris_of(bodies, scenes), name="real nuclei")
    sources, counts = np.unique(known.labelled.table["source"], return_counts=True)
    return {
        "how made": HOW_MADE,
        "crops of": ", ".join(f"{name} {n}" for name, n in zip(sources, counts, strict=True)),
        **tables(known),
        "real defocus": real_blur(known),
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))

"""Made-up plates of which everything is known, for the tests of benchmarks."""

from __future__ import annotations

import numpy as np
from qc_crossing import Plate
from qc_sets import Known

from omero_hcs.imaging.normalize import Normalization, normalize
from omero_hcs.results import Table
from omero_hcs.tasks.labelled import Labelled

KINDS = np.array(["normal"] * 6 + ["noise", "debris"])


def plate(name: str, seed: int, *, shift: float = 0.0, wells: int = 24) -> Plate:
    """Eight cells a well; what is wrong with a cell is its first feature."""
    rng = np.random.default_rng(seed)
    kinds = np.tile(KINDS, wells)
    raw = rng.integers(100, 4000, (len(kinds), 3, 8, 8)).astype(np.uint16)
    levels = Normalization("qc", ("a", "b", "c"), (100.0,) * 3, (3000.0, 2000.0, 1000.0), 4095.0, 9)
    table = Table(
        {
            "label": np.where(kinds == "normal", "normal", "abnormal"),
            "plate": np.full(len(kinds), name),
            "group": np.array([f"{name} {row // len(KINDS)}" for row in range(len(kinds))]),
        }
    )
    crops = normalize(raw, levels, headroom=True)
    labelled = Labelled(name, crops, table, ("normal", "abnormal"), ("a", "b", "c"))
    severity = np.where(kinds == "normal", 0.0, rng.uniform(0, 1, len(kinds)))
    known = Known(labelled, raw, 4095.0, kinds, severity, {}, {name: levels}, {name: levels})
    features = rng.standard_normal((len(kinds), 12)).astype(np.float32)
    features[:, 0] += 8.0 * (kinds != "normal") + shift
    return Plate(name, known, features)

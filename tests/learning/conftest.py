"""Small networks and crops that the tests of learning share."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'ml' is not installed")

from omero_hcs.learning.encoders import load_encoder  # noqa: E402

torch.set_num_threads(1)  # on networks this small, threads only wait for each other
SMALL = "mobilenetv3_small_050"


@pytest.fixture(scope="session")
def encoder():
    """An untrained network of half a million weights, at 32 px."""
    return load_encoder(SMALL, weights="random", input_size=32, seed=3)


@pytest.fixture(scope="session")
def crops():
    """40 crops of 2 stains, 21 px."""
    return np.random.default_rng(5).random((40, 2, 21, 21), dtype=np.float32)

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omero_hcs.jobs.identity import (
    canonical_json,
    file_sha256,
    new_run_id,
    run_key,
    unit_generator,
)

REQUEST = {"task": "crop_cells", "store": "/p.zarr", "params": {"seed": 0, "z": "middle"}}

DRAW = """
from omero_hcs.jobs.identity import unit_generator
print(unit_generator(7, "plate/B03/f0").integers(0, 2**60, 4).tolist())
"""

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_run_ids_are_times_that_sort_and_never_meet():
    ids = [new_run_id() for _ in range(200)]
    assert all(re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{8}", run_id) for run_id in ids)
    assert len(set(ids)) == len(ids)


def test_the_same_request_is_the_same_run_in_whatever_order_it_is_told():
    shuffled = {"params": {"z": "middle", "seed": 0}, "store": "/p.zarr", "task": "crop_cells"}
    assert run_key(REQUEST) == run_key(shuffled)
    assert re.fullmatch("[0-9a-f]{64}", run_key(REQUEST))


@pytest.mark.parametrize(
    "change",
    [{"task": "apply_qc"}, {"store": "/q.zarr"}, {"params": {"seed": 1, "z": "middle"}}, {"x": 1}],
)
def test_another_request_is_another_run(change):
    assert run_key(REQUEST | change) != run_key(REQUEST)


@given(st.dictionaries(st.text(), values, max_size=4))
def test_canonical_json_is_json_of_the_same_value(value):
    assert json.loads(canonical_json(value)) == json.loads(json.dumps(value))


def test_a_file_is_known_by_its_content(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_sha256(tmp_path / "a").startswith("ba7816bf8f01cfea414140de5dae2223")


def test_a_units_numbers_are_the_same_in_every_process():
    told = {
        subprocess.run(
            [sys.executable, "-c", DRAW],
            capture_output=True, text=True, check=True, timeout=120,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout.strip()
        for seed in ("1", "2")
    }  # fmt: skip
    here = unit_generator(7, "plate/B03/f0").integers(0, 2**60, 4).tolist()
    assert told == {str(here)}


def test_units_and_seeds_have_numbers_of_their_own():
    drawn = {
        tuple(unit_generator(seed, unit).integers(0, 2**60, 3))
        for seed in (0, 1)
        for unit in ("a", "b", "")
    }
    assert len(drawn) == 6
    assert isinstance(unit_generator(0, "a"), np.random.Generator)

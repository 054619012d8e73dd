"""The names that users may rely on; a change here is a change for them (see the changelog)."""

from __future__ import annotations

import subprocess
import sys

import pytest

import omero_hcs

PUBLIC = [
    "HcsError", "ImageSet", "Plate", "RunOutcome", "Settings", "SimulationSettings", "Table",
    "apply_qc", "convert", "crop_cells", "embed_cells", "examine", "list_runs", "load_settings",
    "make_report", "open_store", "run_demo", "show_model", "simulate_plates", "train_qc",
    "undo_run",
]  # fmt: skip

HEAVY = ("torch", "timm", "zarr", "ngio", "pandas", "pyarrow", "scipy", "skimage", "sklearn",
         "matplotlib", "jinja2", "numpy", "pydantic")  # fmt: skip

LOADED = f"""
import sys
import omero_hcs
omero_hcs.__all__, dir(omero_hcs)
print([name for name in {HEAVY!r} if name in sys.modules])
"""


def test_the_names_are_those_that_were_promised():
    assert omero_hcs.__all__ == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_name_loads_and_is_documented(name):
    value = getattr(omero_hcs, name)
    assert callable(value)  # and no package of the same name, which an import would put there
    assert value.__doc__


def test_dir_lists_them_for_completion():
    assert set(PUBLIC) <= set(dir(omero_hcs))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = omero_hcs.nope


def test_importing_the_package_loads_nothing_heavy():
    told = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, timeout=120
    )
    assert told.stdout.strip() == "[]"

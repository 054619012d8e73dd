"""Opening a store by its address alone."""

from __future__ import annotations

import subprocess
import sys

import pytest

from omero_hcs.errors import PlateNotFoundError
from omero_hcs.model import StoreSpec
from omero_hcs.stores.folder import FolderStore
from omero_hcs.stores.memory import MemoryStore
from omero_hcs.stores.ome_zarr.store import OmeZarrStore
from omero_hcs.stores.open import open_store


@pytest.mark.parametrize(
    ("fixture", "kind"),
    [
        ("memory_home", MemoryStore),
        ("ome_zarr_home", OmeZarrStore),
        ("folder_home", FolderStore),
    ],
)
def test_the_address_says_which_store_it_is(request, fixture, kind):
    home = request.getfixturevalue(fixture)
    for where in (home.store.spec, home.store.spec.uri):
        store = open_store(where)
        assert type(store) is kind
        assert store.refs() == home.store.refs()


def test_a_path_and_a_spec_open_the_same(written_plate):
    assert open_store(written_plate).refs() == open_store(StoreSpec(uri=str(written_plate))).refs()


def test_a_plate_of_the_older_format_is_known_by_its_files(tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / ".zgroup").write_text('{"zarr_format": 2}')
    (tmp_path / "old" / ".zattrs").write_text(
        '{"plate": {"rows": [], "columns": [], "wells": [], "version": "0.4"}}'
    )
    assert type(open_store(tmp_path / "old")) is OmeZarrStore


@pytest.mark.parametrize("where", ["nowhere.zarr", "memory:nowhere"])
def test_what_is_not_there_is_told_by_its_address(where):
    with pytest.raises(PlateNotFoundError, match=where):
        open_store(where)


def test_choosing_a_store_loads_no_other(memory_home):
    script = (
        "import sys; from omero_hcs.stores import open, base; "
        "print({'zarr', 'ngio', 'tifffile', 'pyarrow', 'scipy', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"

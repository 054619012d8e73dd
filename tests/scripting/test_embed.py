"""Embed_Plate, run by the real processor: features in one table, and nothing else of their size."""

from __future__ import annotations

import contextlib
import gzip
from types import SimpleNamespace

import pytest

pytest.importorskip("torch", reason="the extra 'ml' is not installed")

import ezomero
from omero import grid
from omero.rtypes import unwrap

from omero_hcs.errors import InputError
from omero_hcs.model import StoreSpec
from omero_hcs.results import Table
from omero_hcs.sandbox.importer import import_plate
from omero_hcs.sandbox.sources import SimulatedSource
from omero_hcs.scripting import model_or_none
from omero_hcs.settings import Settings
from omero_hcs.simulate.design import SimulationSettings
from omero_hcs.stores.omero.login import Login
from omero_hcs.stores.omero.session import Session
from omero_hcs.stores.omero.store import OmeroStore

TINY = SimulationSettings(wells=6, fields=1, size_y=128, size_x=128, seed=5, density=80)


@pytest.fixture
def plates(script_user, script_connect):
    """Two plates of six small fields each, and who owns them."""
    conn = script_connect(script_user)
    numbers = []
    for _ in range(2):
        with SimulatedSource(settings=TINY) as source:
            numbers.append(import_plate(conn, source, screen="Screen").plate)
    return SimpleNamespace(conn=conn, numbers=numbers, user=script_user)


@pytest.fixture
def store_of(plates, script_server):
    """Open a plate as its owner: ``store_of(number)``."""
    with contextlib.ExitStack() as stack:

        def open_plate(number):
            login = Login(
                script_server.host, script_server.port, plates.user.name, plates.user.password
            )
            spec = StoreSpec(
                uri=f"omero://{script_server.host}:{script_server.port}/plate/{number}"
            )
            made = OmeroStore(spec, session=Session(login), settings=Settings())
            return stack.enter_context(contextlib.closing(made))

        yield open_plate


def attached(conn, number, namespace):
    ids = ezomero.get_file_annotation_ids(conn, "Plate", number, ns=namespace)
    return {
        note.getFile().getName(): note
        for note in (conn.getObject("FileAnnotation", one) for one in ids)
    }


def test_each_plate_gets_its_cells_once_with_their_features_and_its_wells_profiles(
    plates, store_of, click
):
    conn = plates.conn
    said = click(conn, "Embed_Plate", Data_Type="Plate", IDs=plates.numbers)
    assert said.code == 0, (said.message, said.error)
    assert "cells" in said.message
    assert "tf_efficientnet_lite0" in said.message
    for number in plates.numbers:
        store = store_of(number)
        (run,) = store.runs(store.refs()[0])
        cells = Table.from_parquet(store.fetch(run["run_id"], "embeddings.parquet"))
        fields = Table.from_parquet(store.fetch(run["run_id"], "fields.parquet"))
        assert set(cells["plate"].tolist()) == {str(number)}
        assert len(fields) == 6
        assert cells["features"].shape[1] == 1472
        (name, table), *more = attached(conn, number, "omero-hcs/table").items()
        assert (name, more) == (f"omero-hcs-embeddings-{run['run_id']}.h5", [])
        files = attached(conn, number, "omero-hcs/file")
        profiles = files[f"profiles-{run['run_id']}.csv.gz"]
        text = gzip.decompress(b"".join(profiles.getFileInChunks())).decode()
        assert len(text.splitlines()) == 1 + len(set(cells["well"].tolist()))
        assert profiles.getFile().getMimetype() == "application/gzip"
        sizes = {name: note.getFile().getSize() for name, note in files.items()}
        assert sizes[f"omero-hcs-{run['run_id']}.zip"] < cells["features"].nbytes / 10
        check_heads(conn, table, cells)


def check_heads(conn, note, cells):
    """A program of OMERO's sees ids, and one column of features."""
    resources = conn.c.sf.sharedResources()
    table = resources.openTable(note.getFile()._obj, {"omero.group": "-1"})
    heads = {head.name: head for head in table.getHeaders()}
    rows = table.getNumberOfRows()
    table.close()
    assert rows == len(cells)
    assert isinstance(heads["features"], grid.FloatArrayColumn)
    assert isinstance(heads["Well"], grid.WellColumn)


def test_the_dialog_lists_encoders_and_that_no_model_is_needed(plates):
    service = plates.conn.getScriptService()
    found = service.getParams(service.getScriptID("/hcs/Embed_Plate.py"))
    assert unwrap(found.inputs["Encoder"].values)[0] == "tf_efficientnet_lite0"
    assert unwrap(found.inputs["As_Model"].values)[0] == "no model - use Encoder"


def test_no_model_is_none_and_any_other_must_be_one():
    assert model_or_none.chosen("no model - use Encoder") is None
    assert model_or_none.chosen("omero:57 u2os (2026-11-20, ada)") == "omero:57"
    with pytest.raises(InputError, match="no quality model"):
        model_or_none.chosen("../../etc/passwd")

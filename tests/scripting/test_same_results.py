"""The same plate gives the same cells whoever asks: a script, the command line, Python."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'ml' is not installed")

from omero.rtypes import unwrap

import omero_hcs
from omero_hcs.results import Table
from omero_hcs.sandbox.importer import import_plate
from omero_hcs.sandbox.sources import SimulatedSource
from omero_hcs.settings import Settings
from omero_hcs.simulate.design import SimulationSettings
from omero_hcs.stores.open import open_store
from omero_hcs.tasks.truth import draw_labels
from tests.omero_fixtures import let_in

COMMAND = (sys.executable, "-c", "from omero_hcs.cli.main import main; main()")
PLATE = SimulationSettings(wells=6, fields=1, size_y=192, size_x=192, seed=5, density=70)
TABLES = {"crop_cells": "cells", "apply_qc": "cells", "embed_cells": "embeddings"}
SCRIPTS = {
    "crop_cells": "Crop_Single_Cells",
    "apply_qc": "Check_Plate_Quality",
    "embed_cells": "Embed_Plate",
}
VERBS = {"crop_cells": "crop", "apply_qc": "apply-qc", "embed_cells": "embed"}
TITLES = {"apply_qc": "Model", "embed_cells": "As_Model"}


@pytest.fixture(scope="module")
def plate(script_people, script_server, tmp_path_factory):
    """A simulated plate on a server, some of its cells labelled, and the way in of its owner."""
    folder = tmp_path_factory.mktemp("same")
    user = script_people.make_user(script_people.make_group("read-annotate"))
    conn = script_people.connect(user)
    with SimulatedSource(settings=PLATE) as source:
        number = import_plate(conn, source, screen="Screen").plate
        labels = draw_labels(
            source.truth, plate=str(number), each=8, rng=np.random.default_rng(0), visible=0.3
        )
    (folder / "labels.csv").write_text(labels.to_csv())
    with pytest.MonkeyPatch.context() as patch, contextlib.closing(conn):
        let_in(patch, user, folder)
        uri = f"omero://{script_server.host}:{script_server.port}/plate/{number}"
        settings = Settings(state_dir=folder / "python", models_dir=folder / "models")
        yield SimpleNamespace(conn=conn, number=number, uri=uri, settings=settings, folder=folder)


@pytest.fixture(scope="module")
def model(plate):
    """A model of these cells, attached to the plate: "omero:57"."""
    labels = str(plate.folder / "labels.csv")
    taught = omero_hcs.train_qc(
        plate.uri, labels=labels, name="same", upload=True, settings=plate.settings
    )
    return taught.summary["in OMERO"]


def by_script(plate, task, model, click):
    given = {TITLES[task]: in_list(plate, task, model)} if model else {}
    said = click(plate.conn, SCRIPTS[task], Data_Type="Plate", IDs=[plate.number], **given)
    assert said.code == 0, (said.message, said.error)


def in_list(plate, task, model):
    """The model as the dialog lists it."""
    service = plate.conn.getScriptService()
    inputs = service.getParams(service.getScriptID(f"/hcs/{SCRIPTS[task]}.py")).inputs
    return next(
        value for value in unwrap(inputs[TITLES[task]].values) if value.startswith(f"{model} ")
    )


def by_command(plate, task, model):
    given = ["--model", model] if model else []
    homes = {
        "OMERO_HCS_STATE_DIR": str(plate.folder / "command"),
        "OMERO_HCS_MODELS_DIR": str(plate.folder / "fetched"),
    }
    done = subprocess.run(
        [*COMMAND, VERBS[task], plate.uri, *given],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **homes},
    )
    assert done.returncode == 0, done.stderr


def by_python(plate, task, model):
    given = {"model": model} if model else {}
    getattr(omero_hcs, task)(plate.uri, settings=plate.settings, **given)


def new_cells(plate, task, known):
    """The cells of a task's run that is not among the known ones, of which it then is one."""
    with contextlib.closing(open_store(plate.uri)) as store:
        runs = [run["run_id"] for run in store.runs(store.refs()[0]) if run["task"] == task]
        (run,) = set(runs) - known
        known.add(run)
        return Table.from_parquet(store.fetch(run, f"{TABLES[task]}.parquet"))


@pytest.mark.parametrize(
    "task",
    [
        "crop_cells",
        pytest.param("apply_qc", marks=pytest.mark.slow),
        pytest.param("embed_cells", marks=pytest.mark.slow),
    ],
)
def test_the_same_cells_in_the_same_order_with_the_same_numbers(plate, click, task, request):
    model = request.getfixturevalue("model") if task in TITLES else None
    known = set()
    by_script(plate, task, model, click)
    first = new_cells(plate, task, known)
    assert len(first) > 30
    by_command(plate, task, model)
    same(first, new_cells(plate, task, known))
    by_python(plate, task, model)
    same(first, new_cells(plate, task, known))


def same(first, other):
    """Rows, their order and ids are equal; what an encoder made is within 1e-4."""
    assert list(other.columns) == list(first.columns)
    for name, values in first.columns.items():
        if name == "features":
            np.testing.assert_allclose(other[name], values, rtol=1e-4, atol=1e-5)
        elif name in ("abnormal", "novelty", "why_1_similarity") or name.startswith("p_"):
            np.testing.assert_allclose(other[name], values, atol=1e-4)
        else:
            np.testing.assert_array_equal(other[name], values)

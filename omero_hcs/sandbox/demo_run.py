"""The demonstration on the sandbox: a colleague draws, and two scripts teach a model and judge.

Everything is done as people do it in OMERO.web: the regions are drawn over OMERO's API, and the
scripts are run by OMERO's own processor.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from omero_hcs.errors import SandboxError
from omero_hcs.jobs.ledger import Ledger, RunRecord
from omero_hcs.model import StoreSpec
from omero_hcs.results import Table
from omero_hcs.sandbox.clicks import choose, press
from omero_hcs.sandbox.demo import COLLEAGUE, Demo, add_colleague, connect, fill
from omero_hcs.sandbox.labelling import draw_regions
from omero_hcs.sandbox.launch import Sandbox
from omero_hcs.sandbox.sources import SimulatedSource
from omero_hcs.simulate.design import SimulationSettings
from omero_hcs.stores.omero.session import Session
from omero_hcs.stores.omero.store import OmeroStore
from omero_hcs.tasks.base import Progress, no_progress
from omero_hcs.tasks.demo import LABELS_EACH, MODEL, against_truth, lines_of, worst_wells
from omero_hcs.tasks.truth import draw_labels

REPORT = "report.html"
_TRAIN, _CHECK = "/hcs/Train_Quality_Model.py", "/hcs/Check_Plate_Quality.py"
_STAGES = {"train_qc": "training", "apply_qc": "judging fields"}
# Each stain alone and kNN: see `tasks.demo`.
_TEACHING = {
    "Model_Name": MODEL, "Labels": "roi", "More_Settings": True, "Head": "knn", "Recipe": "concat",
}  # fmt: skip


@dataclass(frozen=True)
class ServerDemo:
    """What was done on the server, where the report is, and lines that say what came out."""

    plate: Demo
    report: Path
    lines: tuple[str, ...]
    colleague: str


def run_on_server(
    sandbox: Sandbox,
    processor: Path,
    folder: Path,
    *,
    simulation: SimulationSettings | None = None,
    progress: Progress = no_progress,
) -> ServerDemo:
    """Fill a sandbox with a plate, have a colleague label it, teach a model, judge the plate.

    Parameters
    ----------
    sandbox : Sandbox
        A running one that has our scripts.
    processor : Path
        HOME of its scripts.
    folder : Path
        Where a copy of the report goes.
    simulation : SimulationSettings, optional
        96 wells with one field each by default.
    progress : callable
        See `tasks.base.Progress`.

    Raises
    ------
    SandboxError
        If a script fails; the message is the script's.
    """
    simulation = simulation or SimulationSettings(wells=96, fields=1)
    with contextlib.closing(SimulatedSource(settings=simulation)) as source:
        demo = fill(sandbox, source, progress)
        truth = source.truth
    if demo.plate is None:
        msg = "The sandbox has no plate: its user has deleted it."
        raise SandboxError(msg)
    rng = np.random.default_rng(simulation.seed)
    labels = draw_labels(truth, plate=str(demo.plate), each=LABELS_EACH, rng=rng)
    with contextlib.closing(connect(sandbox, add_colleague(sandbox))) as colleague:
        drawn = draw_regions(colleague, demo.plate, labels)
        progress(f"{colleague.getUser().getName()} draws regions", drawn, drawn)
    with contextlib.closing(connect(sandbox, demo.user)) as conn:
        user = _User(conn, processor, demo.plate, progress)
        trained = user.run("train_qc", _TRAIN, _TEACHING)
        taught = trained.summary["summary"]
        model = choose(conn, _CHECK, "Model", f"{taught['in OMERO']} ")
        judged = user.run("apply_qc", _CHECK, {"Model": model})
        cells, wells = _fetched(conn, demo.plate, judged.spec.run_id, folder)
    lines = (
        *lines_of(taught, judged.summary["summary"]),
        against_truth(cells, truth, labels),
        worst_wells(wells),
    )
    return ServerDemo(demo, folder / REPORT, lines, COLLEAGUE)


@dataclass(frozen=True)
class _User:
    """Who clicks on the scripts of one plate."""

    conn: Any
    processor: Path
    plate: int
    progress: Progress

    def run(self, task: str, script: str, given: Mapping[str, Any]) -> RunRecord:
        """Run a script over the plate, and look up in the processor's ledger what it came to."""
        inputs = {"Data_Type": "Plate", "IDs": [self.plate], **given}
        said = press(self.conn, script, inputs, meanwhile=lambda: self._look(task))
        record = self._look(task)
        if said.code or record is None:
            msg = f"{script} failed: {said.message}"
            raise SandboxError(msg)
        return record

    def _look(self, task: str) -> RunRecord | None:
        """Find the latest run of a task, and show how far it is."""
        file = next(self.processor.rglob("ledger.db"), None)
        if file is None:
            return None
        with contextlib.closing(Ledger(file)) as ledger:
            record = next((run for run in ledger.runs(limit=1) if run.spec.task == task), None)
            if record:
                states = ledger.counts(record.spec.run_id)
                self.progress(_STAGES[task], states.get("done", 0), sum(states.values()))
        return record


def _fetched(conn: Any, plate: int, run_id: str, folder: Path) -> tuple[Table, Table]:
    """Fetch what a check attached: its report into a folder; cells and wells as tables."""
    session = Session.of_client(conn.c)
    spec = StoreSpec(uri=f"omero://{session.server}/plate/{plate}")
    store = OmeroStore(spec, session=session)
    (folder / REPORT).write_bytes(store.fetch(run_id, REPORT))
    cells, wells = (
        Table.from_parquet(store.fetch(run_id, f"{name}.parquet")) for name in ("cells", "wells")
    )
    return cells, wells

"""Make the reports of quality runs again from what they stored: `omero-hcs report`."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from omero_hcs.model import ObjectRef, Screen
from omero_hcs.results import ResultFile, Results
from omero_hcs.stores.base import PlateStore
from omero_hcs.stores.open import Opener, open_store
from omero_hcs.tasks.base import InDialog, Progress, layout_of, no_progress
from omero_hcs.tasks.keeping import refuse_unwritable, screens_of
from omero_hcs.tasks.outcome import RUN_FILE
from omero_hcs.tasks.quality_runs import quality_runs, run_tables
from omero_hcs.tasks.report_homes import KeptReports, ReportFolder


class Params(BaseModel):
    """Make the report of a quality run again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: Annotated[str | None, InDialog()] = Field(
        default=None, description="Which quality run; the latest one of each plate by default."
    )


@dataclass(frozen=True)
class PlateReport:
    """The report of one plate or image set: which run it is about, and what that came to.

    `abnormal` is a share from 0 to 1, NaN where nothing was judged; `failed` counts fields.
    """

    target: ObjectRef
    name: str
    run_id: str
    fields: int
    failed: int
    cells: int
    abnormal: float


@dataclass(frozen=True)
class MadeReport:
    """Which run the reports are about, and where their pages and pictures are.

    `run_id` is the latest of several; `places` begins with those of overviews of screens. `kept`
    names files of a run that were changed since, and so were not made again. `without` names
    plates that have no quality run.
    """

    run_id: str
    places: tuple[str, ...]
    kept: tuple[str, ...] = ()
    plates: tuple[PlateReport, ...] = ()
    screens: tuple[Screen, ...] = ()
    without: tuple[str, ...] = ()


def make_report(
    where: str | Path,
    run_id: str | None = None,
    *,
    output: str | Path | None = None,
    progress: Progress = no_progress,
    opener: Opener = open_store,
) -> MadeReport:
    """Make the reports of quality runs again, from their stored tables and the plates' pixels.

    Each plate has one; a screen gets an overview of its plates. A report of somebody else's run
    stands beside theirs, as a run of one's own that can be undone.

    Parameters
    ----------
    where : str or Path
        The plates or image folder.
    run_id : str, optional
        The run; the latest quality run of each plate by default.
    output : str or Path, optional
        Folder for pages and pictures, one more for each plate if there are several; by default
        they replace those of the run.
    progress : callable
        See `tasks.base.Progress`.
    opener : callable
        Opens the store; see `driver.run_task`.

    Raises
    ------
    RunNotFoundError
        If there is no such run, or no quality run at all.
    NotAllowedError
        If they could not be kept; nothing was read then.
    WriteError
        If the files cannot be written.
    """
    with contextlib.closing(opener(where)) as store:
        found = quality_runs(store, run_id, str(where))
        if output is not None:
            home = ReportFolder(store, Path(output), several=len(found) > 1)
            return _Reports(store, found, home, progress).make()
        refuse_unwritable(store, [*found, *(screen.ref for screen in screens_of(store))])
        return _Reports(store, found, KeptReports(store), progress).make()


class _Reports:
    """Makes the reports of some targets, then the overviews of their screens."""

    def __init__(
        self,
        store: PlateStore,
        found: dict[ObjectRef, dict[str, Any]],
        home: KeptReports | ReportFolder,
        progress: Progress,
    ) -> None:
        self._store, self._found, self._home, self._progress = store, found, home, progress

    def make(self) -> MadeReport:
        from omero_hcs.tasks.screen_overview import PlateResults, overview_files

        plates: list[PlateReport] = []
        told: dict[str, PlateResults] = {}
        for target, run in self._found.items():
            if next(layout_of(self._store, target).sites(), None) is None:
                continue
            results = self._results(target, run)
            page = self._home.keep(results, run)
            run_id = str(run["run_id"])
            told[target.id] = PlateResults(run_id, results.tables, page, _verdict(results))
            plates.append(_described(self._store, results, run_id))
        screens = screens_of(self._store)
        for screen in screens:
            self._progress("drawing the overview", len(plates), len(plates))
            self._home.keep_overview(screen, overview_files(self._store, screen, told), self._found)
        names = [
            layout_of(self._store, target).name
            for target in self._store.refs()
            if target not in self._found
        ]
        newest = max(str(run["run_id"]) for run in self._found.values())
        places = (*self._home.overviews, *self._home.places)
        return MadeReport(
            newest, places, tuple(self._home.kept), tuple(plates), screens, tuple(names)
        )

    def _results(self, target: ObjectRef, run: dict[str, Any]) -> Results:
        from omero_hcs.tasks.qc_results import qc_results

        tables, content = run_tables(self._store, target, str(run["run_id"]))
        record = ResultFile(RUN_FILE, "application/json", content)
        return qc_results(self._store, target, tables, record, self._progress)


def _verdict(results: Results) -> str:
    """Read the verdict on a plate from the run's record; "" where an older release made it."""
    record = next(file.content for file in results.files if file.name == RUN_FILE)
    return str((json.loads(record).get("plate") or {}).get("verdict", ""))


def _described(store: PlateStore, results: Results, run_id: str) -> PlateReport:
    fields = results.tables["fields"]
    read = fields.where(fields["status"] == "done")
    judged = read.where(read["finding"] == "") if len(read) else read
    cells = int(judged["cells"].sum()) if len(judged) else 0
    share = np.nan_to_num(judged["abnormal_fraction"]) * judged["cells"] if cells else np.zeros(0)
    return PlateReport(
        target=results.target,
        name=layout_of(store, results.target).name,
        run_id=run_id,
        fields=len(fields),
        failed=len(fields) - len(read),
        cells=cells,
        abnormal=float(share.sum() / cells) if cells else float("nan"),
    )

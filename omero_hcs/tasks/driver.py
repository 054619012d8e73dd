"""The driver: plans a run, has an engine work it off, writes what it came to.

The ledger is the source of truth: whatever dies, asking for the same run again does only what is
missing. Only the driver writes to the store, and only the driver opens the ledger.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import itertools
import logging
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

from omero_hcs import lazy
from omero_hcs.errors import HcsError, NotAllowedError, RunNotFoundError
from omero_hcs.jobs.base import ATTEMPTS, Engine, RunStatus
from omero_hcs.jobs.hold import held
from omero_hcs.jobs.identity import file_sha256, new_run_id, run_key
from omero_hcs.jobs.ledger import Ledger
from omero_hcs.jobs.parts import Parts
from omero_hcs.jobs.specfile import write_spec
from omero_hcs.logs import log_to
from omero_hcs.model import RunSpec, StoreSpec, Unit
from omero_hcs.results import Results, UnitResult, WriteReport
from omero_hcs.settings import Settings, load_settings
from omero_hcs.stores.base import PlateStore
from omero_hcs.stores.open import Opener, open_store
from omero_hcs.tasks.base import (
    TASKS,
    Fingerprint,
    Outcome,
    Progress,
    Request,
    Task,
    TaskParams,
    no_progress,
)
from omero_hcs.tasks.ending import ended_in_order, result_line
from omero_hcs.tasks.estimate import Guard
from omero_hcs.tasks.keeping import is_still_there, kept_with, refuse_unwritable, writes_to_store
from omero_hcs.tasks.run_board import RunTeller, teller_of

logger = logging.getLogger(__name__)

_ENGINES = {"local": "omero_hcs.jobs.local:LocalEngine"}

_STAGES = {
    "crop_cells": "cropping fields",
    "train_qc": "training",
    "apply_qc": "judging fields",
    "embed_cells": "embedding fields",
}
"""What a progress bar calls the work on a task's units."""


@dataclass(frozen=True)
class RunOutcome:
    """What became of a request.

    `how` says whether the run was new, resumed after an interruption, or answered from the record
    of an earlier, finished run. `failed` has (unit, reason) of what the run went on without.
    `kept` has places of results that a user changed and that were left as they are; the summary's
    warnings name them too.
    """

    run_id: str
    task: str
    status: RunStatus
    how: Literal["new", "resumed", "answered"]
    summary: Mapping[str, Any] = field(default_factory=dict)
    places: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    kept: tuple[str, ...] = ()
    log: str = ""
    seconds: float = 0.0


def package_version() -> str:
    """Version of the installed package."""
    return importlib.metadata.version("omero-hcs")


def load_task(name: str) -> Task:
    """Find the module of a task by its name."""
    return cast("Task", lazy.load(TASKS[name]))


def open_ledger(settings: Settings) -> Ledger:
    """Open the ledger of this installation; the caller closes it."""
    return Ledger(settings.state_dir / "ledger.db")


def request_key(
    name: str, params: TaskParams, store: PlateStore, request: Request, marks: Fingerprint
) -> str:
    """Key of a request: the same for the same task, objects, parameters, model and labels."""
    asked = {
        "task": name,
        "store": store.spec.uri,
        "objects": [target.model_dump() for target in request.targets],
        "params": params.model_dump(mode="json"),
        "model": marks.model.sha256 if marks.model else None,
        "labels": marks.labels_sha256,
        "version": package_version(),
    }
    return run_key({**asked, **marks.more})


def run_task(  # noqa: PLR0913  (each one is a choice of the caller's)
    name: str,
    where: str | Path | StoreSpec,
    params: TaskParams,
    *,
    settings: Settings | None = None,
    again: bool = False,
    progress: Progress = no_progress,
    opener: Opener = open_store,
    guard: Guard | None = None,
) -> RunOutcome:
    """Run a task over the plates or images that a URI names.

    Parameters
    ----------
    name : str
        A key of `tasks.base.TASKS`.
    where : str, Path or StoreSpec
        The plate or image folder.
    params : TaskParams
        The task's own `Params`.
    settings : Settings, optional
        Those of the installation by default.
    again : bool
        Make a new run even if the same request was answered before; its results replace the old.
    progress : callable
        See `tasks.base.Progress`.
    opener : callable
        Opens stores, in the worker too; within a script, by the script's session.
    guard : callable, optional
        Looks at a new run once it is planned, and raises where it should not start.

    Returns
    -------
    RunOutcome

    Raises
    ------
    RunBusyError
        If another process is working on the same request.
    NotAllowedError
        If the results could not be kept; nothing was read then.
    ServerLostError
        If the server went away; the same request goes on where it was.
    HcsError
        For whatever makes the run impossible; what was done before is kept and resumed.
    """
    settings = settings or load_settings().values
    with (
        contextlib.closing(opener(absolute(where))) as store,
        contextlib.closing(open_ledger(settings)) as ledger,
    ):
        run = _Run(load_task(name), name, params, store, ledger, settings, progress, opener, guard)
        return run.go(again=again)


def absolute(where: str | Path | StoreSpec) -> str | StoreSpec:
    """Give a folder by its absolute path, so that the same plate is the same run from anywhere."""
    if isinstance(where, StoreSpec):
        return where
    return str(Path(where).resolve()) if Path(where).exists() else str(where)


@dataclass(frozen=True)
class _Run:
    """One request on its way through plan, work and finish."""

    task: Task
    name: str
    params: TaskParams
    store: PlateStore
    ledger: Ledger
    settings: Settings
    progress: Progress
    opener: Opener
    guard: Guard | None = None
    kept: list[str] = field(default_factory=list)
    """Places that a user changed, and that were therefore not written or removed."""
    notes: list[str] = field(default_factory=list)
    """What else the store told of its writing."""
    own_files: list[str] = field(default_factory=list)
    """Files that the task wrote itself, outside the store, where another run may replace them."""

    def go(self, *, again: bool) -> RunOutcome:
        started = time.monotonic()
        request = Request(self.store.refs(), self.settings, self.progress)
        marks = self.task.fingerprint(self.store, self.params, request)
        key = request_key(self.name, self.params, self.store, request, marks)
        answer = None if again else self._answer(key)
        if answer:
            return answer
        with held(self.settings.state_dir, key, what="The same request"):
            # Another process may have answered it between the look and the lock.
            answer = None if again else self._answer(key)
            return answer or self._run(key, marks, request, again=again, started=started)

    def _answer(self, key: str) -> RunOutcome | None:
        """Answer from the record of a run that is done, while all that it made is there."""
        record = self.ledger.find(key)
        if record is None or record.status != "done" or not is_still_there(self.store, record):
            return None
        return RunOutcome(
            run_id=record.spec.run_id,
            task=self.name,
            status=record.status,
            how="answered",
            summary=record.summary.get("summary", {}),
            places=tuple(record.summary.get("places", ())),
        )

    def _run(
        self, key: str, marks: Fingerprint, request: Request, *, again: bool, started: float
    ) -> RunOutcome:
        earlier = self.ledger.find(key)
        resumed = earlier is not None and earlier.status != "done" and not again
        writes = writes_to_store(self.name, self.params)
        if writes:
            refuse_unwritable(self.store, kept_with(self.name, self.store, request.targets))
        run_id = earlier.spec.run_id if earlier and resumed else new_run_id()
        log = self.settings.state_dir / "logs" / f"{run_id}.jsonl"
        model = marks.model.name if marks.model else ""
        told = teller_of(self.store, run_id, request, task=self.name, model=model, posts=writes)
        with log_to(log, level=self.settings.log_level), told.going_on():
            spec = earlier.spec if earlier and resumed else self._plan(key, marks, request, told)
            outcome, status = self._execute(spec, told)
        return RunOutcome(
            run_id=spec.run_id,
            task=self.name,
            status=status,
            how="resumed" if resumed else "new",
            summary=outcome.summary,
            places=outcome.places,
            failed=self._failed(spec.run_id),
            kept=tuple(self.kept),
            log=str(log),
            seconds=time.monotonic() - started,
        )

    def _plan(self, key: str, marks: Fingerprint, request: Request, told: RunTeller) -> RunSpec:
        plan = self.task.plan(self.store, self.params, replace(request, progress=told.step))
        run_id = told.note.run_id
        spec = RunSpec(
            run_id=run_id,
            key=key,
            task=self.name,
            store=self.store.spec,
            targets=request.targets,
            params=self.params.model_dump(mode="json"),
            context=dict(plan.context),
            model=marks.model,
            labels_sha256=marks.labels_sha256,
            package_version=package_version(),
            work_dir=str(self.settings.state_dir / "runs" / run_id),
        )
        if self.guard is not None:
            self.guard(self.task, self.store, spec, plan.units)
        write_spec(spec, plan.units)
        self.ledger.add(spec, plan.units)
        return spec

    def _execute(self, spec: RunSpec, told: RunTeller) -> tuple[Outcome, RunStatus]:
        self.ledger.start(spec.run_id)
        with ended_in_order(self.ledger, told):
            self._work(spec, told)
            outcome = self._finish(spec, told)
            status: RunStatus = "partial" if self._failed(spec.run_id) else "done"
            self._replace_older(spec, status)
        outcome = self._with_kept(outcome)
        record = {
            "summary": dict(outcome.summary),
            "places": list(outcome.places),
            "sha256": {place: file_sha256(Path(place)) for place in self.own_files},
        }
        self.ledger.end(spec.run_id, status, summary=record)
        failed = len(self._failed(spec.run_id))
        told.end("partial" if failed else "done", told.note.result, failed=failed)
        return outcome, status

    def _work(self, spec: RunSpec, told: RunTeller) -> None:
        engine = cast("Engine", lazy.load(_ENGINES[self.settings.engine])(opener=self.opener))
        total, stage = len(self.ledger.units(spec.run_id)), _STAGES.get(self.name, "working")
        for _ in range(ATTEMPTS):
            pending = self.ledger.pending(spec.run_id)
            if not pending:
                return
            done, failed = total - len(pending), 0
            told.count(stage, done, total)
            by_id = {unit.id: unit for unit in pending}
            with contextlib.closing(_results(engine, spec, pending)) as results:
                for result in results:
                    is_done = self._record(spec, by_id, result)
                    done, failed = done + is_done, failed + (not is_done)
                    told.count(stage, done, total, failed=failed)

    def _record(self, spec: RunSpec, units: Mapping[str, Unit], result: UnitResult) -> bool:
        """Write what one unit came to, then note it in the ledger; True when it is done."""
        if result.status == "done":
            results = self.task.unit_results(spec, units[result.unit], result)
            if results is not None:
                self._write(results)
        else:
            logger.warning(
                "Unit failed: %s", result.reason, extra={"run": spec.run_id, "unit": result.unit}
            )
        self.ledger.end_unit(
            spec.run_id, result.unit, result.status, reason=result.reason, seconds=result.seconds
        )
        return result.status == "done"

    def _finish(self, spec: RunSpec, told: RunTeller) -> Outcome:
        records = self.ledger.units(spec.run_id)
        if not any(record.status == "done" for record in records):
            causes = sorted({record.reason or "never finished" for record in records})
            msg = f"Every one of {len(records)} units failed. Reasons: {'; '.join(causes[:5])}"
            raise HcsError(msg)
        reasons = {record.unit.id: record.reason or "" for record in records}
        parts = Parts(Path(spec.work_dir), [record.unit for record in records], reasons)
        outcome = self.task.finish(self.store, spec, parts, told.step)
        told.come_to(result_line(outcome))
        self.own_files.extend(place for place in outcome.places if Path(place).is_file())
        every = itertools.chain(outcome.of_units, outcome.results, outcome.closing)
        places = dict.fromkeys(place for item in every for place in self._write(item))
        return replace(outcome, places=(*outcome.places, *places))

    def _write(self, results: Results) -> tuple[str, ...]:
        report = self.store.write(results)
        self._keep(report)
        return report.places

    def _keep(self, report: WriteReport) -> None:
        self.kept.extend(place for place in report.kept if place not in self.kept)
        self.notes.extend(note for note in report.notes if note not in self.notes)

    def _with_kept(self, outcome: Outcome) -> Outcome:
        """Tell the user what was left as somebody had changed it, and what the store told."""
        if not self.kept and not self.notes:
            return outcome
        told = [f"Left as it is, because it was changed by hand: {place}" for place in self.kept]
        told += self.notes
        warnings = [*outcome.summary.get("warnings", ()), *told]
        return replace(outcome, summary={**outcome.summary, "warnings": warnings})

    def _failed(self, run_id: str) -> tuple[tuple[str, str], ...]:
        """Units that are not done: those that failed, and those that an engine never gave back."""
        return tuple(
            (record.unit.id, record.reason or "never finished")
            for record in self.ledger.units(run_id)
            if record.status != "done"
        )

    def _replace_older(self, spec: RunSpec, status: RunStatus) -> None:
        """Undo what earlier runs of the same key left, but no whole one for one with gaps."""
        for target in spec.targets:
            for manifest in self.store.runs(target):
                older = str(manifest["run_id"])
                if manifest["key"] != spec.key or older == spec.run_id:
                    continue
                if status == "done" or not self._is_done(older):
                    self._replace(older, spec.run_id)

    def _replace(self, older: str, run_id: str) -> None:
        """Undo one run for another; one of another user's that may not be undone stays."""
        try:
            self._keep(self.store.undo(older))
        except NotAllowedError as error:
            note = f"The same request was run before, and its results stay: {error}"
            self.notes.extend({note} - set(self.notes))
        else:
            self.ledger.end(older, "undone", message=f"replaced by {run_id}")

    def _is_done(self, run_id: str) -> bool:
        try:
            return self.ledger.run(run_id).status == "done"
        except RunNotFoundError:  # made by another installation
            return True


def _results(
    engine: Engine, spec: RunSpec, units: Sequence[Unit]
) -> Generator[UnitResult, None, None]:
    """Make sure that the engine is told when the driver stops listening."""
    try:
        yield from engine.run(spec, units)
    except GeneratorExit:
        engine.cancel(spec.run_id)
        raise

"""The driver: plans a run, has an engine work it off, writes what it came to.

The ledger is the source of truth: whatever dies, asking for the same run again does only what is
missing. Only the driver writes to the store, and only the driver opens the ledger.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.metadata
import logging
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from omero_hcs import lazy
from omero_hcs.errors import HcsError, RunBusyError
from omero_hcs.jobs.base import ATTEMPTS, Engine, RunStatus
from omero_hcs.jobs.identity import new_run_id, run_key
from omero_hcs.jobs.ledger import Ledger, RunRecord
from omero_hcs.jobs.parts import Parts
from omero_hcs.jobs.specfile import write_spec
from omero_hcs.logs import log_to
from omero_hcs.model import RunSpec, StoreSpec, Unit
from omero_hcs.results import UnitResult, WriteReport
from omero_hcs.settings import Settings, load_settings
from omero_hcs.stores.base import PlateStore
from omero_hcs.stores.open import open_store
from omero_hcs.tasks.base import (
    TASKS,
    Outcome,
    Progress,
    Request,
    Task,
    TaskParams,
    no_progress,
)

logger = logging.getLogger(__name__)

_ENGINES = {"local": "omero_hcs.jobs.local:LocalEngine"}

_STAGES = {"crop_cells": "cropping fields", "train_qc": "training", "apply_qc": "judging fields"}
"""What a progress bar calls the work on a task's units."""


@dataclass(frozen=True)
class RunOutcome:
    """What became of a request.

    `how` says whether the run was new, resumed after an interruption, or answered from the record
    of an earlier, finished run. `failed` has (unit, reason) of what the run went on without.
    """

    run_id: str
    task: str
    status: RunStatus
    how: Literal["new", "resumed", "answered"]
    summary: Mapping[str, Any] = field(default_factory=dict)
    places: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
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


def run_task(
    name: str,
    where: str | Path | StoreSpec,
    params: TaskParams,
    *,
    settings: Settings | None = None,
    again: bool = False,
    progress: Progress = no_progress,
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

    Returns
    -------
    RunOutcome

    Raises
    ------
    HcsError
        For whatever makes the run impossible; what was done before is kept and resumed.
    """
    settings = settings or load_settings().values
    where = where if isinstance(where, StoreSpec) else _absolute(str(where))
    with (
        contextlib.closing(open_store(where)) as store,
        contextlib.closing(open_ledger(settings)) as ledger,
    ):
        return _Run(load_task(name), name, params, store, ledger, settings, progress).go(
            again=again
        )


def _absolute(uri: str) -> str:
    """Give a folder by its absolute path, so that the same plate is the same run from anywhere."""
    return str(Path(uri).resolve()) if Path(uri).exists() else uri


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

    def go(self, *, again: bool) -> RunOutcome:
        started = time.monotonic()
        targets = self.store.refs()
        request = Request(targets, self.settings, self.progress)
        marks = self.task.fingerprint(self.store, self.params, request)
        key = run_key(
            {
                "task": self.name,
                "store": self.store.spec.uri,
                "objects": [target.model_dump() for target in targets],
                "params": self.params.model_dump(mode="json"),
                "model": marks.model.sha256 if marks.model else None,
                "labels": marks.labels_sha256,
                "version": package_version(),
            }
        )
        earlier = self.ledger.find(key)
        if earlier and earlier.status == "done" and not again:
            return self._answer(earlier)
        how: Literal["new", "resumed"] = "new"
        if earlier and earlier.status != "done" and not again:
            spec, how = earlier.spec, "resumed"
        else:
            plan = self.task.plan(self.store, self.params, request)
            run_id = new_run_id()
            spec = RunSpec(
                run_id=run_id,
                key=key,
                task=self.name,
                store=self.store.spec,
                targets=targets,
                params=self.params.model_dump(mode="json"),
                context=dict(plan.context),
                model=marks.model,
                labels_sha256=marks.labels_sha256,
                package_version=package_version(),
                work_dir=str(self.settings.state_dir / "runs" / run_id),
            )
            write_spec(spec, plan.units)
            self.ledger.add(spec, plan.units)
        log = self.settings.state_dir / "logs" / f"{spec.run_id}.jsonl"
        with log_to(log, level=self.settings.log_level), _held(Path(spec.work_dir), spec.run_id):
            outcome, status = self._execute(spec)
            if again:
                self._replace_older(spec)
        return RunOutcome(
            run_id=spec.run_id,
            task=self.name,
            status=status,
            how=how,
            summary=outcome.summary,
            places=outcome.places,
            failed=self._failed(spec.run_id),
            log=str(log),
            seconds=time.monotonic() - started,
        )

    def _answer(self, record: RunRecord) -> RunOutcome:
        return RunOutcome(
            run_id=record.spec.run_id,
            task=self.name,
            status=record.status,
            how="answered",
            summary=record.summary.get("summary", {}),
            places=tuple(record.summary.get("places", ())),
            failed=self._failed(record.spec.run_id),
        )

    def _execute(self, spec: RunSpec) -> tuple[Outcome, RunStatus]:
        self.ledger.start(spec.run_id)
        try:
            self._work(spec)
            outcome = self._finish(spec)
        except KeyboardInterrupt:
            self.ledger.end(spec.run_id, "cancelled", message="stopped by the user")
            raise
        except Exception as error:
            logger.exception("The run failed.", extra={"run": spec.run_id})
            self.ledger.end(spec.run_id, "failed", message=str(error))
            raise
        failed = bool(self._failed(spec.run_id))
        status: RunStatus = "partial" if failed else "done"
        record = {"summary": dict(outcome.summary), "places": list(outcome.places)}
        self.ledger.end(spec.run_id, status, summary=record)
        return outcome, status

    def _work(self, spec: RunSpec) -> None:
        engine = cast("Engine", lazy.load(_ENGINES[self.settings.engine])())
        total, stage = len(self.ledger.units(spec.run_id)), _STAGES.get(self.name, "working")
        for _ in range(ATTEMPTS):
            pending = self.ledger.pending(spec.run_id)
            if not pending:
                return
            done = total - len(pending)
            self.progress(stage, done, total)
            with contextlib.closing(_results(engine, spec, pending)) as results:
                for result in results:
                    done += self._record(spec, pending, result)
                    self.progress(stage, done, total)

    def _record(self, spec: RunSpec, units: Sequence[Unit], result: UnitResult) -> bool:
        """Write what one unit came to, then note it in the ledger; True when it is done."""
        if result.status == "done":
            unit = next(unit for unit in units if unit.id == result.unit)
            results = self.task.unit_results(spec, unit, result)
            if results is not None:
                self.store.write(results)
        else:
            logger.warning(
                "Unit failed: %s", result.reason, extra={"run": spec.run_id, "unit": result.unit}
            )
        self.ledger.end_unit(
            spec.run_id, result.unit, result.status, reason=result.reason, seconds=result.seconds
        )
        return result.status == "done"

    def _finish(self, spec: RunSpec) -> Outcome:
        records = self.ledger.units(spec.run_id)
        if all(record.status == "failed" for record in records):
            causes = sorted({record.reason or "unknown" for record in records})
            msg = f"Every one of {len(records)} units failed. Reasons: {'; '.join(causes[:5])}"
            raise HcsError(msg)
        reasons = {record.unit.id: record.reason or "" for record in records}
        parts = Parts(Path(spec.work_dir), [record.unit for record in records], reasons)
        outcome = self.task.finish(self.store, spec, parts, self.progress)
        places = [place for item in outcome.results for place in self._write(item).places]
        return Outcome(outcome.results, outcome.summary, (*outcome.places, *places))

    def _write(self, results: Any) -> WriteReport:
        return self.store.write(results)

    def _failed(self, run_id: str) -> tuple[tuple[str, str], ...]:
        return tuple(
            (record.unit.id, record.reason or "unknown")
            for record in self.ledger.units(run_id)
            if record.status == "failed"
        )

    def _replace_older(self, spec: RunSpec) -> None:
        """Undo what earlier runs of the same key left, now that the new one is whole."""
        for target in spec.targets:
            for manifest in self.store.runs(target):
                if manifest["key"] == spec.key and manifest["run_id"] != spec.run_id:
                    self.store.undo(manifest["run_id"])
                    self.ledger.end(manifest["run_id"], "undone", message=f"by {spec.run_id}")


def _results(
    engine: Engine, spec: RunSpec, units: Sequence[Unit]
) -> Generator[UnitResult, None, None]:
    """Make sure that the engine is told when the driver stops listening."""
    try:
        yield from engine.run(spec, units)
    except GeneratorExit:
        engine.cancel(spec.run_id)
        raise


@contextlib.contextmanager
def _held(work_dir: Path, run_id: str) -> Iterator[None]:
    """Hold a run's folder, so that two processes never work on one run.

    Raises
    ------
    RunBusyError
        If another process holds it.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    with (work_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            msg = f"Run {run_id} is being worked on by another process. Wait for it, or stop it."
            raise RunBusyError(msg) from None
        yield

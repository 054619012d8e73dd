"""What a run would read and write, how long it would take, and what stands in its way.

A dry run checks and plans as a run does, then works off a sample of the fields. It writes nothing:
no results, no parts, no row in the ledger.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omero_hcs.errors import DataError, InputError, InputErrors, NotFoundError
from omero_hcs.jobs.ledger import Ledger
from omero_hcs.model import ObjectRef, Plate, RunSpec, StoreSpec, Unit
from omero_hcs.settings import Settings, load_settings
from omero_hcs.stores.base import PlateStore
from omero_hcs.stores.open import Opener, open_store
from omero_hcs.tasks.base import (
    Fingerprint,
    Plan,
    Progress,
    Request,
    Task,
    TaskParams,
    layout_of,
    no_progress,
)
from omero_hcs.tasks.driver import absolute, load_task, open_ledger, package_version, request_key
from omero_hcs.tasks.estimate import WHOLE, Sampled, sampled
from omero_hcs.tasks.keeping import is_still_there, kept_with, write_faults, writes_to_store
from omero_hcs.tasks.outcome import describe_survey
from omero_hcs.tasks.would_write import would_write

_OF_THE_REQUEST = (InputError, NotFoundError, DataError)


@dataclass(frozen=True)
class DryRun:
    """What a run would come to.

    `reads`, `found` and `writes` are in words, for people; `where` is the store that would keep
    results, empty where none does. `seconds` is an estimate of reading and judging every field on
    this machine, without writing; None where no sample was taken. `faults` are reasons why the run
    would not start; `failed` has (unit, reason) of fields of the sample.
    """

    task: str
    state: str
    objects: tuple[Mapping[str, Any], ...] = ()
    reads: Mapping[str, Any] = field(default_factory=dict)
    found: Mapping[str, Any] = field(default_factory=dict)
    writes: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""
    sampled: int = 0
    seconds: float | None = None
    faults: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()


def dry_run(
    name: str,
    where: str | Path | StoreSpec,
    params: TaskParams,
    *,
    settings: Settings | None = None,
    progress: Progress = no_progress,
    opener: Opener = open_store,
) -> DryRun:
    """Tell what `driver.run_task` would do, without writing anything.

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
    progress : callable
        See `tasks.base.Progress`.
    opener : callable
        Opens the store; see `run_task`.

    Raises
    ------
    InputErrors
        If the run could not be planned, with the objects that may not be written to.
    HcsError
        For whatever else makes the run impossible.
    """
    settings = settings or load_settings().values
    with contextlib.closing(opener(absolute(where))) as store:
        request = Request(store.refs(), settings, progress)
        writes = writes_to_store(name, params)
        faults = write_faults(store, kept_with(name, store, request.targets)) if writes else ()
        with _with_faults(faults):
            rehearsal = _Rehearsal(load_task(name), name, params, store, request)
            return rehearsal.tell(faults)


@contextlib.contextmanager
def _with_faults(faults: Sequence[str]) -> Any:
    """Tell what a plan failed of together with what may not be written."""
    try:
        yield
    except _OF_THE_REQUEST as error:
        if not faults:
            raise
        raise InputErrors([*faults, str(error)]) from error


@dataclass(frozen=True)
class _Rehearsal:
    """One request, planned and tried on a sample."""

    task: Task
    name: str
    params: TaskParams
    store: PlateStore
    request: Request

    def tell(self, faults: tuple[str, ...]) -> DryRun:
        marks = self.task.fingerprint(self.store, self.params, self.request)
        plan = self.task.plan(self.store, self.params, self.request)
        tried = self._try(marks, plan)
        results = tried.results
        survey = plan.context.get("survey", {})
        return DryRun(
            task=self.name,
            state=self._state(marks),
            objects=tuple(_describe(self.store, target) for target in self.request.targets),
            reads=_reads(plan.units) if self.name not in WHOLE else {},
            found=_found(marks, plan, survey),
            writes=would_write(self.name, self.params, plan, self.store, self.request),
            where=self.store.spec.uri if writes_to_store(self.name, self.params) else "",
            sampled=len(results),
            seconds=plan.context.get("seconds", tried.seconds),
            faults=faults,
            failed=tuple((r.unit, r.reason or "") for r in results if r.status != "done"),
            warnings=(*survey.get("warnings", ()), *plan.context.get("label_warnings", ())),
        )

    def _state(self, marks: Fingerprint) -> str:
        """Tell what is known of this very request; a ledger that is not there is not made."""
        settings = self.request.settings
        if not (settings.state_dir / "ledger.db").is_file():
            return "new"
        key = request_key(self.name, self.params, self.store, self.request, marks)
        with contextlib.closing(open_ledger(settings)) as ledger:
            return self._known(ledger, key)

    def _known(self, ledger: Ledger, key: str) -> str:
        record = ledger.find(key)
        if record is None:
            return "new"
        run = record.spec.run_id
        if record.status == "done":
            there = is_still_there(self.store, record)
            return f"answered from the record of run {run}" if there else "new"
        counts = Counter(unit.status for unit in ledger.units(run))
        return f"resumes run {run}, of which {counts['done']} of {counts.total()} units are done"

    def _try(self, marks: Fingerprint, plan: Plan) -> Sampled:
        """Work a sample off; of a task of one piece there is none."""
        units = () if self.name in WHOLE else plan.units
        with tempfile.TemporaryDirectory() as folder:
            spec = RunSpec(
                run_id="dry-run",
                key="",
                task=self.name,
                store=self.store.spec,
                targets=self.request.targets,
                params=self.params.model_dump(mode="json"),
                context=dict(plan.context),
                model=marks.model,
                labels_sha256=marks.labels_sha256,
                package_version=package_version(),
                work_dir=folder,
            )
            return sampled(self.task, self.store, spec, units, self.request.progress)


def _describe(store: PlateStore, target: ObjectRef) -> dict[str, Any]:
    layout = layout_of(store, target)
    told: dict[str, Any] = {"kind": target.kind, "id": target.id, "name": layout.name}
    if isinstance(layout, Plate):
        told["wells"] = sum(bool(well.fields) for well in layout.wells)
    return {**told, "images": sum(1 for _ in layout.sites())}


def _reads(units: Sequence[Unit]) -> dict[str, Any]:
    return {
        "fields": len({(unit.target.id, unit.image) for unit in units}),
        "planes": ", ".join(sorted({str(unit.z) for unit in units})[:8]),
        "time points": len({unit.t for unit in units}),
        "units": len(units),
    }


def _found(marks: Fingerprint, plan: Plan, survey: Mapping[str, Any]) -> dict[str, Any]:
    model = {"model": f"{marks.model.name} ({marks.model.sha256[:12]})"} if marks.model else {}
    classes = {"classes": plan.context["classes"]} if "classes" in plan.context else {}
    return {**(describe_survey(survey) if survey else {}), **model, **classes}

"""Finished quality runs of plates and image sets, and what they stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from omero_hcs.errors import RunNotFoundError
from omero_hcs.model import ObjectRef
from omero_hcs.results import Table
from omero_hcs.stores.base import PlateStore
from omero_hcs.tasks.outcome import RUN_FILE

JUDGED = "apply_qc"


def quality_runs(
    store: PlateStore, run_id: str | None, where: str
) -> dict[ObjectRef, dict[str, Any]]:
    """Find the latest quality run of each target that came to its end: its manifest.

    Parameters
    ----------
    store : PlateStore
        Where the targets are; those without such a run are left out.
    run_id : str or None
        The run; None takes the latest one of each.
    where : str
        What the user called the targets, for messages.

    Raises
    ------
    RunNotFoundError
        If none of them has one.
    """
    found = dict(_find(store, run_id))
    if not found:
        raise _not_found(store, run_id, where)
    return found


def run_tables(store: PlateStore, target: ObjectRef, run_id: str) -> tuple[dict[str, Table], bytes]:
    """Read the tables "cells", "fields" and, of a plate, "wells" of a run, and its `run.json`."""

    def fetch(name: str) -> bytes:
        return store.fetch(run_id, name, target=target)

    tables = {name: Table.from_parquet(fetch(f"{name}.parquet")) for name in ("cells", "fields")}
    if target.kind == "plate" and len(tables["fields"]):
        tables["wells"] = Table.from_parquet(fetch("wells.parquet"))
    return tables, fetch(RUN_FILE)


def _find(store: PlateStore, run_id: str | None) -> Iterator[tuple[ObjectRef, dict[str, Any]]]:
    for target in store.refs():
        runs = [run for run in store.runs(target) if run["task"] == JUDGED]
        wanted = (run for run in reversed(runs) if run_id in (None, run["run_id"]))
        run = next((run for run in wanted if _is_finished(store, run, target)), None)
        if run is not None:
            yield target, run


def _is_finished(store: PlateStore, run: dict[str, Any], target: ObjectRef) -> bool:
    try:
        store.fetch(str(run["run_id"]), RUN_FILE, target=target)
    except RunNotFoundError:
        return False
    return True


def _not_found(store: PlateStore, run_id: str | None, where: str) -> RunNotFoundError:
    known = {
        str(run["run_id"])
        for target in store.refs()
        for run in store.runs(target)
        if run["task"] == JUDGED
    }
    there = ", ".join(sorted(known))
    if not known:
        fault = "no quality run yet"
    elif run_id in (None, *known):
        fault = f"only quality runs that did not come to their end ({there})"
    else:
        fault = f"no quality run {run_id!r}. It has: {there}"
    return RunNotFoundError(f"{where} has {fault}. Make one with: omero-hcs apply-qc {where}")

"""Make the report of a quality run again from what it stored: `omero-hcs report`."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from omero_hcs.errors import RunNotFoundError, WriteError
from omero_hcs.model import ObjectRef
from omero_hcs.results import ResultFile, Table
from omero_hcs.stores.base import PlateStore
from omero_hcs.stores.open import Opener, open_store
from omero_hcs.tasks.base import InDialog, Progress, no_progress

RUN_FILE = "run.json"
JUDGED = "apply_qc"


class Params(BaseModel):
    """Make the report of a quality run again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: Annotated[str | None, InDialog()] = Field(
        default=None, description="Which quality run; the latest one of each plate by default."
    )


@dataclass(frozen=True)
class MadeReport:
    """Which run the report is about, and where its page and heat-map are.

    `kept` names files of the run that were changed since, and so were not made again.
    """

    run_id: str
    places: tuple[str, ...]
    kept: tuple[str, ...] = ()


def make_report(
    where: str | Path,
    run_id: str | None = None,
    *,
    output: str | Path | None = None,
    progress: Progress = no_progress,
    opener: Opener = open_store,
) -> MadeReport:
    """Make the report of a quality run again, from its stored tables and the plate's pixels.

    Parameters
    ----------
    where : str or Path
        The plate or image folder.
    run_id : str, optional
        The run; the latest quality run by default.
    output : str or Path, optional
        Folder for the page and the heat-map; by default they replace those of the run.
    progress : callable
        See `tasks.base.Progress`.
    opener : callable
        Opens the store; see `driver.run_task`.

    Raises
    ------
    RunNotFoundError
        If there is no such run, or no quality run at all.
    WriteError
        If the files cannot be written.
    """
    from omero_hcs.tasks.qc_results import qc_results

    with contextlib.closing(opener(where)) as store:
        target, found = _find(store, run_id, str(where))
        record = ResultFile(RUN_FILE, "application/json", store.fetch(found, RUN_FILE))
        names = ["cells", "fields", *(["wells"] if target.kind == "plate" else [])]
        tables = {name: Table.from_parquet(store.fetch(found, f"{name}.parquet")) for name in names}
        results = qc_results(store, target, tables, record, progress)
        if output is None:
            written = store.write(results)
            places = tuple(place for place in written.places if place.endswith((".html", ".png")))
            return MadeReport(found, places, written.kept)
        return MadeReport(found, _save(Path(output), results.files[1:]))


def _find(store: PlateStore, run_id: str | None, where: str) -> tuple[ObjectRef, str]:
    judged: list[tuple[ObjectRef, dict[str, Any]]] = [
        (target, manifest)
        for target in store.refs()
        for manifest in store.runs(target)
        if manifest["task"] == JUDGED
    ]
    for target, manifest in reversed(judged):
        if run_id in (None, manifest["run_id"]):
            return target, str(manifest["run_id"])
    known = ", ".join(str(manifest["run_id"]) for _, manifest in judged)
    fault = f"no quality run {run_id!r}. It has: {known}" if known else "no quality run yet"
    msg = f"{where} has {fault}. Make one with: omero-hcs apply-qc {where}"
    raise RunNotFoundError(msg)


def _save(folder: Path, files: Sequence[ResultFile]) -> tuple[str, ...]:
    places = [folder / file.name for file in files]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for place, file in zip(places, files, strict=True):
            place.write_bytes(file.content)
    except OSError as error:
        msg = (
            f"The report could not be written to {folder}: {error.strerror}. Pass another --output."
        )
        raise WriteError(msg) from error
    return tuple(str(place) for place in places)

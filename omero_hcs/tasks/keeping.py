"""Whether a store can keep what a run makes, and whether it still has what an earlier run made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from omero_hcs.errors import NotAllowedError
from omero_hcs.jobs.identity import file_sha256
from omero_hcs.jobs.ledger import RunRecord
from omero_hcs.model import ObjectRef, Screen
from omero_hcs.stores.base import ModelHome, PlateStore, ScreenHome
from omero_hcs.tasks.base import TaskParams

_KEPT_WITH_PLATE = frozenset({"crop_cells", "apply_qc", "embed_cells"})
"""Tasks whose results the store keeps with the plate; a model is a file of its own."""


_TOLD_OF_SCREENS = frozenset({"apply_qc"})
"""Tasks that leave an overview with each screen that they are asked for."""


def screens_of(store: PlateStore) -> tuple[Screen, ...]:
    """Screens that a store is over; most stores know none."""
    return store.screens() if isinstance(store, ScreenHome) else ()


def kept_with(task: str, store: PlateStore, targets: Sequence[ObjectRef]) -> tuple[ObjectRef, ...]:
    """All that the results of a task are kept with: its targets, and the screens they are in."""
    screens = screens_of(store) if task in _TOLD_OF_SCREENS else ()
    return (*targets, *(screen.ref for screen in screens))


def writes_to_store(task: str, params: TaskParams) -> bool:
    """Whether a task will write to the store: training does only where its model is uploaded."""
    return task in _KEPT_WITH_PLATE or bool(getattr(params, "upload", False))


def write_faults(store: PlateStore, targets: Sequence[ObjectRef]) -> tuple[str, ...]:
    """Every reason why results cannot be kept with some of the targets, each once."""
    found = [fault for target in targets for fault in store.write_faults(target)]
    return tuple(dict.fromkeys(found))


def refuse_unwritable(store: PlateStore, targets: Sequence[ObjectRef]) -> None:
    """Stop before anything is read if some results could not be kept.

    One object of many that may not be written to is reason enough: a run whose results are on some
    wells and images only would look as if the others had been found good.

    Raises
    ------
    NotAllowedError
        With every fault of every target.
    """
    faults = write_faults(store, targets)
    if faults:
        lines = "\n".join(f"  - {fault}" for fault in faults)
        msg = f"The results of this run could not be kept, so it was not started:\n{lines}"
        raise NotAllowedError(msg)


def is_still_there(store: PlateStore, record: RunRecord) -> bool:
    """Whether all that a finished run made is still there.

    Its files must be where they were put, those outside the store unchanged, and every target must
    still have its results: a user may have undone it from another installation.
    """
    places = [Path(place) for place in record.summary.get("places", ())]
    digests = record.summary.get("sha256", {}).items()
    return (
        all(place.exists() for place in places if place.is_absolute())
        and all(file_sha256(Path(place)) == sha256 for place, sha256 in digests)
        and _is_kept(store, record)
    )


def _is_kept(store: PlateStore, record: RunRecord) -> bool:
    spec = record.spec
    if not _has_models(store, record):
        return False
    return spec.task not in _KEPT_WITH_PLATE or all(
        any(manifest["run_id"] == spec.run_id for manifest in store.runs(target))
        for target in spec.targets
    )


def _has_models(store: PlateStore, record: RunRecord) -> bool:
    """Whether the models that a run attached are there, and whoever asks may read them."""
    told = str(record.summary.get("summary", {}).get("in OMERO", ""))
    attached = {name.partition(":")[2] for name in told.split(", ") if name}
    home: object = store
    if not attached or not isinstance(home, ModelHome):
        return True
    return attached <= {model.id for model in home.models()}

"""High-content-screening quality control and few-shot search inside OMERO.

Every verb of the command line has its function here; each is loaded when it is first used::

    import omero_hcs

    omero_hcs.convert("images/", "plate.zarr", pattern="{well}_s{field}_w{channel}.tif")
    omero_hcs.train_qc("plate.zarr", labels="labels.csv", name="u2os")
    outcome = omero_hcs.apply_qc("plate.zarr", model="u2os")
    omero_hcs.undo_run(outcome.run_id)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omero_hcs import lazy

if TYPE_CHECKING:
    from omero_hcs.errors import HcsError
    from omero_hcs.model import ImageSet, Plate
    from omero_hcs.results import Table
    from omero_hcs.settings import Settings, load_settings
    from omero_hcs.simulate.design import SimulationSettings
    from omero_hcs.stores.open import open_store
    from omero_hcs.tasks.demo import run_demo
    from omero_hcs.tasks.doctor import examine
    from omero_hcs.tasks.driver import RunOutcome
    from omero_hcs.tasks.make_report import make_report
    from omero_hcs.tasks.simulate import simulate as simulate_plates
    from omero_hcs.tasks.undo_run import undo_run
    from omero_hcs.tasks.verbs import (
        apply_qc,
        convert,
        crop_cells,
        embed_cells,
        list_runs,
        show_model,
        train_qc,
    )

_ENTRIES = {
    "HcsError": "omero_hcs.errors:HcsError",
    "ImageSet": "omero_hcs.model:ImageSet",
    "Plate": "omero_hcs.model:Plate",
    "RunOutcome": "omero_hcs.tasks.driver:RunOutcome",
    "Settings": "omero_hcs.settings:Settings",
    "SimulationSettings": "omero_hcs.simulate.design:SimulationSettings",
    "Table": "omero_hcs.results:Table",
    "apply_qc": "omero_hcs.tasks.verbs:apply_qc",
    "convert": "omero_hcs.tasks.verbs:convert",
    "crop_cells": "omero_hcs.tasks.verbs:crop_cells",
    "embed_cells": "omero_hcs.tasks.verbs:embed_cells",
    "examine": "omero_hcs.tasks.doctor:examine",
    "list_runs": "omero_hcs.tasks.verbs:list_runs",
    "load_settings": "omero_hcs.settings:load_settings",
    "make_report": "omero_hcs.tasks.make_report:make_report",
    "open_store": "omero_hcs.stores.open:open_store",
    "run_demo": "omero_hcs.tasks.demo:run_demo",
    "show_model": "omero_hcs.tasks.verbs:show_model",
    # Not "simulate": that is the package below, which would take the name's place once imported.
    "simulate_plates": "omero_hcs.tasks.simulate:simulate",
    "train_qc": "omero_hcs.tasks.verbs:train_qc",
    "undo_run": "omero_hcs.tasks.undo_run:undo_run",
}

__all__ = [
    "HcsError",
    "ImageSet",
    "Plate",
    "RunOutcome",
    "Settings",
    "SimulationSettings",
    "Table",
    "apply_qc",
    "convert",
    "crop_cells",
    "embed_cells",
    "examine",
    "list_runs",
    "load_settings",
    "make_report",
    "open_store",
    "run_demo",
    "show_model",
    "simulate_plates",
    "train_qc",
    "undo_run",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for."""
    if name not in _ENTRIES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    # What is missing names the widest extra: a verb needs more than the module that fails first.
    return lazy.load(_ENTRIES[name], extra="all")


def __dir__() -> list[str]:
    return sorted(__all__)

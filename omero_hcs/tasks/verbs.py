"""The verbs of the command line as functions, for scripts and notebooks."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from omero_hcs.errors import ParamsError
from omero_hcs.jobs.ledger import RunRecord
from omero_hcs.model import Plate
from omero_hcs.settings import Settings, load_settings
from omero_hcs.tasks.base import Progress, TaskParams, no_progress
from omero_hcs.tasks.driver import RunOutcome, load_task, open_ledger, run_task


def convert(  # noqa: PLR0913  (each one is a choice of the user's)
    folder: str | Path,
    out: str | Path,
    *,
    pattern: str,
    platemap: str | Path | None = None,
    channels: Sequence[str] | None = None,
    pixel_size_um: float | None = None,
    overwrite: bool = False,
) -> Plate:
    """Make an OME-Zarr plate of a folder of images; everything is checked before it is written.

    Parameters
    ----------
    folder, out : str or Path
        The images, and the new plate ("plate.zarr").
    pattern : str
        How files are named: "BBBC013_{well}_s{field}_w{channel}.tif".
    platemap : str or Path, optional
        CSV with a line a well: well, treatment, dose, dose_unit, role.
    channels : sequence of str, optional
        Names of the channels, in the order of ``{channel}``.
    pixel_size_um : float, optional
        Side of a pixel, in micrometres.
    overwrite : bool
        Replace a plate that is there.

    Raises
    ------
    InputErrors
        With every fault of the folder at once.
    WriteError
        If the plate cannot be written; nothing half-written is left.
    """
    from omero_hcs.stores.ome_zarr.convert import check_target, convert_folder, plan_conversion

    check_target(Path(out), overwrite=overwrite)
    conversion = plan_conversion(
        folder, pattern, platemap=platemap, channels=channels, pixel_size_um=pixel_size_um
    )
    return convert_folder(conversion, Path(out), overwrite=overwrite)


def crop_cells(where: str | Path, **options: Any) -> RunOutcome:
    """Find the cells of a plate and crop them; see `run_verb` and `tasks.crop_cells.Params`."""
    return run_verb("crop_cells", where, **options)


def train_qc(where: str | Path, **options: Any) -> RunOutcome:
    """Train a quality model on labelled cells; see `run_verb` and `tasks.train_qc.Params`."""
    return run_verb("train_qc", where, **options)


def apply_qc(where: str | Path, **options: Any) -> RunOutcome:
    """Judge every cell of a plate; see `run_verb` and `tasks.apply_qc.Params`."""
    return run_verb("apply_qc", where, **options)


def embed_cells(where: str | Path, **options: Any) -> RunOutcome:
    """Turn every cell of a plate into features; see `run_verb` and `tasks.embed_cells.Params`."""
    return run_verb("embed_cells", where, **options)


def run_verb(
    task: str,
    where: str | Path,
    *,
    settings: Settings | None = None,
    again: bool = False,
    progress: Progress = no_progress,
    **options: Any,
) -> RunOutcome:
    """Run a task over a plate or a folder of images.

    Parameters
    ----------
    task : str
        "crop_cells", "train_qc", "apply_qc" or "embed_cells".
    where : str or Path
        The plate or folder.
    settings : Settings, optional
        Those of the installation by default.
    again : bool
        Make a new run even if the same request was answered before.
    progress : callable
        See `tasks.base.Progress`.
    **options
        Fields of the task's `Params`.

    Raises
    ------
    ParamsError
        If an option is unknown or out of range.
    HcsError
        For whatever makes the run impossible.
    """
    try:
        params: TaskParams = load_task(task).Params(**options)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}." for fault in error.errors()
        ]
        raise ParamsError("\n".join(faults)) from None
    return run_task(task, where, params, settings=settings, again=again, progress=progress)


def list_runs(*, limit: int = 20, settings: Settings | None = None) -> list[RunRecord]:
    """List the latest runs of this installation, newest first."""
    with contextlib.closing(open_ledger(settings or load_settings().values)) as ledger:
        return ledger.runs(limit=limit)


def show_model(model: str, *, settings: Settings | None = None) -> dict[str, Any]:
    """Read the card of a model, found by its name or its file.

    Raises
    ------
    ModelNotFoundError
        If there is none; the message lists those that there are.
    """
    from omero_hcs.tasks.models import find_model, load

    card: dict[str, Any] = load(
        find_model(model, settings or load_settings().values)
    ).card.model_dump()
    return card

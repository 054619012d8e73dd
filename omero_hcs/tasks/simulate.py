"""Write simulated plates to disk, with their truth beside them: `omero-hcs simulate`."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from omero_hcs.errors import WriteError
from omero_hcs.model import Plate
from omero_hcs.results import Table
from omero_hcs.simulate.design import SimulationSettings, plan_plate
from omero_hcs.simulate.field import SimulatedField
from omero_hcs.simulate.plate import simulate_site
from omero_hcs.stores.beside import results_root
from omero_hcs.stores.ome_zarr.writer import PlateWriter
from omero_hcs.tasks.base import Progress, no_progress

TRUTH, FIELD_TRUTH, NUCLEI = "truth.csv", "field_truth.csv", "nuclei"
_CHUNK = 4


@dataclass(frozen=True)
class SimulatedPlate:
    """Where one simulated plate is, its layout, and where its truth is."""

    path: Path
    plate: Plate
    truth: Path


def simulate(
    out: str | Path,
    settings: SimulationSettings,
    *,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> tuple[SimulatedPlate, ...]:
    """Simulate plates and write each as OME-Zarr, with `truth.csv` in the folder beside it.

    Parameters
    ----------
    out : str or Path
        The new plate, "plate.zarr"; several become "plate-1.zarr", "plate-2.zarr", ...
    settings : SimulationSettings
        What to simulate. The same settings give the same pixels, however many workers there are.
    overwrite : bool
        Replace plates that are there.
    workers : int, optional
        Processes; as many as there are CPU cores by default.
    progress : callable
        See `tasks.base.Progress`.

    Raises
    ------
    WriteError
        If a plate is there already, or cannot be written.
    """
    first = Path(out)
    many = settings.plates > 1
    made = []
    for index in range(settings.plates):
        name = f"{first.name.removesuffix('.zarr')}-{index + 1}.zarr" if many else first.name
        path = first.with_name(name)
        made.append(_simulate_one(path, settings, index, overwrite, workers, progress))
    return tuple(made)


def _simulate_one(
    path: Path,
    settings: SimulationSettings,
    index: int,
    overwrite: bool,
    workers: int | None,
    progress: Progress,
) -> SimulatedPlate:
    plate = plan_plate(settings, index)
    sites = list(plate.sites())
    truths: list[Table] = []
    fields: list[Table] = []
    with PlateWriter(path, plate, overwrite=overwrite) as writer:
        made = _fields(settings, index, len(sites), workers)
        for number, (site, field) in enumerate(zip(sites, made, strict=True), 1):
            well = site.well.name if site.well else ""
            writer.write_field(well, site.field, site.acquisition, field.pixels)
            writer.write_labels(well, site.field, site.acquisition, NUCLEI, field.labels)
            truths.append(field.truth)
            fields.append(field.field_truth)
            progress(f"simulating {plate.name}", number, len(sites))
    folder = results_root(path)
    _save(folder / TRUTH, Table.concat(truths))
    _save(folder / FIELD_TRUTH, Table.concat(fields))
    return SimulatedPlate(path, plate, folder / TRUTH)


def _fields(
    settings: SimulationSettings, index: int, count: int, workers: int | None
) -> Iterator[SimulatedField]:
    """Make the fields of a plate in order, a few at a time in each process."""
    wanted = workers or os.cpu_count() or 1
    chunks = [range(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
    if wanted == 1 or len(chunks) == 1:
        for chunk in chunks:
            yield from make_fields(settings, index, chunk)
        return
    # Spawned, not forked: a fork of a process with threads (torch, zarr) may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(wanted, mp_context=context) as pool:
        waiting = []
        for chunk in chunks:
            waiting.append(pool.submit(make_fields, settings, index, chunk))
            if len(waiting) > 2 * wanted:
                yield from waiting.pop(0).result()
        for future in waiting:
            yield from future.result()


def make_fields(
    settings: SimulationSettings, index: int, positions: Sequence[int]
) -> list[SimulatedField]:
    """Make some fields of a plate, by their position in its list of sites."""
    return [simulate_site(settings, index, position) for position in positions]


def _save(path: Path, table: Table) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(table.to_csv(), encoding="utf-8")
    except OSError as error:
        msg = f"The truth could not be written to {path}: {error.strerror}. Free some space."
        raise WriteError(msg) from error

"""The overview of a screen: what quality runs came to on its plates, as a page and a picture."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version

from omero_hcs.model import ObjectRef, Plate, RunSpec, Screen
from omero_hcs.report.overview import OverviewData, PlateLine, render_overview
from omero_hcs.report.overview_picture import overview_picture
from omero_hcs.results import ResultFile, Results, Table
from omero_hcs.stores.base import Linked, LinkedKind, PlateStore
from omero_hcs.tasks.keeping import screens_of
from omero_hcs.tasks.qc_report import REPORT

OVERVIEW, PICTURE = "overview.html", "overview.png"
"""Files of an overview, by their names."""

NOT_JUDGED = "no quality check yet: Check_Plate_Quality (omero-hcs apply-qc) makes one"
NO_IMAGES = "it has no images"


@dataclass(frozen=True, eq=False)
class PlateResults:
    """What one run came to on one plate.

    Parameters
    ----------
    run_id : str
        The run.
    tables : mapping of str to Table
        "fields" and "wells".
    report : str
        Address of the plate's report; that of the one that the store keeps, by default.
    verdict : str
        That on the plate as a whole; older runs have none.
    """

    run_id: str
    tables: Mapping[str, Table]
    report: str = ""
    verdict: str = ""


def overview_files(
    store: PlateStore, screen: Screen, found: Mapping[str, PlateResults]
) -> tuple[ResultFile, ...]:
    """Make the overview of a screen.

    Parameters
    ----------
    store : PlateStore
        Where its plates are.
    screen : Screen
        The screen.
    found : mapping of str to PlateResults
        Results by the plates' ids; plates that are not in it are listed as such.
    """
    data = OverviewData(
        screen=screen.name,
        created=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        plates=[_line(store, store.plate(number), found.get(number)) for number in screen.plates],
        href=_page(store, "screen", screen.id),
        versions={"omero-hcs": version("omero-hcs")},
    )
    about = f"Quality check: overview of screen {screen.name}"
    return (
        ResultFile(OVERVIEW, "text/html", render_overview(data), f"{about}, one page"),
        ResultFile(PICTURE, "image/png", overview_picture(data), f"{about}, its plates as a map"),
    )


def run_overviews(
    store: PlateStore, spec: RunSpec, found: Mapping[str, PlateResults]
) -> Iterator[Results]:
    """Give each screen that a run is over its overview, once its plates have their reports."""
    for screen in screens_of(store):
        files = overview_files(store, screen, found)
        yield Results(spec.run_id, spec.key, spec.task, screen.ref, files=files)


def _line(store: PlateStore, plate: Plate, found: PlateResults | None) -> PlateLine:
    page = _page(store, "plate", plate.id)
    if found is None or not len(found.tables.get("wells", ())):
        has_images = next(plate.sites(), None) is not None
        return PlateLine(plate.name, note=NOT_JUDGED if has_images else NO_IMAGES, href=page)
    fields = found.tables["fields"]
    read = fields.where(fields["status"] == "done")
    return PlateLine(
        name=plate.name,
        rows=plate.rows,
        columns=plate.columns,
        wells=found.tables["wells"],
        fields=len(fields),
        failed=len(fields) - len(read),
        without_nuclei=int((read["finding"] != "").sum()),
        run_id=found.run_id,
        href=page,
        report=found.report or _kept_report(store, plate, found.run_id),
        verdict=found.verdict,
    )


def _kept_report(store: PlateStore, plate: Plate, run_id: str) -> str:
    if not isinstance(store, Linked):
        return ""
    return store.file_link(run_id, REPORT, target=ObjectRef(kind="plate", id=plate.id))


def _page(store: PlateStore, kind: LinkedKind, object_id: str) -> str:
    return store.link(kind, object_id) if isinstance(store, Linked) else ""

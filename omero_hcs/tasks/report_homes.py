"""Where reports that are made again go: to the store, or into a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from omero_hcs.errors import WriteError
from omero_hcs.jobs.identity import new_run_id, run_key
from omero_hcs.model import ObjectRef, Screen
from omero_hcs.results import ResultFile, Results
from omero_hcs.stores.base import PlateStore
from omero_hcs.stores.contents import safe_name
from omero_hcs.tasks.base import layout_of
from omero_hcs.tasks.keeping import screens_of

REPORTED = "make_report"
"""Task of a run that holds nothing but reports of other runs."""

Judged = Mapping[ObjectRef, Mapping[str, Any]]
"""Manifest of the quality run of each target."""

_SHOWN = (".html", ".png")


class KeptReports:
    """Reports that the store keeps: with the run that they are about, or beside it.

    Parameters
    ----------
    store : PlateStore
        The store.
    """

    def __init__(self, store: PlateStore) -> None:
        self._store = store
        self.places: list[str] = []
        self.overviews: list[str] = []
        self.kept: list[str] = []

    def keep(self, results: Results, run: Mapping[str, Any]) -> str:
        """Keep a plate's report; whose it is depends on whose the run is."""
        if not run.get("mine", True):
            key = run_key({"task": REPORTED, "run": results.run_id, "object": results.target.id})
            results = self._beside(results.target, key, _pages(results.files))
        written = self._store.write(results)
        self.places += [place for place in written.places if _is_shown(place)]
        self.kept += written.kept
        return ""

    def keep_overview(
        self,
        screen: Screen,
        files: Sequence[ResultFile],
        found: Judged,
    ) -> None:
        """Keep an overview with the run that made it, if that judged all plates of the screen."""
        runs = [found.get(ObjectRef(kind="plate", id=number)) for number in screen.plates]
        of_all = {str(run["run_id"]) if run and run.get("mine", True) else None for run in runs}
        own = [item for item in self._store.runs(screen.ref) if item["run_id"] in of_all]
        if own and len(of_all) == 1:
            run = own[-1]
            results = Results(
                run["run_id"], run["key"], run["task"], screen.ref, files=tuple(files)
            )
        else:
            key = run_key({"task": REPORTED, "screen": screen.id})
            results = self._beside(screen.ref, key, files)
        written = self._store.write(results)
        self.overviews += [place for place in written.places if _is_shown(place)]
        self.kept += written.kept

    def _beside(self, target: ObjectRef, key: str, files: Sequence[ResultFile]) -> Results:
        """Make a run of the user's own of some files, or replace those of the one before."""
        before = [
            run for run in self._store.runs(target) if run["key"] == key and run.get("mine", True)
        ]
        run_id = str(before[-1]["run_id"]) if before else new_run_id()
        return Results(run_id, key, REPORTED, target, files=tuple(files))


class ReportFolder:
    """Reports that go into a folder, one more for each plate where there are several.

    Parameters
    ----------
    store : PlateStore
        Where the plates are.
    folder : Path
        The folder; it is made.
    several : bool
        Whether there are several plates.
    """

    def __init__(self, store: PlateStore, folder: Path, *, several: bool) -> None:
        self._store, self._folder, self._several = store, folder, several
        self.places: list[str] = []
        self.overviews: list[str] = []
        self.kept: list[str] = []

    def keep(self, results: Results, run: Mapping[str, Any]) -> str:  # noqa: ARG002  (as `KeptReports`)
        """Write a plate's report; the address of its page from an overview beside it."""
        within = ""
        if self._several:
            layout = layout_of(self._store, results.target)
            within = safe_name(f"{layout.name} {results.target.id}")
        files = _pages(results.files)
        self.places += _save(self._folder / within, files)
        return quote(f"{within}/{files[0].name}" if within else files[0].name) if files else ""

    def keep_overview(
        self,
        screen: Screen,
        files: Sequence[ResultFile],
        found: Judged,  # noqa: ARG002
    ) -> None:
        """Write an overview beside the folders of the plates."""
        if len(screens_of(self._store)) > 1:
            files = [replace(file, name=f"{screen.id}-{file.name}") for file in files]
        self.overviews += _save(self._folder, files)


def _pages(files: Sequence[ResultFile]) -> list[ResultFile]:
    return [file for file in files if _is_shown(file.name)]


def _is_shown(place: str) -> bool:
    """Whether a file is for people; places of objects are told with those of their files."""
    return place.endswith(_SHOWN) or (place.startswith("omero:") and " " not in place)


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

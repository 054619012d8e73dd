"""Results in a folder beside a plate or an image folder, idempotent and with undo.

The folder ``plate.hcs`` stands beside ``plate.zarr``::

    plate.hcs/
        labels.csv                          what users labelled (theirs, never written by us)
        runs/<run id>/
            manifest.json                   in place before anything it lists
            cells.parquet, rois.json, report.html, ...
            units/<unit>/manifest.json ...  the same for each unit, so that a write stays cheap

Every file is made in a staging folder and renamed into place. A file whose content is not what we
wrote was changed by a user: a later write and an undo leave it, and say so.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from omero_hcs.errors import LabelError
from omero_hcs.model import ObjectRef
from omero_hcs.results import LABEL_COLUMNS, Results, Table, WriteReport, labels_from_csv
from omero_hcs.stores.base import LabelSource
from omero_hcs.stores.contents import (
    FILE_KINDS,
    MANIFEST,
    UNITS,
    Content,
    check_run_id,
    contents,
    file_digest,
    is_plain,
    no_file_error,
    no_run_error,
    safe_name,
    told,
)
from omero_hcs.stores.manifest import Entry, Manifest, count_kinds, new_manifest, read_manifest

_STAGING = ".writing"
_RUN_STAGED = "run-manifest.json.new"


def results_root(path: Path) -> Path:
    """Folder for the results of a plate or image folder: ``plate.zarr`` -> ``plate.hcs``."""
    path = path.resolve()
    return path.with_name(path.name.removesuffix(".zarr").removesuffix(".ome") + ".hcs")


@dataclass(frozen=True)
class _Change:
    """What a write does to a part: entries after it, names it leaves alone, files it removes."""

    entries: tuple[Entry, ...]
    kept: tuple[str, ...]
    gone: tuple[str, ...]


class ResultsFolder:
    """Results of all runs over one plate or image folder.

    Parameters
    ----------
    root : Path
        The folder, made at the first write; see `results_root`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(
        self, results: Results, *, extra_entries: Sequence[Mapping[str, Any]] = ()
    ) -> WriteReport:
        """Write the tables, ROIs, tags, key-values and files of some results.

        Label images are not written here: a store lists them as `extra_entries`, and makes them
        after this call, so that the manifest knows of them first.

        Parameters
        ----------
        results : Results
            Writing the same run and unit again replaces what it wrote.
        extra_entries : sequence of mapping
            What else the store will make, each with ``kind`` and ``path``.

        Raises
        ------
        InputError
            If a name would leave the folder, or two files would have the same name.
        WriteError
            If something cannot be written (a full disk, no permission); what was there before
            stays as it was.
        """
        part = self._part(results)
        files = contents(results)
        extra = [Entry.model_validate(entry) for entry in extra_entries]
        staging = part / _STAGING
        try:
            _stage(files, part)
            with told(part / MANIFEST):
                change = self._put_in_place(part, results, files, extra)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            _prune(part, self.root)
        made = [file for file in files if file.name not in change.kept]
        counts = Counter(count_kinds(extra))
        for file in made:
            counts[file.kind] += file.count
        places = tuple(str(part / file.name) for file in made)
        kept = tuple(str(part / name) for name in change.kept)
        return WriteReport(results.run_id, dict(counts), places, kept)

    def write_faults(self) -> tuple[str, ...]:
        """Say why this folder, or the one that it would be made in, cannot be written to."""
        there = next(path for path in (self.root, *self.root.parents) if path.exists())
        if os.access(there, os.W_OK | os.X_OK):
            return ()
        mend = "Ask its owner for the right to, or copy the plate to a folder of yours."
        return (f"Results go to {self.root}, and you may not write to {there}. {mend}",)

    def runs(self, target: ObjectRef) -> tuple[dict[str, Any], ...]:
        """Manifests of the runs over an object, oldest first; units have manifests of their own.

        Raises
        ------
        FormatVersionError
            If one of them was written by a newer release.
        """
        found = [read_manifest(path) for path in self.root.glob(f"runs/*/{MANIFEST}")]
        found.sort(key=lambda manifest: (manifest.started, manifest.run_id))
        return tuple(item.model_dump(mode="json") for item in found if item.target == target)

    def fetch(self, run_id: str, name: str) -> bytes:
        """Content of one file of a run's finishing step, by its name.

        Raises
        ------
        RunNotFoundError
            If there is no such run, or the run has no such file; the message lists those there are.
        """
        folder = self._run_folder(run_id)
        entries = read_manifest(folder / MANIFEST).entries
        names = [entry.path for entry in entries if entry.kind in FILE_KINDS]
        try:
            if name in names:
                return (folder / name).read_bytes()
        except FileNotFoundError:
            names.remove(name)
        raise no_file_error(run_id, name, names)

    def undo(
        self, run_id: str, *, remove: Callable[[dict[str, Any]], bool] | None = None
    ) -> WriteReport:
        """Remove exactly what a run wrote.

        Parameters
        ----------
        run_id : str
            The run.
        remove : callable, optional
            Removes an entry of a kind that is the store's own; False if a user changed it and it
            stays. Without it such entries stay, and so does the manifest that lists them.

        Returns
        -------
        WriteReport
            Counts of what was listed and is gone; `kept` lists what a user changed since.

        Raises
        ------
        RunNotFoundError
            If there are no results of that run; the message lists the runs there are.
        """
        folder = self._run_folder(run_id)
        counts: Counter[str] = Counter()
        kept: list[str] = []
        # The run's own manifest goes last: an undo that was interrupted can be started again.
        for part in (*sorted(folder.glob(f"{UNITS}/*")), folder):
            shutil.rmtree(part / _STAGING, ignore_errors=True)
            if (part / MANIFEST).is_file():
                removed, left = _undo_part(part, remove)
                counts.update(removed)
                kept += left
            _prune(part, self.root)
        return WriteReport(run_id, dict(counts), (), tuple(kept))

    def labels(self, target: ObjectRef, *, source: LabelSource) -> Table:
        """Labels from ``source.path``, or from ``labels.csv`` in this folder.

        Rows whose `plate` is another plate's are left out.

        Raises
        ------
        LabelError
            If there is no such file, or it is no label table, or its labels are of other plates.
        """
        path = Path(source.path) if source.path else self.root / "labels.csv"
        if source.kind != "file":
            msg = (
                f"Labels of kind {source.kind!r} are kept in OMERO only. For images on disk, "
                f"put them into {path} or pass a CSV file."
            )
            raise LabelError(msg)
        return rows_of_target(read_label_file(path), {"", target.id, self.root.stem}, str(path))

    def _part(self, results: Results) -> Path:
        check_run_id(results.run_id)
        run = self.root / "runs" / results.run_id
        return run if results.unit is None else run / UNITS / safe_name(results.unit)

    def _run_folder(self, run_id: str) -> Path:
        found = sorted(path.parent.name for path in self.root.glob(f"runs/*/{MANIFEST}"))
        if run_id in found:
            return self.root / "runs" / run_id
        raise no_run_error(str(self.root), run_id, found)

    def _put_in_place(
        self, part: Path, results: Results, files: Sequence[Content], extra: Sequence[Entry]
    ) -> _Change:
        """Rename the staged files of a part into place, manifests first."""
        staging, run = part / _STAGING, self.root / "runs" / results.run_id
        old = read_manifest(part / MANIFEST) if (part / MANIFEST).is_file() else None
        change = _change(part, files, old, extra)
        manifest = new_manifest(results, change.entries, started=old.started if old else None)
        staged = [(staging / MANIFEST, part / MANIFEST, manifest)]
        if run != part and not (run / MANIFEST).is_file():
            first = new_manifest(results, ()).model_copy(update={"unit": None})
            staged.insert(0, (staging / _RUN_STAGED, run / MANIFEST, first))
        for place, _, content in staged:
            place.write_text(content.model_dump_json(indent=1, exclude_none=True), encoding="utf-8")
        for name in change.gone:
            (part / name).unlink(missing_ok=True)
        for place, final, _ in staged:
            place.replace(final)
        for file in files:
            if file.name not in change.kept:
                (staging / file.name).replace(part / file.name)
        return change


def _stage(files: Sequence[Content], part: Path) -> None:
    """Write every file under its name in the staging folder of a part."""
    staging = part / _STAGING
    with told(part):
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
    for file in files:
        with told(part / file.name, file.need):
            file.save(staging / file.name)


def _change(
    part: Path, files: Sequence[Content], old: Manifest | None, extra: Sequence[Entry]
) -> _Change:
    """Compare what is staged with what is there and with what the last manifest lists."""
    entries, kept = list(extra), []
    known = {entry.path: entry for entry in old.entries} if old else {}
    for entry in extra:
        known.pop(entry.path, None)
    for file in files:
        before, found = known.pop(file.name, None), file_digest(part / file.name)
        made = file_digest(part / _STAGING / file.name)
        if found in (None, made) or _is_ours(before, found):
            entry = Entry(
                kind=file.kind, path=file.name, sha256=made, replaces=found, count=file.count
            )
            entries.append(entry)
        else:
            kept.append(file.name)
            entries += [before] if before else []
    gone = []
    for name, entry in known.items():
        if entry.kind not in FILE_KINDS:
            entries.append(entry)
        elif _is_ours(entry, file_digest(part / name)):
            gone.append(name)
        else:
            kept.append(name)
    return _Change(tuple(entries), tuple(kept), tuple(gone))


def _is_ours(entry: Entry | None, found: str | None) -> bool:
    return entry is not None and found in (None, entry.sha256, entry.replaces)


def _undo_part(
    part: Path, remove: Callable[[dict[str, Any]], bool] | None
) -> tuple[dict[str, int], list[str]]:
    """Remove what one manifest lists, then the manifest."""
    manifest = read_manifest(part / MANIFEST)
    removed: list[Entry] = []
    kept: list[str] = []
    waiting: list[Entry] = []
    for entry in manifest.entries:
        if entry.kind in FILE_KINDS:
            gone = _remove_file(part, entry)
        elif remove is None:
            waiting.append(entry)
            gone = False
        else:
            gone = remove(entry.model_dump(exclude_none=True))
        if gone:
            removed.append(entry)
        else:
            kept.append(_place(part, entry))
    with told(part / MANIFEST):
        if waiting:
            left = manifest.model_copy(update={"entries": tuple(waiting)})
            staged = part / f"{MANIFEST}.new"
            staged.write_text(left.model_dump_json(indent=1, exclude_none=True), encoding="utf-8")
            staged.replace(part / MANIFEST)
        else:
            (part / MANIFEST).unlink()
    return count_kinds(removed), kept


def _place(part: Path, entry: Entry) -> str:
    return str(part / entry.path) if entry.kind in FILE_KINDS else entry.path


def _remove_file(part: Path, entry: Entry) -> bool:
    """Remove a file of ours; False if it is another's by now, or the manifest was tampered with."""
    path = part / entry.path
    if not is_plain(entry.path) or not _is_ours(entry, file_digest(path)):
        return False
    with told(path):
        path.unlink(missing_ok=True)
    return True


def _prune(folder: Path, root: Path) -> None:
    """Remove a folder and those above it, up to the root, as far as they are empty."""
    for candidate in (folder, *folder.parents):
        try:
            candidate.rmdir()
        except FileNotFoundError:
            pass
        except OSError:
            return
        if candidate == root:
            return


def read_label_file(path: Path) -> Table:
    """Read a CSV file of labels.

    Raises
    ------
    LabelError
        If there is no such file, or it is no label table; the message shows the columns needed.
    """
    try:
        # Excel puts a byte order mark before the first column's name.
        return labels_from_csv(path.read_text(encoding="utf-8-sig"), name=str(path))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        msg = (
            f"There are no labels at {path}. Put a CSV file there, or pass the path of another. "
            "Its columns (y and x: the cell's centre in pixels, counted from 0):\n"
            f"{','.join(LABEL_COLUMNS)}"
        )
        raise LabelError(msg) from None
    except (PermissionError, UnicodeDecodeError) as error:
        msg = f"The labels in {path} cannot be read: {error}. Save the file as CSV in UTF-8."
        raise LabelError(msg) from error


def rows_of_target(table: Table, names: set[str], place: str) -> Table:
    """Rows of a label table whose plate is one of some names; "" is that of no plate.

    Raises
    ------
    LabelError
        If there are none; the message has the place of the table and the names.
    """
    ours = np.isin(table["plate"], sorted(names))
    if not ours.any():
        others = ", ".join(sorted({str(name) for name in table["plate"]}))
        wanted = " or ".join(repr(name) for name in sorted(names - {""}))
        msg = (
            f"The labels in {place} are of other plates ({others}). Set the column 'plate' to "
            f"{wanted}, or leave it empty."
        )
        raise LabelError(msg)
    return table.where(ours)

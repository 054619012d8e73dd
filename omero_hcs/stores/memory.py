"""A store in memory, for tests and examples: the shipped fake."""

from __future__ import annotations

import tempfile
import weakref
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omero_hcs.errors import (
    DataError,
    HcsError,
    ImageNotFoundError,
    InputError,
    LabelError,
    PlateNotFoundError,
)
from omero_hcs.model import Image, ImageSet, Layout, ObjectRef, Plate, StoreSpec, ZChoice
from omero_hcs.results import LABEL_COLUMNS, Results, Table, WriteReport
from omero_hcs.stores.base import ImageArray, LabelSource, RunNote
from omero_hcs.stores.beside import read_label_file
from omero_hcs.stores.contents import contents, no_file_error, no_run_error
from omero_hcs.stores.manifest import Entry, Manifest, count_kinds, new_manifest
from omero_hcs.stores.planes import check_request, choose_label_image

_SCHEME = "memory:"

PartKey = tuple[str, str | None]
"""A run id, and the unit's id; None is the run's finishing step."""


@dataclass(eq=False)
class _Memory:
    """What one named memory holds; `written` is what we put into `results`."""

    layout: Layout
    pixels: Mapping[str, NDArray[Any]]
    labels: Table | None
    results: dict[PartKey, Results] = field(default_factory=dict)
    written: dict[PartKey, Results] = field(default_factory=dict)
    manifests: dict[PartKey, Manifest] = field(default_factory=dict)
    notes: dict[str, RunNote] = field(default_factory=dict)


# Reopening by name in this process has to find the same data, as with SQLite's shared memory
# databases; weak values let the data go with the last store that holds it.
_MEMORIES: weakref.WeakValueDictionary[str, _Memory] = weakref.WeakValueDictionary()


class MemoryStore:
    """One plate or image set in the memory of this process.

    Parameters
    ----------
    spec : StoreSpec
        ``memory:name``, of a store that `create` made and that is still alive.

    Raises
    ------
    PlateNotFoundError
        If there is none of that name in this process.
    """

    def __init__(self, spec: StoreSpec) -> None:
        memory = _MEMORIES.get(spec.uri.removeprefix(_SCHEME))
        if memory is None:
            there = ", ".join(sorted(f"{_SCHEME}{name}" for name in _MEMORIES)) or "none"
            msg = (
                f"There is no {spec.uri} in this process (there: {there}). A plate in memory is "
                "seen only by the process that made it, as long as its store is alive; write it "
                "to disk to share it."
            )
            raise PlateNotFoundError(msg)
        self._spec = spec
        self._memory = memory

    @classmethod
    def create(
        cls,
        name: str,
        plate: Plate | ImageSet,
        pixels: Mapping[str, NDArray[Any]],
        labels: Table | None = None,
    ) -> MemoryStore:
        """Make a store; one of the same name is replaced for those who open it from now on.

        Parameters
        ----------
        name : str
            The store's URI is ``memory:name``.
        plate : Plate or ImageSet
            The layout.
        pixels : mapping of str to array, shape (T, C, Z, Y, X)
            Pixels by image id; an image without pixels is one that cannot be read.
        labels : Table, optional
            What users labelled, with `results.LABEL_COLUMNS`.

        Raises
        ------
        InputError
            If an array's shape or dtype is not that of its image.
        """
        for site in plate.sites():
            _check_pixels(site.image, pixels.get(site.image.id))
        memory = _Memory(plate, dict(pixels), labels)
        _MEMORIES[name] = memory
        return cls(StoreSpec(uri=f"{_SCHEME}{name}"))

    @property
    def spec(self) -> StoreSpec:
        """How to reopen this store in this process."""
        return self._spec

    @property
    def readers(self) -> int:
        """One: reading from memory is no faster in threads."""
        return 1

    @property
    def results(self) -> dict[PartKey, Results]:
        """What was written, by (run id, unit); replacing a value is what a user's edit is."""
        return self._memory.results

    def refs(self) -> tuple[ObjectRef, ...]:
        """Name the one plate or image set."""
        layout = self._memory.layout
        return (ObjectRef(kind="plate" if isinstance(layout, Plate) else "images", id=layout.id),)

    def plate(self, plate_id: str) -> Plate:
        """Layout of the plate; see `PlateStore.plate`."""
        layout = self._memory.layout
        if isinstance(layout, Plate) and layout.id == plate_id:
            return layout
        raise self._not_here(ObjectRef(kind="plate", id=plate_id))

    def images(self, set_id: str) -> ImageSet:
        """Images of the set; see `PlateStore.images`."""
        layout = self._memory.layout
        if isinstance(layout, ImageSet) and layout.id == set_id:
            return layout
        raise self._not_here(ObjectRef(kind="images", id=set_id))

    def read(
        self, image: Image, *, channels: Sequence[int], z: ZChoice = 0, t: int = 0
    ) -> ImageArray:
        """Pixels, shape (len(channels), Y, X), a copy; see `PlateStore.read`.

        "focus" is judged on the image's first channel, whichever channels are asked for.
        """
        from omero_hcs.imaging.focus import project  # noqa: PLC0415  (scipy, only to read)

        check_request(image, channels=channels, z=z, t=t)
        stack = self._memory.pixels.get(image.id)
        if stack is None:
            raise self._unreadable(image)
        plane: ImageArray = project(stack[t], z)[list(channels)]
        return plane

    def label_image(
        self, image: Image, *, name: str | None = None, z: int = 0, t: int = 0
    ) -> NDArray[np.integer[Any]]:
        """One label image that a run wrote, shape (Y, X); the latest of a name."""
        found = {
            label.name: label.pixels
            for results in self.results.values()
            for label in results.labels
            if (label.image, label.z, label.t) == (image.id, z, t)
        }
        return choose_label_image(found, image, name)

    def labels(self, target: ObjectRef, *, source: LabelSource) -> Table:
        """Labels given to `create`, or those of a CSV file; see `PlateStore.labels`.

        Of another kind than "file" are those whose `source` is that kind.
        """
        if source.path is not None:
            return read_label_file(Path(source.path))
        found = self._memory.labels
        if found is not None and len(found) and source.kind != "file":
            found = found.where(found["source"] == source.kind)
        if found is None or not len(found):
            msg = (
                f"{self.spec.uri} has no labels of {target.kind} {target.id}. Pass a table with "
                f"the columns {', '.join(LABEL_COLUMNS)}."
            )
            raise LabelError(msg)
        return found

    def write_faults(self, target: ObjectRef) -> tuple[str, ...]:  # noqa: ARG002  (one place for all)
        """Nothing: memory takes all."""
        return ()

    def write(self, results: Results) -> WriteReport:
        """Keep results; what a user replaced since stays; see `PlateStore.write`."""
        memory, key = self._memory, (results.run_id, results.unit)
        if self._is_edited(key):
            return WriteReport(results.run_id, kept=(self._place(key),))
        entries = [
            Entry(kind=item.kind, path=item.name, count=item.count) for item in contents(results)
        ]
        labels = results.labels
        entries += [Entry(kind="label", path=f"{item.image}/{item.name}") for item in labels]
        old, run = memory.manifests.get(key), (results.run_id, None)
        started = old.started if old else None
        if run not in memory.manifests:
            first = new_manifest(results, ())
            memory.manifests[run] = first.model_copy(update={"unit": None})
        memory.manifests[key] = new_manifest(results, entries, started=started)
        memory.results[key] = memory.written[key] = results
        return WriteReport(results.run_id, count_kinds(entries), (self._place(key),))

    def runs(self, target: ObjectRef) -> tuple[dict[str, Any], ...]:
        """Manifests of the runs over an object, oldest first."""
        found = [item for (_, unit), item in self._memory.manifests.items() if unit is None]
        found.sort(key=lambda manifest: (manifest.started, manifest.run_id))
        return tuple(item.model_dump(mode="json") for item in found if item.target == target)

    def fetch(
        self,
        run_id: str,
        name: str,
        *,
        target: ObjectRef | None = None,  # noqa: ARG002  (one place for all)
    ) -> bytes:
        """One file of a run's finishing step, as it would be on disk; see `PlateStore.fetch`."""
        self._check_run(run_id)
        kept = self.results.get((run_id, None))
        files = {item.name: item for item in contents(kept)} if kept else {}
        if name not in files:
            raise no_file_error(run_id, name, list(files))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            files[name].save(path)
            return path.read_bytes()

    def undo(self, run_id: str) -> WriteReport:
        """Remove what a run wrote; what a user replaced since stays; see `PlateStore.undo`."""
        self._check_run(run_id)
        memory, counts, kept = self._memory, Counter[str](), []
        for key in [key for key in memory.manifests if key[0] == run_id]:
            if self._is_edited(key):
                kept.append(self._place(key))
            else:
                memory.results.pop(key, None)
                counts.update(count_kinds(memory.manifests[key].entries))
            memory.written.pop(key, None)
            del memory.manifests[key]
        self.remove_note(run_id)
        return WriteReport(run_id, dict(counts), (), tuple(kept))

    def post_note(self, target: ObjectRef, note: RunNote) -> None:  # noqa: ARG002  (one for all)
        """Tell of a run; see `RunBoard.post_note`."""
        notes = self._memory.notes
        before = notes.get(note.run_id)
        if before is not None and (note.status, before.started) == ("running", note.started):
            note = replace(note, stop_asked_by=before.stop_asked_by)
        notes[note.run_id] = note

    def run_notes(self, target: ObjectRef) -> tuple[RunNote, ...]:
        """List the notes of runs; see `RunBoard.run_notes`."""
        return tuple(self._memory.notes.values()) if target in self.refs() else ()

    def ask_to_stop(self, run_id: str, who: str) -> None:
        """Mark a run's note; see `RunBoard.ask_to_stop`."""
        notes = self._memory.notes
        if run_id not in notes:
            raise no_run_error(self.spec.uri, run_id, sorted(notes))
        notes[run_id] = replace(notes[run_id], stop_asked_by=who)

    def stop_asked(self, run_id: str) -> str | None:
        """Who asked a run to stop; see `RunBoard.stop_asked`."""
        note = self._memory.notes.get(run_id)
        return note.stop_asked_by or None if note else None

    def remove_note(self, run_id: str) -> None:
        """Tell no more of a run; see `RunBoard.remove_note`."""
        self._memory.notes.pop(run_id, None)

    def close(self) -> None:
        """Do nothing: the data goes when the last store that holds it does."""

    def _is_edited(self, key: PartKey) -> bool:
        return key in self.results and self.results[key] is not self._memory.written.get(key)

    def _place(self, key: PartKey) -> str:
        return "/".join([self.spec.uri, *(part for part in key if part)])

    def _check_run(self, run_id: str) -> None:
        there = sorted({run for run, _ in self._memory.manifests})
        if run_id not in there:
            raise no_run_error(self.spec.uri, run_id, there)

    def _not_here(self, wanted: ObjectRef) -> PlateNotFoundError:
        ref = self.refs()[0]
        msg = f"{self.spec.uri} has no {wanted.kind} {wanted.id!r}. It has: {ref.kind} {ref.id!r}."
        return PlateNotFoundError(msg)

    def _unreadable(self, image: Image) -> HcsError:
        if any(site.image.id == image.id for site in self._memory.layout.sites()):
            msg = f"Image {image.name} of {self.spec.uri} cannot be read: it was given no pixels."
            return DataError(msg)
        msg = f"{self.spec.uri} has no image of id {image.id!r}. Take images from its layout."
        return ImageNotFoundError(msg)


def _check_pixels(image: Image, pixels: NDArray[Any] | None) -> None:
    if pixels is None:
        return
    shape = (image.size_t, len(image.channels), image.size_z, image.size_y, image.size_x)
    if pixels.shape != shape or pixels.dtype != np.dtype(image.dtype):
        msg = (
            f"Pixels of image {image.name} are {pixels.dtype} of shape {pixels.shape}; its layout "
            f"says {image.dtype} of shape {shape} (T, C, Z, Y, X)."
        )
        raise InputError(msg)

"""Results of runs on a server: written in order, told, fetched and undone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from omero_hcs.errors import InputErrors
from omero_hcs.model import ObjectRef
from omero_hcs.results import Results, WriteReport
from omero_hcs.stores.contents import (
    TABLE_SUFFIX,
    Content,
    check_run_id,
    contents,
    no_file_error,
    no_run_error,
)
from omero_hcs.stores.manifest import Manifest
from omero_hcs.stores.omero.changes import Subject, told
from omero_hcs.stores.omero.crop_images import CropWish, wanted_crops
from omero_hcs.stores.omero.files import file_content, file_marks
from omero_hcs.stores.omero.journal import Anchors, Journals, Place
from omero_hcs.stores.omero.journal_lines import RunLine
from omero_hcs.stores.omero.layout import Layouts
from omero_hcs.stores.omero.record import TABLE_KIND, Made, WriteContext, place_of
from omero_hcs.stores.omero.rois import roi_fault
from omero_hcs.stores.omero.screens import screens_around
from omero_hcs.stores.omero.session import Session
from omero_hcs.stores.omero.table_content import table_file
from omero_hcs.stores.omero.tables import ALONE
from omero_hcs.stores.omero.undo import undo_run
from omero_hcs.stores.omero.unit_write import UnitWrite, wishes_of

_FILES = ("table", "file")
"""Kinds of contents that are files here; ROIs, tags and key-values are OMERO's own things."""

_FAULTS_TOLD = 20


class RunWriter:
    """Writes and undoes the runs of one store.

    Parameters
    ----------
    session : Session
        Who writes.
    layouts : Layouts
        Where results may go.
    """

    def __init__(self, session: Session, layouts: Layouts) -> None:
        self._session = session
        self._layouts = layouts
        self._journals = Journals(session)
        self._images: dict[ObjectRef, frozenset[int]] = {}

    def write(self, results: Results) -> WriteReport:
        """Keep results; see `PlateStore.write`.

        What the unit has already and still wants stays as it is, what it lacks is made, and what it
        no longer wants is removed after that. `kept` of the report lists what users changed, took
        off or deleted, which is left so.
        """
        check_run_id(results.run_id)
        files = [item for item in contents(results, datasets=True) if item.kind in _FILES]
        context = self._context(results)
        _check_places(context, results)
        where = f"{results.target.kind} {results.target.id}"
        with told(Subject(self._session, context.group, where)):
            return self._session.write(
                lambda _: self._write(context, results, files), context.group
            )

    def runs(self, target: ObjectRef) -> tuple[dict[str, Any], ...]:
        """Manifests of the runs over an object, oldest first; see `PlateStore.runs`."""
        if target not in self._targets():
            return ()
        found = [
            (_manifest(header, place), place.owner == self._session.user_id)
            for place, header in self._journals_of(target)
            if header is not None and header.target == target
        ]
        found.sort(key=lambda item: (item[0].started, item[0].run_id, item[1]))
        return tuple(
            manifest.model_dump(mode="json", exclude={"intent", "entries"}) | {"mine": mine}
            for manifest, mine in found
        )

    def fetch(self, run_id: str, name: str, target: ObjectRef | None = None) -> bytes:
        """One file of a run's finishing step; see `PlateStore.fetch`."""
        names: list[str] = []
        for place, _ in self._find(run_id, target):
            files = self._files(place)
            if name in files:
                made = files[name]
                read = table_file if made.kind == TABLE_KIND else file_content
                return read(self._session, made)
            names += files
        raise no_file_error(run_id, name, names)

    def annotation(self, run_id: str, name: str, target: ObjectRef) -> int | None:
        """Id of the annotation that holds a file of a run's finishing step; None without one."""
        for place, header in self._journals_of(target):
            if header is not None and (header.run_id, header.target) == (run_id, target):
                made = self._files(place).get(name)
                if made is not None:
                    return made.id
        return None

    def undo(self, run_id: str) -> WriteReport:
        """Remove what a run made; see `PlateStore.undo`."""
        found = [*self._find(run_id), *self._overviews(run_id)]
        journals = [(self._journals.open(place), anchors) for place, anchors in found]
        return undo_run(self._session, self._journals, run_id, journals)

    def _write(self, context: WriteContext, results: Results, files: list[Content]) -> WriteReport:
        wishes = wishes_of(context, results, files, self._crops(context, results))
        return UnitWrite(self._journals, context, wishes).run(results)

    def _crops(self, context: WriteContext, results: Results) -> dict[tuple[str, str], CropWish]:
        if results.crops is None:
            return {}
        target, layouts = results.target, self._layouts
        layout = layouts.plate(target.id) if target.kind == "plate" else layouts.images(target.id)
        return wanted_crops(context, results.crops, layout)

    def _context(self, results: Results) -> WriteContext:
        target, layouts = results.target, self._layouts
        if target not in self._images:
            self._images[target] = frozenset(self._images_of(target))
        return WriteContext(
            session=self._session,
            group=layouts.group_of(target),
            target=target,
            anchors=layouts.anchors(target),
            wells=layouts.wells(target),
            images=self._images[target],
            run_id=results.run_id,
            unit=results.unit,
        )

    def _images_of(self, target: ObjectRef) -> Iterator[int]:
        if target.kind == "screen":
            return
        layouts, number = self._layouts, target.id
        layout = layouts.plate(number) if target.kind == "plate" else layouts.images(number)
        for site in layout.sites():
            yield int(site.image.id)

    def _targets(self) -> tuple[ObjectRef, ...]:
        """All that results may be about: screens after the plates that they tell of."""
        return (*self._layouts.refs(), *(screen.ref for screen in self._layouts.screens()))

    def _journals_of(self, target: ObjectRef) -> Iterator[tuple[Place, RunLine | None]]:
        for place in self._journals.places(self._layouts.anchors(target)):
            yield place, self._journals.header(place)

    def _find(self, run_id: str, target: ObjectRef | None = None) -> list[tuple[Place, Anchors]]:
        """Journals of a run over the store's objects, or one, and what each is attached to.

        Raises
        ------
        RunNotFoundError
            If there is none; the message lists the runs there are.
        """
        found: list[tuple[Place, Anchors]] = []
        there: dict[str, None] = {}
        for ref in self._targets() if target is None else (target,):
            for place, header in self._journals_of(ref):
                if header is not None and header.target != ref:
                    continue
                name = header.run_id if header else place.run_id
                there[name] = None
                if name == run_id:
                    found.append((place, self._layouts.anchors(ref)))
        if not found:
            raise no_run_error(self._shown(), run_id, list(there))
        return found

    def _overviews(self, run_id: str) -> Iterator[tuple[Place, Anchors]]:
        """Yield what a run left with screens of our plates, where no other plate of them has it.

        Who undoes a run plate by plate does not name the screen, and would leave its overview.
        """
        ours = {int(ref.id) for ref in self._layouts.refs() if ref.kind == "plate"}
        named = {int(screen.id) for screen in self._layouts.screens()}
        for screen, plates in screens_around(self._session, ours).items():
            anchors = (("Screen", screen),)
            found = [] if screen in named else self._journals.places(anchors)
            own = [place for place in found if place.run_id == run_id]
            others = tuple(("Plate", plate) for plate in sorted(plates - ours))
            if own and not any(item.run_id == run_id for item in self._journals.places(others)):
                yield from ((place, anchors) for place in own)

    def _files(self, place: Place) -> dict[str, Made]:
        """Files of a run's finishing step that are still there, by name.

        A table that is an OMERO.table only counts as the file that it would be.
        """
        made = self._journals.open(place).units[None].made()
        files = [one for one in made if one.kind in _FILES and one.type == "FileAnnotation"]
        tables = [one for one in made if one.kind == TABLE_KIND and one.name in ALONE]
        there = file_marks(self._session, sorted({one.id for one in [*files, *tables]}))
        found = {f"{one.name}{TABLE_SUFFIX}": one for one in tables if one.id in there}
        return found | {one.name: one for one in files if one.id in there}

    def _shown(self) -> str:
        anchors = [self._layouts.anchors(ref)[0] for ref in self._layouts.refs()]
        return ", ".join(place_of(self._session, *anchor) for anchor in anchors)


def _manifest(header: RunLine, place: Place) -> Manifest:
    return Manifest(
        run_id=header.run_id,
        key=header.key,
        task=header.task,
        target=header.target,
        started=header.started,
        updated=place.updated,
        package_version=header.package_version,
    )


def _check_places(context: WriteContext, results: Results) -> None:
    """Refuse results about what the target does not have, and ROIs that cannot be drawn.

    Raises
    ------
    InputErrors
        With every fault.
    """
    named: list[tuple[str, str]] = [("image", roi.image) for roi in results.rois]
    named += [("image", label.image) for label in results.labels]
    named += [("image", results.crops.image)] if results.crops else []
    named += [(tag.object_kind, tag.object_id) for tag in results.tags]
    named += [(note.object_kind, note.object_id) for note in results.key_values]
    target = f"{context.target.kind} {context.target.id}"
    faults = [
        f"Results of {results.task} are about {kind} {number!r}, which {target} does not have."
        for kind, number in dict.fromkeys(named)
        if not _is_there(context, kind, number)
    ]
    faults += [fault for fault in map(roi_fault, results.rois) if fault]
    if faults:
        raise InputErrors(faults[:_FAULTS_TOLD])


def _is_there(context: WriteContext, kind: str, object_id: str) -> bool:
    try:
        place, number = context.place(kind, object_id)
    except (KeyError, ValueError):
        return False
    if kind == "plate":
        return (context.target.kind, object_id) == ("plate", context.target.id)
    if kind == "well":
        return object_id.rpartition("/")[0] in ("", context.target.id)
    return place != "Image" or number in context.images

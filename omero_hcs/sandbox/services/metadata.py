"""IMetadata: annotations, tags, instruments and how channels were taken."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from omero_hcs.sandbox.ice.record import rtypes
from omero_hcs.sandbox.model.schema import SCHEMA, entity_name
from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.conditions import api_usage
from omero_hcs.sandbox.objects.load import materialise
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.services.base import Service
from omero_hcs.sandbox.services.container import IContainer
from omero_hcs.sandbox.services.fetching import Choice, Fetch
from omero_hcs.sandbox.services.query import known_entity

TAG_SET = "openmicroscopy.org/omero/insight/tagset"
IMPORT_LOG = "application/omero-log-file"
TAGGED = ("Image", "Dataset", "Project", "Screen", "Plate")
FILTER = ("transmittanceRange", "type")
LIGHT = ("type", "laserMedium", "pulse")
INSTRUMENT: Sequence[str] = (
    "microscope.type",
    "objective.immersion",
    "objective.correction",
    "detector.type",
    *(f"filter.{one}" for one in FILTER),
    "filterSet.dichroic",
    "dichroic",
    "otf.pixelsType",
    "otf.objective.immersion",
    "otf.objective.correction",
    "otf.filterSet",
    *(f"lightSource.{one}" for one in LIGHT),
)
CHANNEL: Sequence[str] = (
    "mode",
    "illumination",
    "contrastMethod",
    "detectorSettings.detector.type",
    "detectorSettings.binning",
    "lightSourceSettings.microbeamManipulation",
    *(f"lightSourceSettings.lightSource.{one}" for one in (*LIGHT, "instrument")),
    *(f"lightSourceSettings.lightSource.pump.{one}" for one in LIGHT),
    "otf.pixelsType",
    "otf.objective.immersion",
    "otf.objective.correction",
    "otf.filterSet.dichroic",
    *(
        path
        for holder in ("filterSet", "lightPath")
        for path in (
            f"{holder}.dichroic",
            *(f"{holder}.emissionFilterLink.child.{one}" for one in FILTER),
            *(f"{holder}.excitationFilterLink.child.{one}" for one in FILTER),
        )
    ),
)
# A file annotation is given back with its file; other annotations have no such field.
ANNOTATION = ("details.creationEvent", "details.owner", "file.hasher")


class IMetadata(Service):
    """Operations of `omero.api.IMetadata`."""

    # -- annotations

    def loadAnnotations(
        self,
        rootType: str,
        rootIds: Sequence[int],
        annotationTypes: Sequence[str],
        annotatorIds: Sequence[int],
        options: Any,
        current: Any,
    ) -> dict[int, list[Any]]:
        name = known_entity(rootType)
        if "annotationLinks" not in SCHEMA[name].fields:
            msg = "Class parameter for loadAnnotation() must be a subclass of ome.model.IAnnotated"
            raise api_usage(msg)
        kinds = {entity_name(told) for told in annotationTypes}
        with self.reading(current) as caller:
            fetch = Fetch(self.world, caller)
            found: dict[int, list[Row]] = {}
            for root in self._readable(name, rootIds, caller):
                linked = self._annotations_of(root, caller)
                annotations = [one for one in linked if is_by(one, annotatorIds)]
                if annotations or not annotatorIds:
                    found[root.id] = [
                        one for one in annotations if not kinds or one.entity.name in kinds
                    ]
                    fetch.load(found[root.id], *ANNOTATION)
            return self._given(found, fetch, caller)

    def _readable(self, name: str, ids: Iterable[int], caller: Caller) -> list[Row]:
        rows = (self.world.get(name, one) for one in ids)
        return [row for row in rows if row is not None and caller.can_read(row)]

    def _annotations_of(self, row: Row, caller: Caller) -> list[Row]:
        links = self.world.members(row, "annotationLinks")
        children = (link.values["child"] for link in links if caller.can_read(link))
        return list(dict.fromkeys(one for one in children if caller.can_read(one)))

    def _given(
        self, found: Mapping[int, Sequence[Row]], fetch: Fetch, caller: Caller
    ) -> dict[int, list[Any]]:
        rows = [row for group in found.values() for row in group]
        objects = iter(materialise(self.world, rows, fetch.plan, caller))
        return {key: [next(objects) for _ in group] for key, group in found.items()}

    def loadAnnotation(self, ids: Sequence[int], current: Any) -> list[Any]:
        with self.reading(current) as caller:
            return self._loaded(self._readable("Annotation", ids, caller), caller)

    def _loaded(self, annotations: Sequence[Row], caller: Caller) -> list[Any]:
        fetch = Fetch(self.world, caller)
        fetch.load(annotations, *ANNOTATION)
        return materialise(self.world, annotations, fetch.plan, caller)

    def loadSpecifiedAnnotations(
        self,
        annotationType: str,
        include: Sequence[str],
        exclude: Sequence[str],
        options: Any,
        current: Any,
    ) -> list[Any]:
        with self.reading(current) as caller:
            found = self._specified(annotationType, include, exclude, options, caller)
            if known_entity(annotationType) == "FileAnnotation":
                found = [one for one in found if "file" in one.values]
            return self._loaded(found, caller)

    def _specified(
        self,
        kind: str,
        include: Sequence[str],
        exclude: Sequence[str],
        options: Any,
        caller: Caller,
    ) -> list[Row]:
        choice, name = Choice.of(options), annotation_entity(kind)
        return [
            row
            for row in self.world.all(name)
            if caller.can_read(row)
            and is_by(row, () if choice.owner is None else (choice.owner,))
            and is_in_namespace(row, include, exclude)
        ]

    def countSpecifiedAnnotations(
        self,
        annotationType: str,
        include: Sequence[str],
        exclude: Sequence[str],
        options: Any,
        current: Any,
    ) -> Any:
        with self.reading(current) as caller:
            found = self._specified(annotationType, include, exclude, options, caller)
            return rtypes.rlong(len(found))

    def loadSpecifiedAnnotationsLinkedTo(
        self,
        annotationType: str,
        include: Sequence[str],
        exclude: Sequence[str],
        rootType: str,
        rootIds: Sequence[int],
        options: Any,
        current: Any,
    ) -> dict[int, list[Any]]:
        with self.reading(current) as caller:
            specified = self._specified(annotationType, include, exclude, options, caller)
            wanted, fetch = set(specified), Fetch(self.world, caller)
            found = {}
            for root in self._readable(known_entity(rootType), rootIds, caller):
                linked = [one for one in self._annotations_of(root, caller) if one in wanted]
                if linked:
                    found[root.id] = linked
                    fetch.load(linked, *ANNOTATION)
            return self._given(found, fetch, caller)

    def loadAnnotationsUsedNotOwned(
        self, annotationType: str, userID: int, current: Any
    ) -> list[Any]:
        with self.reading(current) as caller:
            found = self._used(annotationType, userID, caller)
            fetch = Fetch(self.world, caller)
            fetch.load(found, "details.owner")
            return materialise(self.world, found, fetch.plan, caller)

    def _used(self, kind: str, user_id: int, caller: Caller) -> list[Row]:
        name = annotation_entity(kind)
        used: dict[Row, None] = {}
        for tagged in TAGGED:
            for link in self.world.all(f"{tagged}AnnotationLink"):
                child = link.values["child"]
                is_used = is_by(link, (user_id,)) and not is_by(child, (user_id,))
                if is_used and child.entity.isa(name) and caller.can_read(link):
                    used[child] = None
        return list(used)

    def countAnnotationsUsedNotOwned(self, annotationType: str, userID: int, current: Any) -> Any:
        with self.reading(current) as caller:
            return rtypes.rlong(len(self._used(annotationType, userID, caller)))

    # -- tags

    def loadTagContent(
        self, tagIds: Sequence[int], options: Any, current: Any
    ) -> dict[int, list[Any]]:
        return {one: self._content(one, options, current) for one in tagIds}

    def _content(self, tag_id: int, options: Any, current: Any) -> list[Any]:
        with self.reading(current) as caller:
            tagged = self._tagged(tag_id, caller)
            plain = [row for row in tagged if row.entity.name in ("Image", "Dataset", "Plate")]
            fetch = Fetch(self.world, caller)
            fetch.load(plain, "pixels.pixelsType")
            for row in plain:
                fetch.plan.count(row, "annotationLinks")
                self._load_tag_link(fetch, row, tag_id)
            found = materialise(self.world, plain, fetch.plan, caller)
        container = IContainer(self.server, self.session)
        for name in ("Project", "Screen"):
            ids = [row.id for row in tagged if row.entity.name == name]
            if ids:
                found += container.loadContainerHierarchy(name, ids, None, current)
        return found

    def _load_tag_link(self, fetch: Fetch, row: Row, tag_id: int) -> None:
        for link in self.world.members(row, "annotationLinks"):
            if link.values["child"].id == tag_id:
                fetch.load([link], "child.details.owner")
                fetch.load([row], "details.owner")
                fetch.plan.add(row, "annotationLinks", link)

    def _tagged(self, tag_id: int, caller: Caller) -> list[Row]:
        tag = self.world.get("Annotation", tag_id)
        if tag is None:
            return []
        return [
            link.values["parent"]
            for name in TAGGED
            for link in self.world.references(tag, f"{name}AnnotationLink", "child")
            if caller.can_read(link) and caller.can_read(link.values["parent"])
        ]

    def getTaggedObjectsCount(
        self, tagIds: Sequence[int], options: Any, current: Any
    ) -> dict[int, int]:
        with self.reading(current) as caller:
            return {one: len(self._tagged(one, caller)) for one in tagIds}

    def loadTagSets(self, options: Any, current: Any) -> list[Any]:
        choice = Choice.of(options)
        owners = () if choice.owner is None else (choice.owner,)
        with self.reading(current) as caller:
            tags = [
                row
                for row in self.world.all("TagAnnotation")
                if caller.can_read(row) and is_by(row, owners)
            ]
            sets = [row for row in tags if row.values.get("ns") == TAG_SET]
            fetch = Fetch(self.world, caller)
            fetch.load(sets, "details.owner", "annotationLinks.child.details.owner")
            inside = {child for one in sets for child in self._annotations_of(one, caller)}
            if choice.orphan:
                alone = [row for row in tags if row not in inside and row not in sets]
                fetch.load(alone)
                sets += alone
            return materialise(self.world, sets, fetch.plan, caller)

    # -- how images were taken

    def loadInstrument(self, instrumentId: int, current: Any) -> Any:
        with self.reading(current) as caller:
            found = self._readable("Instrument", [instrumentId], caller)
            fetch = Fetch(self.world, caller)
            fetch.load(found, *INSTRUMENT)
            return next(iter(materialise(self.world, found, fetch.plan, caller)), None)

    def loadChannelAcquisitionData(self, ids: Sequence[int], current: Any) -> list[Any]:
        with self.reading(current) as caller:
            found = self._readable("LogicalChannel", ids, caller)
            fetch = Fetch(self.world, caller)
            fetch.load(found, *CHANNEL)
            return materialise(self.world, found, fetch.plan, caller)

    def loadLogFiles(self, rootType: str, ids: Sequence[int], current: Any) -> dict[int, list[Any]]:
        name = known_entity(rootType)
        if name not in ("Image", "Fileset"):
            msg = "can load log files only by Fileset or Image"
            raise api_usage(msg)
        with self.reading(current) as caller:
            found: dict[int, list[Any]] = {}
            for row in self._readable(name, ids, caller):
                fileset = row.values.get("fileset") if name == "Image" else row
                logs = [] if fileset is None else self._logs(fileset, caller)
                if logs:
                    found[row.id] = self.each(logs, caller)
            return found

    def _logs(self, fileset: Row, caller: Caller) -> list[Row]:
        jobs = [link.values["child"] for link in self.world.members(fileset, "jobLinks")]
        files = [
            link.values["child"]
            for job in jobs
            if job.entity.isa("UploadJob")
            for link in self.world.members(job, "originalFileLinks")
        ]
        return [
            file
            for file in files
            if file.values.get("mimetype") == IMPORT_LOG and caller.can_read(file)
        ]


def annotation_entity(told: str) -> str:
    """Return the entity of a kind of annotations.

    Raises
    ------
    omero.ApiUsageException
        It is no annotation.
    """
    name = known_entity(told)
    if not SCHEMA[name].isa("Annotation"):
        msg = f"{told} is not a type of annotation."
        raise api_usage(msg)
    return name


def is_by(row: Row, owner_ids: Collection[int]) -> bool:
    """Say whether one of these users owns a row; nobody named means everybody."""
    owner = row.details.owner
    return not owner_ids or (owner is not None and owner.id in owner_ids)


def is_in_namespace(row: Row, include: Collection[str], exclude: Collection[str]) -> bool:
    """Say whether a row's namespace is among those asked for and not among those shunned."""
    namespace = row.values.get("ns")
    return not (include and namespace not in include) and namespace not in exclude

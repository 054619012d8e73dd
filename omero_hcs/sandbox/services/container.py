"""IContainer: images and what they are in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from omero_hcs.sandbox.commands.delete import delete_row
from omero_hcs.sandbox.model.schema import SCHEMA, Kind, entity_of
from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.conditions import api_usage
from omero_hcs.sandbox.objects.load import materialise
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.services.base import Service
from omero_hcs.sandbox.services.fetching import Choice, Fetch
from omero_hcs.sandbox.services.query import known_entity
from omero_hcs.sandbox.services.update import IUpdate

ROOTS = ("Project", "Dataset", "Screen", "Plate")
IMAGE_ROOTS = ("Image", "Dataset", "Project")
EVENTS = ("details.creationEvent", "details.updateEvent")
PIXELS = ("pixels.pixelsType", "format")
ACQUISITION = (
    "stageLabel",
    "imagingEnvironment",
    "objectiveSettings.medium",
    "objectiveSettings.objective.immersion",
    "objectiveSettings.objective.correction",
)
# What lies between a container and its images, for those that have it between.
INTO: Mapping[str, Sequence[str]] = {
    "Project": ("datasetLinks", "child", "imageLinks", "child"),
    "Dataset": ("imageLinks", "child"),
    "Screen": ("plateLinks", "child", "wells", "wellSamples", "image"),
    "Plate": ("wells", "wellSamples", "image"),
    "Well": ("wellSamples", "image"),
    "Fileset": ("images",),
    "Image": (),
}


class IContainer(Service):
    """Operations of `omero.api.IContainer`."""

    # -- containers and what is in them

    def loadContainerHierarchy(
        self, rootType: str, rootIds: Sequence[int], options: Any, current: Any
    ) -> list[Any]:
        name, choice = known_entity(rootType), Choice.of(options)
        if name not in ROOTS:
            msg = (
                "Class parameter for loadContainerIHierarchy() must be in "
                f"{{Project,Dataset, Screen, Plate}}, not {rootType}"
            )
            raise api_usage(msg)
        with self.reading(current) as caller:
            fetch = Fetch(self.world, caller)
            roots = list(self._chosen(name, rootIds, choice, caller))
            self._load_containers(fetch, name, roots, choice)
            if choice.orphan and not rootIds:
                roots += self._orphans(fetch, name, choice, caller)
            return materialise(self.world, roots, fetch.plan, caller)

    def _chosen(
        self, name: str, ids: Iterable[int], choice: Choice, caller: Caller
    ) -> Iterator[Row]:
        rows = (self.world.get(name, one) for one in ids) if ids else self.world.all(name)
        for row in rows:
            if row is not None and caller.can_read(row) and choice.takes(row):
                yield row

    def _load_containers(
        self, fetch: Fetch, name: str, roots: Sequence[Row], choice: Choice
    ) -> None:
        fetch.load(roots, EVENTS[0])
        for row in roots:
            fetch.plan.count(row, "annotationLinks")
        load = {
            "Project": self._load_project,
            "Dataset": self._load_dataset,
            "Screen": self._load_screen,
            "Plate": self._load_runs,
        }[name]
        for row in roots:
            load(fetch, row, choice)

    def _load_project(self, fetch: Fetch, project: Row, choice: Choice) -> None:
        fetch.load([project], "datasetLinks.child")
        for link in self.world.members(project, "datasetLinks"):
            dataset = link.values["child"]
            fetch.plan.count(dataset, "annotationLinks")
            fetch.plan.count(dataset, "imageLinks")
            if choice.leaves:
                fetch.load([dataset], "imageLinks.child")
                self._load_images(fetch, dataset, choice)

    def _load_dataset(self, fetch: Fetch, dataset: Row, choice: Choice) -> None:
        fetch.plan.count(dataset, "imageLinks")
        if choice.leaves:
            fetch.load([dataset], "imageLinks.child")
            self._load_images(fetch, dataset, choice)

    def _load_images(self, fetch: Fetch, dataset: Row, choice: Choice) -> None:
        images = [link.values["child"] for link in self.world.members(dataset, "imageLinks")]
        images = [image for image in images if image in fetch.plan.rows]
        load_images(fetch, images, choice)
        for image in images:
            fetch.plan.count(image, "annotationLinks")

    def _load_screen(self, fetch: Fetch, screen: Row, choice: Choice) -> None:
        fetch.load([screen], "plateLinks.child")
        for link in self.world.members(screen, "plateLinks"):
            plate = link.values["child"]
            if plate in fetch.plan.rows:
                fetch.load([plate], *EVENTS)
                fetch.plan.count(plate, "annotationLinks")
                self._load_runs(fetch, plate, choice)

    def _load_runs(self, fetch: Fetch, plate: Row, choice: Choice) -> None:
        fetch.load([plate], "plateAcquisitions")
        for run in self.world.members(plate, "plateAcquisitions"):
            fetch.plan.count(run, "annotationLinks")
            if choice.leaves:
                fetch.load([run], "wellSample.image")
                samples = self.world.members(run, "wellSample")
                images = [sample.values.get("image") for sample in samples]
                load_images(fetch, [one for one in images if one in fetch.plan.rows], choice)

    def _orphans(self, fetch: Fetch, name: str, choice: Choice, caller: Caller) -> list[Row]:
        kinds = {
            "Project": ("Dataset", "ProjectDatasetLink"),
            "Screen": ("Plate", "ScreenPlateLink"),
        }
        if name not in kinds:
            return []
        inner, link = kinds[name]
        orphans = [
            row
            for row in self._chosen(inner, (), choice, caller)
            if not any(map(caller.can_read, self.world.references(row, link, "child")))
        ]
        self._load_containers(fetch, inner, orphans, choice)
        return orphans

    def findContainerHierarchies(
        self, rootType: str, imageIds: Sequence[int], options: Any, current: Any
    ) -> list[Any]:
        if known_entity(rootType) != "Project":
            msg = (
                "Class parameter for findContainerHierarchies() must be in {Project}, "
                f"not {rootType}"
            )
            raise api_usage(msg)
        with self.reading(current) as caller:
            fetch, choice = Fetch(self.world, caller), Choice.of(options)
            images = self._chosen("Image", imageIds, Choice(), caller) if imageIds else ()
            tops: dict[Row, None] = {}
            for image in images:
                fetch.load([image])
                tops.update(dict.fromkeys(self._climb(fetch, image, choice, caller)))
            return materialise(self.world, list(tops), fetch.plan, caller)

    def _climb(self, fetch: Fetch, image: Row, choice: Choice, caller: Caller) -> list[Row]:
        """Load what an image is in with nothing but that image in it. Returns the topmost."""
        datasets = list(self._parents(fetch, image, "DatasetImageLink", choice, caller))
        tops: list[Row] = []
        for dataset in datasets:
            projects = self._parents(fetch, dataset, "ProjectDatasetLink", choice, caller)
            tops += list(projects) or [dataset]
        return tops if datasets else [image]

    def _parents(
        self, fetch: Fetch, child: Row, link: str, choice: Choice, caller: Caller
    ) -> Iterator[Row]:
        collection = "imageLinks" if link == "DatasetImageLink" else "datasetLinks"
        for one in self.world.references(child, link, "child"):
            parent = one.values["parent"]
            if caller.can_read(one) and caller.can_read(parent) and choice.takes(parent):
                fetch.load([parent, one])
                fetch.plan.add(parent, collection, one)
                yield parent

    # -- images

    def getImages(
        self, rootType: str, rootIds: Sequence[int], options: Any, current: Any
    ) -> list[Any]:
        if not rootIds:
            return []
        name, choice = known_entity(rootType), Choice.of(options)
        if name not in IMAGE_ROOTS:
            msg = f"Query not implemented for {rootType}"
            raise api_usage(msg)
        is_paged = choice.offset is not None or choice.limit is not None
        if is_paged and name == "Image":
            msg = "ome.model.core.Image does not support pagination yet."
            raise api_usage(msg)
        with self.reading(current) as caller:
            roots = self._chosen(name, rootIds, Choice(), caller)
            found = dict.fromkeys(image for root in roots for image in self._inside(root, caller))
            images = choice.page(sorted(found, key=lambda image: image.id))
            images = [one for one in images if choice.takes(one) and choice.is_in_time(one)]
            return self._give_images(images, choice, caller, counts=True)

    def _inside(self, root: Row, caller: Caller) -> list[Row]:
        """Return the images in a container, as far as the caller sees them."""
        reached = [root]
        for name in INTO[root.entity.name]:
            steps = (self._step(row, name) for row in reached)
            reached = [row for rows in steps for row in rows if caller.can_read(row)]
        return reached

    def _step(self, row: Row, name: str) -> list[Row]:
        if row.entity.fields[name].kind is Kind.COLLECTION:
            return self.world.members(row, name)
        return [row.values[name]] if name in row.values else []

    def _give_images(
        self, images: Sequence[Row], choice: Choice, caller: Caller, *, counts: bool = False
    ) -> list[Any]:
        fetch = Fetch(self.world, caller)
        load_images(fetch, images, choice)
        for image in images:
            fetch.plan.count(image, "annotationLinks")
            if counts:
                fetch.plan.count(image, "datasetLinks")
        return materialise(self.world, images, fetch.plan, caller)

    def getUserImages(self, options: Any, current: Any) -> list[Any]:
        choice = Choice.of(options)
        if choice.owner is None and choice.group is None:
            msg = "experimenter or group option is required for getUserImages()."
            raise api_usage(msg)
        return self._all_images(choice, current)

    def getImagesByOptions(self, options: Any, current: Any) -> list[Any]:
        choice = Choice.of(options)
        if choice.start is None and choice.end is None:
            msg = "start or end time option is required for getImagesByOptions()."
            raise api_usage(msg)
        return self._all_images(choice, current)

    def _all_images(self, choice: Choice, current: Any) -> list[Any]:
        with self.reading(current) as caller:
            images = list(self._chosen("Image", (), choice, caller))
            images = choice.page([image for image in images if choice.is_in_time(image)])
            return self._give_images(images, choice, caller)

    def getImagesBySplitFilesets(
        self, included: Mapping[str, Sequence[int]], options: Any, current: Any
    ) -> dict[int, dict[bool, list[int]]]:
        with self.reading(current) as caller:
            roots = [
                root
                for told, ids in included.items()
                if known_entity(told) in INTO
                for root in self._chosen(known_entity(told), ids, Choice(), caller)
            ]
            images = {image for root in roots for image in self._inside(root, caller)}
            filesets = {image.values["fileset"] for image in images if "fileset" in image.values}
            split: dict[int, dict[bool, list[int]]] = {}
            for fileset in filesets.difference(roots):
                members = self.world.members(fileset, "images")
                left = sorted(image.id for image in members if image not in images)
                if left:
                    inside = sorted(image.id for image in members if image in images)
                    split[fileset.id] = {True: inside, False: left}
            return split

    # -- collections

    def getCollectionCount(
        self, rootType: str, collection: str, ids: Sequence[int], options: Any, current: Any
    ) -> dict[int, int]:
        entity = SCHEMA[known_entity(rootType)]
        name = field_name(collection)
        if name not in entity.fields or entity.fields[name].kind is not Kind.COLLECTION:
            msg = f"{rootType}.{name} is an unknown property on type {rootType}"
            raise api_usage(msg)
        with self.reading(current) as caller:
            rows = {one: self.row(entity.name, one, caller) for one in ids}
            return {one: len(self.world.members(row, name)) for one, row in rows.items()}

    def retrieveCollection(
        self, obj: Any, collectionName: str, options: Any, current: Any
    ) -> list[Any]:
        with self.reading(current) as caller:
            row = self.row(entity_of(obj).name, obj.id.val, caller)
            name = field_name(collectionName)
            if name not in row.entity.fields or row.entity.fields[name].kind is not Kind.COLLECTION:
                msg = f"{row.entity.name}.{name} is an unknown property on type {row.entity.name}"
                raise api_usage(msg)
            members = self.world.members(row, name)
            return self.each([one for one in members if caller.can_read(one)], caller)

    # -- writing

    def createDataObject(self, obj: Any, options: Any, current: Any) -> Any:
        return self._update.saveAndReturnObject(obj, current)

    def createDataObjects(self, objects: Sequence[Any], options: Any, current: Any) -> list[Any]:
        return self._update.saveAndReturnArray(objects, current)

    def updateDataObject(self, obj: Any, options: Any, current: Any) -> Any:
        return self._update.saveAndReturnObject(obj, current)

    def updateDataObjects(self, objects: Sequence[Any], options: Any, current: Any) -> list[Any]:
        return self._update.saveAndReturnArray(objects, current)

    def link(self, links: Sequence[Any], options: Any, current: Any) -> list[Any]:
        return self._update.saveAndReturnArray(links, current)

    def unlink(self, links: Sequence[Any], options: Any, current: Any) -> None:
        with self.writing(current) as caller:
            for link in links:
                row = self.row(entity_of(link).name, link.id.val, caller)
                delete_row(self.world, row, caller)

    @property
    def _update(self) -> IUpdate:
        return IUpdate(self.server, self.session)


def load_images(fetch: Fetch, images: Iterable[Row], choice: Choice) -> None:
    """Load images with their pixels, and how they were taken if that was chosen."""
    fetch.load(images, *EVENTS, *PIXELS, *(ACQUISITION if choice.acquisition else ()))


def field_name(told: str) -> str:
    """Return the field of a name such as `ome.model.containers.Dataset_imageLinks`."""
    return told.rpartition("_")[2].rpartition(".")[2]

"""IRenderingSettings: rendering settings reset and copied, for whole plates at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from omero_hcs.sandbox.ice.record import Ice, omero, rtypes
from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.conditions import internal, validation
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.objects.world import World
from omero_hcs.sandbox.planes import written_planes
from omero_hcs.sandbox.rendering.defaults import default_settings, default_window
from omero_hcs.sandbox.rendering.settings import Settings
from omero_hcs.sandbox.rendering.stored import (
    create_settings,
    load_settings,
    read_settings,
    settings_for,
    settings_object,
    settings_of,
    update_settings,
)
from omero_hcs.sandbox.services.base import Service
from omero_hcs.sandbox.services.query import known_entity

LOG = logging.getLogger("omero_hcs.sandbox")
# By entity: how to get from there to the images, one step a word. "link.child" goes through a link.
PATHS = {
    "Project": "datasetLinks.child imageLinks.child",
    "Dataset": "imageLinks.child",
    "Screen": "plateLinks.child wells wellSamples.image",
    "Plate": "wells wellSamples.image",
    "PlateAcquisition": "wellSample.image",
    "Image": "",
}


class IRenderingSettings(Service):
    """Operations of `omero.api.IRenderingSettings`."""

    # -- one image

    def getRenderingSettings(self, pixelsId: int, current: Any) -> Any:
        with self.reading(current) as caller:
            found = settings_for(self.world, self._pixels(pixelsId, caller), caller)
            return None if found is None else load_settings(self.world, [found], caller)[0]

    def createNewRenderingDef(self, pixels: Any, current: Any) -> Any:
        with self.reading(current) as caller:
            row = self._pixels(pixels.id.val, caller)
            made = omero.model.RenderingDefI()
            made.pixels = row.entity.unloaded(row.id)
            made.defaultZ = rtypes.rint(row.values["sizeZ"] // 2)
            made.defaultT = rtypes.rint(0)
            made.quantization = omero.model.QuantumDefI()
            for _ in range(row.values["sizeC"]):
                made.addChannelBinding(omero.model.ChannelBindingI())
            return made

    def resetDefaults(self, definition: Any, pixels: Any, current: Any) -> None:
        with self.writing(current) as caller:
            row = self._pixels(pixels.id.val, caller)
            settings = self._pretty(row)
            known = None
            if definition.id is not None:
                known = self.world.get("RenderingDef", definition.id.val)
            self._keep(row, known, settings, caller)

    def resetDefaultsNoSave(self, definition: Any, pixels: Any, current: Any) -> Any:
        with self.reading(current) as caller:
            row = self._pixels(pixels.id.val, caller)
            made = settings_object(self._pretty(row), row)
            made.id = definition.id
            return made

    def sanityCheckPixels(self, pFrom: Any, pTo: Any, current: Any) -> bool:
        with self.reading(current) as caller:
            rows = (self._pixels(told.id.val, caller) for told in (pFrom, pTo))
            return alike(self.world, *rows)

    def _pixels(self, row_id: int, caller: Caller) -> Row:
        row = self.world.get("Pixels", row_id)
        if row is None or not caller.can_read(row):
            msg = f"No pixels set with ID: {row_id}"
            raise validation(msg)
        return row

    def _pretty(self, pixels: Row) -> Settings:
        written_planes(self.server.files, pixels)  # OMERO wants to see them, too
        return default_settings(self.world, pixels)

    def _keep(self, pixels: Row, known: Row | None, settings: Settings, caller: Caller) -> None:
        if known is None:
            create_settings(self.world, pixels, settings, caller)
        else:
            update_settings(self.world, known, settings, caller)

    def _mine(self, pixels: Row, caller: Caller) -> Row | None:
        return next(iter(settings_of(self.world, pixels, caller.user)), None)

    # -- sets

    def resetDefaultsInSet(self, entity: str, ids: Sequence[int], current: Any) -> list[int]:
        return self._reset(entity, ids, self._pretty, current)

    def setOriginalSettingsInSet(self, entity: str, ids: Sequence[int], current: Any) -> list[int]:
        return self._reset(
            entity, ids, lambda pixels: default_settings(self.world, pixels), current
        )

    def _reset(
        self, entity: str, ids: Sequence[int], choose: Callable[[Row], Settings], current: Any
    ) -> list[int]:
        done: dict[int, None] = {}
        with self.writing(current) as caller:
            for pixels in self._below(entity, ids, caller):
                try:
                    settings = choose(pixels)
                except Ice.Exception as error:
                    LOG.warning("not resetting the settings of %s: %s", pixels, error)
                    continue
                self._keep(pixels, self._mine(pixels, caller), settings, caller)
                done[pixels.values["image"].id] = None
        return list(done)

    def resetDefaultsByOwnerInSet(self, entity: str, ids: Sequence[int], current: Any) -> list[int]:
        done: dict[int, None] = {}
        with self.writing(current) as caller:
            for pixels in self._below(entity, ids, caller):
                theirs = settings_of(self.world, pixels, pixels.details.owner)
                if theirs:
                    settings = read_settings(self.world, theirs[0])
                    self._keep(pixels, self._mine(pixels, caller), settings, caller)
                    done[pixels.values["image"].id] = None
        return list(done)

    def resetMinMaxInSet(self, entity: str, ids: Sequence[int], current: Any) -> list[int]:
        done: dict[int, None] = {}
        with self.writing(current) as caller:
            for pixels in self._below(entity, ids, caller):
                known = self._mine(pixels, caller)
                settings = default_settings(self.world, pixels)
                if known is not None:
                    settings = read_settings(self.world, known)
                    for number, channel in enumerate(self.world.members(pixels, "channels")):
                        start, end = default_window(pixels, channel)
                        changed = replace(settings.channels[number], start=start, end=end)
                        settings.channels[number] = changed
                self._keep(pixels, known, settings, caller)
                done[pixels.id] = None
        return list(done)

    def applySettingsToSet(
        self, source: int, entity: str, ids: Sequence[int], current: Any
    ) -> dict[bool, list[int]]:
        done: dict[bool, list[int]] = {True: [], False: []}
        with self.writing(current) as caller:
            pixels = self._pixels(source, caller)
            stored = self._mine(pixels, caller)
            for other in self._below(entity, ids, caller):
                applied = other is pixels or self._apply(pixels, stored, other, caller)
                done[applied].append(other.values["image"].id)
        return done

    def _apply(self, source: Row, stored: Row | None, target: Row, caller: Caller) -> bool:
        if stored is None or not alike(self.world, source, target):
            return False
        settings = read_settings(self.world, stored)
        known = self._mine(target, caller)
        kept = None if known is None else read_settings(self.world, known)
        if settings.z >= target.values["sizeZ"]:
            settings.z = target.values["sizeZ"] // 2 if kept is None else kept.z
        if settings.t >= target.values["sizeT"]:
            settings.t = 0 if kept is None else kept.t
        settings.name = None
        self._keep(target, known, settings, caller)
        return True

    def _below(self, entity: str, ids: Sequence[int], caller: Caller) -> Iterator[Row]:
        name = known_entity(entity)
        if name == "Pixels":
            rows = [self.world.get(name, row_id) for row_id in ids]
            yield from (row for row in rows if row is not None and caller.can_read(row))
            return
        if name not in PATHS:
            msg = (
                "Class parameter for changing settings must be in {Project, Dataset, Image, "
                f"Plate, Screen, PlateAcquisition, Pixels}}, not {entity}"
            )
            raise internal(msg)
        found = [row for row_id in ids if (row := self.world.get(name, row_id)) is not None]
        for step in PATHS[name].split():
            found = self._step(found, step)
        for image in dict.fromkeys(found):
            if caller.can_read(image):
                yield from self.world.members(image, "pixels")

    def _step(self, rows: Sequence[Row], step: str) -> list[Row]:
        collection, _, field = step.partition(".")
        members = [member for row in rows for member in self.world.members(row, collection)]
        if not field:
            return members
        return [other for one in members if (other := one.values.get(field)) is not None]

    # -- the same for one or a few

    def resetDefaultsInImage(self, to: int, current: Any) -> None:
        self.resetDefaultsInSet("Image", [to], current)

    def resetDefaultsForPixels(self, to: int, current: Any) -> None:
        self.resetDefaultsInSet("Pixels", [to], current)

    def resetDefaultsInDataset(self, to: int, current: Any) -> list[int]:
        return self.resetDefaultsInSet("Dataset", [to], current)

    def setOriginalSettingsInImage(self, to: int, current: Any) -> None:
        self.setOriginalSettingsInSet("Image", [to], current)

    def setOriginalSettingsForPixels(self, to: int, current: Any) -> None:
        self.setOriginalSettingsInSet("Pixels", [to], current)

    def setOriginalSettingsInDataset(self, to: int, current: Any) -> list[int]:
        return self.setOriginalSettingsInSet("Dataset", [to], current)

    def applySettingsToProject(self, source: int, to: int, current: Any) -> dict[bool, list[int]]:
        return self.applySettingsToSet(source, "Project", [to], current)

    def applySettingsToDataset(self, source: int, to: int, current: Any) -> dict[bool, list[int]]:
        return self.applySettingsToSet(source, "Dataset", [to], current)

    def applySettingsToImages(
        self, source: int, ids: Sequence[int], current: Any
    ) -> dict[bool, list[int]]:
        return self.applySettingsToSet(source, "Image", ids, current)

    def applySettingsToImage(self, source: int, to: int, current: Any) -> bool:
        return to in self.applySettingsToSet(source, "Image", [to], current)[True]

    def applySettingsToPixels(self, source: int, to: int, current: Any) -> bool:
        return bool(self.applySettingsToSet(source, "Pixels", [to], current)[True])


def alike(world: World, one: Row, other: Row) -> bool:
    """Say whether settings of one image make sense for another: same type, same channels."""
    for name in ("pixelsType", "sizeC"):
        if one.values[name] != other.values[name]:
            return False
    mine, theirs = ([_wave(c) for c in world.members(row, "channels")] for row in (one, other))
    return sum(wave in mine for wave in theirs) == len(mine)


def _wave(channel: Row) -> tuple[Any, Any] | None:
    wave = channel.values["logicalChannel"].values.get("emissionWave")
    return None if wave is None else (wave.getValue(), wave.getUnit())

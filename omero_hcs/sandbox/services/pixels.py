"""IPixels: images made from their sizes, descriptions of pixels, rendering settings of users."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from omero_hcs.sandbox.ice.record import omero, rtypes
from omero_hcs.sandbox.model.schema import SCHEMA, Kind
from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.conditions import api_usage, internal, security, validation
from omero_hcs.sandbox.objects.load import Plan, materialise
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.objects.save import Merger
from omero_hcs.sandbox.rendering.stored import load_settings, settings_for, settings_of
from omero_hcs.sandbox.services.base import Service
from omero_hcs.sandbox.services.query import known_entity

SIZES = ("sizeX", "sizeY", "sizeZ", "sizeT")
COPIED = (
    "acquisitionDate",
    "objectiveSettings",
    "imagingEnvironment",
    "experiment",
    "stageLabel",
    "instrument",
)
PHYSICAL = ("physicalSizeX", "physicalSizeY", "physicalSizeZ")
DESCRIBED = ("photometricInterpretation", "illumination", "mode", "contrastMethod")


class IPixels(Service):
    """Operations of `omero.api.IPixels`."""

    # -- making

    def createImage(
        self,
        sizeX: int,
        sizeY: int,
        sizeZ: int,
        sizeT: int,
        channelList: Sequence[int],
        pixelsType: Any,
        name: str,
        description: str,
        current: Any,
    ) -> Any:
        if not channelList:
            msg = "Channel list must be filled."
            raise validation(msg)
        pixels = omero.model.PixelsI()
        pixels.pixelsType = pixelsType
        sizes = (sizeX, sizeY, sizeZ, sizeT)
        _describe(pixels, sizes, len(channelList))
        with self.writing(current) as caller:
            pixels.dimensionOrder = _unloaded(self.enumeration("DimensionOrder", "XYZCT"))
            for _ in channelList:
                channel = omero.model.ChannelI()
                channel.logicalChannel = omero.model.LogicalChannelI()
                pixels.addChannel(channel)
            image = omero.model.ImageI()
            image.name, image.description = rtypes.rstring(name), rtypes.rstring(description)
            image.addPixels(pixels)
            return rtypes.rlong(self._save(image, caller).id)

    def copyAndResizeImage(
        self,
        imageId: int,
        sizeX: Any,
        sizeY: Any,
        sizeZ: Any,
        sizeT: Any,
        channelList: Sequence[int],
        name: str,
        copyStats: bool,
        current: Any,
    ) -> Any:
        with self.writing(current) as caller:
            source = self._existing("Image", imageId, caller)
            image = omero.model.ImageI()
            _copy(source, image, COPIED)
            image.name = rtypes.rstring(name)
            for pixels in self.world.members(source, "pixels"):
                sizes = _new_sizes(pixels, (sizeX, sizeY, sizeZ, sizeT))
                image.addPixels(self._resized(pixels, sizes, channelList, copy_stats=copyStats))
            return rtypes.rlong(self._save(image, caller).id)

    def copyAndResizePixels(
        self,
        pixelsId: int,
        sizeX: Any,
        sizeY: Any,
        sizeZ: Any,
        sizeT: Any,
        channelList: Sequence[int],
        methodology: str,
        copyStats: bool,
        current: Any,
    ) -> Any:
        with self.writing(current) as caller:
            source = self._existing("Pixels", pixelsId, caller)
            sizes = _new_sizes(source, (sizeX, sizeY, sizeZ, sizeT))
            made = self._resized(source, sizes, channelList, copy_stats=copyStats)
            made.methodology = rtypes.rstring(methodology)
            made.image = _unloaded(source.values["image"])
            return rtypes.rlong(self._save(made, caller).id)

    def _resized(
        self, source: Row, sizes: Sequence[int], channels: Sequence[int], *, copy_stats: bool
    ) -> Any:
        known = self.world.members(source, "channels")
        if not channels:
            msg = "Channel List is not null but size == 0"
            raise validation(msg)
        made = omero.model.PixelsI()
        _describe(made, sizes, len(channels))
        _copy(source, made, ("dimensionOrder", "pixelsType", *PHYSICAL))
        made.relatedTo = _unloaded(source)
        for place, number in enumerate(channels):
            if not 0 <= number < len(known):
                msg = f"channel: {place} out of bounds"
                raise validation(msg)
            channel = omero.model.ChannelI()
            channel.logicalChannel = _unloaded(known[number].values["logicalChannel"])
            stats = known[number].values.get("statsInfo")
            if copy_stats and stats is not None:
                channel.statsInfo = omero.model.StatsInfoI()
                _copy(stats, channel.statsInfo, ("globalMin", "globalMax"))
            made.addChannel(channel)
        return made

    def _save(self, sent: Any, caller: Caller) -> Row:
        return Merger(self.world, caller).merge_all([sent])[0]

    def _existing(self, entity: str, row_id: int, caller: Caller) -> Row:
        row = self.world.get(entity, row_id)
        if row is None or not caller.can_read(row):
            msg = (
                f"The requested object (ome.model.core.{entity},{row_id}) is not available.\n"
                "Please use IQuery.find to determine existence.\n"
            )
            raise validation(msg)
        return row

    def setChannelGlobalMinMax(
        self, pixelsId: int, channelIndex: int, minimum: float, maximum: float, current: Any
    ) -> None:
        with self.writing(current) as caller:
            pixels = self._existing("Pixels", pixelsId, caller)
            channels = self.world.members(pixels, "channels")
            if not 0 <= channelIndex < len(channels):
                msg = f"Index: {channelIndex}, Size: {len(channels)}"
                raise internal(msg)
            channel = channels[channelIndex]
            if not caller.rights(channel).edit:
                msg = f"Cannot update object: ome.model.core.Channel:Id_{channel.id}"
                raise security(msg)
            self._set_range(channel, minimum, maximum, caller)

    def _set_range(self, channel: Row, low: float, high: float, caller: Caller) -> None:
        stats = channel.values.get("statsInfo")
        if stats is not None:
            self.world.set(stats, "globalMin", low)
            self.world.set(stats, "globalMax", high)
            self.world.touch(stats, caller.event)
            return
        made = omero.model.StatsInfoI()
        made.globalMin, made.globalMax = rtypes.rdouble(low), rtypes.rdouble(high)
        self.world.set(channel, "statsInfo", self._save(made, caller))
        self.world.touch(channel, caller.event)

    # -- describing

    def retrievePixDescription(self, pixId: int, current: Any) -> Any:
        with self.reading(current) as caller:
            pixels = self.world.get("Pixels", pixId)
            if pixels is None or not caller.can_read(pixels):
                return None
            plan = Plan()
            describe(self.world.members(pixels, "channels"), pixels, plan)
            return materialise(self.world, [pixels], plan, caller)[0]

    def getBitDepth(self, pixelsType: Any, current: Any) -> int:
        with self.reading(current):
            row = self.world.get("PixelsType", pixelsType.id.val)
            if row is None:
                msg = f"There is no PixelsType {pixelsType.id.val}."
                raise api_usage(msg)
            return int(row.values["bitSize"])

    def getEnumeration(self, enumClass: str, value: str, current: Any) -> Any:
        with self.reading(current) as caller:
            row = self.world.find(known_entity(enumClass), value=value)
            return None if row is None else self.one(row, caller)

    def getAllEnumerations(self, enumClass: str, current: Any) -> list[Any]:
        with self.reading(current) as caller:
            return self.each(list(self.world.all(known_entity(enumClass))), caller)

    # -- rendering settings

    def retrieveRndSettings(self, pixId: int, current: Any) -> Any:
        with self.reading(current) as caller:
            pixels = self._existing("Pixels", pixId, caller)
            found = settings_for(self.world, pixels, caller)
            return None if found is None else load_settings(self.world, [found], caller)[0]

    def retrieveRndSettingsFor(self, pixId: int, userId: int, current: Any) -> Any:
        found = self.retrieveAllRndSettings(pixId, userId, current)
        return found[0] if found else None

    def retrieveAllRndSettings(self, pixId: int, userId: int, current: Any) -> list[Any]:
        with self.reading(current) as caller:
            pixels = self.world.get("Pixels", pixId)
            if pixels is None or not caller.can_read(pixels):
                return []
            user = self.world.get("Experimenter", userId) if userId >= 0 else None
            if userId >= 0 and user is None:
                return []
            return load_settings(self.world, settings_of(self.world, pixels, user), caller)

    def loadRndSettings(self, renderingSettingsId: int, current: Any) -> Any:
        with self.reading(current) as caller:
            row = self.world.get("RenderingDef", renderingSettingsId)
            if row is None or not caller.can_read(row):
                return None
            return load_settings(self.world, [row], caller)[0]

    def saveRndSettings(self, rndSettings: Any, current: Any) -> None:
        with self.writing(current) as caller:
            self._save(rndSettings, caller)


def describe(
    channels: Iterable[Row], pixels: Row, plan: Plan, names: Iterable[str] = DESCRIBED
) -> None:
    """Plan what the description of pixels has loaded: type, channels, their statistics.

    Parameters
    ----------
    names : iterable of str
        Fields of the logical channels.
    """
    plan.load(pixels)
    plan.load(pixels.values["pixelsType"])
    plan.touch(pixels, "channels")
    for channel in channels:
        plan.load(channel)
        plan.add(pixels, "channels", channel)
        logical = channel.values["logicalChannel"]
        plan.load(logical)
        for row in (
            channel.values.get("statsInfo"),
            *(logical.values.get(name) for name in names),
        ):
            if row is not None:
                plan.load(row)


def _describe(pixels: Any, sizes: Sequence[int], channels: int) -> None:
    for name, size in zip(SIZES, sizes, strict=True):
        if size < 0:
            msg = f"{name}: {size} <= 0"
            raise validation(msg)
        setattr(pixels, f"_{name}", rtypes.rint(size))
    pixels.sizeC = rtypes.rint(channels)
    pixels.sha1 = rtypes.rstring("Pending...")


def _new_sizes(source: Row, told: Sequence[Any]) -> list[int]:
    return [
        source.values[name] if size is None else size.val
        for name, size in zip(SIZES, told, strict=True)
    ]


def _copy(source: Row, made: Any, names: Iterable[str]) -> None:
    fields = SCHEMA[source.entity.name].fields
    for name in names:
        value = source.values.get(name)
        if value is not None:
            field = fields[name]
            if field.kind is Kind.REF:
                value = _unloaded(value)
            elif field.wrap is not None:
                value = field.wrap(value)
            setattr(made, field.attribute, value)


def _unloaded(row: Row) -> Any:
    return row.entity.unloaded(row.id)

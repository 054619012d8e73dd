"""RenderingEngine, the small operations: channels, levels, bounds, resolutions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

from omero_hcs.sandbox.ice.record import omero, rtypes
from omero_hcs.sandbox.objects.conditions import api_usage, internal
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.planes import Planes
from omero_hcs.sandbox.rendering.defaults import type_range
from omero_hcs.sandbox.rendering.settings import DEPTH, DEPTHS, ChannelSettings, Settings
from omero_hcs.sandbox.services.base import Service


class ChannelOperations(Service, ABC):
    """Operations of `omero.api.RenderingEngine` that change or tell one value."""

    @property
    @abstractmethod
    def pixels(self) -> Row:
        """Pixels that were looked up."""

    @property
    @abstractmethod
    def unsaved(self) -> Settings:
        """Settings that were looked up, as the client changed them."""

    @property
    @abstractmethod
    def settings(self) -> Settings:
        """Settings of an engine that is ready to render."""

    @property
    @abstractmethod
    def planes(self) -> Planes:
        """Planes of an engine that is ready to render."""

    def channel(self, number: int) -> ChannelSettings:
        """Find the settings of a channel.

        Raises
        ------
        omero.InternalException
            There is no such channel.
        """
        channels = self.settings.channels
        if not 0 <= number < len(channels):
            msg = f"Index {number} out of bounds for length {len(channels)}"
            raise internal(msg)
        return channels[number]

    def change(self, number: int, **values: Any) -> None:
        """Give settings of a channel other values."""
        self.settings.channels[number] = replace(self.channel(number), **values)

    # -- the picture

    def getModel(self, current: Any) -> Any:
        return self._one("RenderingModel", self.unsaved.model, current)

    def setModel(self, model: Any, current: Any) -> None:
        self.settings.model = self._told("RenderingModel", model, current)

    def getAvailableModels(self, current: Any) -> list[Any]:
        with self.reading(current) as caller:
            return self.each(list(self.world.all("RenderingModel")), caller)

    def getAvailableFamilies(self, current: Any) -> list[Any]:
        with self.reading(current) as caller:
            return self.each(list(self.world.all("Family")), caller)

    def getDefaultZ(self, current: Any) -> int:
        return self.unsaved.z

    def setDefaultZ(self, z: int, current: Any) -> None:
        self.settings.z = z

    def getDefaultT(self, current: Any) -> int:
        return self.unsaved.t

    def setDefaultT(self, t: int, current: Any) -> None:
        self.settings.t = t

    def getQuantumDef(self, current: Any) -> Any:
        settings, made = self.unsaved, omero.model.QuantumDefI()
        made.cdStart = rtypes.rint(settings.first_level)
        made.cdEnd = rtypes.rint(settings.last_level)
        made.bitResolution = rtypes.rint(settings.depth)
        return made

    def setQuantumStrategy(self, bitResolution: int, current: Any) -> None:
        if bitResolution not in DEPTHS:
            msg = f"Unsupported bit resolution: {bitResolution}."
            raise internal(msg)
        self.settings.depth = bitResolution

    def setCodomainInterval(self, start: int, end: int, current: Any) -> None:
        if not 0 <= start <= end <= DEPTH:
            msg = f"Interval not consistent: [{start}, {end}] is not within [0, {DEPTH}]."
            raise internal(msg)
        self.settings.first_level, self.settings.last_level = start, end

    def _one(self, entity: str, value: str, current: Any) -> Any:
        with self.reading(current) as caller:
            return self.one(self.enumeration(entity, value), caller)

    def _told(self, entity: str, told: Any, current: Any) -> str:
        with self.reading(current):
            if told.id is None:
                return str(self.enumeration(entity, told.value.val).values["value"])
            row = self.world.get(entity, told.id.val)
            if row is None:
                msg = f"No such object: {entity}:{told.id.val}"
                raise api_usage(msg)
            return str(row.values["value"])

    # -- channels

    def isActive(self, w: int, current: Any) -> bool:
        return self.channel(w).is_active

    def setActive(self, w: int, active: bool, current: Any) -> None:
        self.change(w, is_active=active)

    def getChannelWindowStart(self, w: int, current: Any) -> float:
        return self.channel(w).start

    def getChannelWindowEnd(self, w: int, current: Any) -> float:
        return self.channel(w).end

    def setChannelWindow(self, w: int, start: float, end: float, current: Any) -> None:
        if not start <= end:
            msg = f"Min: {start} Max: {end} Interval not supported"
            raise internal(msg)
        self.change(w, start=start, end=end)

    def getRGBA(self, w: int, current: Any) -> list[int]:
        return list(self.channel(w).rgba)

    def setRGBA(self, w: int, red: int, green: int, blue: int, alpha: int, current: Any) -> None:
        rgba = red, green, blue, alpha
        if min(rgba) < 0 or max(rgba) > DEPTH:
            msg = f"Value must be in the interval [0, {DEPTH}]: {rgba}"
            raise internal(msg)
        self.change(w, rgba=rgba)

    def getChannelLookupTable(self, w: int, current: Any) -> str:
        return self.channel(w).look_up_table or ""

    def setChannelLookupTable(self, w: int, lookup: str, current: Any) -> None:
        self.change(w, look_up_table=lookup or None)

    def getChannelFamily(self, w: int, current: Any) -> Any:
        return self._one("Family", self.channel(w).family, current)

    def getChannelCurveCoefficient(self, w: int, current: Any) -> float:
        return self.channel(w).coefficient

    def getChannelNoiseReduction(self, w: int, current: Any) -> bool:
        return self.channel(w).noise_reduction

    def getChannelStats(self, w: int, current: Any) -> list[float]:
        self.channel(w)
        return []  # as in OMERO

    def setQuantizationMap(
        self, w: int, family: Any, coefficient: float, noiseReduction: bool, current: Any
    ) -> None:
        self.change(
            w,
            family=self._told("Family", family, current),
            coefficient=coefficient,
            noise_reduction=noiseReduction,
        )

    # -- levels turned around: the only one of the maps that OMERO still has

    def addCodomainMapToChannel(self, mapCtx: Any, w: int, current: Any) -> None:
        self._reverse(mapCtx, w, is_reversed=True)

    def removeCodomainMapFromChannel(self, mapCtx: Any, w: int, current: Any) -> None:
        self._reverse(mapCtx, w, is_reversed=False)

    def addCodomainMap(self, mapCtx: Any, current: Any) -> None:
        for number in range(len(self.settings.channels)):
            self._reverse(mapCtx, number, is_reversed=True)

    def removeCodomainMap(self, mapCtx: Any, current: Any) -> None:
        for number in range(len(self.settings.channels)):
            self._reverse(mapCtx, number, is_reversed=False)

    def updateCodomainMap(self, mapCtx: Any, current: Any) -> None:
        self.settings  # noqa: B018  (a reversal has nothing to update)

    def _reverse(self, told: Any, number: int, *, is_reversed: bool) -> None:
        if isinstance(told, omero.romio.ReverseIntensityMapContext):
            self.change(number, is_reversed=is_reversed)

    def getCodomainMapContext(self, w: int, current: Any) -> list[Any]:
        if not self.channel(w).is_reversed:
            return []
        made = omero.model.ReverseIntensityContextI()
        made.reverse = rtypes.rbool(True)  # noqa: FBT003  (omero-py's signature)
        return [made]

    # -- the image

    def isPixelsTypeSigned(self, current: Any) -> bool:
        return self.planes.is_signed

    def getPixelsTypeLowerBound(self, w: int, current: Any) -> float:
        return self._bounds(w)[0]

    def getPixelsTypeUpperBound(self, w: int, current: Any) -> float:
        return self._bounds(w)[1]

    def _bounds(self, number: int) -> tuple[float, float]:
        self.channel(number)
        with self.world.lock:
            return type_range(self.pixels)

    def requiresPixelsPyramid(self, current: Any) -> bool:
        self.planes  # noqa: B018
        return False

    def getResolutionLevels(self, current: Any) -> int:
        self.planes  # noqa: B018
        return 1

    def getResolutionLevel(self, current: Any) -> int:
        self.planes  # noqa: B018
        return 0

    def setResolutionLevel(self, resolutionLevel: int, current: Any) -> None:
        self.planes  # noqa: B018
        msg = "Cannot set resolution levels on a ROMIO pixel buffer."
        raise internal(msg)

    def getResolutionDescriptions(self, current: Any) -> list[Any]:
        sizes = self.planes.sizes
        return [omero.api.ResolutionDescription(sizes["x"], sizes["y"])]

    def getTileSize(self, current: Any) -> list[int]:
        return self.planes.tile_size()

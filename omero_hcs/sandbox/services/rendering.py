"""RenderingEngine: pictures of planes, and the settings that they are made with."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from omero_hcs.sandbox.ice.record import omero
from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.conditions import api_usage, internal, validation
from omero_hcs.sandbox.objects.load import Plan, materialise
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.planes import PixelArray, Planes, written_planes
from omero_hcs.sandbox.rendering import picture
from omero_hcs.sandbox.rendering.defaults import default_settings
from omero_hcs.sandbox.rendering.projection import Projection, project
from omero_hcs.sandbox.rendering.quantum import Levels
from omero_hcs.sandbox.rendering.section import section, section_size
from omero_hcs.sandbox.rendering.settings import Settings
from omero_hcs.sandbox.rendering.stored import (
    create_settings,
    read_settings,
    settings_for,
    told_settings,
    update_settings,
)
from omero_hcs.sandbox.services.pixels import describe
from omero_hcs.sandbox.services.rendering_channels import ChannelOperations
from omero_hcs.sandbox.services.rendering_settings import alike

if TYPE_CHECKING:
    from omero_hcs.sandbox.server import Server
    from omero_hcs.sandbox.sessions import OpenSession

NO_PIXELS = "RenderingEngine not ready: Pixels object not set."
NO_SETTINGS = "RenderingEngine not ready: RenderingDef object not set."
NOT_LOADED = (
    "RenderingEngine not ready: renderer is null.\n"
    "This method can only be called after the renderer is properly initialized (not-null).\n"
    "Try lookup and/or use methods."
)


class RenderingEngine(ChannelOperations):
    """Operations of `omero.api.RenderingEngine`.

    It works with a copy of the settings, which the next user sees only once it is saved.
    """

    def __init__(self, server: Server, session: OpenSession) -> None:
        super().__init__(server, session)
        self._row: Row | None = None
        self._stored: Row | None = None
        self._copy: Settings | None = None
        self._opened: Planes | None = None
        self._was_named = False  # the client asked for these settings, not for his own
        self._quality = picture.QUALITY

    # -- what is to be rendered, and how

    @property
    def pixels(self) -> Row:
        """Pixels that were looked up."""
        if self._row is None:
            raise api_usage(NO_PIXELS)
        return self._row

    @property
    def unsaved(self) -> Settings:
        """Settings that were looked up, as the client changed them."""
        if self._copy is None:
            raise api_usage(NO_SETTINGS)
        return self._copy

    @property
    def settings(self) -> Settings:
        """Settings of an engine that is ready to render."""
        self.planes  # noqa: B018  (raises)
        return self.unsaved

    @property
    def planes(self) -> Planes:
        """Planes of an engine that is ready to render."""
        self.pixels, self.unsaved  # noqa: B018
        if self._opened is None:
            raise api_usage(NOT_LOADED)
        return self._opened

    def lookupPixels(self, pixelsId: int, current: Any) -> None:
        with self.reading(current) as caller:
            row = self.world.get("Pixels", pixelsId)
            self._opened = None
            if row is None or not caller.can_read(row):
                self._row = None
                msg = f"Pixels object with id {pixelsId} not found."
                raise validation(msg)
            self._row = row

    def lookupRenderingDef(self, pixelsId: int, current: Any) -> bool:
        pixels = self.pixels
        with self.reading(current) as caller:
            asked = self.world.get("Pixels", pixelsId)
            row = None if asked is None else settings_for(self.world, asked, caller)
            if row is None:
                self._stored = self._copy = None
                return False
            self._take(row, pixels)
        self._was_named = False
        return True

    def loadRenderingDef(self, renderingDefId: int, current: Any) -> None:
        pixels = self.pixels
        with self.reading(current) as caller:
            row = self.world.get("RenderingDef", renderingDefId)
            if row is None or not caller.can_read(row):
                msg = f"No rendering definition exists with ID = {renderingDefId}"
                raise validation(msg)
            self._take(row, pixels)
        self._was_named = True

    def _take(self, row: Row, pixels: Row) -> None:
        if not alike(self.world, row.values["pixels"], pixels):
            msg = f"The rendering definition {row.id} is incompatible with pixels set {pixels.id}."
            raise validation(msg)
        self._stored, self._copy, self._opened = row, read_settings(self.world, row), None

    def load(self, current: Any) -> None:
        pixels = self.pixels
        self.unsaved  # noqa: B018
        self._opened = written_planes(self.server.files, pixels)

    def getRenderingDefId(self, current: Any) -> int:
        self.unsaved  # noqa: B018
        if self._stored is None:
            msg = "The rendering settings are not saved yet: they have no id."
            raise internal(msg)
        return self._stored.id

    def getPixels(self, current: Any) -> Any:
        pixels = self.pixels
        with self.reading(current) as caller:
            plan = Plan()
            describe(self.world.members(pixels, "channels"), pixels, plan, names=())
            return materialise(self.world, [pixels], plan, caller)[0]

    # -- pictures

    def render(self, definition: Any, current: Any) -> Any:
        painted = self._paint(definition)
        return omero.romio.RGBBuffer(picture.bands(painted), painted.shape[1], painted.shape[0])

    def renderAsPackedInt(self, definition: Any, current: Any) -> memoryview:
        return packed(self._paint(definition), self.settings)

    def renderCompressed(self, definition: Any, current: Any) -> bytes:
        return picture.jpeg(self._paint(definition), self._quality)

    def renderProjectedAsPackedInt(
        self,
        algorithm: Any,
        timepoint: int,
        stepping: int,
        start: int,
        end: int,
        current: Any,
    ) -> memoryview:
        painted = self._paint_projection(algorithm, timepoint, stepping, start, end)
        return packed(painted, self.settings)

    def renderProjectedCompressed(
        self,
        algorithm: Any,
        timepoint: int,
        stepping: int,
        start: int,
        end: int,
        current: Any,
    ) -> bytes:
        painted = self._paint_projection(algorithm, timepoint, stepping, start, end)
        return picture.jpeg(painted, self._quality)

    def _paint(self, definition: Any) -> Levels:
        planes = self.planes
        size = section_size(planes, definition)
        return self._painted(lambda channel: section(planes, channel, definition), size)

    def _paint_projection(
        self, algorithm: Any, timepoint: int, stepping: int, start: int, end: int
    ) -> Levels:
        planes = self.planes
        check_interval(planes, timepoint, stepping, start, end)
        how = Projection(algorithm.value)

        def projected(channel: int) -> PixelArray:
            return project(planes.array[timepoint, channel], how, start, end, stepping)

        return self._painted(projected, (planes.sizes["y"], planes.sizes["x"]))

    def _painted(self, cut: Callable[[int], PixelArray], size: tuple[int, int]) -> Levels:
        settings = self.settings
        chosen = {number: cut(number) for number in picture.shown(settings)}
        return picture.render(chosen, settings, size)

    def setCompressionLevel(self, percentage: float, current: Any) -> None:
        if not (0 <= percentage <= 1) or math.isnan(percentage):
            msg = f"A compression level is from 0 to 1, not {percentage}."
            raise internal(msg)
        self._quality = percentage

    def getCompressionLevel(self, current: Any) -> float:
        return self._quality

    # -- saving

    def updateSettings(self, settings: Any, current: Any) -> None:
        self.settings  # noqa: B018
        with self.reading(current):
            self._copy = told_settings(self.world, settings)

    def saveCurrentSettings(self, current: Any) -> None:
        settings, stored = self.unsaved, self._stored
        with self.writing(current) as caller:
            mine = stored is not None and stored.details.owner is caller.user
            if stored is not None and (mine or self._was_named):
                update_settings(self.world, stored, settings, caller)
            else:
                self._save_anew(settings, caller)

    def saveAsNewSettings(self, current: Any) -> int:
        with self.writing(current) as caller:
            return self._save_anew(self.unsaved, caller).id

    def _save_anew(self, settings: Settings, caller: Caller) -> Row:
        self._stored = create_settings(self.world, self.pixels, settings, caller)
        self._was_named = True
        return self._stored

    def resetDefaultSettings(self, save: bool, current: Any) -> int:
        pixels = self.pixels
        if not save or self._was_named:
            self.settings  # noqa: B018
            with self.reading(current):
                self._copy = default_settings(self.world, pixels)
            return self.getRenderingDefId(current)
        if self._copy is not None:
            self.planes  # noqa: B018
        opened = written_planes(self.server.files, pixels)
        with self.writing(current) as caller:
            settings = default_settings(self.world, pixels)
            stored = self._stored
            if stored is not None and stored.details.owner is caller.user:
                update_settings(self.world, stored, settings, caller)
            else:
                stored = create_settings(self.world, pixels, settings, caller)
            reload = self._copy is not None
            self._stored, self._copy = stored, settings
        self._opened = opened if reload else None
        return stored.id


def packed(painted: Levels, settings: Settings) -> memoryview:
    """Return a picture as one int a pixel, without making a Python number of each."""
    return picture.packed(painted, settings).data


def check_interval(planes: Planes, timepoint: int, stepping: int, start: int, end: int) -> None:
    """Look whether the planes of a projection are there.

    Raises
    ------
    omero.ValidationException
    """
    depth = planes.sizes["z"]
    if start < 0 or end < 0:
        msg = "interval value cannot be negative."
        raise validation(msg)
    if start >= depth or end >= depth:
        msg = f"Interval value cannot be >= {depth}"
        raise validation(msg)
    if stepping <= 0:
        msg = f"stepping: {stepping} <= 0"
        raise validation(msg)
    if not 0 <= timepoint < planes.sizes["t"]:
        msg = f"timepoint must be <{planes.sizes['t']}"
        raise validation(msg)

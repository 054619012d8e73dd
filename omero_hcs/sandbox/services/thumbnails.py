"""ThumbnailStore: small JPEGs of images, rendered with the settings of who asks."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from omero_hcs.sandbox.ice.record import Ice, omero
from omero_hcs.sandbox.objects.caller import GROUP_READ, GROUP_WRITE, Caller
from omero_hcs.sandbox.objects.conditions import api_usage, internal, resource, validation
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.planes import Planes, written_planes
from omero_hcs.sandbox.rendering import picture
from omero_hcs.sandbox.rendering.defaults import default_settings
from omero_hcs.sandbox.rendering.section import XY, section
from omero_hcs.sandbox.rendering.settings import Settings
from omero_hcs.sandbox.rendering.stored import create_settings, read_settings, settings_for
from omero_hcs.sandbox.services.base import Service
from omero_hcs.sandbox.services.rendering_settings import alike

if TYPE_CHECKING:
    from omero_hcs.sandbox.server import Server
    from omero_hcs.sandbox.sessions import OpenSession

LOG = logging.getLogger("omero_hcs.sandbox")
SIDE = 48  # OMERO's default, pixels
MIME_TYPE = "image/jpeg"
PENDING = "Pending..."  # sha1 of planes that nobody saved yet


class ThumbnailStore(Service):
    """Operations of `omero.api.ThumbnailStore`.

    As in OMERO, pictures are kept in files and their sizes in `Thumbnail` rows, whose version tells
    its web pages when to fetch a picture anew. `...Direct` operations keep nothing.
    """

    def __init__(self, server: Server, session: OpenSession) -> None:
        super().__init__(server, session)
        self._row: Row | None = None
        self._stored: Row | None = None
        self._in_progress = False

    # -- which image, which settings

    def setPixelsId(self, pixelsId: int, current: Any) -> bool:
        with self.reading(current) as caller:
            row = self._pixels(pixelsId, caller)
            if row is not self._row:
                self._row, self._in_progress = row, False
            self._stored = settings_for(self.world, row, caller)
            return self._stored is not None

    def setRenderingDefId(self, renderingDefId: int, current: Any) -> None:
        pixels = self._asked
        with self.reading(current) as caller:
            row = self.world.get("RenderingDef", renderingDefId)
            if row is None or not caller.can_read(row):
                msg = f"No rendering definition exists with ID = {renderingDefId}"
                raise validation(msg)
            if not alike(self.world, row.values["pixels"], pixels):
                msg = (
                    f"The rendering definition {row.id} is incompatible with pixels set {pixels.id}"
                )
                raise validation(msg)
            self._stored = row

    def getRenderingDefId(self, current: Any) -> int:
        if self._stored is None:
            msg = "No rendering def"
            raise api_usage(msg)
        return self._stored.id

    def isInProgress(self, current: Any) -> bool:
        return self._in_progress

    def resetDefaults(self, current: Any) -> None:
        pixels = self._asked
        with self.writing(current) as caller:
            if self._stored is None and is_closed(pixels, caller):
                msg = (
                    "Unable to reset rendering settings in a read-only group "
                    f"for Pixels set id:{pixels.id}"
                )
                raise api_usage(msg)
            if self._stored is not None:
                msg = (
                    "The thumbnail service only resets **empty** rendering settings. Resetting of "
                    "existing settings should either be performed using the RenderingEngine or "
                    "IRenderingSettings."
                )
                raise api_usage(msg)
            try:
                written_planes(self.server.files, pixels)
            except omero.LockTimeout:
                self._in_progress = True
                return
            create_settings(self.world, pixels, default_settings(self.world, pixels), caller)

    @property
    def _asked(self) -> Row:
        if self._row is None:
            msg = "Thumbnail service not ready: Pixels not set."
            raise api_usage(msg)
        return self._row

    def _pixels(self, row_id: int, caller: Caller) -> Row:
        row = self.world.get("Pixels", row_id)
        if row is None or not caller.can_read(row):
            msg = (
                f"Error retrieving Pixels id:{row_id}. Pixels set does not exist or the user "
                f"id:{caller.user.id} has insufficient permissions to retrieve it."
            )
            raise resource(msg)
        return row

    # -- one thumbnail

    def getThumbnail(self, sizeX: Any, sizeY: Any, current: Any) -> bytes:
        return self._kept(_side(sizeX, "sizeX"), _side(sizeY, "sizeY"), current)

    def getThumbnailWithoutDefault(self, sizeX: Any, sizeY: Any, current: Any) -> bytes:
        if self._stored is None or self._in_progress:
            return b""  # no clock for it
        return self.getThumbnail(sizeX, sizeY, current)

    def getThumbnailByLongestSide(self, size: Any, current: Any) -> bytes:
        return self._kept(*_fitting(self._asked, _side(size, "sizeX")), current)

    def getThumbnailDirect(self, sizeX: Any, sizeY: Any, current: Any) -> bytes:
        return self._direct(_side(sizeX, "sizeX"), _side(sizeY, "sizeY"), current)

    def getThumbnailByLongestSideDirect(self, size: Any, current: Any) -> bytes:
        return self._direct(*_fitting(self._asked, _side(size, "sizeX")), current)

    def getThumbnailForSectionDirect(
        self, theZ: int, theT: int, sizeX: Any, sizeY: Any, current: Any
    ) -> bytes:
        return self._direct(_side(sizeX, "sizeX"), _side(sizeY, "sizeY"), current, theZ, theT)

    def getThumbnailForSectionByLongestSideDirect(
        self, theZ: int, theT: int, size: Any, current: Any
    ) -> bytes:
        return self._direct(*_fitting(self._asked, _side(size, "sizeX")), current, theZ, theT)

    def createThumbnail(self, sizeX: Any, sizeY: Any, current: Any) -> None:
        self.getThumbnail(sizeX, sizeY, current)

    def createThumbnails(self, current: Any) -> None:
        return None  # nothing is kept that could be made anew

    def thumbnailExists(self, sizeX: Any, sizeY: Any, current: Any) -> bool:
        width, height = _side(sizeX, "sizeX"), _side(sizeY, "sizeY")
        pixels = self._asked
        with self.reading(current) as caller:
            return self._is_noted(pixels, self._stored, (width, height), caller)

    def _kept(self, width: int, height: int, current: Any) -> bytes:
        made = self._direct(width, height, current, keep=True)
        if not self._in_progress:
            pixels, stored, size = self._asked, self._stored, (width, height)
            with self.reading(current) as caller:
                noted = self._is_noted(pixels, stored, size, caller)
            if not noted:
                with self.writing(current) as caller:
                    self._note(pixels, stored, size, caller)
        return made

    def _direct(
        self,
        width: int,
        height: int,
        current: Any,
        z: int | None = None,
        t: int | None = None,
        *,
        keep: bool = False,
    ) -> bytes:
        pixels, stored = self._asked, self._stored
        if self._in_progress:
            return picture.clock(width, height)
        if stored is None:
            with self.reading(current) as caller:
                if is_closed(pixels, caller):
                    raise self._not_viewed(pixels)
            msg = (
                "Fatal error retrieving rendering settings or settings not loaded for Pixels set "
                f"id:{pixels.id}"
            )
            raise internal(msg)
        try:
            planes = written_planes(self.server.files, pixels)
        except omero.LockTimeout:
            self._in_progress = True
            return picture.clock(width, height)
        with self.world.lock:
            settings = read_settings(self.world, stored)
        if keep:
            return self._from_file(pixels, settings, (width, height))
        return paint(planes, settings, (width, height), z, t)

    def _from_file(self, pixels: Row, settings: Settings, size: tuple[int, int]) -> bytes:
        planes, sha1 = written_planes(self.server.files, pixels), pixels.values["sha1"]
        if sha1 == PENDING:  # they may still change
            return paint(planes, settings, size)
        name = hashlib.sha1(f"{sha1} {size} {settings}".encode(), usedforsecurity=False).hexdigest()
        file = self.server.files.thumbnails(pixels) / f"{name}.jpg"
        with contextlib.suppress(FileNotFoundError):
            return file.read_bytes()
        made = paint(planes, settings, size)
        file.parent.mkdir(exist_ok=True, mode=0o700)
        part = file.with_suffix(f".{threading.get_ident()}")
        part.write_bytes(made)
        part.replace(file)
        return made

    # -- many

    def getThumbnailSet(
        self, sizeX: Any, sizeY: Any, pixelsIds: Sequence[int], current: Any
    ) -> dict[int, bytes]:
        size = _side(sizeX, "sizeX"), _side(sizeY, "sizeY")
        return self._set(pixelsIds, lambda _: size, current)

    def getThumbnailByLongestSideSet(
        self, size: Any, pixelsIds: Sequence[int], current: Any
    ) -> dict[int, bytes]:
        side = _side(size, "sizeX")
        return self._set(pixelsIds, lambda pixels: _fitting(pixels, side), current)

    def createThumbnailsByLongestSideSet(
        self, size: Any, pixelsIds: Sequence[int], current: Any
    ) -> None:
        self.getThumbnailByLongestSideSet(size, pixelsIds, current)

    def _set(self, ids: Sequence[int], size_of: Any, current: Any) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        for row_id in dict.fromkeys(ids):
            try:
                with self.reading(current) as caller:
                    pixels = self._pixels(row_id, caller)
                    size = size_of(pixels)
                settings = self._prepare(pixels, size, current)
                if settings is None:
                    found[row_id] = picture.clock(*size)
                else:
                    found[row_id] = self._from_file(pixels, settings, size)
            except Ice.Exception as error:
                LOG.warning("no thumbnail of Pixels:%s: %s", row_id, error)
                found[row_id] = b""
        return found

    def _prepare(self, pixels: Row, size: tuple[int, int], current: Any) -> Settings | None:
        if not Planes(self.server.files.pixels(pixels), pixels).is_written:
            return None
        with self.reading(current) as caller:  # an event for each look would be too many
            stored = settings_for(self.world, pixels, caller)
            if stored is not None and self._is_noted(pixels, stored, size, caller):
                return read_settings(self.world, stored)
        with self.writing(current) as caller:
            if stored is None:
                if is_closed(pixels, caller):
                    raise self._not_viewed(pixels)
                settings = default_settings(self.world, pixels)
                stored = create_settings(self.world, pixels, settings, caller)
            self._note(pixels, stored, size, caller)
            return read_settings(self.world, stored)

    @staticmethod
    def _not_viewed(pixels: Row) -> Exception:
        owner = pixels.details.owner
        msg = (
            f"The owner id:{'?' if owner is None else owner.id} has not viewed the Pixels set "
            f"id:{pixels.id}, rendering settings are missing."
        )
        return resource(msg)

    # -- what OMERO remembers of them

    def _note(self, pixels: Row, stored: Row | None, size: tuple[int, int], caller: Caller) -> None:
        known = self._thumbnail(pixels, size, caller)
        if known is not None:
            if _is_old(known, stored):
                self.world.touch(known, caller.event)
        elif caller.rights(pixels).annotate:
            made = self.world.insert(
                "Thumbnail", pixels=pixels, mimeType=MIME_TYPE, sizeX=size[0], sizeY=size[1]
            )
            self.world.set_details(
                made,
                owner=caller.user,
                group=pixels.details.group,
                creation_event=caller.event,
                update_event=caller.event,
            )

    def _is_noted(
        self, pixels: Row, stored: Row | None, size: tuple[int, int], caller: Caller
    ) -> bool:
        known = self._thumbnail(pixels, size, caller)
        return known is not None and not _is_old(known, stored)

    def _thumbnail(self, pixels: Row, size: tuple[int, int], caller: Caller) -> Row | None:
        for row in self.world.references(pixels, "Thumbnail", "pixels"):
            same = (row.values["sizeX"], row.values["sizeY"]) == size
            if same and row.details.owner is caller.user:
                return row
        return None


def _is_old(thumbnail: Row, stored: Row | None) -> bool:
    made = thumbnail.details.update_event
    changed = None if stored is None else stored.details.update_event
    return made is None or (changed is not None and changed.id > made.id)


def is_closed(pixels: Row, caller: Caller) -> bool:
    """Say whether the caller can't have settings of his own: somebody else's, to be read only."""
    if pixels.details.owner is caller.user or caller.supervises(pixels.group):
        return False
    return pixels.level[GROUP_READ] != "r" or pixels.level[GROUP_WRITE] == "-"


def paint(
    planes: Planes,
    settings: Settings,
    size: tuple[int, int],
    z: int | None = None,
    t: int | None = None,
) -> bytes:
    """Render a plane, and make it small. Width and height in pixels."""
    told = SimpleNamespace(
        slice=XY,
        z=settings.z if z is None else z,
        t=settings.t if t is None else t,
        region=None,
        stride=0,
    )
    chosen = {number: section(planes, number, told) for number in picture.shown(settings)}
    painted = picture.render(chosen, settings, (planes.sizes["y"], planes.sizes["x"]))
    return picture.thumbnail(painted, *size)


def _side(told: Any, name: str) -> int:
    side: int = SIDE if told is None else told.val
    if side <= 0:
        msg = f"{name} is negative"
        raise api_usage(msg)
    return side


def _fitting(pixels: Row, longest: int) -> tuple[int, int]:
    return picture.fitting((pixels.values["sizeX"], pixels.values["sizeY"]), longest)

"""Services that a sandbox has little or nothing of: LDAP, shares, export; each says so."""

from __future__ import annotations

from typing import Any

from omero_hcs.sandbox.objects.conditions import internal
from omero_hcs.sandbox.services.base import Service


class ILdap(Service):
    """Operations of `omero.api.ILdap`: there is no LDAP."""

    def getSetting(self, current: Any) -> bool:
        return False


class Exporter(Service):
    """Operations of `omero.api.Exporter`: OME-TIFF needs Bio-Formats, which is Java."""

    def addImage(self, image_id: int, current: Any) -> None:
        msg = "The sandbox exports no OME-TIFF: read the planes with RawPixelsStore."
        raise internal(msg)


class IShare(Service):
    """Operations of `omero.api.IShare`: nobody has shares."""

    def getOwnShares(self, active: bool, current: Any) -> list[Any]:
        return []

    def getMemberShares(self, active: bool, current: Any) -> list[Any]:
        return []


class ITimeline(Service):
    """Operations of `omero.api.ITimeline`."""


class IRepositoryInfo(Service):
    """Operations of `omero.api.IRepositoryInfo`."""


class Search(Service):
    """Operations of `omero.api.Search`."""

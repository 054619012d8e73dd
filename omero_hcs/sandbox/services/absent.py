"""Services that a sandbox has little or nothing of: LDAP, shares, disk quotas, export."""

from __future__ import annotations

import shutil
from typing import Any

from omero_hcs.sandbox.objects.conditions import internal
from omero_hcs.sandbox.services.base import Service

KILOBYTE = 1024


class ILdap(Service):
    """Operations of `omero.api.ILdap`: there is no LDAP."""

    def getSetting(self, current: Any) -> bool:
        return False


class IShare(Service):
    """Operations of `omero.api.IShare`: nobody has shares, and nobody can make one."""

    def getOwnShares(self, active: bool, current: Any) -> list[Any]:
        return []

    def getMemberShares(self, active: bool, current: Any) -> list[Any]:
        return []


class IRepositoryInfo(Service):
    """Operations of `omero.api.IRepositoryInfo`: the disk that the data folder is on."""

    def getUsedSpaceInKilobytes(self, current: Any) -> int:
        return shutil.disk_usage(self.server.files.root).used // KILOBYTE

    def getFreeSpaceInKilobytes(self, current: Any) -> int:
        return shutil.disk_usage(self.server.files.root).free // KILOBYTE

    def getUsageFraction(self, current: Any) -> float:
        usage = shutil.disk_usage(self.server.files.root)
        return usage.used / usage.total

    def sanityCheckRepository(self, current: Any) -> None:
        return None  # bytes go away with their objects

    def removeUnusedFiles(self, current: Any) -> None:
        return None


class Exporter(Service):
    """Operations of `omero.api.Exporter`: OME-TIFF needs Bio-Formats, which is Java."""

    def addImage(self, image_id: int, current: Any) -> None:
        msg = "The sandbox exports no OME-TIFF: read the planes with RawPixelsStore."
        raise internal(msg)

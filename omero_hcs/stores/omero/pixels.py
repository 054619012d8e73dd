"""Pixels of images over raw pixel stores that stay open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from omero_hcs.model import Image, ZChoice
from omero_hcs.stores.base import ImageArray
from omero_hcs.stores.omero.session import Session


class PixelReader:
    """Reads planes; several threads may call `read` at once, one connection each.

    Parameters
    ----------
    session : Session
        Who reads; further connections are made from it when they are first needed.
    readers : int
        Most connections at once.
    mount : Path, optional
        Where the ManagedRepository is mounted; plain originals are then read from there.
    """

    def __init__(self, session: Session, *, readers: int = 2, mount: Path | None = None) -> None:
        self._session = session
        self._readers = readers
        self._mount = mount

    def read(
        self, image: Image, *, channels: Sequence[int], z: ZChoice = 0, t: int = 0
    ) -> ImageArray:
        """Pixels of one image, shape (len(channels), Y, X); see `PlateStore.read`."""
        raise NotImplementedError

    def close(self) -> None:
        """Close every store and connection that this reader opened; safe to call twice."""

"""Open a store by its URI, without the caller knowing which kind it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

from omero_hcs import lazy
from omero_hcs.errors import PlateNotFoundError
from omero_hcs.model import StoreSpec
from omero_hcs.stores.base import PlateStore

Opener = Callable[[str | Path | StoreSpec], PlateStore]
"""What opens stores: `open_store`, or within a script one that shares the script's session."""

_MEMORY = "omero_hcs.stores.memory:MemoryStore"
_PLATE = "omero_hcs.stores.ome_zarr.store:OmeZarrStore"
_OMERO = "omero_hcs.stores.omero.store:OmeroStore"
_SEVERAL = "omero_hcs.stores.several:SeveralStores"
_FOLDER = "omero_hcs.stores.folder:FolderStore"


def open_store(where: str | Path | StoreSpec) -> PlateStore:
    """Open the store that holds a plate or a folder of images.

    Parameters
    ----------
    where : str, Path or StoreSpec
        ``"plate.zarr"`` (OME-Zarr), ``"folder/"`` (images), ``"omero://host/plate/51"`` (OMERO),
        ``"memory:name"`` (in this process).

    Raises
    ------
    PlateNotFoundError
        If there is nothing at that place, or nothing that may be read.
    """
    spec = where if isinstance(where, StoreSpec) else StoreSpec(uri=str(where))
    entry = _entry(spec.uri)
    return cast("PlateStore", lazy.load(entry, extra="omero" if entry == _OMERO else "disk")(spec))


def _entry(uri: str) -> str:
    if uri.startswith("memory:"):
        return _MEMORY
    if uri.startswith("omero://"):
        return _OMERO
    if uri.startswith("several:"):
        return _SEVERAL
    path = Path(uri)
    if not path.is_dir():
        what = "that is a file, not a folder" if path.exists() else "no such folder"
        msg = f"There is no plate at {uri}: {what}. Pass a .zarr plate or a folder of images."
        raise PlateNotFoundError(msg)
    if not os.access(path, os.R_OK | os.X_OK):
        msg = f"The folder {uri} cannot be read: permission denied. Ask its owner for the right to."
        raise PlateNotFoundError(msg)
    is_zarr = any((path / name).exists() for name in ("zarr.json", ".zgroup", ".zattrs"))
    return _PLATE if is_zarr else _FOLDER

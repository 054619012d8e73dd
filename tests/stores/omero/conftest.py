"""The tiny plate on an OMERO server, annotated as its users annotate, and stores over it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

# First, as in tests/sandbox/conftest.py: whichever folder is collected first, IcePy is seen.
from omero_hcs.sandbox.ice import record  # noqa: F401  isort: skip

from omero_hcs.model import Plate, StoreSpec
from omero_hcs.sandbox.importer import ImportedPlate, import_plate
from omero_hcs.sandbox.sources import StoreSource
from omero_hcs.settings import Settings
from omero_hcs.stores.memory import MemoryStore
from omero_hcs.stores.omero.login import Login
from omero_hcs.stores.omero.session import Session
from omero_hcs.stores.omero.store import OmeroStore


@dataclass(frozen=True)
class Imported:
    """A plate on the server: whose it is, its ids there, and what was put in."""

    owner: Any
    ids: ImportedPlate
    truth: Plate
    pixels: list[Any]

    def well(self, row: int, column: int) -> int:
        return self.ids.wells[row, column]


@pytest.fixture
def omero_open(omero_server) -> Iterator[Callable[..., OmeroStore]]:
    """Open a store as a user: ``omero_open(user, f"plate/{number}")``; closed afterwards."""
    with contextlib.ExitStack() as stack:

        def open_as(user: Any, place: str, **settings: Any) -> OmeroStore:
            login = Login(omero_server.host, omero_server.port, user.name, user.password)
            uri = f"omero://{omero_server.host}:{omero_server.port}/{place}"
            store = OmeroStore(
                StoreSpec(uri=uri), session=Session(login), settings=Settings(**settings)
            )
            return stack.enter_context(contextlib.closing(store))

        yield open_as


@pytest.fixture
def omero_import(omero_connect, pixels_of) -> Callable[..., Imported]:
    """Put a plate with known pixels on the server: ``omero_import(user, plate)``."""

    def put(user: Any, plate: Plate) -> Imported:
        pixels = pixels_of(plate)
        by_id = {site.image.id: stack for site, stack in zip(plate.sites(), pixels, strict=True)}
        memory = MemoryStore.create(f"source {plate.name}", plate, by_id)
        ids = import_plate(omero_connect(user), StoreSource(memory), screen="Screen")
        return Imported(user, ids, plate, pixels)

    return put


@pytest.fixture
def omero_tiny(omero_user, omero_import, tiny_plate) -> Imported:
    """The tiny plate, of `omero_user`."""
    return omero_import(omero_user, tiny_plate)

"""A small plate with three bright nuclei a field, in memory or as OME-Zarr, and settings for it."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from omero_hcs.model import Channel, Field, Image, Plate, Well
from omero_hcs.settings import Settings
from omero_hcs.stores.memory import MemoryStore
from omero_hcs.stores.ome_zarr.writer import PlateWriter
from omero_hcs.tasks.driver import open_ledger

NUCLEI = 3
_names = itertools.count()


def make_field(number: int, side: int = 96) -> np.ndarray:
    """One field, shape (1, 1, 1, Y, X): three bright discs on a noisy background."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[:side, :side]
    signal = sum(
        np.hypot(y - at, x - at) < side / 10 for at in (side // 6, side // 2, side * 5 // 6)
    )
    return (rng.integers(90, 110, (side, side)) + 4000 * signal).astype(np.uint16)[None, None, None]


def make_plate(fields: int, side: int = 96) -> Plate:
    """One field a well, in row order."""
    wells = []
    for number in range(fields):
        image = Image(f"i{number:03d}", f"i{number:03d}", side, side, (Channel(0, "DNA"),))
        wells.append(Well(number // 12, number % 12, (Field(0, image),)))
    return Plate("small", "small", 8, 12, tuple(wells))


@pytest.fixture
def settings(tmp_path):
    """Settings with state and models of this test alone."""
    return Settings(state_dir=tmp_path / "state", models_dir=tmp_path / "models")


@pytest.fixture
def ledger(settings):
    """The ledger of these settings, opened beside the driver's own."""
    with contextlib.closing(open_ledger(settings)) as ledger:
        yield ledger


@dataclass(frozen=True)
class Memory:
    """A plate in memory of which any field can be broken and mended."""

    store: MemoryStore

    @property
    def uri(self) -> str:
        return self.store.spec.uri

    def break_field(self, number: int) -> None:
        del self.store._memory.pixels[f"i{number:03d}"]

    def mend_field(self, number: int) -> None:
        self.store._memory.pixels[f"i{number:03d}"] = make_field(number)


@pytest.fixture
def memory() -> Callable[[int], Memory]:
    """Make a plate in memory with so many fields."""

    def make(fields: int = 4) -> Memory:
        plate = make_plate(fields)
        pixels = {site.image.id: make_field(number) for number, site in enumerate(plate.sites())}
        return Memory(MemoryStore.create(f"tasks {next(_names)}", plate, pixels))

    return make


def _write(path: Path, fields: int, side: int = 96) -> Path:
    plate = make_plate(fields, side)
    with PlateWriter(path, plate) as writer:
        for number, site in enumerate(plate.sites()):
            writer.write_field(site.well.name, 0, None, make_field(number, side))
    return path


@pytest.fixture
def write_plate() -> Callable[..., Path]:
    """Write a plate of so many fields as OME-Zarr; the same pixels at every call."""
    return _write


@pytest.fixture(scope="session")
def write_plate_once() -> Callable[..., Path]:
    """Write a plate that several tests share."""
    return _write

"""Small plates of every kind: acquisitions, z, t, treatments, known pixels."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from omero_hcs.model import Acquisition, Channel, Field, Image, Plate, StoreSpec, Well
from omero_hcs.stores.ome_zarr.store import OmeZarrStore
from omero_hcs.stores.ome_zarr.writer import PlateWriter

CHANNELS = (Channel(0, "GFP", "00FF00"), Channel(1, "DNA", "0000FF"))


def make_image(**sizes):
    settings = {"size_y": 48, "size_x": 40, "channels": CHANNELS, "dtype": "uint16"} | sizes
    return Image("", "", **settings)


def make_plate(wells, *, rows=8, columns=12, acquisitions=()):
    return Plate("p", "test plate", rows, columns, tuple(wells), tuple(acquisitions))


def make_pixels(image, seed=0):
    shape = (image.size_t, len(image.channels), image.size_z, image.size_y, image.size_x)
    return np.random.default_rng(seed).integers(1, 200, shape).astype(image.dtype)


def write_plate(path, plate):
    """Write a plate of random pixels; returns them by (well, field, acquisition)."""
    written = {}
    with PlateWriter(path, plate) as writer:
        for seed, site in enumerate(plate.sites()):
            key = (site.well.name, site.field, site.acquisition)
            written[key] = make_pixels(site.image, seed)
            writer.write_field(*key, written[key])
    return written


def open_plate(path):
    store = OmeZarrStore(StoreSpec(uri=str(path)))
    (ref,) = store.refs()
    return store, store.plate(ref.id)


@pytest.fixture(scope="session")
def plates():
    """Functions that make plates."""
    return SimpleNamespace(
        image=make_image, plate=make_plate, pixels=make_pixels, write=write_plate, open=open_plate
    )


@pytest.fixture(scope="session")
def rich_plate():
    """Two wells, two acquisitions of two fields, z and t; a third well with a treatment only."""
    acquisitions = (Acquisition("1", "live"), Acquisition("2", "fixed"))
    image = make_image(size_z=3, size_t=2, pixel_size_um=(0.65, 0.6), z_step_um=2.0)
    fields = tuple(Field(index, image, run.id) for run in acquisitions for index in range(2))
    wells = (
        Well(1, 2, fields, "Wortmannin", 15.63, "nM", "treatment", {"batch": "7"}),
        Well(1, 3, fields, role="negative_control"),
        Well(7, 11, (), "lost", role="empty"),
    )
    return make_plate(wells, acquisitions=acquisitions)


@pytest.fixture(scope="session")
def rich(tmp_path_factory, rich_plate):
    """The rich plate on disk: path and pixels by (well, field, acquisition). Not to be changed."""
    path = tmp_path_factory.mktemp("rich") / "rich.zarr"
    return SimpleNamespace(path=path, pixels=write_plate(path, rich_plate))

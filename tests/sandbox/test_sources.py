"""Plates that the sandbox is filled with: simulated ones, and those of a store."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

from omero_hcs.errors import InputError
from omero_hcs.model import Channel, Field, Image, Plate, Site, Well
from omero_hcs.sandbox.sources import SimulatedSource, StoreSource
from omero_hcs.simulate.design import SimulationSettings
from omero_hcs.simulate.plate import simulate_site
from omero_hcs.stores.folder import FolderStore
from omero_hcs.stores.ome_zarr.store import OmeZarrStore
from omero_hcs.stores.ome_zarr.writer import PlateWriter
from omero_hcs.stores.open import StoreSpec


def test_a_simulated_field_is_the_same_however_many_are_made_at_once():
    with contextlib.closing(SimulatedSource(6)) as source:
        sites = list(source.plate.sites())
        fields = [next(source.planes(number, site))[2] for number, site in enumerate(sites)]
    assert len(fields) == 12
    settings = SimulationSettings(wells=6, fields=2, size_y=384, size_x=384)
    for number in (0, 11):
        alone = simulate_site(settings, 0, number).pixels
        assert np.array_equal(fields[number], alone[0, :, 0])


def test_it_can_be_closed_before_all_fields_are_made():
    source = SimulatedSource(384)
    source.close()
    source.close()


def test_a_plate_on_disk_is_read_plane_by_plane(tmp_path):
    named = (Channel(0, "DNA", "0000FF"), Channel(1, "GFP"))
    image = Image("", "", 32, 48, named, size_z=2, size_t=2)
    layout = Plate("p", "p", 8, 12, (Well(1, 2, (Field(0, image),), treatment="DMSO"),))
    pixels = np.arange(2 * 2 * 2 * 32 * 48, dtype="uint16").reshape(2, 2, 2, 32, 48)
    with PlateWriter(tmp_path / "p.zarr", layout) as writer:
        writer.write_field("B03", 0, None, pixels)
    with contextlib.closing(OmeZarrStore(StoreSpec(uri=str(tmp_path / "p.zarr")))) as store:
        source = StoreSource(store)
        (site,) = source.plate.sites()
        assert isinstance(site, Site)
        read = {(z, t): stack for z, t, stack in source.planes(0, site)}
    assert sorted(read) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    for (z, t), stack in read.items():
        assert np.array_equal(stack, pixels[t, :, z])


def test_a_folder_of_images_is_no_plate(tmp_path):
    with pytest.raises(InputError, match=r"is no plate. Pass the folder of an OME-Zarr plate"):
        StoreSource(FolderStore(StoreSpec(uri=str(tmp_path))))

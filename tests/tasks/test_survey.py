"""The first look at a plate."""

from __future__ import annotations

from dataclasses import replace

from omero_hcs.model import ImageSet, ObjectRef
from omero_hcs.stores.memory import MemoryStore
from omero_hcs.tasks.base import CellParams, no_progress, units_of
from omero_hcs.tasks.survey import survey_plate


def looked_at(memory, sizes):
    """Survey images of some pixel sizes."""
    pixels = memory(len(sizes)).store._memory.pixels
    sites = memory(len(sizes)).store._memory.layout.sites()
    images = tuple(
        replace(site.image, pixel_size_um=(size, size))
        for site, size in zip(sites, sizes, strict=True)
    )
    store = MemoryStore.create("sizes", ImageSet("sizes", "sizes", images), pixels)
    target = ObjectRef(kind="images", id="sizes")
    units = list(units_of(target, store.images("sizes"), z=0, t=0))
    return survey_plate(store, units, CellParams(), name="sizes", progress=no_progress)


def test_images_of_several_magnifications_are_told(memory):
    (told,) = [text for text in looked_at(memory, [0.325, 0.65]).warnings if "wide" in text]
    assert "0.325 to 0.65 um" in told


def test_images_of_one_magnification_are_not(memory):
    assert not [text for text in looked_at(memory, [0.65, 0.66]).warnings if "wide" in text]

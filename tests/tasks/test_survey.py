"""The first look at a plate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from omero_hcs.model import ImageSet, ObjectRef
from omero_hcs.stores.memory import MemoryStore
from omero_hcs.tasks.base import CellParams, no_progress, units_of
from omero_hcs.tasks.survey import PROJECTED, survey_plate


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


def test_maximum_projections_are_marked_as_no_place_to_judge_focus(memory):
    plate = memory(2).store
    sites = list(plate._memory.layout.sites())

    def warned(depth, z):
        images = tuple(replace(site.image, size_z=depth) for site in sites)
        flat = plate._memory.pixels.items()
        pixels = {name: np.repeat(one, depth, axis=2) for name, one in flat}
        store = MemoryStore.create(f"stack {depth} {z}", ImageSet("s", "s", images), pixels)
        target = ObjectRef(kind="images", id="s")
        units = list(units_of(target, store.images("s"), z=z, t=0))
        params = CellParams(z=z)
        found = survey_plate(store, units, params, name="s", progress=no_progress)
        return PROJECTED in found.warnings

    assert warned(2, "max")
    assert not warned(2, "middle")
    assert not warned(1, "max")  # the one plane is all there is


def test_images_of_several_magnifications_are_told(memory):
    (told,) = [text for text in looked_at(memory, [0.325, 0.65]).warnings if "wide" in text]
    assert "0.325 to 0.65 um" in told


def test_images_of_one_magnification_are_not(memory):
    assert not [text for text in looked_at(memory, [0.65, 0.66]).warnings if "wide" in text]

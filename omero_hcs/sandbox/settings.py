"""Rendering settings: how each user wants to see each image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.load import Plan, materialise
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.objects.world import World


def settings_of(world: World, pixels: Row, user: Row | None = None) -> list[Row]:
    """Return the `RenderingDef` rows of pixels, a user's or everybody's, the latest first."""
    found = [
        row
        for row in world.references(pixels, "RenderingDef", "pixels")
        if user is None or row.details.owner is user
    ]
    return sorted(found, key=_changed, reverse=True)


def _changed(row: Row) -> tuple[int, int]:
    event = row.details.update_event
    return (0 if event is None else event.id), row.id


def load_settings(world: World, rows: Sequence[Row], caller: Caller) -> list[Any]:
    """Make the objects of rendering settings, as IPixels gives them back: complete."""
    plan = Plan()
    for row in rows:
        plan.load(row)
        if row.details.owner is not None:
            plan.load(row.details.owner)
        for name in ("quantization", "model"):
            plan.load(row.values[name])
        for collection in ("waveRendering", "projections"):
            plan.touch(row, collection)
        for binding in world.members(row, "waveRendering"):
            plan.load(binding)
            plan.load(binding.values["family"])
            plan.add(row, "waveRendering", binding)
            plan.touch(binding, "spatialDomainEnhancement")
            for context in world.members(binding, "spatialDomainEnhancement"):
                plan.load(context)
                plan.add(binding, "spatialDomainEnhancement", context)
    return materialise(world, rows, plan, caller)

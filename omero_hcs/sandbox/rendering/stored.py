"""Rendering settings in the world: one `RenderingDef` for each user that looked at an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from omero_hcs.sandbox.ice.record import omero, rtypes
from omero_hcs.sandbox.model.schema import SCHEMA
from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.conditions import security
from omero_hcs.sandbox.objects.load import Plan, materialise
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.objects.save import Merger
from omero_hcs.sandbox.objects.world import World
from omero_hcs.sandbox.rendering.settings import ChannelSettings, Settings

COLOURS = ("red", "green", "blue", "alpha")
CONTEXTS = "spatialDomainEnhancement"
REVERSE = "ReverseIntensityContext"


def settings_of(world: World, pixels: Row, user: Row | None = None) -> list[Row]:
    """Return the `RenderingDef` rows of pixels, a user's or everybody's, the latest first."""
    found = [
        row
        for row in world.references(pixels, "RenderingDef", "pixels")
        if user is None or row.details.owner is user
    ]
    return sorted(found, key=_changed, reverse=True)


def settings_for(world: World, pixels: Row, caller: Caller) -> Row | None:
    """Return the caller's settings of pixels; the owner's if he has none."""
    found = settings_of(world, pixels, caller.user)
    if not found and pixels.details.owner is not caller.user:
        found = settings_of(world, pixels, pixels.details.owner)
    return found[0] if found else None


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
            plan.touch(binding, CONTEXTS)
            for context in world.members(binding, CONTEXTS):
                plan.load(context)
                plan.add(binding, CONTEXTS, context)
    return materialise(world, rows, plan, caller)


# -- rows to values


def read_settings(world: World, row: Row) -> Settings:
    """Return the values of a `RenderingDef`. Hold the world's lock."""
    quantum = row.values["quantization"].values
    return Settings(
        z=row.values["defaultZ"],
        t=row.values["defaultT"],
        model=row.values["model"].values["value"],
        channels=[_read_channel(world, one) for one in world.members(row, "waveRendering")],
        first_level=quantum["cdStart"],
        last_level=quantum["cdEnd"],
        depth=quantum["bitResolution"],
        name=row.values.get("name"),
        compression=row.values.get("compression"),
    )


def _read_channel(world: World, binding: Row) -> ChannelSettings:
    values = binding.values
    red, green, blue, alpha = (values[name] for name in COLOURS)
    return ChannelSettings(
        start=values["inputStart"],
        end=values["inputEnd"],
        rgba=(red, green, blue, alpha),
        is_active=values["active"],
        family=values["family"].values["value"],
        coefficient=values["coefficient"],
        noise_reduction=values["noiseReduction"],
        look_up_table=values.get("lookupTable"),
        is_reversed=any(one.entity.isa(REVERSE) for one in world.members(binding, CONTEXTS)),
    )


# -- values to objects and rows


def settings_object(settings: Settings, pixels: Row) -> Any:
    """Make the object of settings that are not stored yet."""
    made = omero.model.RenderingDefI()
    made.pixels = pixels.entity.unloaded(pixels.id)
    made.defaultZ, made.defaultT = rtypes.rint(settings.z), rtypes.rint(settings.t)
    made.model = _enumeration(omero.model.RenderingModelI(), settings.model)
    made.name = None if settings.name is None else rtypes.rstring(settings.name)
    made.compression = rtypes.rdouble(settings.compression) if settings.compression else None
    quantum = made.quantization = omero.model.QuantumDefI()
    quantum.cdStart = rtypes.rint(settings.first_level)
    quantum.cdEnd = rtypes.rint(settings.last_level)
    quantum.bitResolution = rtypes.rint(settings.depth)
    for channel in settings.channels:
        made.addChannelBinding(_binding(channel))
    return made


def _binding(channel: ChannelSettings) -> Any:
    made = omero.model.ChannelBindingI()
    made.family = _enumeration(omero.model.FamilyI(), channel.family)
    fields = SCHEMA["ChannelBinding"].fields
    for name, value in _plain(channel).items():
        wrap = fields[name].wrap
        if value is not None and wrap is not None:
            setattr(made, fields[name].attribute, wrap(value))
    if channel.is_reversed:
        context = omero.model.ReverseIntensityContextI()
        context.reverse = rtypes.rbool(True)  # noqa: FBT003  (omero-py's signature)
        made.addCodomainMapContext(context)
    return made


def _plain(channel: ChannelSettings) -> dict[str, Any]:
    return {
        "inputStart": float(channel.start),
        "inputEnd": float(channel.end),
        "active": channel.is_active,
        "coefficient": float(channel.coefficient),
        "noiseReduction": channel.noise_reduction,
        "lookupTable": channel.look_up_table,
        **dict(zip(COLOURS, channel.rgba, strict=True)),
    }


def _enumeration(made: Any, value: str) -> Any:
    made.value = rtypes.rstring(value)
    return made


def create_settings(world: World, pixels: Row, settings: Settings, caller: Caller) -> Row:
    """Store settings as the caller's own. Inside a transaction.

    Raises
    ------
    omero.SecurityViolation
        He may not annotate the image.
    """
    if caller.group is None:  # about all groups: OMERO goes through them one by one
        caller = replace(caller, group=pixels.details.group)
    return Merger(world, caller).merge_all([settings_object(settings, pixels)])[0]


def update_settings(world: World, row: Row, settings: Settings, caller: Caller) -> None:
    """Give a stored `RenderingDef` other values. Inside a transaction.

    Raises
    ------
    omero.SecurityViolation
        It is somebody else's, and the caller may not edit it.
    """
    if not caller.rights(row).edit:
        msg = f"Cannot update object: ome.model.display.RenderingDef:Id_{row.id}"
        raise security(msg)
    world.set(row, "defaultZ", settings.z)
    world.set(row, "defaultT", settings.t)
    world.set(row, "model", world.find("RenderingModel", value=settings.model))
    quantum = row.values["quantization"]
    world.set(quantum, "cdStart", settings.first_level)
    world.set(quantum, "cdEnd", settings.last_level)
    world.set(quantum, "bitResolution", settings.depth)
    bindings = world.members(row, "waveRendering")
    for binding, channel in zip(bindings, settings.channels, strict=True):
        _update_binding(world, binding, channel, caller)
    world.touch(row, caller.event)


def _update_binding(world: World, binding: Row, channel: ChannelSettings, caller: Caller) -> None:
    for name, value in _plain(channel).items():
        world.set(binding, name, value)
    world.set(binding, "family", world.find("Family", value=channel.family))
    contexts = [one for one in world.members(binding, CONTEXTS) if one.entity.isa(REVERSE)]
    if channel.is_reversed and not contexts:
        made = world.insert(REVERSE, channelBinding=binding, reverse=True)
        details = binding.details
        world.set_details(
            made,
            owner=details.owner,
            group=details.group,
            creation_event=caller.event,
            update_event=caller.event,
        )
    elif not channel.is_reversed:
        for context in contexts:
            world.remove(context)
    world.touch(binding, caller.event)


# -- what clients send


def told_settings(world: World, told: Any) -> Settings:
    """Return the values of a `RenderingDef` that a client sent, complete."""
    quantum = told.quantization
    return Settings(
        z=told.defaultZ.val,
        t=told.defaultT.val,
        model=_value(world, told.model),
        channels=[_told_channel(world, one) for one in told.copyWaveRendering()],
        first_level=quantum.cdStart.val,
        last_level=quantum.cdEnd.val,
        depth=quantum.bitResolution.val,
    )


def _told_channel(world: World, told: Any) -> ChannelSettings:
    contexts = getattr(told, f"_{CONTEXTS}Seq") or []
    red, green, blue, alpha = (getattr(told, name).val for name in COLOURS)
    return ChannelSettings(
        start=told.inputStart.val,
        end=told.inputEnd.val,
        rgba=(red, green, blue, alpha),
        is_active=told.active.val,
        family=_value(world, told.family),
        coefficient=told.coefficient.val,
        noise_reduction=told.noiseReduction.val,
        look_up_table=None if told.lookupTable is None else told.lookupTable.val,
        is_reversed=any(type(one).ice_staticId().endswith(REVERSE) for one in contexts),
    )


def _value(world: World, told: Any) -> str:
    if told.id is not None:
        row = world.get(type(told).ice_staticId().rpartition("::")[2], told.id.val)
        if row is not None:
            return str(row.values["value"])
    return str(told.value.val)

"""Settings of an image that nobody has looked at yet, as OMERO chooses them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.objects.world import World
from omero_hcs.sandbox.rendering.settings import GREYSCALE, RGB, ChannelSettings, Settings

MAXIMUM_CHANNELS = 10  # from here on an image starts in grey
ACTIVE_CHANNELS = 3
CLOSE = 1e-5  # a window narrower than this is none
BLUE_TO, GREEN_TO = 500, 559  # nanometres
NANOMETRES = {"ANGSTROM": 0.1, "NANOMETER": 1.0, "MICROMETER": 1e3, "MILLIMETER": 1e6}
RED, GREEN, BLUE = (255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255)
WHITE = (255, 255, 255, 255)
COLOURS = (RED, GREEN, BLUE)
Colour = tuple[int, int, int, int]


def default_settings(world: World, pixels: Row) -> Settings:
    """Choose the settings of pixels. Hold the world's lock."""
    channels = world.members(pixels, "channels")
    colours = default_colours(channels)
    coloured = 1 < len(channels) < MAXIMUM_CHANNELS
    return Settings(
        z=pixels.values["sizeZ"] // 2,
        t=0,
        model=RGB if coloured else GREYSCALE,
        channels=[
            ChannelSettings(
                *default_window(pixels, channel), colours[number], number < ACTIVE_CHANNELS
            )
            for number, channel in enumerate(channels)
        ],
    )


def type_range(pixels: Row) -> tuple[float, float]:
    """Return the least and the greatest value of the type of pixels, as OMERO counts them."""
    kind: str = pixels.values["pixelsType"].values["value"]
    if kind in ("float", "double", "complex", "double-complex"):
        return -(2.0**31), 2.0**31 - 1
    size = pixels.values["pixelsType"].values["bitSize"]
    bits = min(pixels.values.get("significantBits") or size, size)
    if kind.startswith("int"):
        return -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1
    return 0.0, 2.0**bits - 1


def default_window(pixels: Row, channel: Row) -> tuple[float, float]:
    """Return the least and the greatest value of a channel; of the type if nobody told them."""
    stats = channel.values.get("statsInfo")
    if stats is None:
        return type_range(pixels)
    low, high = float(stats.values["globalMin"]), float(stats.values["globalMax"])
    return type_range(pixels) if abs(high - low) < CLOSE else (low, high)


def default_colours(channels: Sequence[Row]) -> list[Colour]:
    """Choose colours: the channel's own, its wavelength's, or red, green and blue in turn."""
    chosen: list[Colour] = []
    dark: list[int] = []  # without a colour and without an emission
    for number, channel in enumerate(channels):
        own = _own_colour(channel)
        logical = channel.values["logicalChannel"]
        if own is None and logical.values.get("emissionWave") is None:
            dark.append(number)
        chosen.append(own or _of_wavelength(logical) or COLOURS[number % len(COLOURS)])
    uncoloured = sum(_own_colour(channel) is None for channel in channels)
    if dark and len(dark) != uncoloured:
        for number in dark:  # next to fluorescence, what has no emission is light through it
            chosen[number] = WHITE
    return chosen


def _own_colour(channel: Row) -> Colour | None:
    parts = [channel.values.get(name) for name in ("red", "green", "blue", "alpha")]
    if any(part is None for part in parts):
        return None
    red, green, blue, alpha = (int(part) for part in parts if part is not None)
    return red, green, blue, alpha


def _of_wavelength(logical: Row) -> Colour | None:
    wave = logical.values.get("emissionWave") or logical.values.get("excitationWave")
    if wave is None:
        return None
    nanometres = _nanometres(wave)
    if nanometres <= BLUE_TO:
        return BLUE
    return GREEN if nanometres <= GREEN_TO else RED


def _nanometres(length: Any) -> float:
    return float(length.getValue() * NANOMETRES.get(str(length.getUnit()), 1.0))

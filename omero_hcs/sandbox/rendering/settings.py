"""Rendering settings as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field

GREYSCALE, RGB = "greyscale", "rgb"
DEPTH = 255  # of the levels that pictures are made of
DEPTHS = (1, 3, 7, 15, 31, 63, 127, 255)  # levels that a picture may be reduced to


@dataclass
class ChannelSettings:
    """How one channel is shown.

    Attributes
    ----------
    start, end : float
        The window: intensities that become the darkest and the brightest level.
    rgba : tuple of int
        Colour of the brightest level, 0 to 255 each.
    family, coefficient : str, float
        The curve between them: linear, polynomial, logarithmic, exponential.
    noise_reduction : bool
        Kept and given back, but not applied.
    look_up_table : str or None
        Name of a table of colours. Kept and given back; without its file, which a sandbox does not
        have, the colour counts, as in OMERO.
    is_reversed : bool
        The brightest intensity becomes the darkest level.
    """

    start: float
    end: float
    rgba: tuple[int, int, int, int]
    is_active: bool = True
    family: str = "linear"
    coefficient: float = 1.0
    noise_reduction: bool = False
    look_up_table: str | None = None
    is_reversed: bool = False


@dataclass
class Settings:
    """How one user sees one image.

    Attributes
    ----------
    z, t : int
        Plane that is shown first.
    model : str
        `GREYSCALE` shows the first active channel in grey, `RGB` all of them in their colours.
    first_level, last_level, depth : int
        Levels of the picture, and into how many steps they are cut.
    """

    z: int
    t: int
    model: str
    channels: list[ChannelSettings] = field(default_factory=list)
    first_level: int = 0
    last_level: int = DEPTH
    depth: int = DEPTH
    name: str | None = None
    compression: float | None = None

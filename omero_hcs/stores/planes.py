"""Checks of a request for pixels, the same for every store that holds its planes at hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omero_hcs.errors import ChannelNotFoundError, ImageNotFoundError, InputError
from omero_hcs.model import Image, ZChoice


def check_request(image: Image, *, channels: Sequence[int], z: ZChoice, t: int) -> None:
    """Refuse channels, planes and time points that an image does not have.

    Raises
    ------
    ChannelNotFoundError
        If a channel index is out of range.
    InputError
        If no channel is asked for, or `z` or `t` is out of range.
    """
    if not len(channels):
        msg = f"No channel of image {image.name} was asked for. Pass one channel index or more."
        raise InputError(msg)
    for index in channels:
        if not 0 <= index < len(image.channels):
            names = ", ".join(f"{item.index}: {item.name}" for item in image.channels)
            msg = f"Image {image.name} has no channel of index {index}. It has {names}."
            raise ChannelNotFoundError(msg)
    if isinstance(z, int) and not 0 <= z < image.size_z:
        msg = f"Image {image.name} has no z plane {z}: z goes from 0 to {image.size_z - 1}."
        raise InputError(msg)
    if not 0 <= t < image.size_t:
        msg = f"Image {image.name} has no time point {t}: t goes from 0 to {image.size_t - 1}."
        raise InputError(msg)


def choose_label_image(
    found: dict[str, NDArray[np.integer[Any]]], image: Image, name: str | None
) -> NDArray[np.integer[Any]]:
    """Pick one label image by its name, or the only one there is.

    Raises
    ------
    ImageNotFoundError
        If there is none of that name, or several and no name.
    """
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    if name in found:
        return found[name]
    there = f"It has: {', '.join(found)}. Pass one of these." if found else "It has none."
    wanted = "one label image, but no name was given" if name is None else f"label image {name!r}"
    msg = f"Image {image.name} has no {wanted}. {there}"
    if name is None and found:
        msg = f"Image {image.name} has several label images. Pass one of: {', '.join(found)}."
    raise ImageNotFoundError(msg)

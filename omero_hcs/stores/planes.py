"""Checks of a request for pixels, the same for every store that holds its planes at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from omero_hcs.errors import ChannelNotFoundError, ImageNotFoundError, InputError
from omero_hcs.model import Image, ZChoice

Found = TypeVar("Found")


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


def choose_label_image(found: Mapping[str, Found], image: Image, name: str | None) -> Found:
    """Pick one of an image's label images by its name, or the only one there is.

    Parameters
    ----------
    found : mapping of str to anything
        The label images, or where they are, by name.
    image : Image
        The image, for messages.
    name : str or None
        The name wanted.

    Raises
    ------
    ImageNotFoundError
        If there is none of that name, or several and no name.
    """
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    if name is not None and name in found:
        return found[name]
    there = f"There are: {', '.join(found)}; pass one of them." if found else "There are none."
    wanted = "a single label image" if name is None else f"a label image {name!r}"
    msg = f"Image {image.name} does not have {wanted} at this z and t. {there}"
    raise ImageNotFoundError(msg)

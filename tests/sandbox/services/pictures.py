"""What tests of pictures need: images with known planes, JPEGs as arrays."""

from __future__ import annotations

import io

import numpy as np
import omero
from omero.gateway import BlitzGateway  # noqa: F401  (loads omero's modules in the order that works)
from PIL import Image


def new_image(conn, channels, name="image"):
    """Make an image of channels, each an array (Z, Y, X) or (Y, X): its wrapper, loaded anew."""
    stacks = [channel if channel.ndim == 3 else channel[None] for channel in channels]
    planes = (stack[z] for z in range(len(stacks[0])) for stack in stacks)
    made = conn.createImageFromNumpySeq(planes, name, sizeZ=len(stacks[0]), sizeC=len(stacks))
    return conn.getObject("Image", made.getId())


def unwritten_image(conn, channels=1):
    """Make an image whose planes nobody wrote: its wrapper."""
    kind = conn.getQueryService().findByString("PixelsType", "value", "uint8")
    made = conn.getPixelsService().createImage(8, 6, 1, 1, list(range(channels)), kind, "new", "")
    return conn.getObject("Image", made.val)


def decoded(jpeg):
    """Return a JPEG as an array, (Y, X, 3)."""
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


def unpacked(packed):
    """Return packed ints as an array, (N, 4): alpha, red, green, blue."""
    return np.array(packed, dtype=">i4").view("u1").reshape(-1, 4)


def plane(z=0, t=0, **more):
    """Return the definition of a plane."""
    return omero.romio.PlaneDef(z=z, t=t, **more)

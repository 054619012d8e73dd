"""Label images, kept as TIFF files attached to the image that they segment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omero_hcs.model import Image
from omero_hcs.results import LabelImage
from omero_hcs.stores.omero.record import Made, WriteContext
from omero_hcs.stores.omero.session import Session


def read_label_image(
    session: Session, image: Image, *, name: str | None, z: int, t: int
) -> NDArray[np.integer[Any]]:
    """One segmentation of an image, shape (Y, X); see `PlateStore.label_image`."""
    raise NotImplementedError


def save_label_images(context: WriteContext, labels: Sequence[LabelImage]) -> list[Made]:
    """Attach label images to their images."""
    raise NotImplementedError

"""Label images, kept as TIFF files attached to the image that they segment."""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from omero_hcs.errors import DataError
from omero_hcs.model import Image
from omero_hcs.results import LabelImage
from omero_hcs.stores.contents import told
from omero_hcs.stores.omero.attachments import Attachment, attach
from omero_hcs.stores.omero.rawfiles import read_file
from omero_hcs.stores.omero.record import LABEL_IMAGE_NAMESPACE, Made, WriteContext
from omero_hcs.stores.omero.session import Session
from omero_hcs.stores.planes import choose_label_image

_NAME = re.compile(r"(?P<name>.+)-z(?P<z>\d+)-t(?P<t>\d+)\.tif")


def read_label_image(
    session: Session, image: Image, *, name: str | None, z: int, t: int
) -> NDArray[np.integer[Any]]:
    """One segmentation of an image, shape (Y, X); see `PlateStore.label_image`.

    Of several of one name it is the one that was attached last.
    """
    files = _files(session, image, z, t)
    file_id = choose_label_image(files, image, name)
    try:
        pixels: NDArray[np.integer[Any]] = session.read(lambda conn: _decoded(conn, file_id))
    except (tifffile.TiffFileError, ValueError) as error:
        msg = (
            f"The label image of image {image.name} (file {file_id} on {session.server}) is no "
            f"TIFF any more: {error}. Remove it, then start the run again with --again."
        )
        raise DataError(msg) from error
    if pixels.shape != (image.size_y, image.size_x) or pixels.dtype.kind not in "iu":
        msg = (
            f"The label image of image {image.name} (file {file_id} on {session.server}) holds "
            f"{pixels.dtype} of shape {pixels.shape}; labels of that image are integers of shape "
            f"{(image.size_y, image.size_x)}. Remove it, then start the run again with --again."
        )
        raise DataError(msg)
    return pixels


def save_label_images(context: WriteContext, labels: Sequence[LabelImage]) -> list[Made]:
    """Attach label images to their images."""
    if not labels:
        return []
    with tempfile.TemporaryDirectory(prefix="omero-hcs-") as folder:
        return attach(
            context,
            [
                _staged(context, label, Path(folder) / f"{number}.tif")
                for number, label in enumerate(labels)
            ],
        )


def _files(session: Session, image: Image, z: int, t: int) -> dict[str, int]:
    """Ids of the files of an image's label images at one z and t, by name."""
    if not image.id.isdecimal():
        return {}
    rows = session.project(
        "select f.name, f.id from ImageAnnotationLink l join l.child a join a.file f "
        "where l.parent.id = :image and a.ns = :ns order by a.id",
        {"image": int(image.id), "ns": LABEL_IMAGE_NAMESPACE},
    )
    found: dict[str, int] = {}
    for shown, file_id in rows:
        match = _NAME.fullmatch(shown)
        if match and (int(match["z"]), int(match["t"])) == (z, t):
            found[match["name"]] = file_id
    return found


def _decoded(conn: Any, file_id: int) -> Any:
    return tifffile.imread(io.BytesIO(read_file(conn, file_id)))


def _staged(context: WriteContext, label: LabelImage, path: Path) -> Attachment:
    with told(path, label.pixels.nbytes):
        tifffile.imwrite(path, label.pixels, compression="zlib", photometric="minisblack")
    return Attachment(
        path,
        f"{label.name}-z{label.z}-t{label.t}.tif",
        LABEL_IMAGE_NAMESPACE,
        (("label", f"{label.image}/{label.name}"),),
        (context.place("image", label.image),),
    )

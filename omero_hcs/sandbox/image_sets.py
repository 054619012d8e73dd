"""Copy a set of images into an OMERO server, as an importer makes a Dataset of them."""

from __future__ import annotations

from dataclasses import dataclass

from omero.gateway import BlitzGateway
from omero.model import DatasetI, DatasetImageLinkI
from omero.rtypes import rstring

from omero_hcs.errors import InputError
from omero_hcs.sandbox.importer import (
    IMAGES_A_BATCH,
    Enums,
    image_graph,
    send_pixels,
    show_alike,
)
from omero_hcs.sandbox.sources import planes_of
from omero_hcs.stores.base import PlateStore
from omero_hcs.tasks.base import Progress, no_progress


@dataclass(frozen=True)
class ImportedImages:
    """Ids of what was made in the server; images in the order of the set."""

    dataset: int
    images: tuple[int, ...]


def import_images(
    conn: BlitzGateway, store: PlateStore, *, progress: Progress = no_progress
) -> ImportedImages:
    """Make a dataset of a store's images, and send all pixels.

    Parameters
    ----------
    conn : BlitzGateway
        Connected as whom the images are to belong to.
    store : PlateStore
        One that holds one image set, such as a folder; the dataset has its name.
    progress : callable
        See `tasks.base.Progress`.

    Raises
    ------
    InputError
        If the store holds no image set.
    """
    sets = [ref for ref in store.refs() if ref.kind == "images"]
    if len(sets) != 1:
        msg = f"{store.spec.uri} is no set of images. Pass a folder of images."
        raise InputError(msg)
    layout = store.images(sets[0].id)
    update, enums = conn.getUpdateService(), Enums(conn)
    dataset = DatasetI()
    dataset.name = rstring(layout.name)
    number = update.saveAndReturnObject(dataset).id.val
    ids: list[tuple[int, int]] = []
    for first in range(0, len(layout.images), IMAGES_A_BATCH):
        links = []
        for image in layout.images[first : first + IMAGES_A_BATCH]:
            link = DatasetImageLinkI()
            link.parent, link.child = DatasetI(number, loaded=False), image_graph(image, enums)
            links.append(link)
        saved = [link.child for link in update.saveAndReturnArray(links)]
        ids += [(image.id.val, image.getPrimaryPixels().id.val) for image in saved]
    pixels = [each for _, each in ids]
    windows = send_pixels(conn, layout, lambda _, site: planes_of(store, site), pixels, progress)
    show_alike(conn, layout, ("Dataset", number), [image for image, _ in ids], windows)
    return ImportedImages(number, tuple(image for image, _ in ids))

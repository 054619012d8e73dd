"""Crops as images of their own: a dataset a run and target, each image with a note of its source.

Image, note and link to the dataset are one transaction, and the pixels come after it. A crop whose
pixels a crash kept back is found by its note, and made again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import omero.gateway  # noqa: F401  (first: loads omero.model in a working order)
from numpy.typing import NDArray
from omero import model
from omero.model.enums import UnitsLength
from omero.rtypes import rbool, rdouble, rint, rstring

from omero_hcs.model import Channel, Layout, ObjectRef, Site
from omero_hcs.results import CropImages
from omero_hcs.stores.ome_zarr.display import default_color
from omero_hcs.stores.omero.changes import project_all, save, unloaded
from omero_hcs.stores.omero.cropnote import CropNote
from omero_hcs.stores.omero.planes import PIXEL_DTYPES
from omero_hcs.stores.omero.record import (
    CROP_NAMESPACE,
    DATASET,
    Made,
    WriteContext,
    digest,
    unit_label,
)
from omero_hcs.stores.omero.session import Session, batches, context_of

LINK = "DatasetImageLink"
"""OMERO's class of what puts a crop into its dataset."""

_SAVED_AT_ONCE = 100
_SENDERS = 4
_BYPASS_ORIGINAL_FILE = True
_SHOWN_CHANNELS = 3  # as OMERO does with an image that nobody has looked at
_LARGEST_BYTE = 255


@dataclass(frozen=True)
class CropSource:
    """Where the crops of one field come from, and how they are shown."""

    site: Site
    dataset: str
    channels: tuple[Channel, ...]
    ranges: tuple[tuple[float, float], ...]


@dataclass(frozen=True, eq=False)
class CropWish:
    """One crop image that is to be made: `pixels` has shape (C, Y, X)."""

    source: CropSource
    name: str
    note: CropNote
    pixels: NDArray[Any]

    @property
    def mark(self) -> str:
        """Mark of the image."""
        return crop_mark(self.name, self.note.pairs())


def crop_mark(name: str, pairs: Sequence[tuple[str, str]]) -> str:
    """Mark of a crop image that has a name and such a note."""
    return digest([name, sorted(map(list, pairs))])


def dataset_mark(name: str) -> str:
    """Mark of a dataset of crops."""
    return digest(name)


def wanted_crops(
    context: WriteContext, crops: CropImages | None, layout: Layout
) -> dict[tuple[str, str], CropWish]:
    """Crop images by the id of their source image and their mark."""
    if crops is None or not len(crops.cells):
        return {}
    site = next(site for site in layout.sites() if site.image.id == crops.image)
    source = CropSource(
        site,
        f"Crops of {layout.name} {context.run_id}",
        tuple(site.image.channel(name) for name in crops.channels),
        crops.ranges,
    )
    wishes = _wishes(context, crops, source)
    return {(crops.image, wish.mark): wish for wish in wishes}


def save_crops(context: WriteContext, wishes: Sequence[CropWish]) -> list[Made]:
    """Make crop images in the dataset of the run, which is made with the first of them."""
    if not wishes:
        return []
    dataset, made = _dataset(context, wishes[0].source.dataset)
    for batch in batches(wishes, _SAVED_AT_ONCE):
        links = [_link(context, dataset, wish) for wish in batch]
        ids = save(context.session, context.group, links)
        hql = (
            f"select l.id, i.id, p.id from {LINK} l join l.child i join i.pixels p "
            "where l.id in (:ids)"
        )
        found = {link: rest for link, *rest in project_all(context.session, hql, ids)}
        images, pixels = zip(*(found[link] for link in ids), strict=True)
        _send(context, pixels, batch)
        for link, image, wish in zip(ids, images, batch, strict=True):
            made.append(Made("crop", "Image", image, wish.mark, str(wish.note.source)))
            made.append(Made("link", LINK, link))
    return made


def datasets_of(session: Session, group: int, owner: int, run_id: str, target: str) -> list[int]:
    """Datasets of a run, as the last line of their description tells."""
    hql = (
        "select d.id, d.description from Dataset d where d.description like :some "
        "and d.details.owner.id = :owner and d.details.group.id = :group order by d.id"
    )
    last = unit_label(run_id, target)
    given: dict[str, int | str] = {"some": f"%{last}", "owner": owner, "group": group}
    # An underscore in the run's id means any letter in a pattern.
    return [row[0] for row in session.project(hql, given) if row[1].splitlines()[-1:] == [last]]


def unlisted_crops(session: Session, label: str, owner: int) -> list[Made]:
    """Find the crop images of a unit, and their links to datasets, by the notes on them."""
    hql = (
        "select l.parent.id from ImageAnnotationLink l join l.child a where a.ns = :ns "
        "and a.description = :label and a.details.owner.id = :owner"
    )
    given: dict[str, int | str] = {"ns": CROP_NAMESPACE, "label": label, "owner": owner}
    images = [row[0] for row in session.project(hql, given)]
    links = f"select l.id from {LINK} l where l.child.id in (:ids)"
    return [
        *(Made("crop", "Image", number) for number in images),
        *(Made("link", LINK, row[0]) for row in project_all(session, links, images)),
    ]


def _wishes(context: WriteContext, crops: CropImages, source: CropSource) -> Iterator[CropWish]:
    image, plate = source.site.image, _plate(context.target)
    z = image.size_z // 2 if isinstance(crops.z, str) else crops.z
    for row, pixels in zip(crops.cells.rows(), crops.pixels, strict=True):
        note = CropNote(
            source=int(image.id),
            y=round(row["y"], 2),
            x=round(row["x"], 2),
            z=z,
            t=row["t"],
            plate=plate,
            well=source.site.well.name if source.site.well else None,
            field=source.site.field if source.site.well else None,
            run=context.run_id,
            cell=row["cell"],
        )
        yield CropWish(source, _name(source.site, note), note, pixels)


def _plate(target: ObjectRef) -> int | None:
    return int(target.id) if target.kind == "plate" else None


def _name(site: Site, note: CropNote) -> str:
    """Name a crop: "B03 f1 cell 012", with its plane and time where there are several.

    OMERO.web sorts names as texts.
    """
    where = f"{site.well.name} f{site.field + 1}" if site.well else site.image.name
    plane = f" z{note.z + 1}" if site.image.size_z > 1 else ""
    time = f" t{note.t + 1}" if site.image.size_t > 1 else ""
    number = (note.cell or "").rpartition("/c")[2]
    return f"{where}{plane}{time} cell {int(number) + 1:03d}"


def _dataset(context: WriteContext, name: str) -> tuple[int, list[Made]]:
    """Id of the dataset of a run and target; it is in the list where it is new."""
    session, target, run_id = context.session, context.target, context.run_id
    there = datasets_of(session, context.group, session.user_id, run_id, target.id)
    if there:
        return there[0], []
    made = model.DatasetI()
    made.name = rstring(name)
    about = (
        "Crops of single cells, cut by omero-hcs. Tag, rate or sort them into datasets to teach a "
        "quality model: each leads back to its cell."
    )
    made.description = rstring(f"{about}\n{unit_label(run_id, target.id)}")
    (number,) = save(session, context.group, [made])
    return number, [Made("dataset", DATASET, number, dataset_mark(name), name)]


def _link(context: WriteContext, dataset: int, wish: CropWish) -> Any:
    link = model.DatasetImageLinkI()
    link.parent = unloaded(DATASET, dataset)
    link.child = image = model.ImageI()
    image.name = rstring(wish.name)
    image.addPixels(_pixels(wish))
    note = model.MapAnnotationI()
    note.ns, note.description = rstring(CROP_NAMESPACE), rstring(context.label)
    note.setMapValue([model.NamedValue(*pair) for pair in wish.note.pairs()])
    image.linkAnnotation(note)
    return link


def _pixels(wish: CropWish) -> Any:
    source, shape = wish.source, wish.pixels.shape
    pixels = model.PixelsI()
    pixels.sizeC, pixels.sizeY, pixels.sizeX = map(rint, shape)
    pixels.sizeZ = pixels.sizeT = rint(1)
    pixels.dimensionOrder = _enum(model.DimensionOrderI(), "XYZCT")
    kinds = {dtype: kind for kind, dtype in PIXEL_DTYPES.items() if kind != "bit"}
    pixels.pixelsType = _enum(model.PixelsTypeI(), kinds[wish.pixels.dtype.name])
    pixels.sha1 = rstring("Pending...")
    if size := source.site.image.pixel_size_um:
        pixels.physicalSizeY = model.LengthI(size[0], UnitsLength.MICROMETER)
        pixels.physicalSizeX = model.LengthI(size[1], UnitsLength.MICROMETER)
    for channel, plane in zip(source.channels, wish.pixels, strict=True):
        pixels.addChannel(_channel(channel, plane))
    pixels.addRenderingDef(_shown(source))
    return pixels


def _channel(channel: Channel, plane: NDArray[Any]) -> Any:
    made = model.ChannelI()
    made.logicalChannel = model.LogicalChannelI()
    made.logicalChannel.name = rstring(channel.name)
    made.statsInfo = model.StatsInfoI()
    made.statsInfo.globalMin = rdouble(float(plane.min()))
    made.statsInfo.globalMax = rdouble(float(plane.max()))
    if channel.color:
        made.red, made.green, made.blue = map(rint, bytes.fromhex(channel.color))
        made.alpha = rint(_LARGEST_BYTE)
    return made


def _shown(source: CropSource) -> Any:
    """Make the owner's rendering settings: all crops of a run alike, to be compared by eye."""
    made = model.RenderingDefI()
    made.defaultZ = made.defaultT = rint(0)
    is_grey = len(source.channels) == 1
    made.model = _enum(model.RenderingModelI(), "greyscale" if is_grey else "rgb")
    made.quantization = model.QuantumDefI()
    made.quantization.cdStart = rint(0)
    made.quantization.cdEnd = made.quantization.bitResolution = rint(_LARGEST_BYTE)
    for number, (channel, ends) in enumerate(zip(source.channels, source.ranges, strict=True)):
        made.addChannelBinding(_binding(channel, ends, active=number < _SHOWN_CHANNELS))
    return made


def _binding(channel: Channel, ends: tuple[float, float], *, active: bool) -> Any:
    low, high = ends
    made = model.ChannelBindingI()
    made.family = _enum(model.FamilyI(), "linear")
    made.coefficient, made.noiseReduction = rdouble(1.0), rbool(False)  # noqa: FBT003  (omero-py's)
    made.inputStart, made.inputEnd = rdouble(low), rdouble(high)
    made.active = rbool(active)
    color = channel.color or default_color(channel.name, channel.index)
    made.red, made.green, made.blue = map(rint, bytes.fromhex(color))
    made.alpha = rint(_LARGEST_BYTE)
    return made


def _enum(made: Any, value: str) -> Any:
    made.value = rstring(value)
    return made


def _send(context: WriteContext, pixels: Sequence[int], wishes: Sequence[CropWish]) -> None:
    """Send the pixels of images, several at once: most of the time goes by on the way."""
    parts = [(pixels[first::_SENDERS], wishes[first::_SENDERS]) for first in range(_SENDERS)]
    with ThreadPoolExecutor(_SENDERS) as pool:
        for done in [pool.submit(_send_some, context, *part) for part in parts if part[0]]:
            done.result()


def _send_some(context: WriteContext, pixels: Sequence[int], wishes: Sequence[CropWish]) -> None:
    """Send the pixels of images over one store: of each all channels in one call."""
    told = context_of(context.group)
    with closing(context.session.conn.c.sf.createRawPixelsStore(told)) as store:
        for number, wish in zip(pixels, wishes, strict=True):
            content = wish.pixels.astype(wish.pixels.dtype.newbyteorder(">"))
            store.setPixelsId(number, _BYPASS_ORIGINAL_FILE, told)
            store.setTimepoint(content.tobytes(), 0, told)
            # Before others are written: OMERO forgets of which it was.
            store.save(told)

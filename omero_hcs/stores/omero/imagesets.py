"""Image sets of a server: a Project, a Dataset, or Images by themselves, in two queries each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from omero_hcs.model import Image, ImageSet
from omero_hcs.stores.imagefile import natural_key
from omero_hcs.stores.omero.imagerows import (
    IMAGE_COLUMNS,
    IMAGE_JOINS,
    ImageRow,
    describe,
)
from omero_hcs.stores.omero.session import Session

SetKind = Literal["project", "dataset", "image"]

SET_KINDS: Mapping[str, tuple[str, str]] = {
    "project": (
        "Project",
        (
            "from ProjectDatasetLink pdl join pdl.child ds join ds.imageLinks il "
            "join il.child i {joins} where pdl.parent.id in (:ids)"
        ),
    ),
    "dataset": (
        "Dataset",
        "from DatasetImageLink il join il.child i {joins} where il.parent.id in (:ids)",
    ),
    "image": ("Image", "from Image i {joins} where i.id in (:ids)"),
}
"""OMERO's class of each kind, and the query over its images as `i`."""


@dataclass(frozen=True)
class SetName:
    """What a set is made of, as its id says: "dataset:7", "image:5,6"."""

    kind: SetKind
    ids: tuple[int, ...]

    @property
    def id(self) -> str:
        """The id of the set."""
        return f"{self.kind}:{','.join(map(str, self.ids))}"


@dataclass(frozen=True)
class SetRecord:
    """An image set as a server has it; of images in several groups, all are named."""

    images: ImageSet
    groups: tuple[int, ...]
    anchors: tuple[tuple[str, int], ...]


def read_set(session: Session, name: SetName) -> SetRecord | None:
    """Read an image set; None where the user sees none of its objects."""
    given: Mapping[str, Sequence[int]] = {"ids": name.ids}
    entity, query = SET_KINDS[name.kind]
    heads = session.project(
        f"select o.id, o.name, o.details.owner.omeName, o.details.group.id from {entity} o "
        "where o.id in (:ids)",
        given,
    )
    if not heads:
        return None
    rows = session.project(f"select {IMAGE_COLUMNS} {query.format(joins=IMAGE_JOINS)}", given)
    found = _first_pixels(ImageRow(*row) for row in rows)
    pixels = {row.pixels for row in found if row.pixels is not None}
    described = describe(session, query, given, pixels)
    images = [described.image(row) for row in found]
    owners = list(dict.fromkeys(str(owner) for _, _, owner, _ in heads))
    title = heads[0][1] or name.id if len(heads) == 1 else f"{len(heads)} {name.kind}s"
    return SetRecord(
        images=ImageSet(name.id, title, _sorted(images), ", ".join(owners)),
        groups=tuple(dict.fromkeys(group for *_, group in heads)),
        anchors=tuple((entity, number) for number in sorted(head[0] for head in heads)),
    )


def _first_pixels(rows: Iterable[ImageRow]) -> list[ImageRow]:
    """Take each image once: it may be in several Datasets, and have derived pixels, too."""
    found: dict[int, ImageRow] = {}
    for row in rows:
        before = found.get(row.id)
        if before is None or (row.pixels or 0) < (before.pixels or 0):
            found[row.id] = row
    return list(found.values())


def _sorted(images: Iterable[Image]) -> tuple[Image, ...]:
    return tuple(sorted(images, key=lambda image: (natural_key(image.name), int(image.id))))

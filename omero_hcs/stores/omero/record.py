"""What a run makes on a server, and where: the values that writing and undoing share.

A machine ROI is named ``omero-hcs/run/<run id>``, every annotation of ours has a namespace of
`NAMESPACES`, and whatever a run made is in its journal (see `stores.omero.journal`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from omero_hcs.model import ObjectRef
from omero_hcs.stores.omero.address import SCHEME
from omero_hcs.stores.omero.session import Session

RUN_NAMESPACE = "omero-hcs/run"
"""Of a run's journal; the name of a machine ROI is ``omero-hcs/run/<run id>``."""

TAG_NAMESPACE = "omero-hcs/tag"
TABLE_NAMESPACE = "omero-hcs/table"
FILE_NAMESPACE = "omero-hcs/file"
LABEL_IMAGE_NAMESPACE = "omero-hcs/label-image"
MODEL_NAMESPACE = "omero-hcs/model"
CROP_NAMESPACE = "omero-hcs/crop"
"""Of the key-values on a crop image: they lead back to the cell that it shows."""

DATASET = "Dataset"
"""OMERO's class of what holds the crop images of a run."""

OURS = "omero-hcs/"
"""What each namespace of ours begins with."""

TABLE_KIND = "omero-table"
"""Of an OMERO.table; the same rows are in the run's files, which is what "table" counts."""

BULK_NAMESPACE = "openmicroscopy.org/omero/bulk_annotations"
USER_PAIRS_NAMESPACE = "openmicroscopy.org/omero/client/mapAnnotation"


State = Literal["ours", "theirs", "loose", "gone"]


@dataclass(frozen=True, slots=True)
class Made:
    """One object or link that a run made.

    Parameters
    ----------
    kind : str
        What reports count it as: "roi", "tag", "key-values", "table", "file", "label", "crop" of an
        image that shows one cell, "dataset", `TABLE_KIND` of a table in OMERO's own form; "link"
        for what only joins two objects or serves another, and is not counted.
    type : str
        OMERO class: "Roi", "MapAnnotation", "FileAnnotation", "ImageAnnotationLink", ...
    id : int
        Its id.
    mark : str
        Digest of what we wrote; an object that shows another one was changed by a user. Empty
        where there is nothing to change, as in links.
    name : str
        For people and for `fetch`: a file's name, a tag's text; of a ROI its image's id, of a crop
        the id of the image that it was cut from.
    """

    kind: str
    type: str
    id: int
    mark: str = ""
    name: str = ""


@dataclass(frozen=True)
class WriteContext:
    """Where one unit's results go.

    Parameters
    ----------
    session : Session
        Who writes.
    group : int
        The group of the target, which is that of everything made.
    target : ObjectRef
        The plate or image set of the results.
    anchors : tuple of (str, int)
        OMERO class and id of what the target is: ("Plate", 51). Several for a set of images.
    wells : dict of str to int
        Ids of the target's wells by name; empty for what is no plate.
    images : frozenset of int
        Ids of the target's images; empty for a screen.
    run_id, unit : str
        Whose results they are; unit None is the finishing step.
    """

    session: Session
    group: int
    target: ObjectRef
    anchors: tuple[tuple[str, int], ...]
    wells: dict[str, int]
    images: frozenset[int]
    run_id: str
    unit: str | None = None

    @property
    def label(self) -> str:
        """Description of each annotation of the unit: finds those that a crash left unlisted."""
        return unit_label(self.run_id, self.unit)

    def place(self, kind: str, object_id: str) -> tuple[str, int]:
        """OMERO class and id of a results' object: ("well", "51/B03") -> ("Well", 402).

        Raises
        ------
        KeyError
            If the target has no such well.
        """
        if kind == "well":
            return "Well", self.wells[object_id.rpartition("/")[2]]
        if kind == "plate":
            return self.anchors[0]
        return "Image", int(object_id)


@dataclass(frozen=True, slots=True)
class Seen:
    """What is left of something made: as it was, changed by a user, or gone; and where it is.

    Parameters
    ----------
    made : Made
        What was made.
    state : str
        "ours" as we made it, "theirs" since a user changed or used it, "loose" where a user took
        it off what it was attached to, "gone" where it was removed.
    place : str
        For people: ``omero://host:4064/image/5 ROI 77 (abnormal)``.
    """

    made: Made
    state: State
    place: str


def state_of(found: str | None, mark: str) -> State:
    """Compare the mark that an object shows, None if it is gone, with the one that we wrote.

    What was found after a crash has no mark: it is ours.
    """
    if found is None:
        return "gone"
    return "ours" if mark in (found, "") else "theirs"


def roi_name(run_id: str) -> str:
    """Name of the machine ROIs of a run."""
    return f"{RUN_NAMESPACE}/{run_id}"


def place_of(session: Session, kind: str, number: int) -> str:
    """URI of an object, for places and messages."""
    return f"{SCHEME}{session.server}/{kind.lower()}/{number}"


def unit_label(run_id: str, unit: str | None) -> str:
    """Write down whose an annotation is, as its description says it."""
    return f"run={run_id} unit={unit or ''}"


def labelled(about: str, label: str) -> str:
    """Write down what an attached file is for people, and whose it is at the end."""
    return f"{about} ({label})" if about else label


def is_labelled(description: str, label: str) -> bool:
    """Whether a description is one of `labelled`."""
    return description == label or description.endswith(f" ({label})")


def digest(value: Any) -> str:
    """Mark of a JSON-able value: 16 hex digits of its sha256, the same in every process."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]

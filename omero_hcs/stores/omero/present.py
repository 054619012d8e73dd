"""What is left on a server of what a run made: as it was, changed by a user, taken off, or gone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from omero_hcs.stores.omero.attachments import file_marks
from omero_hcs.stores.omero.changes import project_all
from omero_hcs.stores.omero.crop_images import LINK as CROP_LINK
from omero_hcs.stores.omero.crop_looks import look_at_crops, look_at_datasets
from omero_hcs.stores.omero.notes import (
    link_children,
    look_at_pairs,
    look_at_tag_links,
    look_at_tags,
)
from omero_hcs.stores.omero.record import Made, Seen, place_of, state_of
from omero_hcs.stores.omero.rois import look_at_rois
from omero_hcs.stores.omero.session import Session

LINK = "AnnotationLink"
LINKED_KINDS = (
    "Image", "Well", "Plate", "PlateAcquisition", "Screen", "Dataset", "Project", "Annotation",
)  # fmt: skip
"""Classes of objects to which people attach annotations; a tag set is an annotation, too."""

_ATTACHED = ("FileAnnotation", "MapAnnotation")


def look(session: Session, made: Sequence[Made]) -> list[Seen]:
    """Find out what became of things that a run made; links of attachments are left out.

    Parameters
    ----------
    session : Session
        Who looks.
    made : sequence of Made
        Attachments and their links together: one without any of its links was taken off.
    """
    by_type: dict[str, list[Made]] = defaultdict(list)
    links: list[tuple[str, int]] = []
    for one in made:
        if one.kind == "link" and one.type.endswith((LINK, CROP_LINK)):
            links.append((one.type, one.id))
        else:
            by_type["tag link" if one.type.endswith(LINK) else one.type].append(one)
    in_sets = {number for kind, number in links if kind == CROP_LINK}
    seen = look_at_crops(session, by_type.pop("Image", []), in_sets)
    seen += [item for kind, own in by_type.items() for item in _LOOKS[kind](session, own)]
    attached = [item.made.id for item in seen if item.made.type in _ATTACHED]
    if not attached:
        return seen
    linked = set(link_children(session, links).values())
    used = _used_elsewhere(session, by_type["FileAnnotation"], set(links))
    return [_with_links(item, linked, used) for item in seen]


def tag_uses(session: Session, tags: Iterable[int]) -> set[int]:
    """Those of some tags that are on something, or in a tag set."""
    tags = set(tags)
    used: set[int] = set()
    for kind in LINKED_KINDS:
        hql = f"select distinct l.child.id from {kind}{LINK} l where l.child.id in (:ids)"
        used |= {row[0] for row in project_all(session, hql, tags - used)}
    return used


def _look_at_files(session: Session, made: Sequence[Made]) -> list[Seen]:
    marks = file_marks(session, sorted({one.id for one in made}))
    return [
        Seen(
            one,
            state_of(marks.get(one.id), one.mark),
            f"{place_of(session, 'annotation', one.id)} {one.name}",
        )
        for one in made
    ]


_LOOKS: Mapping[str, Callable[[Session, Sequence[Made]], list[Seen]]] = MappingProxyType(
    {
        "Roi": look_at_rois,
        "TagAnnotation": look_at_tags,
        "MapAnnotation": look_at_pairs,
        "FileAnnotation": _look_at_files,
        "Dataset": look_at_datasets,
        "tag link": look_at_tag_links,
    }
)


def _with_links(seen: Seen, linked: set[int], used: set[int]) -> Seen:
    if seen.made.type not in _ATTACHED or seen.state != "ours":
        return seen
    if seen.made.id in used:
        return replace(seen, state="theirs")
    return seen if seen.made.id in linked else replace(seen, state="loose")


def _used_elsewhere(
    session: Session, files: Sequence[Made], links: set[tuple[str, int]]
) -> set[int]:
    """Attached files that a user attached to something else as well."""
    ids = {one.id for one in files}
    used: set[int] = set()
    for kind in LINKED_KINDS:
        hql = f"select l.id, l.child.id from {kind}{LINK} l where l.child.id in (:ids)"
        rows = project_all(session, hql, ids)
        used |= {child for link, child in rows if (f"{kind}{LINK}", link) not in links}
    return used

"""What a crash kept out of a run's journal: found by what each object tells of itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import MappingProxyType

from omero_hcs.stores.omero.attachments import file_marks
from omero_hcs.stores.omero.changes import project_all
from omero_hcs.stores.omero.crop_images import unlisted_crops
from omero_hcs.stores.omero.journal import Journal
from omero_hcs.stores.omero.journal_lines import IntentLine
from omero_hcs.stores.omero.notes import TagWish, links_there, tag_link, tags_there
from omero_hcs.stores.omero.present import LINK, LINKED_KINDS
from omero_hcs.stores.omero.record import (
    CROP_NAMESPACE,
    FILE_NAMESPACE,
    LABEL_IMAGE_NAMESPACE,
    TABLE_KIND,
    TABLE_NAMESPACE,
    Made,
    digest,
    is_labelled,
    unit_label,
)
from omero_hcs.stores.omero.rois import unlisted_rois
from omero_hcs.stores.omero.session import Session

_KINDS = MappingProxyType(
    {FILE_NAMESPACE: "file", TABLE_NAMESPACE: TABLE_KIND, LABEL_IMAGE_NAMESPACE: "label"}
)


def unlisted(session: Session, journal: Journal, unit: str | None) -> list[Made]:
    """Find what a unit made since its last intent and did not note.

    ROIs are known by their name and description, tags by the intent, crops by their notes and all
    other annotations by their description. Attachments have no name in the end: they are never
    taken for a user's.
    """
    intents = journal.units[unit].open_intents
    if not intents or journal.header is None:
        return []
    run_id, place = journal.header.run_id, journal.place
    known = {(one.type, one.id) for one in journal.units[unit].made()}
    images = {image for intent in intents for image in intent.images}
    found = [
        *unlisted_rois(session, run_id, images, unit),
        *unlisted_crops(session, unit_label(run_id, unit), place.owner),
        *_annotations(session, unit_label(run_id, unit), place.owner),
        *_tag_links(session, place.group, place.owner, intents),
    ]
    return [one for one in found if (one.type, one.id) not in known]


def unattached_tables(session: Session, journal: Journal) -> set[int]:
    """Find the files of OMERO.tables that a crash left before they were attached to anything."""
    place, header = journal.place, journal.header
    if header is None or not journal.units[None].open_intents:
        return set()
    hql = (
        "select f.id, f.name from OriginalFile f where f.name like :name "
        "and f.details.owner.id = :owner and f.details.group.id = :group"
    )
    end = f"-{header.run_id}.h5"
    given: dict[str, int | str] = {
        "name": f"omero-hcs-%{end}",
        "owner": place.owner,
        "group": place.group,
    }
    # An underscore in the run's id means any letter in a pattern.
    files = {row[0] for row in session.project(hql, given) if row[1].endswith(end)}
    attached = "select a.file.id from FileAnnotation a where a.file.id in (:ids)"
    return files - {row[0] for row in project_all(session, attached, files)}


def _annotations(session: Session, label: str, owner: int) -> list[Made]:
    given: dict[str, int | str] = {"label": label, "owner": owner}
    where = "where a.description = :label and a.details.owner.id = :owner"
    tags = session.project(f"select a.id, a.textValue from TagAnnotation a {where}", given)
    # Notes on crops go and stay with their images.
    own = f"select a.id from MapAnnotation a {where} and a.ns <> :crops"
    notes = session.project(own, given | {"crops": CROP_NAMESPACE})
    files = _files(session, label, owner)
    marks = file_marks(session, [row[0] for row in files])
    found = [Made("key-values", "MapAnnotation", row[0]) for row in notes]
    found += [
        Made(_KINDS.get(ns, "file"), "FileAnnotation", number, marks[number])
        for number, ns in files
    ]
    links = _links_of(session, [one.id for one in found])
    return [
        *(Made("link", "TagAnnotation", row[0], digest(row[1]), row[1]) for row in tags),
        *found,
        *links,
    ]


def _files(session: Session, label: str, owner: int) -> list[tuple[int, str]]:
    """Ids and namespaces of attached files; what one is for people may stand before its label."""
    hql = (
        "select a.id, a.ns, a.description from FileAnnotation a "
        "where a.description like :end and a.details.owner.id = :owner"
    )
    # An underscore in the run's id means any letter in a pattern.
    rows = session.project(hql, {"end": f"%{label}%", "owner": owner})
    return [(number, ns) for number, ns, told in rows if is_labelled(told, label)]


def _links_of(session: Session, annotations: Sequence[int]) -> list[Made]:
    return [
        Made("link", f"{kind}{LINK}", row[0])
        for kind in LINKED_KINDS
        for row in project_all(
            session, f"select l.id from {kind}{LINK} l where l.child.id in (:ids)", annotations
        )
    ]


def _tag_links(
    session: Session, group: int, owner: int, intents: Iterable[IntentLine]
) -> list[Made]:
    wishes = {
        wish.mark: wish
        for intent in intents
        for line in intent.tags
        for wish in (TagWish(line.text, line.type, number) for number in line.ids)
    }
    tags = tags_there(session, group, (wish.text for wish in wishes.values()))
    texts = {number: text for number, (text, _) in tags.items()}
    there = links_there(session, wishes.values(), texts)
    return [tag_link(wishes[mark], link) for mark, (link, whose) in there.items() if whose == owner]

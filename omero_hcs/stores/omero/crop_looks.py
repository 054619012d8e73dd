"""What became of the crop images of a run: people sort, tag, rate and rename them.

A crop that somebody used is his: an undo leaves it, and its note, so that what he said of it still
leads back to the cell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from omero_hcs.stores.omero.changes import delete, project_all
from omero_hcs.stores.omero.crop_images import LINK, crop_mark, dataset_mark, datasets_of
from omero_hcs.stores.omero.journal import Journal
from omero_hcs.stores.omero.record import (
    CROP_NAMESPACE,
    DATASET,
    Made,
    Seen,
    State,
    place_of,
    state_of,
)
from omero_hcs.stores.omero.session import Session

_NOTES = (
    "select l.parent.id, a.id, a.ns from ImageAnnotationLink l join l.child a "
    "where l.parent.id in (:ids)"
)
_PAIRS = "select a.id, v.name, v.value from MapAnnotation a join a.mapValue v where a.id in (:ids)"


def look_at_crops(session: Session, made: Sequence[Made], links: Collection[int]) -> list[Seen]:
    """Find out which crop images are as they were made.

    Whatever a journal lists, an image without one note of ours is nobody's crop: it is not removed.

    Parameters
    ----------
    session : Session
        Who looks.
    made : sequence of Made
        Crop images.
    links : collection of int
        Ids of their links to the dataset that they were made in.
    """
    if not made:
        return []
    ids = [one.id for one in made]
    hql = "select i.id, i.name from Image i where i.id in (:ids)"
    names = {number: name or "" for number, name in project_all(session, hql, ids)}
    used = _used(session, ids, links)
    notes = _notes(session, ids)
    placed = {
        row[0]
        for row in project_all(
            session, f"select l.child.id from {LINK} l where l.child.id in (:ids)", ids
        )
    }

    def state(one: Made) -> State:
        if one.id not in names:
            return "gone"
        own = notes.get(one.id, [])
        if one.id in used or len(own) != 1:
            return "theirs"
        if state_of(crop_mark(names[one.id], own[0]), one.mark) == "theirs":
            return "theirs"
        return "ours" if one.id in placed else "loose"

    return [
        Seen(one, state(one), f"{place_of(session, 'image', one.id)} ({names.get(one.id, 'crop')})")
        for one in made
    ]


def look_at_datasets(session: Session, made: Sequence[Made]) -> list[Seen]:
    """Find out which datasets of crops are empty, and as they were made."""
    ids = [one.id for one in made]
    hql = "select d.id, d.name from Dataset d where d.id in (:ids)"
    names = {number: name or "" for number, name in project_all(session, hql, ids)}
    used = set(_parents(session, f"{DATASET}AnnotationLink", ids)) | set(
        _parents(session, LINK, ids)
    )

    def state(one: Made) -> State:
        if one.id not in names:
            return "gone"
        return "theirs" if one.id in used else state_of(dataset_mark(names[one.id]), one.mark)

    return [
        Seen(
            one,
            state(one),
            f"{place_of(session, DATASET, one.id)} ({names.get(one.id, one.name)})",
        )
        for one in made
    ]


def remove_datasets(session: Session, journal: Journal) -> tuple[int, list[str]]:
    """Remove the datasets of a run whose crops are gone.

    Returns
    -------
    removed : int
        How many.
    kept : list of str
        Places of those in which something is left, or that somebody renamed or annotated.
    """
    place, header = journal.place, journal.header
    if header is None:
        return 0, []
    listed = {
        one.id: one
        for state in journal.units.values()
        for one in [*state.made(), *state.pending()]
        if one.type == DATASET
    }
    found = datasets_of(session, place.group, place.owner, header.run_id, header.target.id)
    for number in found:
        listed.setdefault(number, Made("dataset", DATASET, number))
    seen = look_at_datasets(session, list(listed.values()))
    gone = [one.made.id for one in seen if one.state == "ours"]
    delete(session, place.group, {DATASET: gone}, owner=place.owner)
    return len(gone), [one.place for one in seen if one.state == "theirs"]


def _used(session: Session, ids: Iterable[int], links: Collection[int]) -> set[int]:
    """Crops that people annotated, drew on, or put into datasets of their own."""
    ids = list(ids)
    used = {image for image, _, ns in project_all(session, _NOTES, ids) if ns != CROP_NAMESPACE}
    hql = "select r.image.id from Roi r where r.image.id in (:ids)"
    used |= {row[0] for row in project_all(session, hql, ids)}
    hql = f"select l.id, l.child.id from {LINK} l where l.child.id in (:ids)"
    return used | {image for link, image in project_all(session, hql, ids) if link not in links}


def _notes(session: Session, ids: Iterable[int]) -> Mapping[int, list[list[tuple[str, str]]]]:
    """Pairs of each note of ours, by image."""
    images = {
        note: image for image, note, ns in project_all(session, _NOTES, ids) if ns == CROP_NAMESPACE
    }
    pairs: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for note, name, value in project_all(session, _PAIRS, images):
        pairs[note].append((name, value))
    found: dict[int, list[list[tuple[str, str]]]] = defaultdict(list)
    for note, image in images.items():
        found[image].append(pairs[note])
    return found


def _parents(session: Session, link: str, ids: Iterable[int]) -> list[int]:
    hql = f"select l.parent.id from {link} l where l.parent.id in (:ids)"
    return [row[0] for row in project_all(session, hql, ids)]

"""Taking away what a run made, and nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from omero_hcs.stores.omero.changes import delete, project_all
from omero_hcs.stores.omero.journal import Anchors, Journals, Place
from omero_hcs.stores.omero.notes import link_children
from omero_hcs.stores.omero.present import LINK, tag_uses
from omero_hcs.stores.omero.record import TAG_NAMESPACE, Made, Seen
from omero_hcs.stores.omero.session import Session


def removable(seen: Iterable[Seen]) -> list[Made]:
    """Choose what is still as the run made it."""
    return [one.made for one in seen if one.state in ("ours", "loose")]


def spared(journals: Journals, anchors: Anchors, own: Place, made: Iterable[Made]) -> list[Made]:
    """Leave out tags that another run of the same user put on the same objects as well."""
    made = list(made)
    if not any(one.kind == "tag" for one in made):
        return made
    others = journals.tags_of_others(anchors, own)
    return [one for one in made if one.kind != "tag" or (one.type, one.id) not in others]


def remove(session: Session, group: int, owner: int, made: Iterable[Made]) -> None:
    """Delete what a run made; a tag only where nobody uses it any longer.

    Whatever a journal says, nothing goes that is not of the user who wrote it.

    Parameters
    ----------
    session : Session
        Who deletes.
    group : int
        Where it is.
    owner : int
        Id of the user who made it.
    made : iterable of Made
        Of `removable`. Links of attachments need not be in it: they go with those.
    """
    ids: dict[str, set[int]] = defaultdict(set)
    for one in made:
        if one.kind != "link" or one.type == "TagAnnotation":
            ids[one.type].add(one.id)
    links = [(kind, number) for kind, own in ids.items() if kind.endswith(LINK) for number in own]
    tags = ids.pop("TagAnnotation", set()) | set(link_children(session, links).values())
    delete(session, group, ids, owner=owner)
    delete(session, group, {"TagAnnotation": _unused(session, owner, tags)})


def _unused(session: Session, owner: int, tags: set[int]) -> set[int]:
    """Tags that are on nothing, and were made by a run of the same user, whichever run it was."""
    hql = (
        "select t.id from TagAnnotation t where t.id in (:ids) and t.ns = :ns "
        "and t.description like :run and t.details.owner.id = :owner"
    )
    rows = project_all(session, hql, tags, ns=TAG_NAMESPACE, run="run=%", owner=owner)
    return {row[0] for row in rows} - tag_uses(session, tags)

"""Taking away what a run made, and nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from omero_hcs.stores.omero.changes import delete, project_all
from omero_hcs.stores.omero.journal import Anchors, Journals, Place
from omero_hcs.stores.omero.notes import tags_there
from omero_hcs.stores.omero.present import tag_uses
from omero_hcs.stores.omero.record import Made, Seen
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


def remove(
    session: Session, group: int, owner: int, made: Iterable[Made], known: Iterable[Made]
) -> None:
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
    known : iterable of Made
        All that was looked at: a tag whose link went before, and then a crash came, is found by it.
    """
    ids: dict[str, set[int]] = defaultdict(set)
    for one in made:
        if one.kind != "link":
            ids[one.type].add(one.id)
    delete(session, group, ids, owner=owner)
    texts = {one.name for one in known if one.kind == "tag" or one.type == "TagAnnotation"}
    delete(session, group, {"TagAnnotation": _unused(session, group, owner, texts)})


def _unused(session: Session, group: int, owner: int, texts: set[str]) -> set[int]:
    """Tags that are on nothing, and were made by a run of the same user, whichever run it was."""
    tags = tags_there(session, group, texts)
    hql = "select t.id from TagAnnotation t where t.id in (:ids) and t.description like :run"
    mine = {number for number, (_, whose) in tags.items() if whose == owner}
    made = {row[0] for row in project_all(session, hql, mine, run="run=%")}
    return made - tag_uses(session, made)

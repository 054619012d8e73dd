"""Tags and key-values of a run: one tag a text and group, one set of pairs an object and namespace.

A tag is shared: what a run makes of it is the link. A link that was there before is not the run's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omero.gateway import BlitzGateway  # noqa: F401  (first: loads omero.model in order)
from omero.model import MapAnnotationI, NamedValue, TagAnnotationI
from omero.rtypes import rstring, unwrap

from omero_hcs.results import KeyValues, Tag
from omero_hcs.stores.omero.changes import link_to, load_all, project_all, save, unloaded
from omero_hcs.stores.omero.journal_lines import TagLink
from omero_hcs.stores.omero.record import (
    TAG_NAMESPACE,
    Made,
    Seen,
    WriteContext,
    digest,
    place_of,
    state_of,
)
from omero_hcs.stores.omero.session import Session, batches

_LINK = "AnnotationLink"
_TAGS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class TagWish:
    """A tag's text, and the class and id of what it is to be on."""

    text: str
    type: str
    id: int

    @property
    def mark(self) -> str:
        """Mark of the link."""
        return digest([self.text, self.type, self.id])


@dataclass(frozen=True, slots=True)
class PairsWish:
    """Key-values, and the class and id of what they are to be on."""

    namespace: str
    type: str
    id: int
    pairs: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """Name of the place: there is one of these an object and namespace."""
        return f"{self.namespace} on {self.type} {self.id}"

    @property
    def mark(self) -> str:
        """Mark of the annotation."""
        return digest([self.namespace, self.pairs])


def wanted_tags(context: WriteContext, tags: Iterable[Tag]) -> dict[str, TagWish]:
    """Tags by the marks of their links; equal ones are one."""
    wishes = [TagWish(tag.text, *context.place(tag.object_kind, tag.object_id)) for tag in tags]
    return {wish.mark: wish for wish in wishes}


def wanted_pairs(context: WriteContext, notes: Iterable[KeyValues]) -> dict[str, PairsWish]:
    """Key-values by the names of their places; several of one place are joined."""
    found: dict[str, PairsWish] = {}
    for note in notes:
        place = context.place(note.object_kind, note.object_id)
        wish = PairsWish(note.namespace, *place, note.pairs)
        before = found.get(wish.name)
        pairs = (*before.pairs, *note.pairs) if before else note.pairs
        found[wish.name] = PairsWish(note.namespace, *place, pairs)
    return found


def tags_there(session: Session, group: int, texts: Iterable[str]) -> dict[int, tuple[str, int]]:
    """Text and owner of our tags in a group, by id."""
    hql = (
        "select t.id, t.textValue, t.details.owner.id from TagAnnotation t "
        "where t.ns = :ns and t.textValue in (:texts) and t.details.group.id = :group"
    )
    texts = sorted(set(texts))
    if not texts:
        return {}
    rows = session.project(hql, {"ns": TAG_NAMESPACE, "texts": texts, "group": group})
    return {row[0]: (row[1], row[2]) for row in rows}


def links_there(
    session: Session, wishes: Iterable[TagWish], tags: Mapping[int, str]
) -> dict[str, tuple[int, int]]:
    """Links that are there already: id and owner by the mark of the wish."""
    wanted = {wish.mark for wish in wishes}
    found: dict[str, tuple[int, int]] = {}
    for kind, ids in _by_type(wishes).items():
        hql = (
            f"select l.id, l.parent.id, l.child.id, l.details.owner.id from {kind}{_LINK} l "
            "where l.parent.id in (:ids) and l.child.id in (:tags)"
        )
        for tag_ids in batches(sorted(tags), _TAGS_AT_ONCE):
            for link, parent, child, owner in project_all(session, hql, ids, tags=tag_ids):
                mark = TagWish(tags[child], kind, parent).mark
                if mark in wanted:
                    found[mark] = (link, owner)
    return found


def save_tags(context: WriteContext, wishes: Sequence[TagWish]) -> tuple[list[Made], list[str]]:
    """Put tags on objects; a tag that is not there yet is made.

    Returns
    -------
    made : list of Made
        New tags, and the links.
    told : list of str
        Which tags of others may not be used, so that there are two of a text now.
    """
    session, group = context.session, context.group
    texts = list(dict.fromkeys(wish.text for wish in wishes))
    usable, told = _usable_tags(context, tags_there(session, group, texts))
    missing = [text for text in texts if text not in usable]
    new = save(session, group, [_tag(context, text) for text in missing])
    usable |= dict(zip(missing, new, strict=True))
    made = [
        Made("link", "TagAnnotation", number, digest(text), text)
        for text, number in zip(missing, new, strict=True)
    ]
    links = [
        link_to(wish.type, wish.id, unloaded("TagAnnotation", usable[wish.text])) for wish in wishes
    ]
    ids = save(session, group, links)
    made += [tag_link(wish, number) for wish, number in zip(wishes, ids, strict=True)]
    return made, told


def tag_link(wish: TagWish, link: int) -> Made:
    """Record of a tag on an object."""
    return Made("tag", f"{wish.type}{_LINK}", link, wish.mark, wish.text)


def tag_lines(wishes: Iterable[TagWish]) -> tuple[TagLink, ...]:
    """Tags as a journal's intent keeps them."""
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for wish in wishes:
        found[wish.type, wish.text].append(wish.id)
    return tuple(
        TagLink(type=kind, text=text, ids=tuple(ids)) for (kind, text), ids in found.items()
    )


def save_pairs(context: WriteContext, wishes: Sequence[PairsWish]) -> list[Made]:
    """Put key-values on objects."""
    session = context.session
    links = [link_to(wish.type, wish.id, _pairs(context, wish)) for wish in wishes]
    links_made = [
        Made("link", f"{wish.type}{_LINK}", number)
        for wish, number in zip(wishes, save(session, context.group, links), strict=True)
    ]
    children = link_children(session, [(link.type, link.id) for link in links_made])
    notes = [
        Made("key-values", "MapAnnotation", children[link.type, link.id], wish.mark, wish.name)
        for wish, link in zip(wishes, links_made, strict=True)
    ]
    return notes + links_made


def link_children(session: Session, links: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """Annotations that links lead to, by class and id of the link; one that is gone is left out."""
    by_type: dict[str, list[int]] = defaultdict(list)
    for kind, number in links:
        by_type[kind].append(number)
    return {
        (kind, row[0]): row[1]
        for kind, ids in by_type.items()
        for row in project_all(
            session, f"select l.id, l.child.id from {kind} l where l.id in (:ids)", ids
        )
    }


def look_at_tag_links(session: Session, made: Sequence[Made]) -> list[Seen]:
    """Find out which tags are still on their objects, and have the text that they had."""
    parents: dict[tuple[str, int], tuple[int, int]] = {}
    for kind in {one.type for one in made}:
        hql = f"select l.id, l.parent.id, l.child.id from {kind} l where l.id in (:ids)"
        ids = [one.id for one in made if one.type == kind]
        parents |= {(kind, row[0]): (row[1], row[2]) for row in project_all(session, hql, ids)}
    texts = _texts(session, {tag for _, tag in parents.values()})
    return [_seen_link(session, one, parents.get((one.type, one.id)), texts) for one in made]


def look_at_tags(session: Session, made: Sequence[Made]) -> list[Seen]:
    """Find out which tags have the text that they had."""
    texts = _texts(session, [one.id for one in made])
    return [
        Seen(one, state_of(texts.get(one.id), one.name), f"{_note(session, one)} tag {one.name!r}")
        for one in made
    ]


def look_at_pairs(session: Session, made: Sequence[Made]) -> list[Seen]:
    """Find out which key-values are as they were made."""
    hql = "select a from MapAnnotation a left outer join fetch a.mapValue where a.id in (:ids)"
    marks: dict[int, str] = {}
    for note in load_all(session, hql, [one.id for one in made]):
        pairs = [(pair.name, pair.value) for pair in note.getMapValue() or ()]
        marks[unwrap(note.id)] = digest([unwrap(note.ns), pairs])
    return [
        Seen(one, state_of(marks.get(one.id), one.mark), f"{_note(session, one)} {one.name}")
        for one in made
    ]


def _note(session: Session, made: Made) -> str:
    return place_of(session, "annotation", made.id)


def _seen_link(
    session: Session, one: Made, found: tuple[int, int] | None, texts: Mapping[int, str]
) -> Seen:
    if found is None:
        return Seen(one, "gone", f"tag {one.name!r}")
    parent, tag = found
    place = place_of(session, one.type.removesuffix(_LINK), parent)
    return Seen(one, state_of(texts.get(tag), one.name), f"{place} tag {texts.get(tag)!r}")


def _texts(session: Session, ids: Iterable[int]) -> dict[int, str]:
    hql = "select t.id, t.textValue from TagAnnotation t where t.id in (:ids)"
    return {row[0]: row[1] or "" for row in project_all(session, hql, ids)}


def _by_type(wishes: Iterable[TagWish]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for wish in wishes:
        found[wish.type].append(wish.id)
    return found


def _usable_tags(
    context: WriteContext, tags: Mapping[int, tuple[str, int]]
) -> tuple[dict[str, int], list[str]]:
    """Tags that the user may link, by text, his own first; and what is told of the others."""
    me, usable, others = context.session.user_id, dict[str, int](), dict[str, int]()
    for number, (text, owner) in sorted(tags.items()):
        (usable if owner == me else others).setdefault(text, number)
    strange = {text: number for text, number in others.items() if text not in usable}
    if not strange:
        return usable, []
    if _may_use_others_tags(context):
        return usable | strange, []
    return usable, [
        f"{place_of(context.session, 'annotation', number)} tag {text!r} is another user's and may "
        "not be used in this group: a tag of your own was made beside it"
        for text, number in strange.items()
    ]


def _may_use_others_tags(context: WriteContext) -> bool:
    group = context.session.read(lambda conn: conn.getAdminService().getGroup(context.group))
    return bool(group.details.permissions.isGroupAnnotate())


def _tag(context: WriteContext, text: str) -> Any:
    tag = TagAnnotationI()
    tag.ns, tag.textValue = rstring(TAG_NAMESPACE), rstring(text)
    tag.description = rstring(context.label)
    return tag


def _pairs(context: WriteContext, wish: PairsWish) -> Any:
    note = MapAnnotationI()
    note.ns, note.description = rstring(wish.namespace), rstring(context.label)
    note.setMapValue([NamedValue(key, value) for key, value in wish.pairs])
    return note

"""What a user may do with objects of a server, found out before anything is done.

What OMERO lets somebody do with an object depends on nothing but its owner, its group and the
group's level. So the server is asked about one object for each owner and group, not about every
well and image; its answer counts the privileges of (restricted) administrators in. It is asked in
the object's own group, whichever group the session is in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from omero_hcs.model import Layout, ObjectRef, Plate
from omero_hcs.stores.omero.layout import Layouts
from omero_hcs.stores.omero.session import Session, batches

_LEVELS = {
    "rw----": "private",
    "rwr---": "read-only",
    "rwra--": "read-annotate",
    "rwrw--": "read-write",
}
_BATCH = 5_000
"""Ids in one query: the data base takes 32,767 parameters."""

_BY_PLATES = " Or select the plates instead of the screen: that makes no overview of it."

_MANY = 5
"""Names that a sentence may list."""


@dataclass(frozen=True, slots=True)
class _Share:
    """Objects of one class that have the same owner and group; `example` is the id of one."""

    type: str
    owner: int
    group: int
    count: int
    example: int


def write_faults(
    session: Session, layouts: Layouts, target: ObjectRef, layout: Layout | None
) -> tuple[str, ...]:
    """Why the results of a run cannot be kept with something; empty if they can.

    A screen has no `layout`: only files go to it, and nothing to its plates.

    One fault for each owner and group whose objects the user may not annotate, with how many there
    are, an example, why (group, permissions, owner), and who can change it. One more where the
    objects are of several groups: results are in one.
    """
    shares = list(_shares(session, layouts, target, layout))
    by_holder: dict[tuple[int, int], list[_Share]] = defaultdict(list)
    for share in shares:
        by_holder[share.owner, share.group].append(share)
    faults = []
    for own in by_holder.values():
        level = _refused_by(session, own[0])
        if level is not None:
            names = _names(layouts, target, layout)
            faults.append(_refusal(session, own, names, level))
            faults[-1] += _BY_PLATES if target.kind == "screen" else ""
    groups = sorted({share.group for share in shares})
    if layout is not None and len(groups) > 1:
        faults.append(_spread(session, layout, groups))
    return tuple(faults)


def _shares(
    session: Session, layouts: Layouts, target: ObjectRef, layout: Layout | None
) -> Iterator[_Share]:
    """All that results are attached to, by class, owner and group; what it is in comes first."""
    ids: dict[str, list[int]] = defaultdict(list)
    for kind, number in layouts.anchors(target):
        ids[kind].append(number)
    wells = layouts.wells(target)
    if isinstance(layout, Plate):
        ids["Well"] += [wells[well.name] for well in layout.wells if well.name in wells]
    ids["Image"] += [int(site.image.id) for site in layout.sites()] if layout else []
    for kind, numbers in ids.items():
        yield from _shares_of(session, kind, sorted(set(numbers)))


def _shares_of(session: Session, kind: str, ids: Sequence[int]) -> Iterator[_Share]:
    hql = (
        f"select o.details.owner.id, o.details.group.id, count(o.id), min(o.id) from {kind} o "
        "where o.id in (:ids) group by o.details.owner.id, o.details.group.id"
    )
    found: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for batch in batches(ids, _BATCH):
        for owner, group, count, first in session.project(hql, {"ids": batch}):
            found[owner, group].append((count, first))
    for (owner, group), parts in sorted(found.items()):
        count = sum(number for number, _ in parts)
        yield _Share(kind, owner, group, count, min(first for _, first in parts))


def _refused_by(session: Session, share: _Share) -> str | None:
    """Permissions of the group that keep the user from annotating a share; None if he may."""
    hql = (
        f"select new map(o.id as id, o as o_details_permissions) from {share.type} o "
        "where o.id = :id"
    )
    rows = session.project(hql, {"id": share.example}, group=share.group)
    if not rows:  # deleted since the layout was read: reading it will tell
        return None
    may = rows[0][0]["o_details_permissions"]
    return None if may["canAnnotate"] else str(may["perm"])


def _names(
    layouts: Layouts, target: ObjectRef, layout: Layout | None
) -> dict[tuple[str, int], str]:
    """Names of what results are attached to, by class and id."""
    if layout is None:
        return {("Screen", int(item.id)): item.name for item in layouts.screens()}
    names = {("Image", int(site.image.id)): site.image.name for site in layout.sites()}
    names |= {("Well", number): name for name, number in layouts.wells(target).items()}
    anchors = layouts.anchors(target)
    if anchors[0][0] != "Image":
        names |= dict.fromkeys(anchors, layout.name)
    return names


def _refusal(
    session: Session, own: Sequence[_Share], names: dict[tuple[str, int], str], permissions: str
) -> str:
    first = own[0]
    counts = [f"{share.count} {share.type.lower()}{'s' * (share.count > 1)}" for share in own]
    example = f"{first.type} {first.example} {names.get((first.type, first.example), '')!r}"
    owner = _user(session, first.owner)
    level = _LEVELS.get(permissions, f"({permissions})")
    group = _group(session, first.group)
    what = f"{' and '.join([', '.join(counts[:-1]), counts[-1]]) if counts[1:] else counts[0]}"
    return (
        f"You ({session.user}) may not annotate {what}, such as {example}: owned by {owner} in "
        f"the {level} group {group!r}. {_mend(level, owner, _leaders(session, first.group))}"
    )


def _mend(level: str, owner: str, leaders: str) -> str:
    change = (
        f"ask a group owner ({leaders}) or an administrator"
        if leaders
        else ("ask an administrator")
    )
    if level == "private":
        return (
            "In a private group nobody may annotate what another user owns, not even a group "
            f"owner or an administrator. Ask {owner} to run this, or {change} to make the group "
            "read-annotate."
        )
    if level == "read-only":
        who = f"{owner}, a group owner ({leaders})" if leaders else owner
        return (
            f"In a read-only group members only look at what others own. Ask {who} or an "
            f"administrator to run this, or {change} to make the group read-annotate."
        )
    return f"Ask {owner} to run this, or {change} to make you a member of the group."


def _spread(session: Session, layout: Layout, groups: Sequence[int]) -> str:
    names = ", ".join(repr(_group(session, number)) for number in groups[:_MANY])
    return (
        f"{layout.name!r} has objects of {len(groups)} groups: {names}. Results are kept in one "
        "group. Run it once for each group, naming only the objects of that group."
    )


def _user(session: Session, number: int) -> str:
    hql = "select e.omeName, e.firstName, e.lastName from Experimenter e where e.id = :id"
    for name, *full in session.project(hql, {"id": number}):
        return f"{name} ({' '.join(part for part in full if part)})"
    return f"user {number}"


def _group(session: Session, number: int) -> str:
    hql = "select g.name from ExperimenterGroup g where g.id = :id"
    rows = session.project(hql, {"id": number})
    return str(rows[0][0]) if rows else str(number)


def _leaders(session: Session, group: int) -> str:
    hql = (
        "select e.omeName from GroupExperimenterMap m join m.child e "
        "where m.parent.id = :id and m.owner = true order by e.omeName"
    )
    names = [str(row[0]) for row in session.project(hql, {"id": group})]
    return ", ".join(names[:_MANY])

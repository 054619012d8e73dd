"""`Chgrp2`, `Chown2` and `Chmod2`: another group, another owner, other permissions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from omero_hcs.sandbox.commands.graph_requests import (
    by_class,
    caller_of,
    failure,
    refusal,
    reporting,
    targets,
    verdict_of,
)
from omero_hcs.sandbox.ice.record import omero
from omero_hcs.sandbox.model.schema import SCHEMA
from omero_hcs.sandbox.objects.delete import DeletionPlan
from omero_hcs.sandbox.objects.graph import Options, is_one_of, named, shown
from omero_hcs.sandbox.objects.graph_rules import CHGRP_TARGETS, CHOWN_TARGETS
from omero_hcs.sandbox.objects.transfer import PERSONAL, TransferPlan, is_private

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from omero_hcs.sandbox.objects.caller import Caller
    from omero_hcs.sandbox.objects.row import Row
    from omero_hcs.sandbox.server import Server
    from omero_hcs.sandbox.sessions import OpenSession

LEVEL = re.compile(r"rw(-{4}|r[-aw]-{2}|r[-aw]r[-aw])")
Moved = tuple["Collection[Row]", "Collection[Row]"]


def chgrp(server: Server, session: OpenSession, request: Any, current: Any) -> Any:
    """Run a `Chgrp2`: move objects into another group."""
    moved, deleted = _chgrp(server, session, request, current)
    return omero.cmd.Chgrp2Response(by_class(moved), by_class(deleted))


def chgrp_graph(
    server: Server,
    session: OpenSession,
    request: Any,
    current: Any,
    stop_at: Collection[str] = (),
) -> Collection[Row]:
    """Move objects, or only find out what would move. Returns what moved."""
    return _chgrp(server, session, request, current, stop_at)[0]


def _chgrp(
    server: Server,
    session: OpenSession,
    request: Any,
    current: Any,
    stop_at: Collection[str] = (),
) -> Moved:
    caller = caller_of(server, session, current)
    group = server.world.get("ExperimenterGroup", request.groupId)
    if group is None or not (caller.is_admin or group in caller.groups):
        msg = "not a member of the chgrp destination group"
        raise refusal(request, msg, "not-in-group")
    options = Options(verdict_of(request), (), frozenset(stop_at))
    plan = TransferPlan(server.world, caller, options, to_private=is_private(group))
    plan.add(targets(server.world, request, caller, CHGRP_TARGETS))
    if stop_at:
        return plan.taken, ()
    with reporting(request):
        lost = plan.finish()
        if not request.dryRun:
            lost.carry_out()
            plan.cut()
    if not request.dryRun:
        for row in plan.taken:
            server.world.set_details(row, group=group)
    return plan.taken, lost.taken


def chown(server: Server, session: OpenSession, request: Any, current: Any) -> Any:
    """Run a `Chown2`: give objects to another user."""
    given, deleted = _chown(server, session, request, current)
    return omero.cmd.Chown2Response(by_class(given), by_class(deleted))


def chown_graph(
    server: Server,
    session: OpenSession,
    request: Any,
    current: Any,
    stop_at: Collection[str] = (),
) -> Collection[Row]:
    """Give objects away, or only find out what would be given. Returns what was given."""
    return _chown(server, session, request, current, stop_at)[0]


def _chown(
    server: Server,
    session: OpenSession,
    request: Any,
    current: Any,
    stop_at: Collection[str] = (),
) -> Moved:
    caller = caller_of(server, session, current)
    if not caller.is_admin and not caller.led:
        raise failure(request, "not an owner of any group")
    user = server.world.get("Experimenter", request.userId)
    if user is None:
        raise refusal(request, f"no experimenter {request.userId}", "graph-fail")
    rows = targets(server.world, request, caller, CHOWN_TARGETS)
    rows.update(dict.fromkeys(_everything_of(server, request, caller)))
    private = any(is_private(row.details.group) for row in rows if row.details.group is not None)
    options = Options(verdict_of(request), (), frozenset(stop_at))
    plan = TransferPlan(server.world, caller, options, verb="give", to_private=private)
    plan.add(rows)
    if stop_at:
        return plan.taken, ()
    with reporting(request):
        lost = plan.finish()
    _check_groups(server, request, caller, user, plan.taken)
    if not request.dryRun:
        lost.carry_out()
        for row in plan.taken:
            server.world.set_details(row, owner=user)
    return plan.taken, lost.taken


def _everything_of(server: Server, request: Any, caller: Caller) -> Iterator[Row]:
    wanted = set(request.targetUsers or ())
    if not wanted:
        return
    for entity in SCHEMA.values():
        if entity.base is None and not entity.is_global:
            for row in server.world.all(entity.name):
                owner = row.details.owner
                is_his = owner is not None and owner.id in wanted
                if is_his and caller.supervises(row.details.group) and _is_legal(row):
                    yield row


def _is_legal(row: Row) -> bool:
    return row.entity.is_annotation_link or is_one_of(row, CHOWN_TARGETS)


def _check_groups(
    server: Server, request: Any, caller: Caller, user: Row, taken: Collection[Row]
) -> None:
    if caller.is_admin:
        return
    his = server.accounts.groups_of(user)
    for row in taken:
        group = row.details.group
        if group is not None and group not in caller.led:
            msg = f"cannot process {shown(row)}: user is not an owner of group {group.id}"
            raise failure(request, msg)
        if group is not None and group not in his:
            msg = f"cannot process {shown(row)}: user {user.id} is not a member of {shown(group)}"
            raise failure(request, msg)


def chmod(server: Server, session: OpenSession, request: Any, current: Any) -> Any:
    """Run a `Chmod2`: change what the members of groups may do with each other's objects."""
    caller = caller_of(server, session, current)
    level = (request.permissions or "").lower().replace("_", "-")
    if not LEVEL.fullmatch(level):
        msg = f"Permissions string {request.permissions} is not one such as rwra--."
        raise refusal(request, msg, "bad-permissions")
    groups = targets(server.world, request, caller, frozenset(("ExperimenterGroup",)))
    plan = DeletionPlan(server.world, caller)
    for group in groups:
        if not caller.supervises(group):
            raise failure(request, f"not permitted to change permissions on {shown(group)}")
        if level[2] != "r" and not is_private(group):
            plan.add(list(_between_owners(server, request, group)), is_checked=False)
    if not request.dryRun:
        plan.carry_out()
        for group in groups:
            server.world.set_details(group, permissions=level)
            server.world.touch(group, caller.event)
    return omero.cmd.Chmod2Response(by_class(groups), by_class(plan.taken))


def _between_owners(server: Server, request: Any, group: Row) -> Iterator[Row]:
    """Yield what joins objects of different owners, which a private group can't have."""
    for entity in SCHEMA.values():
        if entity.is_link and not entity.is_global:
            for link in server.world.all(entity.name):
                ends = (link.values["parent"], link.values["child"])
                if link.details.group is group and _differ(*ends):
                    yield link
    for name, field in PERSONAL:
        for row in server.world.all(name):
            other = row.values.get(field)
            if row.details.group is group and other is not None and _differ(row, other):
                yield row
    _check_images(server, request, group)


def _differ(row: Row, other: Row) -> bool:
    return row.details.owner is not other.details.owner


def _check_images(server: Server, request: Any, group: Row) -> None:
    for name, fields in (
        ("Image", ("experiment", "imagingEnvironment", "instrument", "stageLabel")),
        ("WellSample", ("image",)),
        ("Channel", ("logicalChannel",)),
    ):
        for row in server.world.all(name):
            used = [row.values[field] for field in fields if field in row.values]
            others = [one for one in used if _differ(row, one)]
            if row.details.group is group and others:
                msg = (
                    f"cannot downgrade to private as {named(row)} uses differently owned "
                    f"{named(others[0])}"
                )
                raise failure(request, msg)

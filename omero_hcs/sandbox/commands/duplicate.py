"""`Duplicate`: a copy of objects and of what is in them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from omero_hcs.sandbox.commands.graph_requests import by_class, caller_of, known_names, targets
from omero_hcs.sandbox.ice.record import omero
from omero_hcs.sandbox.objects.graph import is_one_of
from omero_hcs.sandbox.objects.row import Row
from omero_hcs.sandbox.objects.walk import descend

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from omero_hcs.sandbox.objects.caller import Caller
    from omero_hcs.sandbox.objects.world import World
    from omero_hcs.sandbox.server import Server
    from omero_hcs.sandbox.sessions import OpenSession

TARGETS = (
    "Annotation",
    "Dataset",
    "Folder",
    "Image",
    "Plate",
    "Project",
    "Reagent",
    "Roi",
    "Screen",
)
# A copy points at these as the original does.
ALWAYS_REFERENCED = ("Fileset", "Instrument", "OriginalFile")


def duplicate(server: Server, session: OpenSession, request: Any, current: Any) -> Any:
    """Run a `Duplicate`: copy objects with what is in them."""
    caller = caller_of(server, session, current)
    referenced = [*ALWAYS_REFERENCED, *known_names(request, request.typesToReference)]
    ignored = known_names(request, request.typesToIgnore)
    wanted = known_names(request, request.typesToDuplicate)
    roots = targets(server.world, request, caller, TARGETS)
    inside = descend(server.world, caller, roots, [*referenced, *ignored])
    originals = [row for row in inside if row in roots or not wanted or is_one_of(row, wanted)]
    originals += list(_links_of(server.world, originals, ignored))
    if request.dryRun:
        return omero.cmd.DuplicateResponse(by_class(originals))
    copies = {row: server.world.insert(row.entity.name) for row in originals}
    for row, copied in copies.items():
        _copy(server, row, copied, copies, caller)
    return omero.cmd.DuplicateResponse(by_class(copies.values()))


def _links_of(world: World, originals: list[Row], ignored: list[str]) -> Iterator[Row]:
    for row in originals:
        for (_, name), others in world.referrers(row).items():
            links = [other for other in others if name == "parent" and other.entity.is_link]
            for link in links:
                ends = (link, link.values["child"])
                if not any(is_one_of(end, ignored) for end in ends):
                    yield link


def _copy(server: Server, row: Row, copied: Row, copies: Mapping[Row, Row], caller: Caller) -> None:
    for name, value in row.values.items():
        told = copies.get(value, value) if isinstance(value, Row) else value
        server.world.set(copied, name, told)
    server.world.set_details(
        copied,
        owner=caller.user,
        group=row.details.group,
        creation_event=caller.event,
        update_event=caller.event,
    )
    source = server.files.pixels(row)
    if row.entity.name == "Pixels" and source.exists():
        shutil.copyfile(source, server.files.pixels(copied))

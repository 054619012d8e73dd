"""Requests that look and change nothing: parents, children, disk usage, pyramids, metadata."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from omero_hcs.sandbox.commands.graph_requests import (
    by_class,
    caller_of,
    known_names,
    refusal,
    targets,
)
from omero_hcs.sandbox.ice.record import omero, rtypes
from omero_hcs.sandbox.model.schema import SCHEMA
from omero_hcs.sandbox.objects.graph import is_one_of
from omero_hcs.sandbox.objects.walk import ascend, descend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from omero_hcs.sandbox.objects.caller import Caller
    from omero_hcs.sandbox.objects.row import Row
    from omero_hcs.sandbox.server import Server
    from omero_hcs.sandbox.sessions import OpenSession

ANYTHING = frozenset(name for name, entity in SCHEMA.items() if not entity.is_global)
# From an image one comes to its fileset, and from that to all images imported with it.
BESIDE = ("Fileset", "Instrument", "Experiment")
WHOSE = frozenset(("Experimenter", "ExperimenterGroup"))


def find_parents(server: Server, session: OpenSession, request: Any, current: Any) -> Any:
    """Run a `FindParents`: what objects are in, directly or not."""
    found = _find(server, session, request, current, request.typesOfParents, ascend)
    return omero.cmd.FoundParents(by_class(found))


def find_children(server: Server, session: OpenSession, request: Any, current: Any) -> Any:
    """Run a `FindChildren`: what is in objects, directly or not."""
    found = _find(server, session, request, current, request.typesOfChildren, descend)
    return omero.cmd.FoundChildren(by_class(found))


def _find(
    server: Server,
    session: OpenSession,
    request: Any,
    current: Any,
    types: Sequence[str],
    walk: Callable[..., Iterable[Row]],
) -> list[Row]:
    if not types:
        kind = "parents" if walk is ascend else "children"
        raise refusal(request, f"no types of {kind} specified to find", "bad-options")
    caller = caller_of(server, session, current)
    wanted = known_names(request, types)
    roots = targets(server.world, request, caller, ANYTHING)
    stops = set(known_names(request, request.stopBefore))
    stops |= {name for name in BESIDE if name not in wanted and not _starts_with(roots, name)}
    reached = walk(server.world, caller, roots, stops)
    return [row for row in reached if is_one_of(row, wanted)]


def _starts_with(roots: Iterable[Row], name: str) -> bool:
    return any(root.entity.isa(name) for root in roots)


def find_pyramids(server: Server, session: OpenSession, request: Any, current: Any) -> Any:
    """Run a `FindPyramids`: there are none here."""
    return omero.cmd.FindPyramidsResponse([])


def original_metadata(server: Server, session: OpenSession, request: Any, current: Any) -> Any:
    """Run an `OriginalMetadataRequest`: nothing was imported, so that there is none."""
    image = server.world.get("Image", request.imageId)
    if image is None or not caller_of(server, session, current).can_read(image):
        raise refusal(request, f"No such Image: {request.imageId}", "no-image")
    fileset = image.values.get("fileset")
    told = None if fileset is None else rtypes.rlong(fileset.id)
    return omero.cmd.OriginalMetadataResponse(told, None, {}, {})


def disk_usage(server: Server, session: OpenSession, request: Any, current: Any) -> Any:
    """Run a `DiskUsage2`: how many bytes the files of objects take, by owner and group."""
    caller = caller_of(server, session, current)
    roots = targets(server.world, request, caller, ANYTHING | WHOSE)
    for name in known_names(request, request.targetClasses):
        roots.update(dict.fromkeys(filter(caller.can_read, server.world.all(name))))
    roots = dict.fromkeys(one for root in roots for one in _owned_by(server, root, caller))
    counts: Any = defaultdict(lambda: defaultdict(int))
    sizes: Any = defaultdict(lambda: defaultdict(int))
    for row in descend(server.world, caller, roots):
        referer, size = _size_of(server, row)
        owner, group = row.details.owner, row.details.group
        if size and owner is not None and group is not None:
            whose = omero.api.LongPair(owner.id, group.id)
            counts[whose][referer] += 1
            sizes[whose][referer] += size
    return omero.cmd.DiskUsage2Response(
        {whose: dict(by_referer) for whose, by_referer in counts.items()},
        {whose: dict(by_referer) for whose, by_referer in sizes.items()},
        {whose: sum(by_referer.values()) for whose, by_referer in counts.items()},
        {whose: sum(by_referer.values()) for whose, by_referer in sizes.items()},
    )


def _owned_by(server: Server, root: Row, caller: Caller) -> Iterator[Row]:
    if root.entity.name not in WHOSE:
        yield root
        return
    for name in ("Pixels", "FileAnnotation", "FilesetEntry", "Job"):
        for row in server.world.all(name):
            if root in (row.details.owner, row.details.group) and caller.can_read(row):
                yield row


def _size_of(server: Server, row: Row) -> tuple[str, int]:
    if row.entity.name == "Pixels":
        path = server.files.pixels(row)
        return "Pixels", path.stat().st_size if path.exists() else 0
    file = row.values.get("file" if row.entity.isa("Annotation") else "originalFile")
    referer = "Annotation" if row.entity.isa("Annotation") else "FilesetEntry"
    return referer, 0 if file is None else file.values.get("size") or 0

"""What requests about graphs of objects share: who asks, targets, options, responses, errors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from omero_hcs.sandbox.commands.handle import RequestFailedError
from omero_hcs.sandbox.ice.record import omero
from omero_hcs.sandbox.model.java import java_name
from omero_hcs.sandbox.model.schema import SCHEMA, entity_name
from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.graph import GraphFaultError, Verdict
from omero_hcs.sandbox.objects.row import Row

if TYPE_CHECKING:
    from omero_hcs.sandbox.objects.world import World
    from omero_hcs.sandbox.server import Server
    from omero_hcs.sandbox.sessions import OpenSession

# Annotations that belong to their object: what a request says about annotations does not mean them.
ALWAYS_DEPENDENT = (
    "openmicroscopy.org/omero/import/companionFile",
    "openmicroscopy.org/omero/measurement",
)


def caller_of(server: Server, session: OpenSession, current: Any) -> Caller:
    """Say who asks: such requests look at all his groups, whatever group the call names."""
    caller = session.caller(current)
    caller.group = None
    caller.event = server.new_event(caller)
    return caller


def failure(request: Any, message: str, name: str = "graph-fail") -> RequestFailedError:
    """Make the error of a request whose graph forbids it."""
    parameters = {
        "message": message,
        "stacktrace": f"ome.services.graphs.GraphException: {message}",
    }
    return RequestFailedError(omero.cmd.GraphException(request.ice_id(), name, parameters, message))


def refusal(request: Any, message: str, name: str) -> RequestFailedError:
    """Make the error of a request that makes no sense."""
    parameters = {"message": message, "stacktrace": message}
    return RequestFailedError(omero.cmd.ERR(request.ice_id(), name, parameters))


@contextmanager
def reporting(request: Any) -> Iterator[None]:
    """Turn what is wrong with a graph into the error that clients know."""
    try:
        yield
    except GraphFaultError as fault:
        raise failure(request, str(fault)) from fault


def targets(world: World, request: Any, caller: Caller, legal: Collection[str]) -> dict[Row, None]:
    """Find the objects that a request names.

    Raises
    ------
    RequestFailedError
        It names a type that it can't be about, or an object that the caller can't see.
    """
    found: dict[Row, None] = {}
    for told, ids in (request.targetObjects or {}).items():
        name = legal_name(request, told, legal)
        rows = [world.get(name, row_id) for row_id in ids]
        seen = [row for row in rows if row is not None and caller.can_read(row)]
        if len(seen) != len(ids):
            msg = f"cannot read all the specified objects of class {java_name(SCHEMA[name])}"
            raise failure(request, msg)
        found.update(dict.fromkeys(seen))
    return found


def legal_name(request: Any, told: str, legal: Collection[str]) -> str:
    """Return the entity that a request names, if it may be about that."""
    name = entity_name(told)
    entity = SCHEMA.get(name)
    if entity is None or not (entity.is_annotation_link or any(map(entity.isa, legal))):
        raise refusal(request, f"cannot target {name}", "bad-target")
    return name


def known_names(request: Any, told: Iterable[str] | None) -> list[str]:
    """Return the short names of entities that a request names in an option."""
    names = [entity_name(one) for one in told or ()]
    for name in names:
        if name not in SCHEMA:
            raise refusal(request, f"unknown model object class named: {name}", "graph-fail")
    return names


def verdict_of(request: Any) -> Verdict:
    """Return what the child options say about an object that lost a holder."""
    judges = [_judge(request, option) for option in request.childOptions or ()]

    def verdict(row: Row) -> bool | None:
        told = (judge(row) for judge in judges)
        return next((one for one in told if one is not None), None)

    return verdict


def _judge(request: Any, option: Any) -> Callable[[Row], bool | None]:
    included = known_names(request, option.includeType)
    excluded = known_names(request, option.excludeType)
    if not included and not excluded:
        msg = "child option must include or exclude some type"
        raise refusal(request, msg, "graph-fail")
    if option.includeNs and option.excludeNs:
        msg = "child option may not both include and exclude namespace"
        raise refusal(request, msg, "graph-fail")
    shunned = () if option.includeNs else option.excludeNs or ALWAYS_DEPENDENT

    def judge(row: Row) -> bool | None:
        if row.entity.isa("Annotation"):
            namespace = row.values.get("ns")
            if namespace in shunned or (option.includeNs and namespace not in option.includeNs):
                return None
        if any(map(row.entity.isa, included)):
            return True
        return False if any(map(row.entity.isa, excluded)) else None

    return judge


def by_class(rows: Iterable[Row]) -> dict[str, list[int]]:
    """Group ids by the Java names of their classes, as responses do."""
    found: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        found[java_name(row.entity)].append(row.id)
    return {name: sorted(ids) for name, ids in sorted(found.items())}


def by_short_class(rows: Iterable[Row]) -> Mapping[str, Sequence[int]]:
    """Group ids by the short names of their classes, as requests do."""
    found: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        found[row.entity.name].append(row.id)
    return found

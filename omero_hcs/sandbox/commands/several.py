"""Requests made of requests: `DoAll`, `SkipHead`, and `Save`, which joins them in `DoAll`s."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from omero_hcs.sandbox.commands.delete import delete_graph
from omero_hcs.sandbox.commands.graph_requests import (
    by_short_class,
    failure,
    known_names,
    refusal,
)
from omero_hcs.sandbox.commands.handle import run_request
from omero_hcs.sandbox.commands.move import chgrp_graph, chown_graph
from omero_hcs.sandbox.ice.record import omero
from omero_hcs.sandbox.model.java import java_name
from omero_hcs.sandbox.model.schema import SCHEMA
from omero_hcs.sandbox.objects.graph_rules import CHGRP_TARGETS, CHOWN_TARGETS, DELETE_TARGETS
from omero_hcs.sandbox.services.update import IUpdate
from omero_hcs.sandbox.sessions import now_ms

if TYPE_CHECKING:
    from collections.abc import Collection

    from omero_hcs.sandbox.objects.row import Row
    from omero_hcs.sandbox.server import Server
    from omero_hcs.sandbox.sessions import OpenSession

# How each request that `SkipHead` may wrap finds what it is about.
GRAPHS = {"Chgrp2": chgrp_graph, "Chown2": chown_graph, "Delete2": delete_graph}
LEGAL = {
    "Chgrp2": CHGRP_TARGETS,
    "Chmod2": frozenset(("ExperimenterGroup",)),
    "Chown2": CHOWN_TARGETS,
    "Delete2": DELETE_TARGETS,
}


@dataclass
class Context:
    """Stands for Ice's `Current`: a request of a `DoAll` may have a context of its own."""

    ctx: dict[str, str] = field(default_factory=dict)


def do_all(server: Server, session: OpenSession, request: Any, current: Any) -> Any:
    """Run a `DoAll`: all of its requests, or none of them."""
    contexts = request.contexts or []
    responses, statuses = [], []
    for place, one in enumerate(request.requests):
        context = dict(current.ctx)
        if place < len(contexts):
            context.update(contexts[place] or {})
        started = now_ms()
        responses.append(run_request(server, session, one, Context(context)))
        status = omero.cmd.Status(flags=[], steps=1, currentStep=1, startTime=started)
        status.stopTime = now_ms()
        statuses.append(status)
    return omero.cmd.DoAllRsp(responses, statuses)


def skip_head(server: Server, session: OpenSession, request: Any, current: Any) -> Any:
    """Run a `SkipHead`: the wrapped request, but only from certain types on downwards."""
    wrapped = request.request
    graph = GRAPHS.get(type(wrapped).__name__)
    if wrapped is None or graph is None:
        told = "nothing" if wrapped is None else type(wrapped).__name__
        raise failure(request, f"cannot use SkipHead on {told}")
    if not request.startFrom:
        raise failure(request, "SkipHead requires the start classes to be named")
    starts = known_names(request, request.startFrom)
    is_dry = wrapped.dryRun or request.dryRun
    wrapped.targetObjects, options = request.targetObjects, wrapped.childOptions
    wrapped.childOptions, wrapped.dryRun = request.childOptions, True
    reached = graph(server, session, wrapped, current, starts)
    wrapped.targetObjects = by_short_class(_of(reached, starts))
    wrapped.childOptions, wrapped.dryRun = options, is_dry
    return run_request(server, session, wrapped, current)


def _of(rows: Collection[Row], names: Collection[str]) -> list[Row]:
    return [row for row in rows if any(map(row.entity.isa, names))]


def save(server: Server, session: OpenSession, request: Any, current: Any) -> Any:
    """Run a `Save`: `IUpdate.saveAndReturnObject` as a request."""
    try:
        saved = IUpdate(server, session).saveAndReturnObject(request.obj, current)
    except omero.ServerError as error:
        raise refusal(request, error.message, "failed") from error
    return omero.api.SaveRsp(saved)


def legal_targets(server: Server, session: OpenSession, request: Any, current: Any) -> Any:
    """Run a `LegalGraphTargets`: which types a request may be about."""
    kind = type(request.request).__name__
    if kind not in LEGAL:
        raise refusal(request, f"not a graph request: {kind}", "bad-request")
    names = {
        java_name(entity)
        for entity in SCHEMA.values()
        if entity.name in LEGAL[kind]
        or (kind != "Chmod2" and entity.is_annotation_link)
        or any(map(entity.isa, LEGAL[kind]))
    }
    return omero.cmd.LegalGraphTargetsResponse(sorted(names))

"""HCS_Runs: the runs over what is selected are listed, told of, cancelled or undone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from omero_hcs.errors import InputError, RunNotFoundError
from omero_hcs.scripting.answers import LONGEST, Answer
from omero_hcs.scripting.call import Call
from omero_hcs.tasks.base import InDialog

if TYPE_CHECKING:
    from omero_hcs.results import WriteReport
    from omero_hcs.tasks.runs import KnownRun

_ROOM_FOR_REST = 30
_NAMED = 3
"""Places that a message names one by one."""


class Params(BaseModel):
    """What is to be done about which run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Annotated[Literal["List", "Status", "Cancel", "Undo"], InDialog()] = Field(
        default="List",
        description="List the runs over what is selected; or tell how far one is, cancel it (what "
        "is done is kept), or undo it: what it made is removed, what users made or changed stays.",
    )
    run_id: Annotated[str | None, InDialog(name="Run_ID")] = Field(
        default=None,
        description="Which run, such as 20261121T160406Z-0000aaaa; the latest by default.",
    )


def run(call: Call) -> Answer:
    """List the runs over what is selected, or tell of, cancel or undo one of them."""
    from omero_hcs.tasks.runs import runs_over

    with contextlib.closing(call.open(call.uri)) as store:
        runs = runs_over(store, call.settings)
    asked = call.asked.params
    return _ACTIONS[asked.action](call, runs, (asked.run_id or "").strip() or None)


def _list(call: Call, runs: Sequence[KnownRun], run_id: str | None) -> Answer:
    from omero_hcs.tasks.runs import line_of

    if run_id:
        return _status(call, runs, run_id)
    if not runs:
        return Answer(f"There are no runs over {_where(call)} yet.")
    head = f"{len(runs)} run{'s' * (len(runs) > 1)} over {_where(call)}, the latest first:"
    return Answer(listed(head, [line_of(known) for known in runs]))


def _status(call: Call, runs: Sequence[KnownRun], run_id: str | None) -> Answer:
    from omero_hcs.tasks.runs import line_of

    known = _pick(call, runs, run_id)
    parts = [f"{line_of(known)}."]
    if known.model:
        parts.append(f"Model {known.model}.")
    if known.stop_asked_by:
        parts.append(f"{known.stop_asked_by} asked it to stop.")
    if known.result:
        parts.append(f"{known.result.rstrip('.')}.")
    if known.reasons:
        parts.append(f"Fields failed because: {'; '.join(known.reasons[:_NAMED])}")
    if known.state in ("interrupted", "cancelled", "failed"):
        parts.append("The same click as before goes on from where it was; Undo removes it.")
    return Answer(" ".join(parts))


def _cancel(call: Call, runs: Sequence[KnownRun], run_id: str | None) -> Answer:
    from omero_hcs.tasks.runs import cancel

    known = _pick(call, [one for one in runs if one.goes_on or run_id], run_id, "that goes on")
    with contextlib.closing(call.open(call.uri)) as store:
        cancel(store, known, _user(call), call.settings)
    return Answer(
        f"Run {known.run_id} was asked to stop, and does so within some seconds. "
        f"{known.done} of {known.total} fields are done and kept: the same click as before goes on "
        "from there, and Undo removes them."
    )


def _undo(call: Call, runs: Sequence[KnownRun], run_id: str | None) -> Answer:
    from omero_hcs.tasks.undo_run import undo_run

    known = _pick(call, runs, run_id)
    if known.goes_on:
        msg = f"Run {known.run_id} goes on. Cancel it first: choose Cancel as Action."
        raise InputError(msg)
    report = undo_run(known.run_id, where=call.uri, settings=call.settings, opener=call.open)
    return Answer(told_undo(report))


def told_undo(report: WriteReport) -> str:
    """Say what an undo removed, and what stays because it was changed."""
    kinds = [f"{count} {_name(kind, count)}" for kind, count in report.counts.items() if count]
    removed = ", ".join(kinds) or "nothing of it was there"
    parts = [f"Run {report.run_id} is undone. Removed: {removed}."]
    if report.kept:
        shown = "; ".join(_place(place) for place in report.kept[:_NAMED])
        more = len(report.kept) - _NAMED
        rest = f"; and {more} more" if more > 0 else ""
        parts.append(f"Left, because they were changed by hand: {shown}{rest}.")
    parts += [f"{note.rstrip('.')}." for note in report.notes]
    return " ".join(parts)


def listed(head: str, lines: Sequence[str], longest: int = LONGEST) -> str:
    """Make a numbered list below a heading, and count those that a message has no room for."""
    text = head
    for number, line in enumerate(lines, 1):
        longer = f"{text}\n{number}) {line}."
        room = longest - (_ROOM_FOR_REST if number < len(lines) else 0)
        if len(longer) > room:
            return f"{text}\n... and {len(lines) - number + 1} more."
        text = longer
    return text


def _pick(call: Call, runs: Sequence[KnownRun], run_id: str | None, which: str = "") -> KnownRun:
    from omero_hcs.tasks.runs import pick

    if which and not runs and not run_id:
        msg = f"There is no run {which} over {_where(call)}. List tells which runs there are."
        raise RunNotFoundError(msg)
    return pick(runs, run_id, where=_where(call))


def _where(call: Call) -> str:
    ids = call.asked.ids
    shown = ", ".join(map(str, ids[:5]))
    rest = f" and {len(ids) - 5} more" if len(ids) > 5 else ""
    return f"{call.asked.kind.lower()}{'s' * (len(ids) > 1)} {shown}{rest}"


def _user(call: Call) -> str:
    return str(call.client.getSession().getAdminService().getEventContext().userName)


def _place(place: str) -> str:
    """Leave the server out of a place: "image/5 ROI 77"."""
    return place.partition("://")[2].partition("/")[2] or place


def _name(kind: str, count: int) -> str:
    one, several = _KINDS.get(kind, (kind, kind))
    return one if count == 1 else several


_KINDS: Mapping[str, tuple[str, str]] = {
    "roi": ("region", "regions"),
    "tag": ("tag", "tags"),
    "key-values": ("set of key-values", "sets of key-values"),
    "table": ("table", "tables"),
    "omero-table": ("OMERO.table", "OMERO.tables"),
    "file": ("file", "files"),
    "crop": ("crop image", "crop images"),
    "dataset": ("dataset", "datasets"),
    "label": ("label image", "label images"),
}

_ACTIONS: Mapping[str, Callable[[Call, Sequence[KnownRun], str | None], Answer]] = {
    "List": _list,
    "Status": _status,
    "Cancel": _cancel,
    "Undo": _undo,
}

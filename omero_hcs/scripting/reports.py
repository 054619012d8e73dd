"""Plate_Report: the reports of quality runs, made again and attached."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence

from omero_hcs.scripting.answers import Answer, shortened
from omero_hcs.scripting.call import Call
from omero_hcs.tasks.make_report import MadeReport, PlateReport

_SHOWN = 3
_PARTS = ("Well", "Image")
"""What stands for the whole plate that it is on: a report is about all that was judged."""


def run(call: Call) -> Answer:
    """Make the report of the latest quality run, or of the one that was named, of each plate."""
    from omero_hcs.scripting.inline import check_installed
    from omero_hcs.scripting.places import outputs_of_places
    from omero_hcs.scripting.selection import check_one_group, look_up
    from omero_hcs.tasks.make_report import make_report

    check_installed(call.script.name, ("matplotlib", "jinja2"))
    check_one_group(look_up(call.client, call.asked.kind, call.asked.ids))
    made = make_report(
        _whole(call), call.asked.params.run_id, progress=call.progress, opener=call.open
    )
    return Answer(told(made), outputs_of_places(made.places))


def told(made: MadeReport) -> str:
    """Say what was made of which runs, and what was not."""
    runs = {plate.run_id for plate in made.plates}
    if len(made.plates) == 1:
        (plate,) = made.plates
        text = f"Made the report of {plate.name!r} again, of run {plate.run_id}: {_counts(plate)}."
    else:
        which = f"run {made.run_id}" if len(runs) == 1 else f"{len(runs)} runs"
        each = "; ".join(f"{plate.name!r}: {_counts(plate)}" for plate in made.plates[:_SHOWN])
        more = len(made.plates) - _SHOWN
        text = f"Made the reports of {len(made.plates)} plates again, of {which}: {each}"
        text += f"; and {more} more." if more > 0 else "."
    parts = [text, *(f"Screen {item.name!r} has an overview of them." for item in made.screens)]
    if made.without:
        parts.append(
            f"Without a report: {_named(made.without)}. Run Check_Plate_Quality on "
            f"{'it' if len(made.without) == 1 else 'them'} first."
        )
    if made.kept:
        parts.append(
            f"{len(made.kept)} that a user changed or took off since stays so: "
            f"{shortened('; '.join(made.kept), 300)}."
        )
    return shortened(" ".join(parts))


def _whole(call: Call) -> str:
    """Name the plates that selected wells or images are on; what is on none stands for itself."""
    if call.asked.kind not in _PARTS:
        return call.uri
    plates = _plates_of(call)
    return f"omero://{call.server}/plate/{','.join(plates)}" if plates else call.uri


def _plates_of(call: Call) -> list[str]:
    from omero_hcs.stores.omero.session import Session

    hql = {
        "Well": "select distinct w.plate.id from Well w where w.id in (:ids)",
        "Image": "select distinct w.plate.id from WellSample s join s.well w "
        "where s.image.id in (:ids)",
    }[call.asked.kind]
    with contextlib.closing(Session.of_client(call.client)) as session:
        rows = session.project(hql, {"ids": list(call.asked.ids)})
    return [str(number) for number in sorted(row[0] for row in rows)]


def _counts(plate: PlateReport) -> str:
    share = "nothing judged"
    if not math.isnan(plate.abnormal):
        share = f"{plate.cells:,} cells, {100 * plate.abnormal:.1f} % abnormal"
    failed = f", {plate.failed} of {plate.fields} fields failed" if plate.failed else ""
    return f"{share}{failed}"


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown

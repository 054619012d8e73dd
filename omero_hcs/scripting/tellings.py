"""What runs came to, in words for whoever clicked."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omero_hcs.model import Layout, Plate, duration
from omero_hcs.scripting.answers import LONGEST, Answer, shortened
from omero_hcs.scripting.call import Call
from omero_hcs.scripting.places import link_to_image, outputs_of_places
from omero_hcs.scripting.selection import Selected, described
from omero_hcs.scripting.wording import Wording
from omero_hcs.stores.base import PlateStore
from omero_hcs.tasks.base import layout_of
from omero_hcs.tasks.driver import RunOutcome
from omero_hcs.tasks.dry_run import DryRun
from omero_hcs.tasks.estimate import WHOLE

_DONE = {"apply_qc": "Judged", "crop_cells": "Cropped", "embed_cells": "Embedded"}
_SHOWN = 2
"""Failed fields of which a message tells the reason."""

_UNIT = re.compile(r"[^/]+/(?P<well>[A-Z]{1,2}\d+)/f(?P<field>\d+)(?:/|$)")
_WHY = re.compile(r"^(.+?) \(.*\)$")


@dataclass(frozen=True)
class Teller:
    """Tells what became of a call.

    Parameters
    ----------
    call : Call
        The click.
    selected : tuple of Selected
        What was selected.
    device : str
        Where it was worked on: "the CPU (2 cores)"; "" where that does not matter.
    limit_minutes : float, optional
        How long a run may take there, by its estimate.
    """

    call: Call
    selected: tuple[Selected, ...]
    device: str = ""
    limit_minutes: float | None = None

    def tell(self, outcome: RunOutcome) -> Answer:
        """Say what a run came to."""
        summary = outcome.summary
        with contextlib.closing(self.call.open(self.call.uri)) as store:
            layouts = [layout_of(store, ref) for ref in store.refs()]
            what = self._trained(summary) if outcome.task == "train_qc" else self._found(outcome)
            how = self._how(outcome, layouts)
            links = self._links(outcome, store)
        parts = [_before(outcome), what, _failed(outcome), how]
        text = self._words(" ".join(part for part in parts if part))
        warnings = [self._words(str(one)) for one in summary.get("warnings", ())]
        return Answer(_with_notes(text, warnings), links)

    def tell_dry_run(self, told: DryRun) -> Answer:
        """Say what a run would do."""
        where = described(self.selected)
        if told.faults:
            faults = "\n".join(["It would not start:", *(f"  - {one}" for one in told.faults)])
            return Answer(self._words(f"Dry run over {where}. {faults}"), failed=True)
        parts = [f"Dry run over {where}: nothing was written.", self._would(told)]
        if told.state.startswith("answered"):
            run = told.state.rpartition(" ")[2]
            mend = "it would be replaced" if self.call.asked.again else "tick Again to do it anew"
            parts.append(f"This was done before, by run {run}: {mend}.")
        elif told.state.startswith("resumes"):
            parts.append(f"It {told.state}.")
        if told.failed:
            first = f"{_place(told.failed[0][0])}: {told.failed[0][1]}"
            parts.append(f"Of {told.sampled} fields tried, {len(told.failed)} failed: {first}.")
        limit = (self.limit_minutes or math.inf) * 60
        is_long = told.seconds is not None and told.seconds > limit
        if is_long:
            parts.append(f"It would not start: {duration(limit)} are allowed without a GPU.")
        text = self._words(" ".join(part for part in parts if part))
        notes = [self._words(one) for one in told.warnings]
        return Answer(_with_notes(text, notes), failed=is_long)

    def _found(self, outcome: RunOutcome) -> str:
        summary = outcome.summary
        cells, fields = summary.get("cells", 0), summary.get("fields", 0)
        verb = _DONE.get(outcome.task, "Done:")
        text = f"{verb} {_count(cells, 'cell')} in {_count(fields, 'field')} of "
        text += described(self.selected)
        if "abnormal" in summary:
            text += f": {summary['abnormal']} abnormal ({_pairs(summary.get('classes', {}))})"
        if summary.get("field verdicts"):
            text += f"; fields: {_pairs(summary['field verdicts'])}"
        more = str(summary.get("told", ""))
        return f"{text}. {more}".strip()

    def _trained(self, summary: Mapping[str, Any]) -> str:
        kept = str(summary.get("in OMERO", ""))
        text = f"Model {summary.get('model')!r}{f' ({kept})' if kept else ''} was trained on "
        text += f"{_labels(summary)} cells of {described(self.selected)}"
        if summary.get("labelled by"):
            text += f" (by {summary['labelled by']})"
        text += f". Tested on {summary.get('tested on', 'cells held out')}: "
        text += f"F1 {summary.get('f1')}, accuracy {summary.get('accuracy')}."
        if kept:
            text += " Check_Plate_Quality lists it the next time that its dialog is opened."
        return text

    def _how(self, outcome: RunOutcome, layouts: Sequence[Layout]) -> str:
        summary, params = outcome.summary, self.call.asked.params
        head = {
            "new": f"Run {outcome.run_id}: ",
            "resumed": f"Run {outcome.run_id} (went on where it was stopped): ",
            "answered": "It was made with ",
        }
        parts = []
        if outcome.task != "train_qc" and summary.get("model"):
            parts.append(f"model {summary['model']!r}")
        if self.device and outcome.how != "answered":
            parts.append(f"by {self.device}")
        if "channels" in summary:
            parts.append(f"channels {summary['channels']}")
        if summary.get("nuclei"):
            parts.append(_WHY.sub(r"nuclei from \1", str(summary["nuclei"])))
        parts += planes_told(params, layouts)
        return f"{head[outcome.how]}{'; '.join(parts)}."

    def _would(self, told: DryRun) -> str:
        reads = told.reads
        text = f"It would read {_count(int(reads['fields']), 'field')}" if reads else "It would"
        if told.seconds is not None:
            text += f", take about {duration(told.seconds)}"
            text += f" by {self.device}" if self.device else ""
        names = [name for name in ("channels", "model") if name in told.found]
        text += f" ({', '.join(f'{name} {told.found[name]}' for name in names)})" if names else ""
        if told.task in WHOLE:  # the file that it names is the machine's own business
            classes = ", ".join(told.found.get("classes", ()))
            return f"{text} learn to tell {classes}, and leave {told.writes.get('upload')}."
        writes = [f"{name}: {value}" for name, value in told.writes.items() if value]
        return f"{text}, and leave {'; '.join(writes)}."

    def _links(self, outcome: RunOutcome, store: PlateStore) -> dict[str, Any]:
        summary = outcome.summary
        links: dict[str, Any] = outputs_of_places(outcome.places)
        for number, kept in enumerate(str(summary.get("in OMERO", "")).split(", ")):
            if kept.startswith("omero:"):
                place = f"omero://-/annotation/{kept.removeprefix('omero:')} model.zip"
                (button,) = outputs_of_places([place]).values()
                links["Model" if not number else f"Model_{number + 1}"] = button
        return links | link_to_image(store, summary.get("most suspicious") or {})

    def _words(self, text: str) -> str:
        return Wording(self.call.script, self.call.server)(text)


def planes_told(params: Any, layouts: Sequence[Layout]) -> list[str]:
    """Name the planes, time points and acquisition of a run, as OMERO's viewer counts them."""
    images = [site.image for layout in layouts for site in layout.sites()]
    if not images or not hasattr(params, "z"):
        return []
    depth = _range([image.size_z for image in images])
    words = {"middle": "middle plane", "focus": "sharpest plane", "max": "maximum projection"}
    words["all"] = "all planes"
    plane = f"plane {params.z + 1}" if isinstance(params.z, int) else words[params.z]
    time = "all time points" if params.t == "all" else f"time {params.t + 1}"
    told = [f"{plane} of {depth}" if depth != "1" else "its one plane", time]
    runs = sum(len(layout.acquisitions) for layout in layouts if isinstance(layout, Plate))
    if params.acquisition is not None:
        told.append(f"acquisition {params.acquisition}")
    elif runs > len(layouts):
        told.append("all acquisitions")
    return told


def _before(outcome: RunOutcome) -> str:
    if outcome.how != "answered":
        return ""
    return (
        f"This was done before, by run {outcome.run_id}, and its results are there: nothing was "
        "done anew. Tick Again to do it anew."
    )


def _failed(outcome: RunOutcome) -> str:
    if not outcome.failed:
        return ""
    shown = [f"{_place(unit)}: {reason.rstrip('.')}" for unit, reason in outcome.failed[:_SHOWN]]
    more = len(outcome.failed) - _SHOWN
    told = "; ".join(shown) + (f"; and {more} more" if more > 0 else "")
    return f"{_count(len(outcome.failed), 'field')} failed ({shortened(told, 300)})."


def _place(unit: str) -> str:
    match = _UNIT.match(unit)
    return f"{match['well']} field {int(match['field']) + 1}" if match else f"image {unit}"


def _labels(summary: Mapping[str, Any]) -> str:
    told = [str(summary.get("labels", ""))]
    weak = summary.get("from whole fields")
    told += [f"{weak} (of images labelled as a whole)"] if weak else []
    return " and ".join(filter(None, told))


def _with_notes(text: str, notes: Sequence[str]) -> str:
    """Add the warnings for which there is room."""
    left = list(notes)
    while left and len(text) + len(left[0]) + 60 < LONGEST:
        text = f"{text} Note: {left.pop(0)}"
    if left:
        text = f"{text} {_count(len(left), 'more note')}: see the report."
    return shortened(text)


def _range(sizes: Sequence[int]) -> str:
    low, high = min(sizes), max(sizes)
    return str(low) if low == high else f"{low} to {high}"


def _pairs(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"

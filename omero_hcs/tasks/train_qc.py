"""Train a quality model on labelled cells: `omero-hcs train-qc`."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from omero_hcs.errors import InputError, LabelError
from omero_hcs.jobs.parts import Parts
from omero_hcs.model import RunSpec, Unit, duration
from omero_hcs.results import Results, UnitResult
from omero_hcs.settings import Settings, is_in_script
from omero_hcs.stores.base import KeptModel, ModelHome, PlateStore
from omero_hcs.tasks.base import (
    MORE,
    Fingerprint,
    InDialog,
    Outcome,
    Plan,
    Progress,
    Request,
    all_units,
    names_of,
)
from omero_hcs.tasks.labels import (
    ExampleParams,
    class_order,
    digest_of,
    find_labels,
    label_sources,
    labels_digest,
    labels_of,
)
from omero_hcs.tasks.model_choice import ModelChoice

if TYPE_CHECKING:
    from omero_hcs.tasks.examples import Examples

MODEL_FILE = "model.safetensors"


class Params(ModelChoice, ExampleParams):
    """Train a model that tells normal from abnormal cells, on a few dozen labels."""

    name: Annotated[str, InDialog(name="Model_Name")] = Field(
        default="qc", description="Name of the model."
    )
    keep_examples: Annotated[bool, InDialog(MORE)] = Field(
        default=True,
        description="Keep small pictures of the labelled cells, and who labelled them, in the"
        " model, to show beside the cells that it judges.",
    )
    folds: int | None = Field(
        default=None,
        ge=2,
        le=20,
        description="Parts of the labels that are held out in turn to test the model; 5 by default,"
        " and 3 where an encoder is tuned without a GPU.",
    )
    output: str | None = Field(
        default=None, description="File to write the model to; the models folder by default."
    )
    upload: bool = Field(
        default=False, description="Also attach the model to the plate or dataset in OMERO."
    )


def fingerprint(store: PlateStore, params: Params, request: Request) -> Fingerprint:
    """Other labels are another run."""
    digest = labels_digest(store, request.targets, label_sources(params))
    return Fingerprint(labels_sha256=digest)


def plan(store: PlateStore, params: Params, request: Request) -> Plan:
    """Check labels, name and weights, look at the plate; training is one unit."""
    from omero_hcs.tasks.embedding import check_encoder
    from omero_hcs.tasks.examples import has_own_planes
    from omero_hcs.tasks.label_places import check_labels
    from omero_hcs.tasks.survey import survey_plate
    from omero_hcs.tasks.tuning_time import tuning_seconds

    _check_upload(store, params)
    found = find_labels(store, request.targets, label_sources(params))
    labels, planes = found.table, has_own_planes(params)
    check_labels(store, request.targets, labels, refuse=params.refuses, planes=planes)
    classes = class_order(labels, params.normal_class)
    output = _output(params, request.settings)
    check_encoder(params, request.settings)
    pairs = all_units(store, request.targets, params)
    name = names_of(store, request.targets)
    survey = survey_plate(store, pairs, params, name=name, progress=request.progress)
    seconds = tuning_seconds(params, len(labels), len(survey.channels))
    if seconds is not None:
        request.progress(f"tuning the encoder takes about {duration(seconds)}", 0, 1)
    context = {
        "survey": survey.model_dump(mode="json"),
        "seconds": seconds,
        "classes": classes,
        "output": str(output.resolve()),
        "plate": name,
        "label_warnings": found.warnings(),
    }
    return Plan((Unit(id="train", target=request.targets[0]),), context)


def work(store: PlateStore, spec: RunSpec, units: Sequence[Unit]) -> Iterator[UnitResult]:
    """Crop and embed the labelled cells, fit the head, and estimate how good it is."""
    from omero_hcs.tasks.fit_qc import fit_qc

    params = Params.model_validate(spec.params)
    for unit in units:
        started = time.monotonic()
        examples = _examples(store, spec, params)
        fitted = fit_qc(spec, params, examples)
        yield UnitResult(
            unit.id,
            "done",
            metrics=fitted.lines,
            warnings=(*examples.warnings(), *fitted.warnings),
            files={MODEL_FILE: fitted.content},
            seconds=time.monotonic() - started,
        )


def unit_results(spec: RunSpec, unit: Unit, part: UnitResult) -> Results | None:
    """Nothing goes to the plate: a model is a file of its own."""
    return None


def finish(store: PlateStore, spec: RunSpec, parts: Parts, progress: Progress) -> Outcome:
    """Put the model file where it belongs, and into OMERO where that was asked for.

    Raises
    ------
    WriteError
        If it cannot be written there.
    """
    from omero_hcs.tasks.models import write_model

    part, path = parts[0], Path(spec.context["output"])
    write_model(path, part.files[MODEL_FILE])
    kept = _upload(store, spec, path) if spec.params["upload"] else ()
    warnings = (
        *spec.context["label_warnings"],
        *spec.context["survey"]["warnings"],
        *part.warnings,
    )
    name = spec.params["name"] if spec.params["upload"] else path.stem
    summary = {"model": name, **part.metrics, "warnings": list(warnings)}
    if kept:
        summary["in OMERO"] = ", ".join(f"omero:{model.id}" for model in kept)
        summary["warnings"] = [*_of_that_name(store, kept), *warnings]
    return Outcome(summary=summary, places=(str(path),))


def _output(params: Params, settings: Settings) -> Path:
    """Find where the model goes: a script's is for whoever may read what it is attached to."""
    from omero_hcs.tasks.models import SUFFIX, model_path

    if params.output:
        return Path(params.output)
    path = model_path(params.name, settings)
    if not is_in_script():
        return path
    # Beside the models of the installation, which everybody is offered, and one a run: nobody's
    # model replaces another's of that name.
    return path.parent / "of-scripts" / f"{uuid.uuid4().hex}{SUFFIX}"


def _check_upload(store: PlateStore, params: Params) -> None:
    if params.upload and not isinstance(store, ModelHome):
        msg = (
            f"{store.spec.uri} keeps no models: --upload attaches a model to a plate or dataset in "
            "OMERO. Leave it out; the model is written to a file."
        )
        raise InputError(msg)


def _upload(store: PlateStore, spec: RunSpec, path: Path) -> tuple[KeptModel, ...]:
    """Attach the model to all that it was trained on; the file is there already if this fails."""
    from omero_hcs.learning.modelfile import load_model

    if not isinstance(store, ModelHome):
        return ()
    card = json.dumps(load_model(path).card.short())
    name, content = f"{spec.params['name']}{path.suffix}", path.read_bytes()
    kept = {
        model.id: model
        for target in spec.targets
        for model in [store.keep_model(target, name, content, card=card)]
    }
    return tuple(kept.values())


def _of_that_name(store: PlateStore, kept: Sequence[KeptModel]) -> tuple[str, ...]:
    """Tell of other models of the same name: nobody's is replaced."""
    home: object = store
    ids = {model.id for model in kept}
    there = home.models() if isinstance(home, ModelHome) else ()
    others = [model for model in there if model.name == kept[0].name and model.id not in ids]
    if not others:
        return ()
    newest = f"omero:{others[0].id} of {others[0].created[:10]} by {others[0].owner}"
    count = f"{len(others)} other models are" if len(others) > 1 else "Another model is"
    text = f"{count} called {kept[0].name!r} too ({newest}): all stay, the newest is listed first."
    return (text,)


def _examples(store: PlateStore, spec: RunSpec, params: Params) -> Examples:
    """Prepare the labelled cells, after a look that they are still those of the plan."""
    from omero_hcs.tasks.examples import examples_of
    from omero_hcs.tasks.survey import PlateSurvey

    labels = labels_of(store, spec.targets, label_sources(params))
    if digest_of(labels) != spec.labels_sha256:
        msg = "The labels were changed since this run began. Start it again to train on them."
        raise LabelError(msg)
    survey = PlateSurvey.model_validate(spec.context["survey"])
    return examples_of(store, spec.targets, params, labels, survey)

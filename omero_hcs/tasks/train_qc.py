"""Train a quality model on labelled cells: `omero-hcs train-qc`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from omero_hcs.errors import WriteError
from omero_hcs.jobs.parts import Parts
from omero_hcs.model import RunSpec, Unit
from omero_hcs.results import Results, Table, UnitResult
from omero_hcs.stores.base import PlateStore
from omero_hcs.tasks.base import (
    CellParams,
    Fingerprint,
    Outcome,
    Plan,
    Progress,
    Request,
    all_units,
)

MODEL_FILE = "model.safetensors"
FOLDS = 5


class Params(CellParams):
    """Train a model that tells normal from abnormal cells, on a few dozen labels."""

    name: str = Field(default="qc", description="Name of the model.")
    labels: str | None = Field(
        default=None,
        description="CSV file with the labels; labels.csv beside the plate by default.",
    )
    output: str | None = Field(
        default=None, description="File to write the model to; the models folder by default."
    )
    normal_class: str = Field(default="normal", description="Label of the good cells.")
    encoder: str = Field(
        default="tf_efficientnet_lite0", description="Encoder that turns crops into features."
    )
    weights: str | None = Field(
        default=None, description="File with the encoder's weights; found by the name by default."
    )
    weights_sha256: str | None = Field(
        default=None, description="sha256 that the file with the weights must have."
    )
    head: Literal["knn", "linear"] = Field(
        default="linear",
        description="What judges the features: one layer, or the nearest labelled cells.",
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto",
        description="Number format of the encoder; auto is the installation's setting.",
    )


def fingerprint(store: PlateStore, params: Params, request: Request) -> Fingerprint:
    """Other labels are another run."""
    from omero_hcs.tasks.labels import labels_digest

    return Fingerprint(labels_sha256=labels_digest(store, request.targets, params.labels))


def plan(store: PlateStore, params: Params, request: Request) -> Plan:
    """Check labels, name and weights, look at the plate; training is one unit."""
    from omero_hcs.learning.weights import find_weights
    from omero_hcs.tasks.labels import check_labels, class_order, labels_of
    from omero_hcs.tasks.models import model_path
    from omero_hcs.tasks.survey import survey_plate

    labels = labels_of(store, request.targets, params.labels)
    check_labels(store, request.targets, labels)
    classes = class_order(labels, params.normal_class)
    output = Path(params.output) if params.output else model_path(params.name, request.settings)
    find_weights(
        params.encoder,
        path=params.weights,
        sha256=params.weights_sha256,
        allow_hub=request.settings.allow_hub,
    )
    pairs = all_units(store, request.targets, params)
    name = ", ".join(target.id for target in request.targets)
    survey = survey_plate(store, pairs, params, name=name, progress=request.progress)
    context = {
        "survey": survey.model_dump(mode="json"),
        "classes": classes,
        "output": str(output.resolve()),
        "plate": name,
    }
    return Plan((Unit(id="train", target=request.targets[0]),), context)


def work(store: PlateStore, spec: RunSpec, units: Sequence[Unit]) -> Iterator[UnitResult]:
    """Crop and embed the labelled cells, fit the head, and estimate how good it is."""
    params = Params.model_validate(spec.params)
    for unit in units:
        started = time.monotonic()
        examples = _examples(store, spec, params)
        content, metrics, warnings = _fit(spec, params, examples)
        yield UnitResult(
            unit.id,
            "done",
            metrics=metrics,
            warnings=(*examples.warnings, *warnings),
            files={MODEL_FILE: content},
            seconds=time.monotonic() - started,
        )


def unit_results(spec: RunSpec, unit: Unit, part: UnitResult) -> Results | None:
    """Nothing goes to the plate: a model is a file of its own."""
    return None


def finish(store: PlateStore, spec: RunSpec, parts: Parts, progress: Progress) -> Outcome:
    """Put the model file where it belongs.

    Raises
    ------
    WriteError
        If it cannot be written there.
    """
    part = parts[0]
    path = Path(spec.context["output"])
    scratch = path.with_name(f".{path.name}.{spec.run_id}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_bytes(part.files[MODEL_FILE])
        scratch.replace(path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        msg = (
            f"The model could not be written to {path}: {error.strerror}. Pass --output elsewhere."
        )
        raise WriteError(msg) from error
    warnings = (*spec.context["survey"]["warnings"], *part.warnings)
    summary = {"model": path.stem, **part.metrics, "warnings": list(warnings)}
    return Outcome(summary=summary, places=(str(path),))


@dataclass(frozen=True, eq=False)
class _Examples:
    """Labelled crops: normalised pixels, class numbers, and the well each comes from."""

    crops: tuple[NDArray[np.float32], ...]
    classes: NDArray[np.int64]
    groups: NDArray[np.str_]
    labels: Table
    warnings: tuple[str, ...]


def _examples(store: PlateStore, spec: RunSpec, params: Params) -> _Examples:
    """Crop every labelled cell, centred as cells to be judged will be."""
    from omero_hcs.imaging.normalize import normalize
    from omero_hcs.tasks.cells import finder_of, rows_of_unit
    from omero_hcs.tasks.labels import labels_of

    labels = labels_of(store, spec.targets, params.labels)
    finder = finder_of(store, spec, params, annotated=labels)
    order, crops, far = [], [], 0
    for unit in _labelled_units(store, spec, params, labels):
        rows = rows_of_unit(labels, unit)
        points = np.stack([labels["y"][rows], labels["x"][rows]], axis=1)
        raw, alone = finder.crops_at(unit, points)
        far += int(alone.sum())
        order.append(rows)
        crops.append(normalize(raw, finder.survey.intensities()))
    labels = labels.where(np.concatenate(order))
    numbers = {name: number for number, name in enumerate(spec.context["classes"])}
    wells = np.where(labels["well"] == "", labels["image"], labels["well"])
    return _Examples(
        crops=tuple(crops),
        classes=np.array([numbers[name] for name in labels["label"].tolist()], dtype=np.int64),
        groups=wells,
        labels=labels,
        warnings=_far_warning(far, len(labels)),
    )


def _labelled_units(
    store: PlateStore, spec: RunSpec, params: Params, labels: Table
) -> Iterator[Unit]:
    from omero_hcs.tasks.cells import rows_of_unit

    for unit, _ in all_units(store, spec.targets, params):
        if len(rows_of_unit(labels, unit)):
            yield unit


def _far_warning(far: int, total: int) -> tuple[str, ...]:
    if not far:
        return ()
    text = (
        f"{far} of {total} labels have no nucleus within half a crop; they were cropped where they "
        f"are. Cells without a nucleus are judged only in fields that have next to none."
    )
    return (text,)


def _fit(
    spec: RunSpec, params: Params, examples: _Examples
) -> tuple[bytes, Mapping[str, float | int | str], tuple[str, ...]]:
    """Model file, lines for the user, and warnings."""
    from omero_hcs.learning.evaluate import choose_folds, cross_validate, scores
    from omero_hcs.learning.heads import make_head
    from omero_hcs.learning.modelfile import save_model
    from omero_hcs.tasks.embedding import embedder_for_training
    from omero_hcs.tasks.model_card import describe_card, make_card

    channels = len(spec.context["survey"]["channels"])
    encoder, embedder = embedder_for_training(params, channels)
    streamed = embedder.stream(enumerate(examples.crops))
    features = np.concatenate([found for _, found in streamed])
    classes, groups = examples.classes, examples.groups
    rng = np.random.default_rng(params.seed)
    folds = choose_folds(classes, groups, folds=FOLDS, rng=np.random.default_rng(params.seed))
    held_out = cross_validate(
        lambda: make_head(params.head), features, classes, groups, folds=FOLDS, rng=rng
    )
    metrics = scores(classes, held_out, spec.context["classes"], groups=groups, rng=rng)
    head = make_head(params.head).fit(features, classes, seed=params.seed)
    card = make_card(spec, examples.labels, (encoder, embedder), head, metrics=metrics)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / MODEL_FILE
        save_model(path, card, head)
        return path.read_bytes(), describe_card(card), (folds.reason,) if folds.reason else ()

"""Judge every cell of a plate with a trained model: `omero-hcs apply-qc`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import Field, field_validator

from omero_hcs.jobs.parts import Parts
from omero_hcs.model import RunSpec, Unit
from omero_hcs.results import Results, UnitResult
from omero_hcs.stores.base import PlateStore
from omero_hcs.tasks.base import (
    MORE,
    AnyScale,
    CellParams,
    Fingerprint,
    InDialog,
    Outcome,
    Plan,
    Precision,
    Progress,
    Request,
    WeightsFile,
    all_units,
    names_of,
)
from omero_hcs.tasks.qc_notes import TAG, KeyValuesFor, check_tag
from omero_hcs.tasks.thresholds import threshold, thresholds_for, with_artefacts


class Params(CellParams):
    """Judge every cell of a plate, its fields and its wells."""

    model: Annotated[str, InDialog(hint="Quality model; Train_Quality_Model makes one.")] = Field(
        default="qc",
        description="Name or file of the model, or omero:ID of one on the plate's server.",
    )
    weights: WeightsFile = None
    precision: Precision = "auto"
    any_scale: AnyScale = False
    assay: Annotated[str | None, InDialog(hint="Thresholds of your assay, if it has any.")] = Field(
        default=None, description="Name of an assay of the settings, whose thresholds count."
    )
    warn: Annotated[float | None, InDialog(MORE, name="Warn_From")] = threshold("warn", ge=0, le=1)
    fail: Annotated[float | None, InDialog(MORE, name="Fail_From")] = threshold("fail", ge=0, le=1)
    well_fail: float | None = threshold("well_fail", ge=0, le=1)
    plate_warn: float | None = threshold("plate_warn", ge=0, le=1)
    plate_fail: float | None = threshold("plate_fail", ge=0, le=1)
    min_cells: int | None = threshold("min_cells", ge=0)
    artefacts: Annotated[tuple[str, ...] | None, InDialog(MORE)] = threshold("artefacts")
    rois: Annotated[int, InDialog(name="Regions_Per_Image")] = Field(
        default=200, ge=0, description="Most abnormal cells of an image that are kept as ROIs."
    )
    suggest: Annotated[int, InDialog(name="Suggest_To_Label")] = Field(
        default=0,
        ge=0,
        le=1000,
        description="How many of the cells of which the model is least sure are marked for you to"
        " label.",
    )
    tag: Annotated[str, InDialog(MORE, name="Tag_Text")] = Field(
        default=TAG,
        description="Tag of wells that warn or fail, with {verdict} for which; empty for none.",
    )
    tag_images: Annotated[bool, InDialog(MORE)] = Field(
        default=False, description="Tag images that warn or fail, too."
    )
    key_values: Annotated[KeyValuesFor, InDialog(MORE, name="Key_Values_On")] = Field(
        default="wells",
        description="What gets the verdict as key-values: none, the plate, its wells too, or all"
        " images as well.",
    )

    @field_validator("tag")
    @classmethod
    def _tag(cls, text: str) -> str:
        """Refuse placeholders that would stay in the tag's text."""
        return check_tag(text.strip())


def fingerprint(store: PlateStore, params: Params, request: Request) -> Fingerprint:
    """Another model file, or other thresholds of the assay, are another run."""
    from omero_hcs.tasks.labels import positions_digest
    from omero_hcs.tasks.models import find_model

    return Fingerprint(
        model=find_model(params.model, request.settings, store),
        labels_sha256=positions_digest(store, request.targets, params),
        more={"thresholds": thresholds_for(params, request.settings).model_dump(mode="json")},
    )


def plan(store: PlateStore, params: Params, request: Request) -> Plan:
    """Check that the model fits the plate, then make one unit a field.

    Raises
    ------
    InputErrors, ChannelNotFoundError, ScaleMismatchError, WeightsNotFoundError
        If it does not fit, or its encoder's weights are not there.
    """
    from omero_hcs.tasks.embedding import check_encoder_of
    from omero_hcs.tasks.fitting import as_trained, fitted
    from omero_hcs.tasks.models import find_model, load
    from omero_hcs.tasks.survey import survey_plate

    model = find_model(params.model, request.settings, store)
    made = load(model)
    card = made.card
    limits = with_artefacts(thresholds_for(params, request.settings), card.classes)
    check_encoder_of(made, params.weights, request.settings)
    pairs = all_units(store, request.targets, params)
    name = names_of(store, request.targets)
    if pairs:
        params = as_trained(params, card, pairs[0][1].image, model=model.name, plate=name)
    survey = survey_plate(store, pairs, params, name=name, progress=request.progress)
    survey = fitted(survey, card, any_scale=params.any_scale)
    context = {
        "survey": survey.model_dump(mode="json"),
        "units_per_image": max(Counter(unit.image for unit, _ in pairs).values(), default=1),
        "classes": card.classes,
        "thresholds": limits.model_dump(mode="json"),
        "params": params.model_dump(mode="json"),
    }
    return Plan(tuple(unit for unit, _ in pairs), context)


def work(store: PlateStore, spec: RunSpec, units: Sequence[Unit]) -> Iterator[UnitResult]:
    """Crop, embed and judge each field; the encoder's batches fill across fields."""
    from omero_hcs.tasks.cells import FieldError, finder_of
    from omero_hcs.tasks.embedding import embedder_of_model, stream_features
    from omero_hcs.tasks.failures import describe_failure
    from omero_hcs.tasks.judging import Judge
    from omero_hcs.tasks.labels import annotated_positions
    from omero_hcs.tasks.models import load

    model = load(spec.model)
    params = Params.model_validate(spec.context["params"])
    embedder = embedder_of_model(model, weights=params.weights, precision=params.precision)
    judge = Judge(model, has_view=params.suggest > 0)
    annotated = annotated_positions(store, spec.targets, params)
    finder = finder_of(store, spec, params, annotated=annotated, tiles_for_empty=True)
    how: dict[str, float | int | str] = {
        "precision": embedder.precision,
        "passes": embedder.recipe.passes,
    }
    started = time.monotonic()
    for field, features in stream_features(embedder, finder, units):
        if isinstance(field, FieldError):
            yield describe_failure(field.unit, field.error)
            continue
        cells = judge(field.table, features)
        now = time.monotonic()
        yield UnitResult(
            field.unit.id,
            "done",
            cells=cells,
            metrics={**field.metrics, **how},
            seconds=now - started,
        )
        started = now


def unit_results(spec: RunSpec, unit: Unit, part: UnitResult) -> Results | None:
    """Give a field's most abnormal cells to the store as ROIs, as soon as they are known.

    The planes and time points of an image share its budget, as they are shown in one viewer.
    """
    from omero_hcs.tasks.qc_results import field_rois

    limit = -(-int(spec.params["rois"]) // int(spec.context.get("units_per_image", 1)))
    rois = field_rois(spec, unit, part, limit=limit)
    if not rois:
        return None
    return Results(spec.run_id, spec.key, spec.task, unit.target, unit=unit.id, rois=rois)


def finish(store: PlateStore, spec: RunSpec, parts: Parts, progress: Progress) -> Outcome:
    """Judge fields and wells, and make the tables, tags, key-values, heat-map and report."""
    from omero_hcs.tasks.qc_results import qc_outcome

    return qc_outcome(store, spec, parts, progress)

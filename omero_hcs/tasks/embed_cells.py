"""Turn every cell of a plate into an encoder's features: `omero-hcs embed`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from omero_hcs.errors import InputError
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
    Progress,
    Request,
    all_units,
    names_of,
)
from omero_hcs.tasks.model_choice import ENCODER, EncoderChoice
from omero_hcs.tasks.outcome import (
    count_up,
    describe_survey,
    encoder_line,
    field_tables,
    run_file,
)

if TYPE_CHECKING:
    from omero_hcs.learning.embed import Embedder
    from omero_hcs.learning.modelcard import ModelCard
    from omero_hcs.learning.modelfile import Model

FEATURES = "features"
"""Column of a cell's features."""


class Params(EncoderChoice, CellParams):
    """Turn every cell of a plate into an encoder's features."""

    encoder: Annotated[str, InDialog(hint="Network that turns cells into features.")] = Field(
        default=ENCODER, description="Encoder that turns crops into features."
    )
    model: Annotated[
        str | None,
        InDialog(
            name="As_Model",
            hint="A quality model whose encoder, channels and crop size are taken, so that features"
            " are comparable to what it judges by.",
        ),
    ] = Field(
        default=None,
        description="Quality model whose encoder, channels and crop size are used: its name or"
        " file, or omero:ID of one on the plate's server.",
    )
    any_scale: AnyScale = False
    profiles: Annotated[bool, InDialog(MORE, name="Well_Profiles")] = Field(
        default=True, description="Also keep the median of each feature over the cells of a well."
    )


def fingerprint(store: PlateStore, params: Params, request: Request) -> Fingerprint:
    """Another model file is another run; annotated centres count as labels."""
    from omero_hcs.tasks.labels import positions_digest
    from omero_hcs.tasks.models import find_model

    return Fingerprint(
        model=find_model(params.model, request.settings, store) if params.model else None,
        labels_sha256=positions_digest(store, request.targets, params),
    )


def plan(store: PlateStore, params: Params, request: Request) -> Plan:
    """Check encoder and model, look at the plate, then make one unit a field.

    Raises
    ------
    InputErrors, ChannelNotFoundError, ScaleMismatchError, WeightsNotFoundError
        If the model does not fit the plate, or the encoder's weights are not there.
    """
    from omero_hcs.tasks.fitting import as_trained, fitted
    from omero_hcs.tasks.models import find_model, load
    from omero_hcs.tasks.survey import survey_plate

    pairs = all_units(store, request.targets, params)
    name = names_of(store, request.targets)
    model = find_model(params.model, request.settings, store) if params.model else None
    made = load(model) if model else None
    card = made.card if made else None
    encoder: dict[str, Any] = {}
    if pairs:
        image = pairs[0][1].image
        if model and card:
            _check_encoder(params, card)
            params = as_trained(params, card, image, model=model.name, plate=name)
        channels = len(params.channels or image.channel_names)
        encoder = _describe(_embedder(params, made, channels=channels))
    survey = survey_plate(store, pairs, params, name=name, progress=request.progress)
    if card:
        survey = fitted(survey, card, any_scale=params.any_scale)
    context = {
        "survey": survey.model_dump(mode="json"),
        "encoder": encoder,
        "params": params.model_dump(mode="json"),
    }
    return Plan(tuple(unit for unit, _ in pairs), context)


def work(store: PlateStore, spec: RunSpec, units: Sequence[Unit]) -> Iterator[UnitResult]:
    """Crop and embed each field; the encoder's batches fill across fields."""
    from omero_hcs.tasks.cells import FieldError, finder_of
    from omero_hcs.tasks.embedding import stream_features
    from omero_hcs.tasks.failures import describe_failure
    from omero_hcs.tasks.labels import annotated_positions
    from omero_hcs.tasks.models import load

    params = Params.model_validate(spec.context["params"])
    if params.model is None:
        # The weights of the plan and no others, wherever this worker finds them.
        digest = spec.context["encoder"]["sha256"]
        params = params.model_copy(update={"weights_sha256": digest})
    model = load(spec.model) if spec.model else None
    embedder = _embedder(params, model, channels=len(spec.context["survey"]["channels"]))
    annotated = annotated_positions(store, spec.targets, params)
    finder = finder_of(store, spec, params, annotated=annotated, tiles_for_empty=True)
    how: dict[str, float | int | str] = {
        "precision": embedder.precision,
        "passes": embedder.recipe.passes,
        "measures": embedder.measures,
    }
    started = time.monotonic()
    for field, features in stream_features(embedder, finder, units):
        if isinstance(field, FieldError):
            yield describe_failure(field.unit, field.error)
            continue
        now = time.monotonic()
        yield UnitResult(
            field.unit.id,
            "done",
            cells=field.table.with_columns(**{FEATURES: features}),
            metrics={**field.metrics, **how},
            seconds=now - started,
        )
        started = now


def unit_results(spec: RunSpec, unit: Unit, part: UnitResult) -> Results | None:
    """Nothing goes to the store before all is there: features are one table."""
    return None


def finish(store: PlateStore, spec: RunSpec, parts: Parts, progress: Progress) -> Outcome:
    """Join the fields into one table of features a plate, and its wells' profiles."""
    from omero_hcs.tasks.embeddings import embedding_results

    joined = field_tables(parts, progress=progress, without=(FEATURES,))
    survey, encoder = spec.context["survey"], spec.context["encoder"]
    weights = f"{encoder['source']} weights, sha256 {encoder['sha256'][:12]}..."
    summary = {
        **describe_survey(survey),
        **count_up(joined.cells, joined.fields),
        "encoder": f"{encoder['name']} ({weights}), {encoder_line(joined.fields)}",
        "features": f"{encoder['features']} numbers a cell",
        "told": _told(spec),
        "warnings": [*_of_random(encoder), *survey["warnings"], *joined.warnings],
    }
    formats = sorted(set(joined.fields["precision"].tolist()) - {""})
    record = run_file(
        spec,
        warnings=summary["warnings"],
        summary=summary,
        encoder={**encoder, "precision": ", ".join(formats)},
    )
    results = tuple(
        embedding_results(store, spec, target, joined, parts, record) for target in spec.targets
    )
    return Outcome(results, summary)


def _told(spec: RunSpec) -> str:
    """Say in a sentence what is kept; scripts do."""
    encoder = spec.context["encoder"]
    model = f" as model {spec.model.name!r} has it" if spec.model else ""
    has_wells = any(target.kind == "plate" for target in spec.targets)
    kept = spec.params["profiles"] and has_wells
    profiles = "; profiles.csv.gz has their medians over each well" if kept else ""
    text = f"A table has {encoder['features']:,} numbers a cell, by encoder {encoder['name']}"
    return f"{text}{model}{profiles}."


def _embedder(params: Params, model: Model | None, *, channels: int) -> Embedder:
    from omero_hcs.tasks.embedding import embedder_of_model, embedder_of_params

    if model is not None:
        return embedder_of_model(model, weights=params.weights, precision=params.precision)
    return embedder_of_params(params, channels)[1]


def _check_encoder(params: Params, card: ModelCard) -> None:
    if params.encoder not in (ENCODER, card.encoder.name):
        msg = (
            f"Model {params.model} embeds with {card.encoder.name}, and --encoder names "
            f"{params.encoder}. Leave one of both out."
        )
        raise InputError(msg)
    if (params.pooling, params.input_size) != ("auto", "auto"):
        msg = (
            f"Model {params.model} embeds by pooling {card.encoder.pooling!r} at "
            f"{card.input_size} px. Leave --pooling and --input-size out."
        )
        raise InputError(msg)


def _describe(embedder: Embedder) -> dict[str, Any]:
    """Write down where features come from, as run.json has it."""
    encoder = embedder.encoder
    return {
        "name": encoder.name,
        "source": encoder.source,
        "sha256": encoder.sha256,
        "pooling": encoder.pooling,
        "input_size": encoder.input_size,
        "interpolation": encoder.interpolation,
        "left_aside": encoder.told,
        "recipe": embedder.recipe.kind,
        "passes": embedder.recipe.passes,
        "features": embedder.dim,
    }


def _of_random(encoder: Mapping[str, Any]) -> list[str]:
    if encoder["source"] != "random":
        return []
    return ["The encoder's weights are random: features prove the path, and say nothing of cells."]

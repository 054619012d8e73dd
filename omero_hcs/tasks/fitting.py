"""Whether a model fits a plate: channels, crop scale, intensities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from omero_hcs.errors import ChannelNotFoundError, InputErrors, ScaleMismatchError
from omero_hcs.imaging.channels import nuclear_channel
from omero_hcs.imaging.normalize import MIN_FIELDS
from omero_hcs.learning.modelcard import ModelCard, fit_problems
from omero_hcs.model import Image
from omero_hcs.tasks.base import CellParams
from omero_hcs.tasks.survey import FEW_FIELDS, PlateSurvey

P = TypeVar("P", bound=CellParams)


def as_trained(params: P, card: ModelCard, image: Image, *, model: str, plate: str) -> P:
    """Take channels, recipe and crop size from the model where the user names none.

    Raises
    ------
    ChannelNotFoundError
        If the plate lacks a channel of the model.
    InputErrors
        If the user names another number of channels than the model has.
    """
    asked = params.channels or tuple(card.channels)
    needs = f"Model {model} judges {len(card.channels)} channels: {', '.join(card.channels)}"
    has = f"{plate} has {', '.join(image.channel_names)}"
    mend = (
        "Pass --channels with the plate's channels in the model's order, or train a model for it."
    )
    if len(asked) != len(card.channels):
        raise InputErrors([f"{needs}; --channels names {len(asked)}. {has}. {mend}"])
    missing = [
        channel
        for channel in asked
        if channel.lower() not in {name.lower() for name in image.channel_names}
    ]
    if missing and params.channels is None:
        msg = f"{needs}. {has}: no {', '.join(missing)}. {mend}"
        raise ChannelNotFoundError(msg)
    nuclei = params.nuclei
    if nuclei is None and params.channels is None and card.nuclear_channel in asked:
        # Named only where the name alone would not lead to the model's own.
        found = nuclear_channel(image.channel_names, required=False)
        nuclei = None if found and found.name == card.nuclear_channel else card.nuclear_channel
    size = params.crop_size if params.crop_size != "auto" else _size_of(card, image)
    return params.model_copy(
        update={"channels": asked, "crop_size": size, "recipe": card.recipe, "nuclei": nuclei}
    )


def _size_of(card: ModelCard, image: Image) -> str:
    """Give the model's crop size in the strongest unit that both know: um, nuclei, pixels."""
    scale = card.crop_scale
    if scale["side_um"] and image.pixel_size_um:
        return f"{scale['side_um']}um"
    return f"{scale['side_nuclei']}nuclei" if scale["side_nuclei"] else f"{scale['side_px']}px"


def fitted(survey: PlateSurvey, card: ModelCard, *, any_scale: bool) -> PlateSurvey:
    """Give the survey of a plate as its model needs it.

    Raises
    ------
    ScaleMismatchError
        See `check_scale`; not where any scale will do.
    """
    survey = normalize_by_model_where_few(survey, card)
    if not any_scale:
        check_scale(survey, card)
    return survey


def normalize_by_model_where_few(survey: PlateSurvey, card: ModelCard) -> PlateSurvey:
    """Normalise by the model's intensities where the plate has too few fields for its own."""
    return normalize_as_where_few(survey, card.normalization)


def normalize_as_where_few(survey: PlateSurvey, learnt: Mapping[str, Any]) -> PlateSurvey:
    """Normalise a plate of few fields by the intensities of what was learnt from, as a dict."""
    if survey.fields >= MIN_FIELDS:
        return survey
    warning = (
        f"Brightness was scaled as on the plates that the model learnt from: {survey.fields} "
        f"field(s) are too few to find this plate's own, which takes {MIN_FIELDS}."
    )
    return survey.model_copy(
        update={
            "normalization": {**learnt, "channels": list(survey.channels)},
            "warnings": (*(text for text in survey.warnings if text != FEW_FIELDS), warning),
        }
    )


def check_scale(survey: PlateSurvey, card: ModelCard) -> None:
    """Refuse a plate whose crops are of another scale than the model's.

    Raises
    ------
    ScaleMismatchError
        With both scales and the mend.
    """
    problems = fit_problems(card, channels=card.channels, scale=survey.crop_scale())
    if problems:
        mend = "Or pass --any-scale to go on all the same."
        raise ScaleMismatchError("\n".join([*problems, mend]))

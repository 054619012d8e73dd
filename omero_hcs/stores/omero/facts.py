"""What was put into wells: treatments, doses and roles out of what users wrote on them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from omero_hcs.model import Role
from omero_hcs.settings import Settings
from omero_hcs.stores.omero.bulktable import read_bulk_table
from omero_hcs.stores.omero.plates import PlateRecord, WellFacts
from omero_hcs.stores.omero.record import OURS
from omero_hcs.stores.omero.session import Session

_ROLES: Mapping[Role, tuple[str, ...]] = {
    "negative_control": (
        "negative control", "negative", "neg", "negcon", "neg control", "negative ctrl",
        "neutral control", "vehicle", "vehicle control", "solvent", "solvent control", "mock",
        "untreated", "dmso",
    ),
    "positive_control": (
        "positive control", "positive", "pos", "poscon", "pos control", "positive ctrl",
    ),
    "treatment": ("treatment", "treated", "trt", "sample", "compound", "test", "dose series"),
    "empty": ("empty", "blank", "unused", "no cells", "empty well"),
}  # fmt: skip
_UNITS: Mapping[str, str] = {
    "molar": "M", "millimolar": "mM", "micromolar": "µM", "nanomolar": "nM", "picomolar": "pM",
    "millim": "mM", "microm": "µM", "nanom": "nM", "picom": "pM",
}  # fmt: skip
"""What IDR and others write for units, in lower case; others stay as they are."""

_DOSE = re.compile(r"\s*([+]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([^\d\s][^\d]*?)?\s*")
_KEY = re.compile(r"(.*?)\s*[(\[](.+)[)\]]")

_PAIRS = (
    "select w.id, ann.id, mv.name, mv.value from WellAnnotationLink l join l.parent w "
    "join l.child ann join ann.mapValue mv where w.plate.id = :id "
    f"and (ann.ns is null or ann.ns not like '{OURS}%')"
)
_TAGS = (
    "select w.id, ann.textValue from WellAnnotationLink l join l.parent w join l.child ann "
    "where w.plate.id = :id and ann.class = TagAnnotation "
    f"and (ann.ns is null or ann.ns not like '{OURS}%')"
)

Pair = tuple[str, str]


@dataclass(frozen=True)
class FactKeys:
    """Keys that tell treatments, doses, their units and roles; the first one present counts."""

    treatment: tuple[str, ...]
    dose: tuple[str, ...]
    dose_unit: tuple[str, ...]
    role: tuple[str, ...]

    @classmethod
    def of(cls, settings: Settings) -> FactKeys:
        """Keys of an installation."""
        return cls(
            settings.omero_treatment_keys,
            settings.omero_dose_keys,
            settings.omero_dose_unit_keys,
            settings.omero_role_keys,
        )


def read_facts(session: Session, record: PlateRecord, keys: FactKeys) -> dict[int, WellFacts]:
    """Read what users wrote on the wells of a plate, by well id.

    Key-values of any namespace but ours count, the newest where several say the same; where a well
    has none, its row of a bulk-annotations table; then tags that name a role.
    """
    given = {"id": int(record.plate.id)}
    pairs: dict[int, list[Pair]] = {}
    for well, _, name, value in sorted(session.project(_PAIRS, given), key=lambda row: row[1]):
        pairs.setdefault(well, []).append((name, value))
    if not pairs.keys() >= set(record.wells.values()):
        pairs = read_bulk_table(session, record) | pairs
    tags: dict[int, list[str]] = {}
    for well, text in session.project(_TAGS, given):
        tags.setdefault(well, []).append(text or "")
    return {
        well: facts_of(pairs.get(well, ()), tags.get(well, ()), keys)
        for well in pairs.keys() | tags.keys()
    }


def facts_of(pairs: Iterable[Pair], tags: Iterable[str], keys: FactKeys) -> WellFacts:
    """Make sense of key-values and tags of one well.

    What is no treatment, dose or role goes into the metadata, also a dose that is no number and a
    role that is unknown. A later value of a key replaces an earlier one.
    """
    said = {
        name.strip(): value.strip() for name, value in pairs if name and value and value.strip()
    }
    treatment = _first(said, keys.treatment)
    dose, unit, used = _dose_of(said, keys)
    role_key = _first(said, keys.role)
    role = role_of(said[role_key]) if role_key else None
    used |= {treatment} if treatment else set()
    used |= {role_key} if role and role_key else set()
    role = role or next((found for text in tags if (found := role_of(text))), None)
    rest = {name: value for name, value in said.items() if name not in used}
    return WellFacts(said.get(treatment or ""), dose, unit, role, MappingProxyType(rest))


def role_of(text: str) -> Role | None:
    """Role that a word names, in any case: "Negative control", "pos_control", "DMSO"."""
    plain = re.sub(r"[\s_-]+", " ", text.strip().lower())
    return next((role for role, words in _ROLES.items() if plain in words), None)


def parse_dose(text: str) -> tuple[float, str | None] | None:
    """Read a dose, "15.6" or "15.6 nM", as a number and a unit; None where it is none."""
    match = _DOSE.fullmatch(text)
    dose = float(match[1]) if match else math.nan
    unit = match[2] if match else None
    if not math.isfinite(dose) or (unit and not _is_unit(unit)):
        return None
    return dose, unit_of(unit) if unit else None


def unit_of(text: str) -> str:
    """Write a unit in the usual way: "microM" and "micromolar" are "µM"."""
    plain = text.strip()
    return _UNITS.get(plain.lower(), plain)


def _is_unit(text: str) -> bool:
    return text[0].isalpha() or text[0] in "%µμ"


def _dose_of(said: Mapping[str, str], keys: FactKeys) -> tuple[float | None, str | None, set[str]]:
    """Dose, its unit, and the keys that told them."""
    key = _first(said, keys.dose)
    found = parse_dose(said[key]) if key else None
    if not key or not found:
        return None, None, set()
    dose, unit = found
    unit_key = _first(said, keys.dose_unit)
    used = {key, unit_key} if unit_key else {key}
    if unit is None and unit_key:
        unit = unit_of(said[unit_key])
    in_key = _KEY.fullmatch(key)
    if unit is None and in_key:
        unit = unit_of(in_key[2])
    return dose, unit, used


def _first(said: Mapping[str, str], wanted: Sequence[str]) -> str | None:
    """Find the first of the wanted keys that is there, in any case and with any "(unit)"."""
    plain: dict[str, str] = {}
    for name in said:
        plain.setdefault(_plain(name), name)
    for name in said:  # a unit in the key is no part of its name
        match = _KEY.fullmatch(name)
        if match:
            plain.setdefault(_plain(match[1]), name)
    return next((plain[_plain(name)] for name in wanted if _plain(name) in plain), None)


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name.strip().lower())

"""What is selected: whether it is there, what it is called, and in which group it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from omero_hcs.errors import InputError, PlateNotFoundError
from omero_hcs.model import well_name
from omero_hcs.scripting.catalog import KINDS

_NAMED = (
    "select o.id, o.name, g.id, g.name from {kind} o join o.details.group g where o.id in (:ids)"
)
_WELLS = (
    "select o.id, o.row, o.column, p.name, g.id, g.name from Well o join o.plate p "
    "join o.details.group g where o.id in (:ids)"
)
_SHOWN = 3
_LETTERS = 60


@dataclass(frozen=True)
class Selected:
    """One object: its type ("Plate"), what it is called, and its group."""

    kind: str
    id: int
    name: str
    group: int
    group_name: str

    def __str__(self) -> str:
        return f"{self.kind.lower()} {self.id} {shortly(self.name)!r}"


def look_up(client: Any, kind: str, ids: Sequence[int]) -> tuple[Selected, ...]:
    """Find what is selected, in the order of its ids.

    Parameters
    ----------
    client : omero.client
        Of whoever selected it.
    kind : str
        One of `catalog.KINDS`.
    ids : sequence of int
        Its ids.

    Raises
    ------
    PlateNotFoundError
        If some of it is not there, or not to be seen; where objects of another type have these
        ids, the message says so.
    """
    found = {item.id: item for item in _find(client, kind, ids)}
    missing = [number for number in ids if number not in found]
    if missing:
        raise PlateNotFoundError(_not_there(client, kind, missing))
    return tuple(found[number] for number in ids)


def check_one_group(found: Sequence[Selected]) -> None:
    """Refuse objects of several groups: results are in the group of what they are about.

    Raises
    ------
    InputError
        Naming an object of each group.
    """
    first_of: dict[int, Selected] = {}
    for item in found:
        first_of.setdefault(item.group, item)
    if len(first_of) > 1:
        told = [f"{item} is in {item.group_name!r}" for item in first_of.values()]
        msg = (
            f"What is selected is of {len(first_of)} groups: {'; '.join(told[:_SHOWN])}. Results "
            "are kept in one group. Run this once for each group, on the objects of that group."
        )
        raise InputError(msg)


def described(found: Sequence[Selected]) -> str:
    """Name what is selected in a sentence: "plates 51 'A', 52 'B' and 4 more"."""
    if len(found) == 1:
        return str(found[0])
    names = [f"{item.id} {shortly(item.name)!r}" for item in found[:_SHOWN]]
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"{found[0].kind.lower()}s {', '.join(names)}{more}"


def shortly(name: str) -> str:
    """Cut a long name."""
    return name if len(name) <= _LETTERS else f"{name[: _LETTERS - 3]}..."


def _find(client: Any, kind: str, ids: Sequence[int]) -> list[Selected]:
    from omero.rtypes import unwrap
    from omero.sys import ParametersI

    from omero_hcs.stores.omero.session import batches

    query = client.getSession().getQueryService()
    hql = _WELLS if kind == "Well" else _NAMED.format(kind=kind)
    rows = [
        [unwrap(value) for value in row]
        for some in batches(list(ids))
        for row in query.projection(hql, ParametersI().addLongs("ids", some), _EVERY_GROUP)
    ]
    return [Selected(kind, row[0], _name(row), row[-2], row[-1]) for row in rows]


def _name(row: Sequence[Any]) -> str:
    if len(row) == 4:
        return str(row[1] or "")
    return f"{well_name(row[1], row[2])} of {row[3]}"


def _not_there(client: Any, kind: str, missing: Sequence[int]) -> str:
    numbers = ", ".join(map(str, missing[:_SHOWN]))
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    others = [
        item for other in KINDS if other != kind for item in _find(client, other, missing[:_SHOWN])
    ]
    noun = f"There is no {kind.lower()}" if len(missing) == 1 else f"There are no {kind.lower()}s"
    told = f"{noun} {numbers}{more} that you may see."
    if not others:
        return f"{told} It may be deleted, or in a group that you are not a member of."
    there = ", ".join(map(str, others))
    what = "that id is" if len(missing) == 1 else "such an id is"
    return f"{told} What has {what} {there}: set Data_Type to that, or choose another id."


_EVERY_GROUP = {"omero.group": "-1"}

"""Values of rows as JSON and back, each kind in a form of its own.

======================  =====================================================================
in a row                in JSON
======================  =====================================================================
text, number, truth     the same; floats that JSON lacks as ``{"float": "nan"}``
bytes                   ``{"bytes": "<base64>"}``
a unit (`LengthI` ...)  ``{"unit": "Length", "symbol": "MICROMETER", "value": 0.5}``
list of named values    ``{"named": [["key", "value"], ...]}``
list of texts           ``{"texts": ["...", ...]}``
======================  =====================================================================

References to other rows are plain ids: the field says of which entity.
"""

from __future__ import annotations

import base64
import math
from numbers import Integral, Real
from typing import Any

from omero_hcs.sandbox.ice.record import omero


def to_json(value: Any) -> Any:
    """Return the JSON form of a value of a row.

    Raises
    ------
    TypeError
        It is of no kind that a row may hold.
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Integral):  # NumPy's as well
        return int(value)
    if isinstance(value, Real):
        return float(value) if math.isfinite(value) else {"float": str(float(value))}
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if hasattr(value, "getUnit"):
        return _unit_to_json(value)
    if isinstance(value, list | tuple):
        return _list_to_json(value)
    msg = f"A row holds a {type(value).__name__}, which a snapshot can't keep."
    raise TypeError(msg)


def from_json(told: Any) -> Any:
    """Return the value of a JSON form.

    Raises
    ------
    ValueError, KeyError, AttributeError
        It is no such form.
    """
    if not isinstance(told, dict):
        return told
    if "float" in told:
        return float(told["float"])
    if "bytes" in told:
        return base64.b64decode(told["bytes"], validate=True)
    if "named" in told:
        return [None if one is None else omero.model.NamedValue(*one) for one in told["named"]]
    if "texts" in told:
        return list(told["texts"])
    return _unit_from_json(told)


def _unit_to_json(value: Any) -> dict[str, Any]:
    name = type(value).ice_staticId().rpartition("::")[2]
    symbol = value.getUnit()
    return {
        "unit": name,
        "symbol": None if symbol is None else symbol.name,
        "value": to_json(value.getValue()),
    }


def _unit_from_json(told: dict[str, Any]) -> Any:
    made = getattr(omero.model, f"{told['unit']}I")()
    made.setValue(from_json(told["value"]))
    if told["symbol"] is not None:
        units = getattr(omero.model.enums, f"Units{told['unit']}")
        made.setUnit(getattr(units, told["symbol"]))
    return made


def _list_to_json(value: list[Any] | tuple[Any, ...]) -> dict[str, Any]:
    if all(isinstance(one, str) for one in value):
        # An empty list of either kind is the same empty list.
        return {"texts": list(value)}
    return {"named": [None if one is None else [one.name, one.value] for one in value]}

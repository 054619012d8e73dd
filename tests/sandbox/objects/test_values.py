"""Values of rows in the JSON of a snapshot: each kind that a field can hold comes back."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omero_hcs.sandbox.ice.record import omero
from omero_hcs.sandbox.model.schema import SCHEMA, Kind
from omero_hcs.sandbox.objects.values import from_json, to_json

KINDS = sorted(
    {
        field.target.rpartition("::")[2]
        for entity in SCHEMA.values()
        for field in entity.stored
        if field.kind is Kind.VALUE
    }
)


def again(value):
    return from_json(json.loads(json.dumps(to_json(value), allow_nan=False)))


def example(kind):
    """A value of a kind of field, and what to compare of it."""
    if kind == "NamedValueList":
        return [omero.model.NamedValue("a", "1"), omero.model.NamedValue("a", "")]
    if kind == "StringArray":
        return ["one", "zwei ü"]
    if kind == "ByteSeq":
        return bytes(range(256))
    units = getattr(omero.model.enums, f"Units{kind}")
    return getattr(omero.model, f"{kind}I")(0.5, units.valueOf(3))


def parts(value):
    if hasattr(value, "getUnit"):
        return type(value), value.getValue(), value.getUnit()
    if isinstance(value, list):
        return [(one.name, one.value) if hasattr(one, "name") else one for one in value]
    return value


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_value_that_a_field_can_hold_is_kept(kind):
    assert parts(again(example(kind))) == parts(example(kind))


@given(st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False))
def test_plain_values_are_kept(value):
    assert again(value) == value
    assert type(again(value)) is type(value)


def test_what_json_lacks_is_kept():
    assert math.isnan(again(float("nan")))
    assert again(float("-inf")) == -math.inf
    assert again(np.float32(0.5)) == 0.5
    assert again(np.int64(7)) == 7
    assert again([]) == []
    assert parts(again([None, omero.model.NamedValue("a", "b")])) == [None, ("a", "b")]


def test_anything_else_is_refused():
    with pytest.raises(TypeError, match="holds a set"):
        to_json({1})

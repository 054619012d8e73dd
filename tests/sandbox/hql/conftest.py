"""Small worlds to query, and engines for them."""

from __future__ import annotations

import pytest

from omero_hcs.sandbox.hql.engine import Engine
from omero_hcs.sandbox.ice.record import omero
from omero_hcs.sandbox.model.schema import PREFIX, SCHEMA, Kind
from omero_hcs.sandbox.objects.caller import Caller
from omero_hcs.sandbox.objects.world import World

SCALARS = {
    "RString": "a name",
    "RInt": 1,
    "RLong": 1,
    "RDouble": 1.5,
    "RFloat": 1.5,
    "RBool": True,
    "RTime": 1_600_000_000_000,
}


class Lab:
    """A world with one user and one group, in which making things takes one call."""

    def __init__(self, level="rwra--"):
        self.world = World()
        with self.world.transaction():
            self.world.insert("Experimenter", omeName="root")
            self.world.insert("Experimenter", omeName="guest")
            self.user = self.world.insert("Experimenter", omeName="ada", firstName="Ada")
            self.world.insert("ExperimenterGroup", name="system")
            self.world.insert("ExperimenterGroup", name="user")
            self.group = self.world.insert("ExperimenterGroup", name="lab")
            self.world.set_details(self.group, permissions=level)

    def add(self, entity, *, owner=None, group=None, **values):
        """Insert a row of the user's."""
        with self.world.transaction():
            row = self.world.insert(entity, **values)
            if not row.entity.is_global:
                self.world.set_details(row, owner=owner or self.user, group=group or self.group)
        return row

    def caller(self, user=None, **changes):
        """Make somebody who asks: the user, if nobody else is named."""
        told = {"groups": {self.group}, "session_group": self.group, "group": None, **changes}
        return Caller(user or self.user, **told)


def full_lab():
    """Make a world with a row of every entity, each pointing at the others."""
    lab = Lab()
    event = lab.add("Event")
    for entity in SCHEMA.values():
        if entity.implementation is not None:
            row = lab.add(entity.name, **_values_of(entity))
            with lab.world.transaction():
                lab.world.set_details(row, creation_event=event, update_event=event)
    rows = [row for entity in SCHEMA.values() for row in lab.world.all(entity.name)]
    with lab.world.transaction():
        for row in rows:
            for field in row.entity.stored:
                if field.kind is Kind.REF:
                    lab.world.set(row, field.name, next(lab.world.all(field.target)))
    return lab


def _values_of(entity):
    plain = {field.name: SCALARS[field.target] for field in entity.scalars}
    others = {
        field.name: _value(field.target) for field in entity.stored if field.kind is Kind.VALUE
    }
    return plain | others


def _value(slice_type):
    if slice_type == "::omero::api::NamedValueList":
        return [omero.model.NamedValue("key", "value"), omero.model.NamedValue("other", "1")]
    short = slice_type.removeprefix(PREFIX)
    units = {
        "Length": "MICROMETER",
        "Time": "SECOND",
        "Power": "WATT",
        "Frequency": "HERTZ",
        "ElectricPotential": "VOLT",
        "Pressure": "PASCAL",
        "Temperature": "CELSIUS",
    }
    if short not in units:
        return None
    unit = getattr(getattr(omero.model.enums, f"Units{short}"), units[short])
    return getattr(omero.model, f"{short}I")(1.5, unit)


@pytest.fixture(scope="session")
def make_lab():
    """Makes labs: for property tests, which need a new one each time."""
    return Lab


@pytest.fixture
def lab():
    return Lab()


@pytest.fixture
def engine(lab):
    return Engine(lab.world)


@pytest.fixture(scope="session")
def whole_lab():
    return full_lab()

"""What people meet in OMERO.web when a run cannot be, is stopped, or meets another."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace

import pytest

from omero_hcs.model import Channel
from omero_hcs.sandbox.clicks import press
from omero_hcs.sandbox.demo import COLLEAGUE, USER, connect
from omero_hcs.sandbox.importer import import_plate
from omero_hcs.sandbox.people import People
from omero_hcs.sandbox.sources import SimulatedSource, StoreSource
from omero_hcs.simulate.design import SimulationSettings
from omero_hcs.stores.memory import MemoryStore
from tests.tasks.conftest import make_field, make_plate
from tests.web.conftest import PLATE

pytestmark = pytest.mark.slow

CROP, RUNS = "Crop Single Cells", "/hcs/HCS_Runs.py"
HUNG_SECONDS = 120


def tiny(name, channel="DNA"):
    """Two fields of three nuclei each, in one stain."""
    plate = make_plate(2)
    wells = [
        replace(well, fields=tuple(_stained(item, channel) for item in well.fields))
        for well in plate.wells
    ]
    plate = replace(plate, name=name, wells=tuple(wells))
    pixels = {site.image.id: make_field(number) for number, site in enumerate(plate.sites())}
    return StoreSource(MemoryStore.create(f"bad runs {name}", plate, pixels))


def _stained(field, channel):
    return replace(field, image=replace(field.image, channels=(Channel(0, channel),)))


@pytest.fixture(scope="module")
def people(address):
    with People(address) as people:
        yield people


@pytest.fixture(scope="module")
def ada(people):
    """A member of two groups that annotate, and of one that only reads."""
    levels = ("read-annotate", "read-annotate", "read-only")
    return people.make_user(*(people.make_group(level) for level in levels))


@pytest.fixture(scope="module")
def plates(people, ada):
    """Ada's plates in two groups, and Rita's in the one that only reads."""
    first, second, locked = ada.groups
    rita = people.make_user(locked)
    made = []
    for user, group, name in ((ada, first, "mine"), (ada, second, "other"), (rita, locked, "hers")):
        with contextlib.closing(people.connect(user, group)) as conn:
            made.append(import_plate(conn, tiny(name), screen=f"Screen of {name}").plate)
    return made


@pytest.fixture
def ask(person, ada):
    """Ada fills a dialog in with ids, and presses its button; the value is what she is told."""

    def fill(picture, **given):
        user = person(ada.name, ada.password)
        dialog = user.ask(CROP)
        dialog.fill(Data_Type="Plate", **given)
        dialog.run()
        said = user.activity()
        user.picture(f"bad-{picture}")
        assert said.icon == "failed.png", said
        assert "Traceback" not in said.message
        return said.message

    return fill


def test_plates_of_two_groups(ask, plates):
    mine, other, _ = plates
    assert "of 2 groups" in ask("two-groups", IDs=f"{mine},{other}")


def test_a_plate_that_may_not_be_annotated(ask, plates):
    assert "read-only group" in ask("no-right", IDs=str(plates[2]))


def test_an_id_of_nothing(ask, plates):
    assert "There is no plate 987654" in ask("wrong-id", IDs="987654")


def test_nothing_selected(ask):
    assert "Nothing is selected" in ask("nothing-selected", IDs="")


def test_a_model_for_other_channels(person, site):
    with contextlib.closing(connect(site.sandbox, USER)) as conn:
        green = import_plate(conn, tiny("green", "GFP"), screen="Other stains").plate
    user = person()
    user.select(f"plate-{green}")
    dialog = user.ask("Check Plate Quality")
    dialog.choose("Model", f"{site.model} ")
    dialog.run()
    said = user.activity()
    user.picture("bad-other-channels")
    assert said.icon == "failed.png"
    assert "GFP" in said.message


@pytest.fixture(scope="module")
def long_plate(site):
    """A plate that takes some time to judge."""
    settings = SimulationSettings(**{**PLATE.model_dump(), "wells": 24, "fields": 2})
    with (
        contextlib.closing(connect(site.sandbox, USER)) as conn,
        SimulatedSource(settings=settings) as source,
    ):
        return import_plate(conn, source, screen="Long screen").plate


def goes_on(conn, plate):
    """Wait until a run over a plate has done a part of its fields."""
    asked = {"Data_Type": "Plate", "IDs": [plate], "Action": "List"}
    for _ in range(HUNG_SECONDS):
        told = press(conn, RUNS, asked).message
        if "running" in told and ": 0 of" not in told:
            return told
        time.sleep(0.2)
    raise AssertionError(told)


def test_one_that_is_cancelled_half_way_keeps_what_is_done(person, site, long_plate):
    user = person()
    user.select(f"plate-{long_plate}")
    dialog = user.ask("Check Plate Quality")
    dialog.choose("Model", f"{site.model} ")
    dialog.run()
    with contextlib.closing(connect(site.sandbox, USER)) as conn:
        goes_on(conn, long_plate)
        asked = {"Data_Type": "Plate", "IDs": [long_plate], "Action": "Cancel"}
        assert press(conn, RUNS, asked).code == 0
    said = user.activity()
    user.picture("bad-cancelled")
    assert said.icon == "failed.png"
    assert "cancelled" in said.message
    assert "goes on from there" in said.message


def test_two_users_at_once_on_one_plate(person, site, long_plate):
    """One of them runs it; the other is told so, or finds it done, and nothing is there twice."""
    user = person()
    user.select(f"plate-{long_plate}")
    dialog = user.ask("Check Plate Quality")
    dialog.choose("Model", f"{site.model} ")
    model = dialog.value("Model")
    dialog.run()
    others = []

    def other():
        with contextlib.closing(connect(site.sandbox, COLLEAGUE)) as conn:
            asked = {"Data_Type": "Plate", "IDs": [long_plate], "Model": model}
            others.append(press(conn, "/hcs/Check_Plate_Quality.py", asked))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join(HUNG_SECONDS)
    said = user.activity()
    user.picture("bad-two-users")
    (told,) = others
    assert {said.icon, "failed.png" if told.code else "success.png"} <= {
        "success.png",
        "failed.png",
    }
    assert said.succeeded or told.code == 0
    for message, failed in ((said.message, not said.succeeded), (told.message, told.code != 0)):
        assert "Traceback" not in message
        assert not failed or "another process" in message, message

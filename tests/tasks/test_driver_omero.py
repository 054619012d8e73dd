"""Runs over an OMERO server: told before what they may, resumed after a lost server, undone."""

from __future__ import annotations

import subprocess
import sys

import pytest

# First, as in tests/sandbox/conftest.py: whichever folder is collected first, IcePy is seen.
from omero_hcs.sandbox.ice import record  # noqa: F401  isort: skip

from omero_hcs.cli.main import run as command
from omero_hcs.errors import NotAllowedError, ServerLostError
from omero_hcs.model import ImageSet
from omero_hcs.results import Table
from omero_hcs.settings import Settings
from omero_hcs.stores.memory import MemoryStore
from omero_hcs.tasks.crop_cells import Params
from omero_hcs.tasks.driver import run_task
from omero_hcs.tasks.dry_run import dry_run
from omero_hcs.tasks.survey import FEW_FIELDS
from omero_hcs.tasks.undo_run import undo_run
from tests.stores.omero.relay import Relay

FIELDS = 6
COMMAND = (sys.executable, "-c", "from omero_hcs.cli.main import main; main()")


@pytest.fixture
def people(omero_make_group, omero_make_user, omero_way_in):
    """Owner and member of a read-only group; runs are the owner's."""
    group = omero_make_group("read-only")
    owner, member = omero_make_user(group), omero_make_user(group)
    omero_way_in(owner)
    return owner, member


@pytest.fixture
def number(people, memory, omero_put):
    """Id of a plate of the owner: six fields of three nuclei each."""
    plate = memory(FIELDS)
    return omero_put(people[0], plate.store).plate


@pytest.fixture
def uri(number, omero_uri):
    return omero_uri(f"plate/{number}")


@pytest.fixture
def crop(settings):
    def ask(uri, **more):
        params = Params(crop_size="16px", crops="none")
        return run_task("crop_cells", uri, params, settings=settings, **more)

    return ask


def test_a_run_is_kept_answered_and_undone(crop, uri, people, omero_open, number, settings):
    first = crop(uri)
    assert (first.status, first.summary["cells"]) == ("done", 3 * FIELDS)
    assert first.places[0].startswith(uri)
    store = omero_open(people[0], f"plate/{number}")
    cells = Table.from_parquet(store.fetch(first.run_id, "cells.parquet"))
    assert len(cells) == 3 * FIELDS
    assert crop(uri).how == "answered"
    assert undo_run(first.run_id, settings=settings).counts["table"]
    assert omero_open(people[0], f"plate/{number}").runs(store.refs()[0]) == ()
    assert crop(uri).how == "new"


def test_a_run_whose_results_somebody_removed_is_made_anew(crop, uri, people, omero_open, number):
    first = crop(uri)
    omero_open(people[0], f"plate/{number}").undo(first.run_id)
    assert (crop(uri).how, crop(uri).how) == ("new", "answered")


def test_who_may_not_annotate_is_told_before_a_pixel_is_read(
    crop, uri, people, omero_way_in, settings, ledger, monkeypatch
):
    owner, member = people
    omero_way_in(member)
    told = dry_run("crop_cells", uri, Params(crop_size="16px"), settings=settings)
    monkeypatch.setattr(
        "omero_hcs.stores.omero.pixels.PixelReader.read", lambda *_, **__: pytest.fail("read")
    )
    with pytest.raises(NotAllowedError) as caught:
        crop(uri)
    said = str(caught.value)
    assert f"may not annotate 1 plate, {FIELDS} wells and {FIELDS} images" in said
    assert f"owned by {owner.name}" in said
    assert told.faults == (said.partition("  - ")[2],)
    assert told.reads["fields"] == FIELDS
    assert ledger.runs() == []


def test_a_run_over_two_plates_is_kept_with_both_and_undone_on_both(
    crop, memory, people, omero_put, omero_uri, omero_open, settings
):
    plates = [memory(2).store, memory(3).store]
    ids = [omero_put(people[0], plate).plate for plate in plates]
    uri = omero_uri(f"plate/{ids[0]},{ids[1]}")
    outcome = crop(uri)
    assert outcome.summary["cells"] == 3 * 5

    def runs():
        store = omero_open(people[0], f"plate/{ids[0]},{ids[1]}")
        return [[item["run_id"] for item in store.runs(ref)] for ref in store.refs()]

    assert runs() == [[outcome.run_id]] * 2
    assert undo_run(outcome.run_id, settings=settings).counts["table"] == 4
    assert runs() == [[], []]


def test_the_same_request_of_another_user_stays_beside_ones_own(
    omero_make_group, omero_make_user, omero_way_in, omero_put, omero_uri, memory, tmp_path
):
    """A member of a read-annotate group may add to the plate, and remove nothing of the owner's."""
    group = omero_make_group("read-annotate")
    owner, member = omero_make_user(group), omero_make_user(group)
    plate = memory(2)
    uri = omero_uri(f"plate/{omero_put(owner, plate.store).plate}")
    params, runs = Params(crop_size="16px", crops="none"), []
    for user in (owner, member):
        omero_way_in(user)
        own = Settings(state_dir=tmp_path / user.name, models_dir=tmp_path)
        runs.append(run_task("crop_cells", uri, params, settings=own))
    assert [run.status for run in runs] == ["done", "done"]
    (told,) = [text for text in runs[1].summary["warnings"] if runs[0].run_id in text]
    assert "results stay" in told
    assert owner.name in told
    again = run_task("crop_cells", uri, params, settings=own)
    assert (again.how, again.run_id) == ("answered", runs[1].run_id)


def test_a_server_that_goes_away_ends_the_run_and_the_same_request_goes_on(
    crop, number, people, omero_server, ledger
):
    with Relay(omero_server.host, omero_server.port) as relay:
        uri = f"omero://127.0.0.1:{relay.port}/plate/{number}"

        def lose(stage, done, _):
            if stage == "cropping fields" and done == 2:
                relay.refuse()

        with pytest.raises(ServerLostError):
            crop(uri, progress=lose)
        (record,) = ledger.runs()
        assert record.status == "failed"
        done = [unit for unit in ledger.units(record.spec.run_id) if unit.status == "done"]
        assert 2 <= len(done) < FIELDS
        relay.refuse(refuse=False)
        outcome = crop(uri)
    assert (outcome.how, outcome.status) == ("resumed", "done")
    assert outcome.run_id == record.spec.run_id
    assert outcome.summary["cells"] == 3 * FIELDS


def test_the_command_line_shows_where_results_are_and_undoes_them(uri, people, capsys):
    """In a process of its own: a client of OMERO would print each log record to its terminal."""
    arguments = ["crop", uri, "--crop-size", "16px", "--crops", "none"]
    made = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)
    assert (made.returncode, made.stderr) == (0, f"  warning: {FEW_FIELDS}\n")
    run_id = made.stdout.partition("run ")[2].partition(":")[0]
    assert f"  {uri}\n" in made.stdout
    assert command(["undo", uri, run_id]) == 0
    assert "removed:" in capsys.readouterr().out


def test_images_that_are_no_plate_are_worked_on_too(crop, memory, people, omero_put, omero_uri):
    plate = memory(FIELDS).store
    layout = plate.plate("small")
    images = ImageSet("set", "blood <1>", tuple(site.image for site in layout.sites()))
    pixels = {site.image.id: plate._memory.pixels[site.image.id] for site in layout.sites()}
    put = omero_put(people[0], MemoryStore.create("a set", images, pixels))
    outcome = crop(omero_uri(f"dataset/{put.dataset}"))
    assert (outcome.status, outcome.summary["cells"]) == ("done", 3 * FIELDS)

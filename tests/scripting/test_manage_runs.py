"""HCS_Runs, clicked: runs of scripts and of command lines, of oneself and of others."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import replace

import pytest

from omero_hcs.errors import InputError, NotAllowedError, RunNotFoundError
from omero_hcs.results import WriteReport
from omero_hcs.sandbox.importer import import_plate
from omero_hcs.sandbox.sources import StoreSource
from omero_hcs.scripting.answers import LONGEST
from omero_hcs.scripting.call import Call
from omero_hcs.scripting.catalog import SCRIPTS
from omero_hcs.scripting.inputs import read_inputs
from omero_hcs.scripting.manage_runs import listed, run, told_undo
from omero_hcs.settings import Settings
from omero_hcs.stores.base import RunNote
from omero_hcs.stores.omero.connect import place_of
from omero_hcs.tasks.crop_cells import Params
from omero_hcs.tasks.driver import run_task
from tests.scripting.runs_in_mid import FIELDS, Installation, open_as, plate_of_discs, wait_for

RUN = "20250101T120000Z-0000aaaa"


@pytest.fixture
def here(script_home):
    return Installation(script_home / ".local" / "state" / "omero-hcs")


@pytest.fixture
def people(script_people):
    """Two users of a read-annotate group."""
    group = script_people.make_group("read-annotate")
    return script_people.make_user(group), script_people.make_user(group)


@pytest.fixture
def plate(people, script_connect):
    """A plate of the first user, by its number: ``plate(fields)``."""

    def put(fields):
        source = StoreSource(plate_of_discs("for runs", fields))
        return import_plate(script_connect(people[0]), source, screen="Screen").plate

    return put


@pytest.fixture
def runs(script_connect, tmp_path):
    """What HCS_Runs answers, in this process and quick: ``runs(user, number, Action="Status")``.

    Its machine knows of no run by itself, unless it is given a state folder.
    """

    def ask(user, number, state=tmp_path / "elsewhere", **given):
        script, conn = SCRIPTS["manage_runs"], script_connect(user)
        asked = read_inputs(script, {"Data_Type": "Plate", "IDs": [number], **given})
        settings = Settings(state_dir=state, models_dir=tmp_path)
        host, port = place_of(conn.c)
        return run(Call(script, asked, conn.c, settings, f"{host}:{port}")).message

    return ask


@pytest.fixture
def by_command(script_server, tmp_path):
    """A run of a user from the command line of another machine."""

    def crop(user, number):
        def opener(_):
            return open_as(script_server, user, f"plate/{number}")

        uri = f"omero://{script_server.host}:{script_server.port}/plate/{number}"
        settings = Settings(state_dir=tmp_path / user.name, models_dir=tmp_path)
        params = Params(crop_size="16px", crops="none")
        return run_task("crop_cells", uri, params, settings=settings, opener=opener)

    return crop


def test_a_run_of_a_command_line_is_listed_told_and_undone(plate, people, runs, by_command):
    owner, member = people
    number = plate(3)
    none = f"There are no runs over plate {number} yet."
    assert runs(owner, number) == none
    for action in ("Status", "Undo"):
        with pytest.raises(RunNotFoundError, match=none):
            runs(owner, number, Action=action)

    made = by_command(owner, number)
    run_id, cells = made.run_id, made.summary["cells"]
    line = f"{run_id} cropping, done, 3 of 3 fields, by {owner.name}."
    assert runs(member, number) == f"1 run over plate {number}, the latest first:\n1) {line}"
    assert runs(member, number, Action="Status") == f"{line} {cells} cells."
    with pytest.raises(RunNotFoundError, match="that goes on"):
        runs(owner, number, Action="Cancel")
    with pytest.raises(InputError, match=f"Run {run_id} is done: there is nothing to cancel."):
        runs(owner, number, Action="Cancel", Run_ID=run_id)
    with pytest.raises(NotAllowedError, match=f"Run {run_id} was written by {owner.name}"):
        runs(member, number, Action="Undo", Run_ID=run_id)
    missing = "20990101T000000Z-0000ffff"
    with pytest.raises(RunNotFoundError, match=f"'{missing}' over plate {number}.*{run_id}"):
        runs(owner, number, Action="Status", Run_ID=missing)

    undone = runs(owner, number, Action="Undo")
    assert undone.startswith(f"Run {run_id} is undone. Removed: 2 tables, 1 file")
    assert runs(member, number) == none


def test_a_script_is_cancelled_by_another_click(plate, people, runs, click, script_connect, here):
    owner, _ = people
    number, conn = plate(6 * FIELDS), script_connect(owner)
    asked = {"Data_Type": "Plate", "IDs": [number], "Crops_As": "none"}
    process = click.start(conn, "Crop_Single_Cells", **asked)
    run_id = here.wait_until_some_are_done(f"plate/{number}", 1).spec.run_id
    said = click(conn, "HCS_Runs", Data_Type="Plate", IDs=[number], Action="Cancel")
    stopped = click.wait_for(conn, process)
    assert said.code == 0, said
    assert f"Run {run_id} was asked to stop" in said.message
    done = here.done(run_id)
    assert stopped.message == (
        f"Run {run_id} was cancelled by {owner.name}: {done} of {6 * FIELDS} fields are done and "
        "kept. The same click goes on from there."
    )
    told = runs(owner, number, Action="Status")
    assert f"{run_id} cropping, cancelled, {done} of {6 * FIELDS} fields, by {owner.name}." in told
    assert "The same click as before goes on" in told


def test_a_run_that_was_killed_is_called_interrupted(
    plate, people, runs, click, script_connect, here
):
    owner, _ = people
    number, conn = plate(FIELDS), script_connect(owner)
    asked = {"Data_Type": "Plate", "IDs": [number], "Crops_As": "none"}
    process = click.start(conn, "Crop_Single_Cells", **asked)
    run = here.wait_until_some_are_done(f"plate/{number}")
    os.kill(here.process_of(run), signal.SIGKILL)
    assert click.wait_for(conn, process).code != 0
    wait_for(lambda: here.process_of(run) is None)
    run_id = run.spec.run_id
    told = runs(owner, number, state=here.state_dir)
    assert f"{run_id} cropping, interrupted, " in told
    with pytest.raises(InputError, match=f"Run {run_id} is interrupted: there is nothing to"):
        runs(owner, number, state=here.state_dir, Action="Cancel", Run_ID=run_id)


def test_one_of_another_machine_is_cancelled_by_its_user_and_undone_only_then(
    plate, people, runs, script_server
):
    """Only its note is known here, and that it has just given a sign of life."""
    owner, member = people
    number, now = plate(2), time.time()
    note = RunNote(RUN, "apply_qc", "running", started=now, alive=now, done=1, total=2)
    with contextlib.closing(open_as(script_server, owner, f"plate/{number}")) as store:
        (ref,) = store.refs()
        store.post_note(ref, note)
        with pytest.raises(InputError, match=r"goes on\. Cancel it first"):
            runs(owner, number, Action="Undo")
        with pytest.raises(NotAllowedError, match=f"{member.name} may not stop it"):
            runs(member, number, Action="Cancel")
        assert f"Run {RUN} was asked to stop" in runs(owner, number, Action="Cancel")
        assert store.stop_asked(RUN) == owner.name
        assert f"{RUN} quality check, stopping" in runs(owner, number)
        store.post_note(ref, replace(note, status="cancelled"))
        with pytest.raises(NotAllowedError, match=f"Run {RUN} is {owner.name}'s"):
            runs(member, number, Action="Undo")
        assert "nothing of it was there" in runs(owner, number, Action="Undo")
        assert store.run_notes(ref) == ()


def test_a_long_list_fits_into_a_message_and_counts_the_rest():
    lines = [f"2025010{number % 10}T120000Z-0000aaaa quality check, done" for number in range(40)]
    text = listed("40 runs over plate 51, the latest first:", lines)
    assert len(text) <= LONGEST
    shown = text.count(")")
    assert text.endswith(f"\n... and {40 - shown} more.")
    short = listed("2 runs:", lines[:2])
    assert short == f"2 runs:\n1) {lines[0]}.\n2) {lines[1]}."


def test_an_undo_says_what_went_and_what_stays():
    places = tuple(f"omero://127.0.0.1:4064/image/{number} ROI 7 (abnormal)" for number in range(5))
    report = WriteReport(RUN, {"roi": 1, "tag": 2, "table": 0}, kept=places, notes=("A note.",))
    assert told_undo(report) == (
        f"Run {RUN} is undone. Removed: 1 region, 2 tags. Left, because they were changed by hand: "
        "image/0 ROI 7 (abnormal); image/1 ROI 7 (abnormal); image/2 ROI 7 (abnormal); and 2 more. "
        "A note."
    )

"""What runs came to, in words for whoever clicked."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("omero.gateway", reason="the extra 'omero' is not installed")

from omero_hcs.model import Acquisition, Channel, Field, Image, Plate, Well
from omero_hcs.scripting.answers import LONGEST, Found, Link
from omero_hcs.scripting.catalog import SCRIPTS
from omero_hcs.scripting.places import link_to_image, outputs_of_places
from omero_hcs.scripting.selection import Selected, described
from omero_hcs.scripting.tellings import Teller, planes_told
from omero_hcs.tasks.apply_qc import Params
from omero_hcs.tasks.driver import RunOutcome
from omero_hcs.tasks.dry_run import DryRun

SERVER = "omero.example.org:4064"
RUN = "20261120T101112Z-0123abcd"
PLATE = Selected("Plate", 51, "BBBC013", 3, "Screening")
SUMMARY = {
    "channels": "DAPI, GFP",
    "nuclei": "DAPI (Nuclei are taken from 'DAPI': the name is that of a nuclear stain.)",
    "fields": 96,
    "fields failed": 1,
    "cells": 12_345,
    "classes": {"normal": 11_000, "abnormal": 1_345},
    "abnormal": "10.9%",
    "field verdicts": {"fail": 3, "pass": 80, "warn": 12},
    "model": "u2os",
    "most suspicious": {"image": "77", "where": "B03 field 2", "abnormal": "61%"},
    "warnings": ["The plate is odd."],
}
TRAINED = {
    "model": "u2os",
    "labels": "25 abnormal, 30 normal",
    "labelled by": "ada: 25 abnormal; bob: 30 normal",
    "tested on": "wells held out",
    "f1": "0.964 (95 %: 0.912 to 1.000)",
    "accuracy": "0.964",
    "in OMERO": "omero:57",
    "warnings": [],
}


def a_plate(depth=5, runs=1):
    image = Image("7", "i", 8, 8, (Channel(0, "DAPI"),), size_z=depth)
    acquisitions = tuple(Acquisition(str(number), f"run {number}") for number in range(runs))
    return Plate("51", "BBBC013", 8, 12, (Well(0, 0, (Field(0, image),)),), acquisitions)


@pytest.fixture
def teller():
    """Make who tells of a click."""

    def make(task="apply_qc", *, limit=None, again=False, **params):
        store = SimpleNamespace(
            refs=lambda: (SimpleNamespace(kind="plate", id="51"),),
            plate=lambda _: a_plate(),
            close=lambda: None,
        )
        asked = SimpleNamespace(params=Params(**params), again=again)
        call = SimpleNamespace(
            script=SCRIPTS[task], asked=asked, server=SERVER, uri="", open=lambda _: store
        )
        return Teller(call, (PLATE,), "the CPU (2 cores, no GPU)", limit)

    return make


def outcome(how="new", task="apply_qc", summary=SUMMARY, **more):
    return RunOutcome(RUN, task, "done", how, summary=summary, **more)


def test_a_run_tells_counts_choices_and_warnings(teller):
    failed = (("51/B03/f1/z0/t0", f"the file of omero://{SERVER}/image/9 is cut short."),)
    assert teller().tell(outcome(failed=failed)).message == (
        "Judged 12,345 cells in 96 fields of plate 51 'BBBC013': 10.9% abnormal (11,000 normal, "
        "1,345 abnormal); fields: 3 fail, 80 pass, 12 warn. 1 field failed (B03 field 2: the file "
        f"of image 9 is cut short). Run {RUN}: model 'u2os'; by the CPU (2 cores, no GPU); "
        "channels DAPI, GFP; nuclei from DAPI; middle plane of 5; time 1. Note: The plate is odd."
    )


def test_an_answer_of_the_record_says_so_and_how_to_run_it_anew(teller):
    message = teller().tell(outcome("answered")).message
    assert message.startswith(f"This was done before, by run {RUN}")
    assert "Tick Again" in message
    assert "CPU" not in message  # nobody knows where it was


def test_a_run_that_went_on_says_so(teller):
    assert "(went on where it was stopped)" in teller().tell(outcome("resumed")).message


def test_a_training_tells_labels_users_and_how_good_it_is(teller):
    answer = teller("train_qc").tell(outcome(task="train_qc", summary=TRAINED))
    assert answer.message.startswith(
        "Model 'u2os' (omero:57) was trained on 25 abnormal, 30 normal cells of plate 51 'BBBC013' "
        "(by ada: 25 abnormal; bob: 30 normal). Tested on wells held out: F1 0.964 (95 %: 0.912 "
        "to 1.000), accuracy 0.964. Check_Plate_Quality lists it"
    )
    assert answer.outputs["Model"] == Found("FileAnnotation", 57)


def test_a_long_message_is_cut_between_sentences_and_says_that_there_is_more(teller):
    summary = {**SUMMARY, "warnings": [f"Warning {number}, {'long ' * 30}." for number in range(9)]}
    failed = tuple((f"51/B{n:02}/f0/z0/t0", "broken " * 60) for n in range(1, 30))
    message = teller().tell(outcome(summary=summary, failed=failed)).message
    assert len(message) <= LONGEST
    assert "and 27 more" in message or "..." in message
    assert "more notes: see the report." in message


def test_names_are_cut_and_quoted():
    odd = Selected("Plate", 5, "<script>'x' " + "y" * 300, 3, "g")
    assert described((odd,)).startswith("plate 5 \"<script>'x' yyy")
    assert len(described((odd,))) < 90
    assert described((PLATE,) * 5).endswith("51 'BBBC013' and 2 more")


@pytest.mark.parametrize(
    ("params", "depth", "runs", "told"),
    [
        ({}, 1, 1, ["its one plane", "time 1"]),
        ({"z": 2, "t": 1}, 5, 1, ["plane 3 of 5", "time 2"]),
        ({"z": "max", "t": "all"}, 5, 1, ["maximum projection of 5", "all time points"]),
        ({}, 5, 2, ["middle plane of 5", "time 1", "all acquisitions"]),
        ({"acquisition": "run 1"}, 5, 2, ["middle plane of 5", "time 1", "acquisition run 1"]),
    ],
)
def test_planes_are_told_as_the_viewer_counts_them(params, depth, runs, told):
    assert planes_told(Params(**params), [a_plate(depth, runs)]) == told


DRY = DryRun(
    "apply_qc", "new", reads={"fields": 96}, found={"channels": "DAPI", "model": "u2os"},
    writes={"ROIs": "at most 200 an image", "tags": ""}, sampled=2, seconds=3000.0,
)  # fmt: skip


def test_a_dry_run_tells_what_would_be_read_and_left(teller):
    answer = teller().tell_dry_run(DRY)
    assert not answer.failed
    assert answer.message == (
        "Dry run over plate 51 'BBBC013': nothing was written. It would read 96 fields, take about "
        "50 min by the CPU (2 cores, no GPU) (channels DAPI, model u2os), and leave ROIs: at most "
        "200 an image."
    )


def test_a_dry_run_that_would_take_too_long_says_that_it_would_not_start(teller):
    answer = teller(limit=30).tell_dry_run(DRY)
    assert answer.failed
    assert "It would not start: 30 min are allowed without a GPU." in answer.message


def test_a_dry_run_tells_what_is_in_the_way(teller):
    told = DryRun("apply_qc", "new", faults=("You may not annotate it.", "Nor that."))
    answer = teller().tell_dry_run(told)
    assert answer.failed
    assert "It would not start: (1) You may not annotate it. (2) Nor that." in answer.message


def test_buttons_are_made_of_places():
    def at(kind, number, name=""):
        return f"omero://{SERVER}/{kind}/{number}{name}"

    one = [at("plate", 51), at("annotation", 7, " report.html"), at("annotation", 8, " run.json")]
    assert outputs_of_places(one) == {
        "Plate": Found("Plate", 51),
        "Report": Found("FileAnnotation", 7),
    }
    two = [*one, at("plate", 52), at("annotation", 9, " report.html"), "/models/u2os.safetensors"]
    assert list(outputs_of_places(two)) == ["Plate_51", "Report_51", "Plate_52", "Report_52"]


def test_the_most_suspicious_image_has_a_link():
    (link,) = link_to_image(SimpleNamespace(), SUMMARY["most suspicious"]).values()
    assert link == Link(
        "?show=image-77", "Show the most suspicious image: B03 field 2, 61% abnormal"
    )
    web = SimpleNamespace(
        link=lambda kind, number: f"https://web/it's/?show={kind}-{number}", file_link=None.__str__
    )
    (link,) = link_to_image(web, SUMMARY["most suspicious"]).values()
    # OMERO.web puts it into a script of its page, between quotes.
    assert link.href == "https://web/it%27s/?show=image-77"
    assert link_to_image(SimpleNamespace(), {}) == {}

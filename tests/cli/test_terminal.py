"""What is printed: outcomes for people and for machines, errors in short, no bars in pipes."""

from __future__ import annotations

import json
import re

import pytest

from omero_hcs.cli.terminal import progress_bar, show_error, show_outcome
from omero_hcs.errors import InputErrors
from omero_hcs.tasks.driver import RunOutcome

FAILED = tuple((f"p/A{number:02}/f0", "it is truncated") for number in range(1, 13))


@pytest.fixture
def outcome():
    summary = {"cells": 12, "share": 0.5, "nothing": "", "warnings": ["few fields"]}
    return RunOutcome(
        run_id="20260101T000000Z-00000000",
        task="crop_cells",
        status="partial",
        how="resumed",
        summary=summary,
        places=("/p.hcs/cells.parquet", "/p.hcs/run.json"),
        failed=FAILED,
        log="/state/logs/run.jsonl",
        seconds=2.0,
    )


def test_people_see_numbers_places_warnings_and_the_first_failures(outcome, capsys):
    assert show_outcome(outcome, as_json=False) == 3
    said = capsys.readouterr()
    assert "run 20260101T000000Z-00000000: partial" in said.out
    assert "an interrupted run was resumed" in said.out
    assert "cells:                  12" in said.out
    assert "nothing" not in said.out
    assert "/p.hcs/cells.parquet" in said.out
    assert "warning: few fields" in said.err
    assert "failed: p/A01/f0: it is truncated" in said.err
    assert "... and 2 more failed; see /state/logs/run.jsonl" in said.err


def test_machines_see_all_of_it(outcome, capsys):
    assert show_outcome(outcome, as_json=True) == 3
    said = json.loads(capsys.readouterr().out)
    assert said["run_id"] == outcome.run_id
    assert said["how"] == "resumed"
    assert said["summary"]["warnings"] == ["few fields"]
    assert len(said["failed"]) == 12
    assert said["failed"][0] == {"unit": "p/A01/f0", "reason": "it is truncated"}


def test_no_bar_where_nobody_looks(capsys):
    with progress_bar() as progress:
        progress("judging fields", 1, 2)
    said = capsys.readouterr()
    assert said.out == said.err == ""


def test_a_terminal_shows_one_bar_a_stage_and_what_is_left(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    with progress_bar() as progress:
        for done in (0, 1, 2, 0, 1, 2):  # a stage that is there twice begins again
            progress("looking at the plate", done, 2)
        progress("cropping fields", 3, 4)
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err).splitlines()[-2:]
    assert [line.split("  ")[0] for line in last] == ["looking at the plate", "cropping fields"]
    assert "2/2" in last[0]
    assert "3/4" in last[1]
    assert all(len(line) <= 80 and " left " in line for line in last)


def test_several_faults_are_listed_below_each_other(capsys):
    assert show_error(InputErrors(["one.", "two."]), None) == 2
    assert capsys.readouterr().err == "Error: 2 problems were found:\n  - one.\n  - two.\n"

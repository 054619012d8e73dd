"""`omero-hcs qc` and its verb `export`: options, counts, exit codes."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("pyarrow", reason="the extra 'disk' is not installed")

from tests.tasks.judged import RUN, judged_store


@pytest.fixture
def judged():
    return judged_store("cli export")


def test_the_group_lists_its_verbs_and_knows_no_others(omero_hcs):
    said = omero_hcs("qc", "--help")
    assert said.code == 0
    assert "export " in said.out
    said = omero_hcs("qc", "exprt")
    assert said.code == 2
    assert "no command 'exprt'. Did you mean export?" in said.err
    assert omero_hcs("qc", "export", "--help").code == 0


def test_it_tells_what_is_flagged_and_where_the_files_are(omero_hcs, judged, tmp_path):
    where = (judged.spec.uri, "--output", tmp_path / "out")
    said = omero_hcs("qc", "export", *where, "--format", "pandas", "--level", "cells,wells")
    assert (said.code, said.err) == (0, "")
    assert "3 of 5 cells are flagged (60%)" in said.out
    assert str(tmp_path / "out" / "pandas" / "wells.parquet") in said.out
    (told,) = json.loads(omero_hcs("qc", "export", *where, "--json").out)
    assert told["counts"]["fields"] == {"all": 4, "flagged": 2}
    assert told["run_id"] == RUN


def test_by_default_the_folder_is_named_after_the_run(omero_hcs, judged, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert omero_hcs("qc", "export", judged.spec.uri).code == 0
    assert (tmp_path / f"qc-export-{RUN}" / "README.txt").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--format", "excel"), "--format 'excel' must be 'cellprofiler', 'pycytominer' or"),
        (("--level", "plates"), "--level 'plates' must be 'cells', 'fields' or 'wells'"),
        (("--flag", "dust"), "no class 'dust'"),
        (("--run", "x"), "no quality run 'x'"),
    ],
)
def test_options_that_do_not_fit(omero_hcs, judged, tmp_path, options, message):
    said = omero_hcs("qc", "export", judged.spec.uri, "--output", tmp_path / "out", *options)
    assert said.code == 2
    assert message in said.err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_every_column_of_a_run_just_made_is_explained(omero_hcs, plate, model, tmp_path):
    assert omero_hcs("apply-qc", plate, "--model", model).code == 0
    assert omero_hcs("qc", "export", plate, "--output", tmp_path / "out").code == 0
    text = (tmp_path / "out" / "README.txt").read_text()
    assert [line for line in text.splitlines() if "see the release" in line] == []
    assert "verdict:" in text

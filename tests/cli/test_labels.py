"""`omero-hcs labels` on a plate on disk: counts, faults and their exit code, a file that trains."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("zarr", reason="the extra 'disk' is not installed")


def test_list_counts_and_maps_texts_to_classes(omero_hcs, plate, labels):
    said = omero_hcs("labels", "list", plate, "--labels", labels)
    assert said.code == 0
    assert "24 labels: 12 abnormal, 12 normal" in said.out
    assert "well A01:" in said.out
    options = ("--labels", labels, "--classes", "normal=good", "--json")
    found = json.loads(omero_hcs("labels", "list", plate, *options).out)
    assert found["classes"] == {"good": 12}
    assert found["other_texts"] == {"abnormal": 12}


def test_check_says_what_training_will_do(omero_hcs, plate, labels):
    said = omero_hcs("labels", "check", plate, "--labels", labels)
    assert said.code == 0, said.err
    assert "examples: 12 abnormal, 12 normal" in said.out
    assert "Nothing is wrong" in said.out


def test_check_ends_with_2_if_training_would_refuse(omero_hcs, plate, labels):
    text = labels.read_text()
    labels.write_text(text + "A01,0,34,34,abnormal\nH12,0,5,5,normal\nA01,0,9999,5,normal\n")
    said = omero_hcs("labels", "check", plate, "--labels", labels)
    assert said.code == 2
    assert said.err.count("fault:") == 3
    said = omero_hcs("labels", "check", plate, "--labels", labels, "--json", "--no-pixels")
    assert said.code == 2
    assert len(json.loads(said.out)["faults"]) == 3
    trained = omero_hcs("train-qc", plate, "--labels", labels, "--name", "never")
    assert trained.code == 2
    assert all(fault in trained.err for fault in json.loads(said.out)["faults"])


def test_an_export_can_be_checked_in_its_turn(omero_hcs, plate, labels, tmp_path):
    out = tmp_path / "out.csv"
    said = omero_hcs("labels", "export", plate, "--labels", labels, "--output", out)
    assert "24 labels are in" in said.out
    assert omero_hcs("labels", "check", plate, "--labels", out, "--no-pixels").code == 0
    assert omero_hcs("labels", "export", plate, "--labels", out).out == out.read_text()
    said = omero_hcs("labels", "export", plate, "--labels", labels, "--output", tmp_path)
    assert said.code == 1
    assert "could not be written" in said.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--labels", "rois,nothing"), "'nothing' is no kind of labels"),
        (("--labels", "rois"), "are kept in OMERO only"),
        (("--conflicts", "loudest"), "loudest"),
        (("--classes", "5="), "cannot be a class"),
    ],
)
def test_options_that_do_not_fit(omero_hcs, plate, options, message):
    said = omero_hcs("labels", "check", plate, *options)
    assert said.code == 2
    assert message in said.err


def test_a_disk_keeps_no_models(omero_hcs, plate, labels):
    said = omero_hcs("train-qc", plate, "--labels", labels, "--name", "never", "--upload")
    assert said.code == 2
    assert "keeps no models" in said.err


def test_agree_compares_people_and_writes_page_and_csv(omero_hcs, plate, labels, tmp_path):
    header, *rows = labels.read_text().splitlines()
    bob = [row.replace(",normal", ",dust") if n % 4 == 0 else row for n, row in enumerate(rows)]
    both = [f"{row},ann" for row in rows] + [f"{row},bob" for row in bob]
    labels.write_text("\n".join([f"{header},user", *both]) + "\n")
    page, table = tmp_path / "agree.html", tmp_path / "agree.csv"
    options = ("--labels", labels, "--output", page, "--csv", table)
    said = omero_hcs("labels", "agree", plate, *options)
    assert said.code == 0, said.err
    assert "People differ on 3 of 24 cells that two of them or more labelled." in said.out
    assert "ann and bob say the same of 21 of 24 cells (87.5 %), kappa 0.78 (95 %:" in said.out
    assert "A01 field 1, y=34, x=34: ann 'normal', bob 'dust'" in said.out
    assert b"<!DOCTYPE html>" in page.read_bytes()
    assert len(table.read_text().splitlines()) == 49
    found = json.loads(omero_hcs("labels", "agree", plate, "--labels", labels, "--json").out)
    assert found["cells"]["pairs"][0]["both"] == 24
    assert found["fields"]["alpha"] is None
    said = omero_hcs("labels", "agree", plate, "--labels", labels, "--output", tmp_path)
    assert (said.code, "could not be written" in said.err) == (1, True)

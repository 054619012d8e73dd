"""`--dry-run`: what would be read and written, for people and for machines."""

from __future__ import annotations

import json

import pytest

from omero_hcs.stores.ome_zarr.store import OmeZarrStore


def test_people_see_what_apply_qc_would_write(omero_hcs, plate, model):
    said = omero_hcs("apply-qc", plate, "--model", model, "--tag-images", "--dry-run")
    assert said.code == 0
    assert said.out.startswith("dry run of apply_qc: nothing was written\n")
    assert "p (p): 6 wells, 6 images" in said.out
    assert "at most 200 an image, 1200 in all" in said.out
    assert "'QC: warn' or 'QC: fail' on those of 6 wells and 6 images that warn or fail" in said.out
    assert "on 1 plate and 6 wells" in said.out
    assert "(estimated by 2 of 6, without writing)" in said.out
    assert f"would be written, with {plate}:" in said.out
    assert not plate.with_name("p.hcs").exists()


def test_machines_see_the_same(omero_hcs, plate, model):
    said = omero_hcs("apply-qc", plate, "--model", model, "--dry-run", "--json")
    told = json.loads(said.out)
    assert told["objects"][0]["wells"] == 6
    assert told["writes"]["files"] == "report.html, heatmap.png, gallery.png, run.json"
    assert told["seconds"] > 0
    assert told["faults"] == []


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_what_may_not_be_written_to_ends_it_with_2(omero_hcs, plate, monkeypatch, more):
    monkeypatch.setattr(OmeZarrStore, "write_faults", lambda *_: ("The plate is Bob's.",))
    said = omero_hcs("crop", plate, "--dry-run", *more)
    assert said.code == 2
    assert "The plate is Bob's." in (said.out if more else said.err)
    assert not plate.with_name("p.hcs").exists()


def test_training_is_told_without_a_sample(omero_hcs, plate, labels, tmp_path):
    output = tmp_path / "made" / "m.safetensors"
    said = omero_hcs("train-qc", plate, "--labels", labels, "--output", output, "--dry-run")
    assert said.code == 0
    assert f"model:                  {output}" in said.out
    assert "time:" not in said.out
    assert not output.parent.exists()

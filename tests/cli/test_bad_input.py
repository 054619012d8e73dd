"""What a user did wrong: a short error that names it and its mend, and nothing half-written."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

PATTERN = "p_{well}_w{channel}.tif"
RUN = "import sys; from omero_hcs.cli.main import main; main(sys.argv[1:])"


@pytest.fixture
def images(make, tmp_path):
    """Three wells of two channels as TIFF files."""
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for well in ("A01", "A02", "B01"):
        for channel in (1, 2):
            pixels = make.field(rng).astype(np.uint16)
            tifffile.imwrite(folder / f"p_{well}_w{channel}.tif", pixels)
    return folder


def cut(path, share=0.5):
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def left_in(folder):
    """Everything below a folder, to see that nothing was left behind."""
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*"))


# What is not there, or is something else


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["croq", "x"], "There is no command 'croq'. Did you mean crop"),
        (["xyzzy"], "There is no command 'xyzzy'."),
        (
            ["crop", "x", "--recipee", "concat"],
            "No such option '--recipee'. Did you mean '--recipe'?",
        ),
        (["crop"], "Missing argument 'PLATE'"),
        (["config", "shwo"], "No such command 'shwo'. Did you mean 'show'?"),
        (["undo"], "Name the run: omero-hcs undo RUN_ID, or omero-hcs undo PLATE RUN_ID."),
        (["undo", "nope"], "There is no run 'nope'"),
        (["models", "show", "nope"], "There is no model 'nope'"),
        (["work", "--spec", "/nope.json", "--units", "0-3"], "/nope.json is no run spec"),
    ],
)
def test_what_is_not_there_is_named(omero_hcs, arguments, message):
    said = omero_hcs(*arguments)
    assert said.code == 2
    assert message in said.err


@pytest.mark.parametrize(
    ("options", "messages"),
    [
        (["--seed", "x"], ["--seed 'x' must be a whole number."]),
        (["--z", "foo"], ["--z 'foo' must be a number, middle, focus, max or all."]),
        (["--channels", ","], ["--channels ',' names none", "such as DAPI,GFP"]),
        (
            ["--seed", "-1", "--t", "now"],
            ["2 problems", "--seed '-1' must be greater", "--t 'now' must be a number or all."],
        ),
    ],
)
def test_options_that_do_not_fit_say_what_they_must_be(omero_hcs, tmp_path, options, messages):
    said = omero_hcs("crop", tmp_path, *options)
    assert said.code == 2
    assert all(message in said.err for message in messages)


def test_an_empty_folder(omero_hcs, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for arguments in (
        ["crop", empty],
        ["convert", empty, tmp_path / "o.zarr", "--pattern", PATTERN],
    ):
        said = omero_hcs(*arguments)
        assert said.code == 2
        assert str(empty) in said.err
        assert "no image" in said.err or "no files" in said.err
    assert left_in(tmp_path) == ["empty"]


def test_a_file_is_no_plate(omero_hcs, tmp_path):
    path = tmp_path / "plate.zarr"
    path.write_text("hello")
    said = omero_hcs("crop", path)
    assert said.code == 2
    assert f"There is no plate at {path}: that is a file, not a folder." in said.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"zarr_format": 3, "node_type": "group", "attributes": {}}', "is neither an OME-Zarr"),
        ('{"zarr_for', "cannot be read"),
    ],
)
def test_a_zarr_that_is_no_plate(omero_hcs, tmp_path, text, message):
    path = tmp_path / "x.zarr"
    path.mkdir()
    (path / "zarr.json").write_text(text)
    said = omero_hcs("crop", path)
    assert said.code == 2
    assert message in said.err
    assert str(path) in said.err


def test_a_report_of_a_run_that_is_not_there(omero_hcs, plate):
    said = omero_hcs("report", plate)
    assert said.code == 2
    assert f"no quality run yet. Make one with: omero-hcs apply-qc {plate}" in said.err
    said = omero_hcs("undo", plate, "nope")
    assert said.code == 2
    assert "has no results of run 'nope'" in said.err


# Images that are to be converted


def test_a_platemap_with_an_unknown_well(omero_hcs, images, tmp_path):
    platemap = tmp_path / "platemap.csv"
    platemap.write_text("well,treatment\nA01,DMSO\nZZ9,X\n")
    out = tmp_path / "o.zarr"
    said = omero_hcs("convert", images, out, "--pattern", PATTERN, "--platemap", platemap)
    assert said.code == 2
    assert "platemap.csv line 3: 'ZZ9' is no well name. Wells go from A01" in said.err
    assert not out.exists()


def test_a_truncated_image_is_found_before_anything_is_written(omero_hcs, images, tmp_path):
    cut(images / "p_A02_w1.tif")
    before = left_in(tmp_path)
    said = omero_hcs("convert", images, tmp_path / "o.zarr", "--pattern", PATTERN)
    assert said.code == 2
    assert "p_A02_w1.tif cannot be read" in said.err
    assert "copy it again from its source" in said.err
    said = omero_hcs("crop", images)
    assert said.code == 2
    assert "p_A02_w1.tif cannot be read: it is truncated" in said.err
    assert left_in(tmp_path) == before


def test_an_overwrite_never_takes_what_is_no_plate(omero_hcs, images, tmp_path):
    before = left_in(tmp_path)
    for out in (images, images / "p_A01_w1.tif"):
        said = omero_hcs("convert", images, out, "--pattern", PATTERN, "--overwrite")
        assert said.code != 0
        assert "is no OME-Zarr, so it is not replaced" in said.err
    assert left_in(tmp_path) == before


# Plates that do not fit


def test_a_plate_without_nuclei(omero_hcs, make, tmp_path):
    blank = make.plate(
        tmp_path / "blank.zarr", wells=("A01", "A02"), draw=lambda r, _: make.field(r, cells=False)
    )
    said = omero_hcs("crop", blank)
    assert said.code == 2
    assert "No nuclei were found in any of 2 sampled fields of blank (channel DNA)" in said.err
    assert "--centres grid" in said.err
    assert not (tmp_path / "blank.hcs").exists()


def test_a_channel_that_is_not_there(omero_hcs, plate):
    said = omero_hcs("crop", plate, "--nuclei", "Hoechst")
    assert said.code == 2
    assert "There is no channel 'Hoechst' for the nuclei. Channels: 'DNA', 'GFP'." in said.err
    said = omero_hcs("crop", plate, "--channels", "DNA,RFP")
    assert said.code == 2
    assert "has no channel 'RFP'. It has: 'DNA', 'GFP'." in said.err


def test_a_field_with_pixels_that_are_no_numbers_fails_alone(omero_hcs, make, tmp_path):
    def draw(rng, well):
        pixels = make.field(rng)
        pixels[5:9, 5:9] = np.nan if well == "A02" else 0
        return pixels

    plate = make.plate(tmp_path / "f.zarr", wells=("A01", "A02", "A03"), dtype="float32", draw=draw)
    said = omero_hcs("crop", plate)
    assert said.code == 3
    assert "A02 field 1 has pixels that are no numbers" in said.err
    assert "fields failed:          1" in said.out
    assert "cells:                  18" in said.out


def test_a_field_without_nuclei_does_not_stop_the_others(omero_hcs, make, tmp_path):
    plate = make.plate(
        tmp_path / "e.zarr",
        wells=("A01", "A02", "A03"),
        draw=lambda rng, well: make.field(rng, cells=well != "A02"),
    )
    said = omero_hcs("crop", plate)
    assert said.code == 0
    assert "cells:                  18" in said.out


# Models and weights that do not fit


def test_a_model_for_other_channels(omero_hcs, make, model, tmp_path):
    other = make.plate(tmp_path / "o.zarr", channels=("DAPI", "FITC", "TRITC"), wells=("A01",))
    said = omero_hcs("apply-qc", other, "--model", model)
    assert said.code == 2
    assert "Model qc judges 2 channels: DNA, GFP. o has DAPI, FITC, TRITC" in said.err
    assert "train a model for it" in said.err
    said = omero_hcs("apply-qc", other, "--model", model, "--channels", "DAPI")
    assert said.code == 2
    assert "--channels names 1" in said.err
    assert not (tmp_path / "o.hcs").exists()


def test_a_model_of_another_crop_scale(omero_hcs, plate, model):
    said = omero_hcs("apply-qc", plate, "--model", model, "--crop-size", "9nuclei")
    assert said.code == 2
    assert "Crops of this plate show" in said.err
    assert "Pass --crop-size 3nuclei as for the model" in said.err
    assert "--any-scale" in said.err
    assert not plate.with_suffix(".hcs").exists()


def test_a_model_that_was_cut_short_or_changed(omero_hcs, plate, model, tmp_path):
    whole = model.read_bytes()
    bad = tmp_path / "bad.safetensors"
    for content, message in [
        (whole[: len(whole) // 2], "is cut short"),
        (b"", "is no model of omero-hcs"),
        (whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:], "was changed or damaged"),
        (whole.replace(b"abnormal", b"abnormul"), "was changed or damaged"),
        (whole.replace(b'version\\":3', b'version\\":9'), "is a model of format 9"),
    ]:
        bad.write_bytes(content)
        said = omero_hcs("apply-qc", plate, "--model", bad)
        assert (said.code, message in said.err) == (2, True), said.err
        assert omero_hcs("models", "show", bad).code == 2
    assert not plate.with_suffix(".hcs").exists()


def test_weights_that_are_not_those_they_should_be(omero_hcs, plate, labels, model, tmp_path):
    fake = tmp_path / "fake.pth"
    fake.write_bytes(b"not weights")
    train = ("train-qc", plate, "--labels", labels, "--weights", fake)
    out = tmp_path / "m.safetensors"
    digest = hashlib.sha256(b"not weights").hexdigest()
    for arguments, message in [
        ((*train, "--output", out), f"pass --weights-sha256 {digest}"),
        ((*train, "--output", out, "--weights-sha256", "0" * 64), f"its sha256 is {digest}"),
        ((*train, "--output", out, "--weights-sha256", "12"), "'12' is no sha256"),
        (("apply-qc", plate, "--model", model, "--weights", fake), f"its sha256 is {digest}"),
        (("apply-qc", plate, "--model", model, "--weights", "/nope"), "/nope is not there"),
    ]:
        said = omero_hcs(*arguments)
        assert (said.code, message in said.err) == (2, True), said.err
    assert not out.exists()
    assert not plate.with_suffix(".hcs").exists()


def test_weights_that_are_nowhere(omero_hcs, plate, labels, tmp_path):
    out = tmp_path / "m.safetensors"
    said = omero_hcs(
        "train-qc", plate, "--labels", labels, "--output", out, "--encoder", "resnet10t"
    )
    assert said.code == 2
    assert "The weights of resnet10t were found nowhere. Tried:" in said.err
    assert "OMERO_HCS_ALLOW_HUB=true" in said.err


def test_random_weights_only_when_asked_for_and_every_output_says_so(
    omero_hcs, plate, labels, tmp_path
):
    out = tmp_path / "random.safetensors"
    weights = ("--weights", "random", "--encoder", "mobilenetv3_small_050")
    said = omero_hcs("train-qc", plate, "--labels", labels, "--output", out, *weights)
    assert said.code == 0
    assert "random weights: this proves the path, and says nothing about quality" in said.out
    assert "random" in omero_hcs("models", "show", out).out


# Labels


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda text: text.replace(",", ";"),
            "separated by semicolons or tabs: save",
        ),
        (lambda text: text.replace("abnormal", "normal"), "All 24 labels are 'normal'"),
        (lambda text: "".join(text.splitlines(keepends=True)[11:15]), "is no label table"),
        (lambda text: text.partition("\n")[0], "has no labels"),
        (lambda text: text.replace("A01", "H11"), "4 label(s) are on well H11, field 0, which is"),
        (lambda text: text.replace(",34,34,", ",9999,34,"), "y=9999, x=34 lies outside well A01"),
        (lambda text: text.replace(",34,34,", ",here,34,"), "y is 'here', not a number"),
        (lambda text: text + "A01,0,34,34,abnormal\n", "has two labels: 'normal' (by unknown)"),
        (lambda text: text.replace("normal", "good"), "No label is 'normal'"),
    ],
)
def test_labels_that_cannot_be_used(omero_hcs, plate, labels, change, message):
    labels.write_text(change(labels.read_text()))
    said = omero_hcs("train-qc", plate, "--labels", labels, "--name", "never")
    assert (said.code, message in said.err) == (2, True), said.err
    assert not plate.with_suffix(".hcs").exists()


def test_three_labels_are_too_few(omero_hcs, plate, labels):
    lines = labels.read_text().splitlines()
    labels.write_text("\n".join([*lines[:3], lines[-1]]))
    said = omero_hcs("train-qc", plate, "--labels", labels, "--name", "never")
    assert said.code == 2
    assert "needs at least 5 labels" in said.err
    assert "'abnormal' has 1, 'normal' has 2. Label more cells." in said.err


# Disks


@pytest.fixture
def small_disk(tmp_path):
    """A disk with little room."""
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(place)]
    if os.geteuid() or not shutil.which("mount") or subprocess.run(command).returncode:
        pytest.skip("a small disk can be mounted by root only")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_under_a_new_plate(omero_hcs, images, small_disk):
    said = omero_hcs("convert", images, small_disk / "o.zarr", "--pattern", PATTERN)
    assert said.code == 1
    assert "No space left on device. Nothing was kept." in said.err
    assert left_in(small_disk) == []


def test_a_full_disk_under_the_parts_of_a_run(omero_hcs, plate, small_disk, monkeypatch):
    monkeypatch.setenv("OMERO_HCS_STATE_DIR", str(small_disk / "state"))
    said = omero_hcs("crop", plate)
    assert said.code == 1
    assert "OMERO_HCS_STATE_DIR" in said.err
    assert "start the run again: what is done is kept" in said.err
    monkeypatch.undo()


def test_a_full_disk_beside_the_plate(omero_hcs, plate, small_disk):
    plate.with_suffix(".hcs").symlink_to(small_disk / "results", target_is_directory=True)
    (small_disk / "results").mkdir()
    said = omero_hcs("crop", plate)
    assert said.code == 1
    assert "No space left on device" in said.err


@contextlib.contextmanager
def held_by_file_modes():
    """A prefix of a command that takes away root's right to write anywhere."""
    if os.geteuid():
        yield []
        return
    if not shutil.which("setpriv"):
        pytest.skip("root may write anywhere, and there is no setpriv to change that")
    lost = "-dac_override,-dac_read_search"
    yield ["setpriv", f"--bounding-set={lost}", f"--inh-caps={lost}", "--"]


def test_a_folder_that_may_not_be_written_to(plate, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir()
    moved = shutil.move(plate, closed / "p.zarr")
    closed.chmod(0o555)
    with held_by_file_modes() as prefix:
        said = subprocess.run(
            [*prefix, sys.executable, "-c", RUN, "crop", str(moved)],
            capture_output=True,
            text=True,
        )
    closed.chmod(0o755)
    assert said.returncode == 2
    assert f"you may not write to {closed}" in said.stderr
    assert "Traceback" not in said.stderr
    assert [path.name for path in closed.iterdir()] == ["p.zarr"]


def test_a_folder_that_may_not_be_read(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0)
    with held_by_file_modes() as prefix:
        said = subprocess.run(
            [*prefix, sys.executable, "-c", RUN, "crop", str(closed)],
            capture_output=True,
            text=True,
        )
    closed.chmod(0o755)
    assert said.returncode == 2
    assert f"The folder {closed} cannot be read: permission denied" in said.stderr


# Two at once


def test_two_runs_at_once_on_one_plate(omero_hcs, plate, tmp_path, monkeypatch):
    state = tmp_path / "state"
    monkeypatch.setenv("OMERO_HCS_STATE_DIR", str(state))
    assert omero_hcs("crop", plate).code == 0
    (lock,) = (state / "locks").iterdir()
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        said = omero_hcs("crop", plate, "--again")
    assert said.code == 1
    assert "is being worked on by another process" in said.err

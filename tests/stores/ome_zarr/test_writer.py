from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap

import ngio
import numpy as np
import pytest
import zarr

from omero_hcs.errors import InputError, RunBusyError, WriteError
from omero_hcs.model import Field, Well
from omero_hcs.stores.ome_zarr.writer import PlateWriter


@pytest.fixture
def two_wells(plates):
    fields = (Field(0, plates.image(pixel_size_um=(0.5, 0.5))),)
    return plates.plate([Well(0, 0, fields), Well(0, 1, fields)])


def contents(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_is_ngff_0_5_that_others_can_read(tmp_path, two_wells, plates):
    written = plates.write(tmp_path / "p.zarr", two_wells)
    plate = ngio.open_ome_zarr_plate(str(tmp_path / "p.zarr"), mode="r")

    assert plate.meta.version == "0.5"
    assert plate.rows == list("ABCDEFGH")
    assert len(plate.columns) == 12
    container = plate.get_image("A", "01", "0")
    assert container.channel_labels == ["GFP", "DNA"]
    assert container.levels == 2
    assert container.get_image(path="1").shape == (1, 2, 1, 24, 20)
    np.testing.assert_array_equal(container.get_image().get_array(), written["A01", 0, None])
    colors = [item["color"] for item in omero_of(tmp_path / "p.zarr/A/01/0")]
    assert colors == ["00FF00", "0000FF"]


def omero_of(folder):
    return zarr.open_group(folder, mode="r").attrs["ome"]["omero"]["channels"]


def test_all_wells_share_one_display_range_made_from_the_pixels(tmp_path, two_wells):
    dim = np.full((2, 48, 40), 100, np.uint16)
    bright = np.full((2, 48, 40), 3000, np.uint16)
    with PlateWriter(tmp_path / "p.zarr", two_wells) as writer:
        writer.write_field("A01", 0, None, dim)
        writer.write_field("A02", 0, None, bright)
    windows = [omero_of(tmp_path / f"p.zarr/A/{column}/0")[0]["window"] for column in ("01", "02")]

    assert windows[0] == windows[1]
    assert windows[0]["start"] == 100
    assert 2500 < windows[0]["end"] <= 3000
    assert (windows[0]["min"], windows[0]["max"]) == (0, 65535)


def test_float_pixels_keep_their_values_and_get_a_range_of_their_own(tmp_path, plates):
    image = plates.image(dtype="float32")
    pixels = np.random.default_rng(0).random((2, 48, 40)).astype(np.float32)
    plate = plates.plate([Well(0, 0, (Field(0, image),))])
    with PlateWriter(tmp_path / "p.zarr", plate) as writer:
        writer.write_field("A01", 0, None, pixels)
    store, plate = plates.open(tmp_path / "p.zarr")
    np.testing.assert_array_equal(store.read(next(plate.sites()).image, channels=[0, 1]), pixels)
    window = omero_of(tmp_path / "p.zarr/A/01/0")[0]["window"]
    assert 0 <= window["min"] == window["start"] < 0.1
    assert 0.9 < window["end"] == window["max"] <= 1


def test_large_planes_are_cut_into_even_chunks(tmp_path, plates):
    image = plates.image(size_y=2160, size_x=1000)
    plate = plates.plate([Well(0, 0, (Field(0, image),))])
    plates.write(tmp_path / "p.zarr", plate)
    full = zarr.open_array(tmp_path / "p.zarr/A/01/0/0", mode="r")
    assert full.chunks == (1, 1, 1, 1080, 1000)
    assert not (tmp_path / "p.zarr/A/01/0/3").exists()
    assert (tmp_path / "p.zarr/A/01/0/2").exists()


def test_pixels_that_do_not_fit_the_layout_are_refused(tmp_path, two_wells, plates):
    good = plates.pixels(plates.image())
    with (
        pytest.raises(InputError, match=r"\(2, 48, 39\).*layout says \(1, 2, 1, 48, 40\)"),
        PlateWriter(tmp_path / "p.zarr", two_wells) as writer,
    ):
        writer.write_field("A01", 0, None, good[0, :, 0, :, 1:])
    with (
        pytest.raises(InputError, match="float64"),
        PlateWriter(tmp_path / "p.zarr", two_wells) as writer,
    ):
        writer.write_field("A01", 0, None, good.astype(float))
    with (
        pytest.raises(InputError, match="no field 1 in well A01"),
        PlateWriter(tmp_path / "p.zarr", two_wells) as writer,
    ):
        writer.write_field("A01", 1, None, good)
    assert contents(tmp_path) == []


def test_a_field_is_written_once(tmp_path, two_wells, plates):
    good = plates.pixels(plates.image())
    with PlateWriter(tmp_path / "p.zarr", two_wells) as writer:
        writer.write_field("A01", 0, None, good)
        with pytest.raises(InputError, match="was written already"):
            writer.write_field("A1", 0, None, good)
        writer.write_field("A02", 0, None, good)


def test_a_plate_with_a_field_forgotten_is_not_kept(tmp_path, two_wells, plates):
    with (
        pytest.raises(WriteError, match=r"1 of 2 fields of .* were not written: A/02/0"),
        PlateWriter(tmp_path / "p.zarr", two_wells) as writer,
    ):
        writer.write_field("A01", 0, None, plates.pixels(plates.image()))
    assert contents(tmp_path) == []


def test_an_interrupt_leaves_nothing(tmp_path, two_wells, plates):
    def interrupted():
        with PlateWriter(tmp_path / "p.zarr", two_wells) as writer:
            writer.write_field("A01", 0, None, plates.pixels(plates.image()))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert contents(tmp_path) == []


def test_a_plate_that_is_there_is_replaced_only_when_told_and_when_the_new_one_is_whole(
    tmp_path, two_wells, plates
):
    target = tmp_path / "p.zarr"
    first = plates.write(target, two_wells)
    with pytest.raises(WriteError, match=r"p\.zarr is there already.*--overwrite"):
        PlateWriter(target, two_wells)
    with pytest.raises(KeyboardInterrupt), PlateWriter(target, two_wells, overwrite=True):
        raise KeyboardInterrupt
    store, plate = plates.open(target)
    found = store.read(next(plate.sites()).image, channels=[0, 1])
    np.testing.assert_array_equal(found, first["A01", 0, None][0, :, 0])

    with PlateWriter(target, two_wells, overwrite=True) as writer:
        for well in ("A01", "A02"):
            writer.write_field(well, 0, None, np.full((2, 48, 40), 7, np.uint16))
    store, plate = plates.open(target)
    assert (store.read(next(plate.sites()).image, channels=[0]) == 7).all()
    assert contents(tmp_path) == ["p.zarr"]


def test_a_folder_that_is_no_plate_is_never_replaced(tmp_path, two_wells):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter1.doc").write_text("years of work")
    with pytest.raises(WriteError, match="no OME-Zarr, so it is not replaced"):
        PlateWriter(tmp_path / "thesis", two_wells, overwrite=True)


def test_a_place_where_one_may_not_write_is_told(two_wells):
    with (
        pytest.raises(WriteError, match="Cannot write into /proc/none"),
        PlateWriter("/proc/none/p.zarr", two_wells),
    ):
        pass


SCRIPT = textwrap.dedent("""
    import os, resource, signal, sys
    import numpy as np
    from omero_hcs.model import Channel, Field, Image, Plate, Well
    from omero_hcs.stores.ome_zarr.writer import PlateWriter

    target, mode = sys.argv[1:]
    image = Image("", "", 256, 256, (Channel(0, "DNA"),), "uint16")
    wells = tuple(Well(0, column, (Field(0, image),)) for column in range(3))
    pixels = np.random.default_rng(0).integers(0, 60000, (1, 256, 256)).astype("uint16")
    with PlateWriter(target, Plate("p", "p", 8, 12, wells)) as writer:
        writer.write_field("A01", 0, None, pixels)
        if mode == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        writer.write_field("A02", 0, None, pixels)
""")


def run_script(target, mode):
    command = [sys.executable, "-c", SCRIPT, str(target), mode]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_full_disk_is_told_with_place_and_need_and_leaves_nothing(tmp_path):
    # The largest file the process may write stands for the disk's end: the same errors come up.
    done = run_script(tmp_path / "p.zarr", "full")
    last = done.stderr.strip().splitlines()[-1]
    assert "WriteError: Cannot write A/02/0 to" in last, done.stderr
    assert str(tmp_path / "p.zarr") in last
    assert "1 of 3 fields were done; the whole plate needs about 0." in last
    assert "Make room" in last
    assert contents(tmp_path) == []


def test_what_a_killed_process_left_goes_with_the_next_try(tmp_path, two_wells, plates):
    assert run_script(tmp_path / "p.zarr", "kill").returncode == -signal.SIGKILL
    assert contents(tmp_path) == [".p.zarr.partial"]
    plates.write(tmp_path / "p.zarr", two_wells)
    assert contents(tmp_path) == ["p.zarr"]


def test_two_processes_do_not_write_one_plate(tmp_path, two_wells):
    with PlateWriter(tmp_path / "one.zarr", two_wells) as writer:
        owner = json.loads((tmp_path / ".one.zarr.partial/owner.json").read_text())
        assert owner["pid"] == os.getpid()
        with (
            pytest.raises(RunBusyError, match=f"Process {os.getpid()} on"),
            PlateWriter(tmp_path / "one.zarr", two_wells),
        ):
            pass
        for well in ("A01", "A02"):
            writer.write_field(well, 0, None, np.ones((2, 48, 40), np.uint16))
    assert contents(tmp_path) == ["one.zarr"]

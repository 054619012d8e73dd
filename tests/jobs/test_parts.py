from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omero_hcs.errors import FormatVersionError, InputError, WriteError
from omero_hcs.jobs.parts import Parts, part_folder, read_part, write_part
from omero_hcs.results import Table, UnitResult

UNIT = "tiny/B03/f1/a2/zmiddle/t0"

# The writer is killed at the last moment: when all is written and only the renaming is left.
KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from omero_hcs.jobs.parts import write_part
from omero_hcs.results import Table, UnitResult
Path.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
write_part(Path(sys.argv[1]), UnitResult("u", "done", cells=Table({"y": np.arange(5.0)})))
"""


@pytest.fixture
def result():
    cells = Table(
        {
            "cell": np.array(["a", "b\u00b5", ""]),
            "y": np.array([0.5, np.nan, 3.0]),
            "field": np.arange(3, dtype=np.int32),
            "at_border": np.array([True, False, True]),
            "pixels": np.arange(24, dtype=np.uint16).reshape(3, 8),
            "embedding": np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4),
        }
    )
    return UnitResult(
        UNIT,
        "done",
        cells=cells,
        metrics={"focus": 0.25, "nuclei": 3, "name": "B03"},
        warnings=("dim",),
        files={"crop.jpg": b"\xff\xd8jpeg", "thumb.png": b""},
        labels={"nuclei": np.arange(12, dtype=np.int32).reshape(3, 4)},
        seconds=1.25,
    )


def left_in(work_dir):
    return sorted(path.name for path in (work_dir / "parts").glob("*"))


class TestRoundTrip:
    def test_everything_comes_back_with_its_dtype(self, tmp_path, result):
        write_part(tmp_path, result)
        read = read_part(tmp_path, UNIT)
        assert list(read.cells.columns) == list(result.cells.columns)
        for name, column in result.cells.columns.items():
            np.testing.assert_array_equal(read.cells[name], column)
            assert read.cells[name].dtype.kind == column.dtype.kind
            assert read.cells[name].shape == column.shape
        np.testing.assert_array_equal(read.labels["nuclei"], result.labels["nuclei"])
        plain = {"cells": result.cells, "labels": result.labels}
        assert vars(replace(read, **plain)) == vars(result)

    def test_a_field_without_cells_keeps_its_columns(self, tmp_path, result):
        write_part(tmp_path, replace(result, cells=result.cells.where(np.zeros(3, dtype=bool))))
        read = read_part(tmp_path, UNIT)
        assert len(read.cells) == 0
        assert list(read.cells.columns) == list(result.cells.columns)
        assert read.cells["pixels"].shape == (0, 8)
        assert read.cells["cell"].dtype.kind == "U"

    def test_a_failure_comes_back_with_its_reason(self, tmp_path):
        write_part(tmp_path, UnitResult(UNIT, "failed", reason="truncated"))
        read = read_part(tmp_path, UNIT)
        assert (read.status, read.reason, len(read.cells)) == ("failed", "truncated", 0)

    def test_a_unit_without_a_part_is_none(self, tmp_path):
        assert read_part(tmp_path, UNIT) is None

    def test_writing_again_replaces_all_of_the_older_part(self, tmp_path, result):
        write_part(tmp_path, result)
        write_part(tmp_path, UnitResult(UNIT, "done", metrics={"focus": 1.0}))
        read = read_part(tmp_path, UNIT)
        assert (dict(read.metrics), dict(read.files), dict(read.labels)) == ({"focus": 1.0}, {}, {})
        assert len(left_in(tmp_path)) == 1


class TestNames:
    @given(st.text(max_size=300))
    def test_any_unit_id_stays_inside_the_runs_folder(self, unit):
        folder = part_folder(Path("/work"), unit)
        assert folder.parent == Path("/work/parts")
        assert len(folder.name.encode()) <= 100
        assert not folder.name.startswith(".")

    @given(st.sets(st.text(max_size=20), min_size=2, max_size=5))
    def test_two_units_never_share_a_folder(self, ids):
        assert len({part_folder(Path("/work"), unit) for unit in ids}) == len(ids)

    @pytest.mark.parametrize("unit", ["../../etc/passwd", "/root", "a\x00b", "..", "", "x" * 5000])
    def test_hostile_ids_are_written_and_read(self, tmp_path, unit):
        folder = write_part(tmp_path, UnitResult(unit, "done", metrics={"n": 1}))
        assert folder.resolve().is_relative_to(tmp_path.resolve())
        assert read_part(tmp_path, unit).unit == unit

    @pytest.mark.parametrize("name", ["../out.jpg", "a/b.jpg", "", ".hidden", "part.json", "a\n"])
    def test_a_file_that_would_leave_the_part_is_refused_and_nothing_is_left(self, tmp_path, name):
        with pytest.raises(InputError, match="no plain file name"):
            write_part(tmp_path, UnitResult(UNIT, "done", files={"ok.jpg": b"", name: b"x"}))
        assert left_in(tmp_path) == []
        assert not (tmp_path / "out.jpg").exists()


class TestWholeOrNotAtAll:
    def test_a_writer_that_is_killed_leaves_no_part_and_the_next_one_cleans_up(self, tmp_path):
        killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], timeout=120)
        assert killed.returncode == -signal.SIGKILL
        assert read_part(tmp_path, "u") is None
        assert len(left_in(tmp_path)) == 1
        write_part(tmp_path, UnitResult("u", "done"))
        assert read_part(tmp_path, "u").status == "done"
        assert left_in(tmp_path) == [part_folder(tmp_path, "u").name]

    def test_a_full_disk_is_told_and_the_older_part_stays(self, tmp_path, result):
        """A limit on the size of files stands for the disk: the kernel fails the write alike."""
        write_part(tmp_path, result)
        large = replace(result, files={"large.jpg": bytes(300_000)})
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
            with pytest.raises(WriteError, match=r"could not be written.*Free some space"):
                write_part(tmp_path, large)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, before)
        assert left_in(tmp_path) == [part_folder(tmp_path, UNIT).name]
        assert read_part(tmp_path, UNIT).files == result.files

    @pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
    def test_a_disk_that_is_really_full_leaves_nothing_behind(self, tmp_path, result):
        disk = tmp_path / "disk"
        disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)]
        mounted = subprocess.run(mount, capture_output=True, text=True)
        if mounted.returncode:
            pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
        try:
            for content in ({"large.jpg": bytes(900_000)}, {}):  # a file; then the cells' table
                pixels = np.random.default_rng(0).integers(0, 60_000, (50, 9_000), dtype=np.uint16)
                cells = result.cells if content else Table({"pixels": pixels})
                with pytest.raises(WriteError, match=r"No space left.*Free some space"):
                    write_part(disk, replace(result, files=content, cells=cells))
                assert left_in(disk) == []
        finally:
            subprocess.run(["umount", str(disk)], check=True)

    def test_one_of_a_newer_release_is_refused_by_its_version(self, tmp_path, result):
        record = write_part(tmp_path, result) / "part.json"
        record.write_text(json.dumps({**json.loads(record.read_text()), "schema_version": 2}))
        with pytest.raises(FormatVersionError, match=r"version 2; this release reads 1. Update"):
            read_part(tmp_path, UNIT)


class TestParts:
    def test_they_come_in_the_order_of_the_units_and_a_missing_one_says_why(self, tmp_path, units):
        for number in (3, 0):
            write_part(tmp_path, UnitResult(units[number].id, "done", metrics={"n": number}))
        parts = Parts(tmp_path, units, {units[1].id: "truncated"})
        assert [part.status for part in parts] == ["done", "failed", "failed", "done"]
        assert [part.reason for part in parts] == [None, "truncated", "never finished", None]
        assert len(parts) == 4
        assert parts[-1].metrics == {"n": 3}
        assert [part.unit for part in parts[1:3]] == [units[1].id, units[2].id]

"""Results beside a plate: crashes, full disks, users' changes, and undo."""

from __future__ import annotations

import json
import resource
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omero_hcs.errors import (
    DataError,
    FormatVersionError,
    InputError,
    LabelError,
    RunNotFoundError,
    WriteError,
)
from omero_hcs.model import ObjectRef
from omero_hcs.results import LABEL_COLUMNS, ResultFile, Results, Roi, Table
from omero_hcs.stores.base import LabelSource
from omero_hcs.stores.beside import ResultsFolder, results_root
from omero_hcs.stores.contents import is_plain, safe_name
from omero_hcs.stores.manifest import Manifest, read_manifest

PLATE = ObjectRef(kind="plate", id="tiny")
RUN = "20250101T120000-0000aaaa"
SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture
def folder(tmp_path):
    return ResultsFolder(tmp_path / "tiny.hcs")


def results(**changes):
    made = {
        "tables": {"cells": Table({"cell": np.arange(4), "p": np.ones(4, "f4")})},
        "rois": (Roi("B/03/0", "point", ((1.0, 2.0),), "abnormal"),),
        "files": (ResultFile("report.html", "text/html", b"<p>report</p>"),),
    }
    return Results(RUN, "k", "apply_qc", PLATE, **{**made, **changes})


def names(folder):
    root = folder.root
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def manifest_path(folder):
    return folder.root / "runs" / RUN / "manifest.json"


class TestPlaces:
    @pytest.mark.parametrize(
        ("plate", "root"),
        [
            ("plate.zarr", "plate.hcs"),
            ("plate.ome.zarr", "plate.hcs"),
            ("images", "images.hcs"),
            ("2025.01.07 plate", "2025.01.07 plate.hcs"),
        ],
    )
    def test_results_stand_beside_the_plate(self, tmp_path, plate, root):
        assert results_root(tmp_path / plate) == tmp_path / root

    def test_a_folder_given_from_inside_has_a_name_too(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert results_root(Path()) == tmp_path.with_name(f"{tmp_path.name}.hcs")

    @given(st.text(), st.text())
    def test_ids_become_plain_names_that_differ_where_the_ids_do(self, one, other):
        assert is_plain(safe_name(one))
        same = safe_name(one).lower() == safe_name(other).lower()
        assert same == (one == other)

    def test_a_run_is_laid_out_as_the_page_says(self, folder):
        folder.write(results())
        folder.write(results(unit="B03/0", files=()))
        unit = f"runs/{RUN}/units/{safe_name('B03/0')}"
        run = f"runs/{RUN}"
        assert names(folder) == sorted(
            [
                f"{run}/manifest.json", f"{run}/cells.parquet", f"{run}/rois.json",
                f"{run}/report.html", f"{unit}/manifest.json", f"{unit}/cells.parquet",
                f"{unit}/rois.json",
            ]
        )  # fmt: skip

    def test_rois_can_be_read_by_anyone(self, folder):
        folder.write(results())
        stored = json.loads(folder.fetch(RUN, "rois.json"))
        assert stored["schema_version"] == 1
        assert stored["rois"][0]["points"] == [[1.0, 2.0]]

    @pytest.mark.parametrize(
        "name",
        ["a/b", "..\\b", "c:b", ".hidden", "manifest.json", "MANIFEST.json", "units", "rois.json",
         "cells.parquet", "x\0", "tail.", "ä" * 120, " "],
    )  # fmt: skip
    def test_a_file_name_that_is_not_plain_or_taken_is_refused(self, folder, name):
        with pytest.raises(InputError, match="result file"):
            folder.write(results(files=(ResultFile(name, "text/html", b""),)))
        assert not folder.root.exists()

    def test_a_table_name_is_checked_too(self, folder):
        with pytest.raises(InputError, match=r"'\.\./cells\.parquet'"):
            folder.write(results(tables={"../cells": Table({})}))

    @pytest.mark.parametrize("run_id", ["", "../x", "a/b", ".", "x" * 200])
    def test_a_run_id_that_is_no_plain_name_is_refused(self, folder, run_id):
        with pytest.raises(InputError, match="no run id"):
            folder.write(Results(run_id, "k", "apply_qc", PLATE))


class TestManifest:
    def test_it_lists_every_file_with_its_digest(self, folder):
        folder.write(results())
        manifest = read_manifest(manifest_path(folder))
        assert {entry.path for entry in manifest.entries} == {
            "cells.parquet", "rois.json", "report.html",
        }  # fmt: skip
        assert all(len(entry.sha256) == 64 for entry in manifest.entries)
        assert manifest.intent == {"table": 1, "roi": 1, "file": 1}

    def test_the_time_of_the_first_writing_stays(self, folder):
        folder.write(results())
        first = read_manifest(manifest_path(folder))
        folder.write(results())
        again = read_manifest(manifest_path(folder))
        assert again.started == first.started
        assert again.updated > first.updated

    def test_the_sample_of_version_1_is_read(self):
        manifest = read_manifest(SAMPLES / "manifest-1.json")
        assert manifest.target == PLATE
        assert manifest.entries[2].count == 200
        assert Manifest.model_validate(manifest.model_dump()) == manifest

    def test_a_newer_version_is_refused_by_its_number_and_file(self, folder):
        folder.write(results())
        path = manifest_path(folder)
        path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 2'))
        for call in (lambda: folder.runs(PLATE), lambda: folder.undo(RUN)):
            with pytest.raises(FormatVersionError, match=r"manifest\.json.* version 2.*--upgrade"):
                call()
        assert f"runs/{RUN}/cells.parquet" in names(folder)

    @pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema_version": 1}'])
    def test_a_damaged_one_is_told_with_its_file(self, folder, text):
        folder.write(results())
        manifest_path(folder).write_text(text)
        with pytest.raises(DataError, match=r"manifest\.json is damaged"):
            folder.undo(RUN)

    def test_it_has_a_schema_for_the_docs(self):
        assert Manifest.model_json_schema()["properties"].keys() >= {"run_id", "entries", "target"}


@contextmanager
def largest_file(size):
    """Let no file of this process grow beyond a size: writing meets the errors of a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class TestFullDisk:
    BIG = Table({"embedding": np.random.default_rng(0).random((500, 64), dtype=np.float32)})

    @pytest.mark.parametrize("unit", [None, "B03/0"])
    def test_it_is_told_with_path_need_and_mend_and_leaves_nothing(self, folder, unit):
        with (
            largest_file(20_000),
            pytest.raises(
                WriteError, match=r"cells\.parquet: .*needs about 0\.128 MB.*free.*Make room"
            ),
        ):
            folder.write(results(unit=unit, tables={"cells": self.BIG}))
        assert not folder.root.exists()

    def test_what_was_there_before_stays_as_it_was(self, folder):
        folder.write(results())
        before = {name: (folder.root / name).read_bytes() for name in names(folder)}
        report = ResultFile("report.html", "text/html", b"x" * 30_000)
        with largest_file(20_000), pytest.raises(WriteError, match=r"report\.html"):
            folder.write(results(tables={"cells": Table({})}, files=(report,)))
        assert {name: (folder.root / name).read_bytes() for name in names(folder)} == before

    def test_a_disk_that_is_really_full_is_told_so(self, tmp_path):
        disk = tmp_path / "disk"
        disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("mounting a small disk needs root")
        try:
            folder = ResultsFolder(disk / "tiny.hcs")
            with pytest.raises(WriteError, match=r"No space left on device.* MB are free on"):
                folder.write(results(tables={"cells": self.BIG}))
            assert list(disk.iterdir()) == []
        finally:
            subprocess.run(["umount", str(disk)], check=True)

    def test_a_place_where_one_may_not_write_is_told(self):
        with pytest.raises(WriteError, match=r"Cannot write /proc/none"):
            ResultsFolder(Path("/proc/none/tiny.hcs")).write(results())


class TestCrash:
    def test_a_crash_while_staging_leaves_no_run_and_the_next_write_mends_it(self, folder):
        staging = folder.root / "runs" / RUN / ".writing"
        staging.mkdir(parents=True)
        (staging / "cells.parquet").write_bytes(b"half")
        assert folder.runs(PLATE) == ()
        folder.write(results())
        assert not staging.exists()
        folder.undo(RUN)
        assert not folder.root.exists()

    def test_files_that_are_listed_but_absent_are_fine(self, folder):
        folder.write(results())
        (folder.root / "runs" / RUN / "cells.parquet").unlink()
        with pytest.raises(RunNotFoundError, match=r"cells\.parquet.*It has: rois\.json"):
            folder.fetch(RUN, "cells.parquet")
        folder.undo(RUN)
        assert not folder.root.exists()

    def test_a_crash_between_manifest_and_files_is_no_users_change(self, folder):
        """The old file is there, the new manifest lists another: it is still ours."""
        folder.write(results())
        old = (folder.root / "runs" / RUN / "report.html").read_bytes()
        new = ResultFile("report.html", "text/html", b"new")
        folder.write(results(files=(new,)))
        (folder.root / "runs" / RUN / "report.html").write_bytes(old)
        assert folder.write(results(files=(new,))).kept == ()
        assert folder.fetch(RUN, "report.html") == b"new"
        (folder.root / "runs" / RUN / "report.html").write_bytes(old)
        assert folder.undo(RUN).kept == ()
        assert not folder.root.exists()


class TestUsersChanges:
    def test_an_edited_file_stays_through_rewriting_and_undo(self, folder):
        folder.write(results())
        report = folder.root / "runs" / RUN / "report.html"
        report.write_text("my notes")
        again = folder.write(results())
        assert again.kept == (str(report),)
        assert "file" not in again.counts
        undone = folder.undo(RUN)
        assert undone.kept == (str(report),)
        assert undone.counts == {"table": 1, "roi": 1}
        assert names(folder) == [f"runs/{RUN}/report.html"]
        assert report.read_text() == "my notes"

    def test_an_edited_file_stays_when_the_run_makes_it_no_more(self, folder):
        folder.write(results())
        report = folder.root / "runs" / RUN / "report.html"
        report.write_text("my notes")
        assert folder.write(results(files=())).kept == (str(report),)
        assert report.read_text() == "my notes"

    def test_files_that_a_user_put_there_stay(self, folder):
        folder.write(results())
        (folder.root / "labels.csv").write_text("mine")
        (folder.root / "runs" / RUN / "notes.txt").write_text("mine")
        folder.undo(RUN)
        assert names(folder) == ["labels.csv", f"runs/{RUN}/notes.txt"]

    def test_a_file_of_a_user_is_not_replaced_by_one_of_ours(self, folder):
        (folder.root / "runs" / RUN).mkdir(parents=True)
        mine = folder.root / "runs" / RUN / "report.html"
        mine.write_text("mine")
        assert folder.write(results()).kept == (str(mine),)
        folder.undo(RUN)
        assert mine.read_text() == "mine"

    def test_a_tampered_manifest_cannot_reach_other_files(self, folder, tmp_path):
        folder.write(results())
        secret = tmp_path / "secret.txt"
        secret.write_text("keep me")
        path = manifest_path(folder)
        manifest = json.loads(path.read_text())
        manifest["entries"].append({"kind": "file", "path": "../../../secret.txt"})
        manifest["entries"].append({"kind": "file", "path": str(secret)})
        path.write_text(json.dumps(manifest))
        assert len(folder.undo(RUN).kept) == 2
        assert secret.read_text() == "keep me"


class TestEntriesOfTheStore:
    LABEL: ClassVar = {"kind": "ngff-label", "path": "B/03/0/labels/nuclei", "plane": 3}

    def test_they_go_to_the_store_as_they_came(self, folder):
        folder.write(results(), extra_entries=[self.LABEL])
        seen = []
        report = folder.undo(RUN, remove=lambda entry: seen.append(entry) is None)
        assert [entry.items() >= self.LABEL.items() for entry in seen] == [True]
        assert report.counts["ngff-label"] == 1
        assert not folder.root.exists()

    def test_one_that_a_user_changed_is_told(self, folder):
        folder.write(results(), extra_entries=[self.LABEL])
        assert folder.undo(RUN, remove=lambda _: False).kept == (self.LABEL["path"],)
        assert not folder.root.exists()

    def test_without_the_store_they_stay_listed(self, folder):
        folder.write(results(), extra_entries=[self.LABEL])
        assert folder.undo(RUN).kept == (self.LABEL["path"],)
        assert names(folder) == [f"runs/{RUN}/manifest.json"]
        assert folder.undo(RUN, remove=lambda _: True).counts == {"ngff-label": 1}

    def test_one_that_the_unit_makes_no_more_is_still_undone(self, folder):
        folder.write(results(unit="u"), extra_entries=[self.LABEL])
        folder.write(results(unit="u"))
        assert folder.undo(RUN, remove=lambda _: True).counts["ngff-label"] == 1

    def test_writing_twice_lists_it_once(self, folder):
        folder.write(results(), extra_entries=[self.LABEL])
        folder.write(results(), extra_entries=[self.LABEL])
        assert folder.undo(RUN, remove=lambda _: True).counts["ngff-label"] == 1


HEADER = ",".join(LABEL_COLUMNS)


class TestLabels:
    def put(self, folder, *rows, encoding="utf-8"):
        folder.root.mkdir(exist_ok=True)
        text = "\n".join(["plate,image,y,x,label", *rows])
        (folder.root / "labels.csv").write_text(text, encoding=encoding)

    def test_a_file_from_excel_is_read(self, folder):
        self.put(folder, "tiny,B/03/0,1,2,unscharf & müde", encoding="utf-8-sig")
        table = folder.labels(PLATE, source=LabelSource())
        assert table["label"].tolist() == ["unscharf & müde"]

    def test_rows_of_other_plates_are_left_out(self, folder):
        self.put(folder, "tiny,a,1,2,one", "other,a,1,2,two", ",a,1,2,three")
        table = folder.labels(PLATE, source=LabelSource())
        assert table["label"].tolist() == ["one", "three"]

    def test_only_rows_of_other_plates_are_told(self, folder):
        self.put(folder, "other,a,1,2,two")
        with pytest.raises(LabelError, match=r"of other plates \(other\).*'tiny'"):
            folder.labels(PLATE, source=LabelSource())

    def test_a_missing_file_is_told_with_place_and_header(self, folder):
        with pytest.raises(LabelError, match=rf"(?s)tiny\.hcs/labels\.csv.*{HEADER}"):
            folder.labels(PLATE, source=LabelSource())

    def test_another_encoding_is_told(self, folder):
        self.put(folder, "tiny,a,1,2,müde", encoding="latin-1")
        with pytest.raises(LabelError, match=r"labels\.csv cannot be read.*UTF-8"):
            folder.labels(PLATE, source=LabelSource())

    def test_what_only_omero_has_is_refused_by_its_name(self, folder):
        with pytest.raises(LabelError, match=r"'rating'.*OMERO.*labels\.csv"):
            folder.labels(PLATE, source=LabelSource(kind="rating"))

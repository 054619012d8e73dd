from __future__ import annotations

import json

import numpy as np
import pytest

from omero_hcs.jobs.parts import Parts, write_part
from omero_hcs.model import ModelRef, ObjectRef, RunSpec, StoreSpec, Unit
from omero_hcs.results import Table, UnitResult
from omero_hcs.tasks.base import no_progress
from omero_hcs.tasks.outcome import count_up, field_tables, finite, of_target, run_file

REF = ObjectRef(kind="plate", id="p")
STORE = StoreSpec.model_validate({"uri": "/home/ann/p.zarr", "secret": "s3"})
UNITS = [Unit(id=f"p/A0{n}", target=REF, image=f"i{n}", well=f"A0{n}") for n in (1, 2, 3)]


def cells(unit, count):
    return Table(
        {
            "plate": np.full(count, "p"),
            "well": np.full(count, unit.well),
            "y": np.arange(count, dtype=float),
            "centre": np.full(count, "nucleus"),
            "pixels": np.zeros((count, 4), dtype=np.uint16),
        }
    )


@pytest.fixture
def parts(tmp_path):
    """Two cells in the first field, none in the second; the third could not be read."""
    for unit, count in zip(UNITS[:2], (2, 0), strict=True):
        metrics = {"focus": 0.5, "nuclei": count, "name": "x"}
        write_part(tmp_path, UnitResult(unit.id, "done", cells=cells(unit, count), metrics=metrics))
    return Parts(tmp_path, UNITS, {UNITS[2].id: "truncated"})


class TestFieldTables:
    def test_every_field_has_a_row_also_one_without_cells_and_one_that_failed(self, parts):
        joined = field_tables(parts, progress=no_progress)
        found, fields = joined.cells, joined.fields
        assert found["well"].tolist() == ["A01", "A01"]
        assert fields["well"].tolist() == ["A01", "A02", "A03"]
        assert fields["status"].tolist() == ["done", "done", "failed"]
        assert fields["reason"].tolist() == ["", "", "truncated"]
        assert fields["nuclei"].tolist() == [2, 0, 0]
        assert np.isnan(fields["focus"][2])
        assert fields["name"][2] == ""

    def test_a_field_that_could_not_be_read_is_not_judged(self, parts):
        def judge(table):
            return {"verdict": "fail" if not len(table) else "pass"}

        fields = field_tables(parts, progress=no_progress, judge=judge).fields
        assert fields["verdict"].tolist() == ["pass", "fail", ""]

    def test_pixels_can_be_left_out(self, parts):
        found = field_tables(parts, progress=no_progress, without=("pixels",)).cells
        assert "pixels" not in found
        assert "y" in found

    def test_every_field_is_told_as_it_is_joined(self, parts):
        told = []
        field_tables(parts, progress=lambda *step: told.append(step[1:]))
        assert told == [(1, 3), (2, 3), (3, 3)]


def test_counts_are_those_of_the_tables(parts):
    joined = field_tables(parts, progress=no_progress)
    counts = count_up(joined.cells, joined.fields)
    assert (counts["wells"], counts["fields"], counts["fields failed"], counts["cells"]) == (
        3, 3, 1, 2,
    )  # fmt: skip


def test_rows_of_another_plate_are_left_out(parts):
    found = field_tables(parts, progress=no_progress).cells
    assert len(of_target(found, REF)) == 2
    assert len(of_target(found, ObjectRef(kind="plate", id="q"))) == 0


def test_the_run_file_says_what_was_done_and_not_where():
    spec = RunSpec(
        run_id="1", key="k", task="apply_qc", store=STORE,
        targets=(REF,), params={"seed": 3}, context={"survey": {"fields": 2}},
        model=ModelRef(name="m", path="m.safetensors", sha256="0"), package_version="0.1.0",
        work_dir="/home/ann/state",
    )  # fmt: skip
    file = run_file(spec, warnings=("dim", "dim", "few"), classes=["normal"])
    record = json.loads(file.content)
    assert (file.name, record["schema_version"], record["run_id"]) == ("run.json", 1, "1")
    assert record["warnings"] == ["dim", "few"]
    assert (record["params"], record["classes"]) == ({"seed": 3}, ["normal"])
    assert b"/home/ann" not in file.content
    assert b"s3" not in file.content


def test_nan_becomes_nothing_in_json():
    assert (finite(float("nan")), finite(1.5)) == (None, 1.5)
